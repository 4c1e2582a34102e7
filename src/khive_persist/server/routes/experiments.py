"""`/v1/experiments`: experiments, and the variants that sessions are assigned."""

from functools import partial
from typing import Any, Final

from pydantic import ConfigDict, with_config
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from typing_extensions import TypedDict

from khive_persist.analytics.experiments import assign as assigning
from khive_persist.analytics.experiments.counts import ExperimentCount, count_experiments
from khive_persist.analytics.experiments.create import WEIGHT, define
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidRecordError
from khive_persist.models.assignment import Assignment
from khive_persist.models.experiment import MOST_VARIANTS, Experiment
from khive_persist.models.purposes import ASSIGNMENTS, EXPERIMENTS
from khive_persist.server.http.errors import json_response
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.application_sessions.retries import retried
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.routes.read.listing import Listing
from khive_persist.server.routes.read.operations import Operation, ReadRequest, routes_of
from khive_persist.server.routes.read.records import row_listing
from khive_persist.server.store_pool import Stores
from khive_persist.sessions.has_started import has_begun
from khive_persist.store import codec
from khive_persist.store.immutable import InsertResult
from khive_persist.store.keyset_pages import NewestRow

PATH: Final = "/v1/experiments"


@with_config(ConfigDict(extra="allow"))
class ExperimentFields(TypedDict):
    """The fields of an experiment; its class says what else is in them."""

    name: str
    created_at: InstantText


def routes(
    access: Access, bodies: BodyReader, readers: ReaderPool, stores: Stores, metrics: Metrics
) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def create(request: Request) -> Response:
        fields = await _object(bodies, request, {"name", "variants", "note"})
        experiments = await stores.of(Experiment)
        variants = _weighed(fields["variants"])
        insert = partial(define, experiments, fields["name"], variants, fields["note"])
        inserted: InsertResult[Experiment] = await retried(insert)
        metrics.recorded(EXPERIMENTS, "new" if inserted.created else "same")
        location = {"location": f"{PATH}/{inserted.record.id}"}
        return json_response(inserted.record.content, 201 if inserted.created else 200, location)

    async def assign(request: Request) -> Response:
        fields = await _object(bodies, request, {"session_id", "variant"})
        variant = fields["variant"]
        if variant is not None and not isinstance(variant, str):
            raise InvalidRecordError("variant is the name of one")
        experiments = await stores.of(Experiment)
        assignments = await stores.of(Assignment)
        name = request.path_params["name"]
        # To say it again changes nothing: who is not answered asks once more.
        inserted = await retried(
            lambda: assigning.insert_assignment(
                experiments, assignments, begun, fields["session_id"], name, variant
            )
        )
        metrics.recorded(ASSIGNMENTS, "new" if inserted.created else "same")
        return json_response(
            assigning.as_document(inserted.record), 201 if inserted.created else 200
        )

    # What waits in the spool is not seen: the drainer brings it in within moments.
    begun = partial(has_begun, readers.reader)
    return [
        route(access, "POST", f"{PATH}/{{name}}/assignments", assign, right="ingest"),
        route(access, "POST", PATH, create, right="ingest"),
        *routes_of(access, operations(readers)),
    ]


def operations(readers: ReaderPool) -> list[Operation]:
    """Return what this group answers to who reads."""

    async def every(_query: ReadRequest) -> Listing:
        return row_listing(readers, Experiment, [EXPERIMENTS], shown=_listed)

    async def counts(query: ReadRequest) -> Any:
        async with readers.reader(EXPERIMENTS, ASSIGNMENTS) as reader:
            (experiment,) = await count_experiments(reader, query.path["name"])
        return experiment

    words = {"name": "The experiment's name."}
    return [
        Operation(PATH, every, "Experiments, the newest first.", (), ExperimentFields, True),
        Operation(f"{PATH}/{{name}}", counts, "An experiment, and the sessions of each variant.",
                  (), ExperimentCount, path_words=words),
    ]  # fmt: skip


async def _object(bodies: BodyReader, request: Request, names: set[str]) -> dict[str, Any]:
    """Return what a body says; each of the values the record is yet to check."""
    document = await bodies.read_json(request)
    if not isinstance(document, dict):
        raise InvalidRecordError(f"an object with {', '.join(sorted(names))} is needed")
    if unknown := sorted(document.keys() - names):
        raise InvalidRecordError(f"there is no {unknown[0][:80]!r} here")
    return dict.fromkeys(names) | document


def _weighed(variants: object) -> object:
    """Return variants of which some have no weight of their own; what else is wrong the record
    says.
    """
    if not isinstance(variants, list):
        return variants
    if len(variants) > MOST_VARIANTS:
        raise InvalidRecordError(f"an experiment has at most {MOST_VARIANTS} variants")
    return [
        {"weight": WEIGHT, **variant} if isinstance(variant, dict) else variant
        for variant in variants
    ]


def _listed(row: NewestRow) -> dict[str, Any]:
    content = codec.column(row.row[1])
    fields = content if isinstance(content, dict) else {}
    return {**fields, "name": row.row[0], "created_at": row.key.created_at}
