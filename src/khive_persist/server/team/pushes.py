"""`POST /v1/team/records`: the records that machines push."""

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.errors import ConflictError
from khive_persist.server.http.errors import HTTPError, json_response
from khive_persist.server.request.auth import JSON_LINES, route
from khive_persist.server.routes.stored_records import StoredRecords
from khive_persist.server.team.context import TeamContext
from khive_persist.server.team.role import credential_of
from khive_persist.team.http_destination import ROUTE
from khive_persist.team.team_record import TeamRecord


def routes(context: TeamContext) -> list[BaseRoute]:
    """Return the route of this group."""

    async def store(request: Request) -> Response:
        body = await context.bodies.read(request)
        records = await anyio.to_thread.run_sync(_records, body)
        person = credential_of(request).person
        if person is not None and any(record.person != person for record in records):
            raise HTTPError(
                403,
                "person",
                "a record is of another person than this token is for",
                hint=f'set team.person = "{person}"',
            )
        try:
            await context.store.store(records, person)
        except ConflictError as error:
            raise HTTPError(
                403,
                "person",
                "a record is there as that of another person than this token is for",
                hint="push once with a token of --rights ingest, if team.person was another before",
            ) from error
        return json_response(StoredRecords(len(records)))

    return [route(context.access, "POST", ROUTE, store, right="ingest", types=JSON_LINES)]


def _records(body: bytes) -> list[TeamRecord]:
    records = []
    for number, line in enumerate(body.splitlines(), 1):
        try:
            records.append(TeamRecord.from_json(line))
        except ValueError as error:
            raise HTTPError(
                422, "invalid_record", f"line {number}: {error}", hint="nothing was stored"
            ) from error
    return records
