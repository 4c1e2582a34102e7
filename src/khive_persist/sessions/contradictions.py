"""Later records that contradict a record: who reads that alone would not know of them.

A file that a call edited was edited again, a plan was made anew for the same session, another
verdict counts, a call that had failed succeeded.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.clock import InstantText
from khive_persist.models.purposes import (
    CONVERSATIONS,
    EVENT_FILES,
    OUTCOMES,
    PLANNER_SESSIONS,
    Purpose,
)
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.call_kind import CallKind, is_same, kind_of
from khive_persist.sessions.definitions import (
    event_tables,
    is_call_end_sql,
    is_failed_call,
    is_failed_call_sql,
    plan_order_sql,
    plan_session_sql,
    session_sql,
    text_sql,
    time_sql,
)
from khive_persist.sessions.timeline.tool_call import diff, paths_of
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, union_all
from khive_persist.tools.message_part import mapping_of, mappings_in

ContradictionKind = Literal["edited again", "planned anew", "other verdict", "succeeded later"]

_EVENTS: Final = {purpose.name: purpose for purpose in EVENT_FILES.values()}
_PURPOSES: Final = (*EVENT_FILES.values(), CONVERSATIONS, PLANNER_SESSIONS, OUTCOMES)
_MOST_CALLS: Final = 2_000
_MOST_FILES: Final = 200


class Claim(NamedTuple):
    """A record that may be contradicted.

    Attributes:
        purpose: The name of its purpose.
        record_id: Its id.
    """

    purpose: str
    record_id: str


class Contradiction(NamedTuple):
    """A later record that contradicts another one.

    Attributes:
        kind: `edited again`: a file of the record's edit was edited later. `planned anew`: the
            same session carries out a later plan. `other verdict`: another verdict on the session
            counts. `succeeded later`: a call of the same kind, in the same session, did not fail.
        at: Its time.
        session_id: Its session.
        record_id: Its record; an empty string where the rule of config.toml says it.
        purpose: The name of that record's purpose.
    """

    kind: ContradictionKind
    at: InstantText
    session_id: str
    record_id: str
    purpose: str


class _Row(NamedTuple):
    id: str
    at: str
    session: str
    content: str


class _Edit(NamedTuple):
    path: str
    at: str
    session: str
    id: str
    purpose: str


async def contradictions(
    project: Project, claims: Sequence[Claim]
) -> dict[Claim, list[Contradiction]]:
    """Return what contradicts some records; those that nothing contradicts are left out.

    Edits and calls that hook events tell of are looked at; of each kind the latest is given.

    Args:
        project: The project of the records.
        claims: The records; at most 200 files of them are looked for.
    """
    results: dict[Claim, list[Contradiction]] = {}
    async with reading(project, *_PURPOSES) as reader:
        rows: dict[Claim, _Row] = {}
        for purpose in _PURPOSES:
            ids = [claim.record_id for claim in claims if claim.purpose == purpose.name]
            if ids:
                for row in await reader.fetch_as(_Row, partial(_rows_of, purpose, ids)):
                    rows[Claim(purpose.name, row.id)] = row
        for finding in (_edits, _plans, _verdicts, _successes):
            for claim, contradiction in await finding(reader, rows):
                results.setdefault(claim, []).append(contradiction)
    return results


_Findings = Iterable[tuple[Claim, Contradiction]]


async def _edits(reader: Reader, rows: Mapping[Claim, _Row]) -> _Findings:
    paths: dict[str, list[Claim]] = {}
    for claim, row in rows.items():
        for path in _edited_paths(claim, row):
            paths.setdefault(path, []).append(claim)
    if not paths:
        return []
    chosen = dict(list(paths.items())[:_MOST_FILES])
    since = min(rows[claim].at for of_path in chosen.values() for claim in of_path)
    latest = {
        edit.path: edit
        for edit in await reader.fetch_as(_Edit, partial(_latest_edits, list(chosen), since))
    }
    findings: dict[Claim, Contradiction] = {}
    for path, of_path in chosen.items():
        edit = latest.get(path)
        for claim in of_path:
            if edit is not None and edit.at > rows[claim].at and edit.id != claim.record_id:
                findings[claim] = Contradiction(
                    "edited again", edit.at, edit.session, edit.id, edit.purpose
                )
    return findings.items()


async def _plans(reader: Reader, rows: Mapping[Claim, _Row]) -> _Findings:
    claims = [claim for claim in rows if claim.purpose == PLANNER_SESSIONS.name]
    if not claims:
        return []
    ids = [claim.record_id for claim in claims]
    return [
        (
            Claim(PLANNER_SESSIONS.name, row[0]),
            Contradiction("planned anew", row[2], row[3], row[1], PLANNER_SESSIONS.name),
        )
        for row in await reader.fetch(partial(_later_plans, ids))
    ]


async def _verdicts(reader: Reader, rows: Mapping[Claim, _Row]) -> _Findings:
    claims = {claim: row for claim, row in rows.items() if claim.purpose == OUTCOMES.name}
    if not claims:
        return []
    counting = await facts.verdicts(reader, {row.session for row in claims.values()})
    findings = []
    for claim, row in claims.items():
        verdict = counting.get(row.session)
        if verdict is not None and verdict.verdict != _content(row).get("verdict"):
            record_id = await _verdict_record(reader, row.session, verdict.verdict)
            findings.append((claim, Contradiction("other verdict", *record_id, OUTCOMES.name)))
    return findings


async def _successes(reader: Reader, rows: Mapping[Claim, _Row]) -> _Findings:
    findings = []
    for claim, row in rows.items():
        purpose = _EVENTS.get(claim.purpose)
        content = _content(row)
        if purpose is None or not row.session or not is_failed_call(content):
            continue
        kind = _kind(content)
        successes = await reader.fetch_as(_Row, partial(_successes_after, purpose, row))
        for call in successes:
            if is_same(kind, _kind(_content(call))):
                contradiction = Contradiction(
                    "succeeded later", call.at, call.session, call.id, claim.purpose
                )
                findings.append((claim, contradiction))
                break
    return findings


def _kind(content: Mapping[str, Any]) -> CallKind:
    arguments = in_our_words(mapping_of(content.get("payload"))).get("tool_input")
    kind = kind_of(str(content.get("tool_name") or ""), arguments)
    if not kind.words and isinstance(command := content.get("command"), str):
        return kind_of("", {"command": command})
    return kind


def _edited_paths(claim: Claim, row: _Row) -> list[str]:
    content = _content(row)
    if claim.purpose in _EVENTS:
        arguments = in_our_words(mapping_of(content.get("payload"))).get("tool_input")
        paths = content.get("file_paths")
        is_edit = bool(diff(arguments)) and not is_failed_call(content)
        return [str(path) for path in paths] if is_edit and isinstance(paths, list) else []
    if claim.purpose == CONVERSATIONS.name:
        inputs = (call.get("input") for call in mappings_in(content.get("tool_calls")))
        return [path for arguments in inputs if diff(arguments) for path in paths_of(arguments)]
    return []


def _content(row: _Row) -> Mapping[str, Any]:
    content = codec.column(row.content)
    return content if isinstance(content, Mapping) else {}


def _rows_of(purpose: Purpose, ids: Sequence[str], source: Source) -> Statement:
    table = source.only(purpose.name).sql
    return Statement(
        f"SELECT id, {time_sql(source)} AS at, {session_sql(source)} AS session,"
        f" {source.content} AS content FROM {table}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        [codec.dump_lossy(list(ids))],
    )


def _latest_edits(paths: Sequence[str], since: str, source: Source) -> Statement:
    selects = [
        f"SELECT file.value AS path, {time_sql(source)} AS at, {session_sql(source)} AS session,"
        f" event.id AS id, '{EVENT_FILES[client].name}' AS purpose"
        f" FROM {table} AS event, json_each({source.content}, '$.file_paths') AS file"
        f" WHERE {source.extract('$.event_type')} = 'post_edit' AND {source.created_at} > ?"
        f" AND {source.extract('$.success')} IS NOT 0"
        " AND file.value IN (SELECT value FROM json_each(?))"
        for client, table in event_tables(source)
    ]
    return union_all(
        [f"SELECT * FROM ({select})" for select in selects],
        [since, codec.dump_lossy(list(paths))],
        "SELECT path, max(at) AS at, session, id, purpose FROM ({}) GROUP BY path",
    )


def _later_plans(ids: Sequence[str], source: Source) -> Statement:
    table = source.only(PLANNER_SESSIONS.name).sql
    session, order = plan_session_sql(source), plan_order_sql(source)
    return Statement(
        f"WITH plans AS (SELECT id, {time_sql(source)} AS at, {session} AS session,"
        f" {order} AS place FROM {table}),"
        " latest AS (SELECT id, at, session, max(place) FROM plans WHERE session != ''"
        " GROUP BY session)"
        " SELECT plans.id, latest.id, latest.at, latest.session FROM plans"
        " JOIN latest USING (session) WHERE latest.id != plans.id"
        " AND plans.id IN (SELECT value FROM json_each(?))",
        [codec.dump_lossy(list(ids))],
    )


async def _verdict_record(reader: Reader, session: str, verdict: str) -> tuple[str, str, str]:
    """Return time, session and id of the latest record with a verdict on a session."""

    def build(source: Source) -> Statement:
        table = source.only(OUTCOMES.name).sql
        return Statement(
            f"SELECT {time_sql(source)}, id FROM {table} WHERE {session_sql(source)} = ?"
            f" AND {text_sql(source, 'verdict')} = ? ORDER BY 1 DESC, 2 DESC LIMIT 1",
            [session, verdict],
        )

    rows = await reader.fetch(build)
    return (rows[0][0], session, rows[0][1]) if rows else ("", session, "")


def _successes_after(purpose: Purpose, row: _Row, source: Source) -> Statement:
    table = source.only(purpose.name).sql
    return Statement(
        f"SELECT id, {time_sql(source)} AS at, {session_sql(source)} AS session,"
        f" {source.content} AS content FROM {table} WHERE {source.extract('$.session_id')} = ?"
        f" AND {source.created_at} > ? AND {is_call_end_sql(source)}"
        f" AND NOT coalesce({is_failed_call_sql(source)}, 0) ORDER BY 2 LIMIT ?",
        [row.session, row.at, _MOST_CALLS],
    )
