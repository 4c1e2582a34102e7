"""One plan with its phases, the planners' evaluations and their consensus."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist.errors import NotFoundError
from khive_persist.models.node import ODD_NUMBERS
from khive_persist.models.planner_session import PlannerSessionContent
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import LAST_CHARACTER, Filter, column
from khive_persist.sessions.definitions import plan_session_sql
from khive_persist.sessions.event_facts import linked_to
from khive_persist.store import codec
from khive_persist.store.codec import is_plain
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, named, select

_MAX_NAMED: Final = 3
_MOST_LINKED: Final = 1_000
# Planners name these each in its own way; the first one that there is counts.
_PHASE_NAMES: Final = ("name", "title", "phase", "id")
_PHASE_DESCRIPTIONS: Final = ("description", "goal", "summary")
_PHASE_DEPENDENCIES: Final = ("dependencies", "depends_on")
_AGENT_NAMES: Final = ("role", "name", "agent", "id")
_PLANNER_NAMES: Final = ("name", "planner", "model", "id")
_AGENT_COUNTS: Final = ("agent_count", "total_agents", "recommended_agents")
_FIELDS: Final = frozenset(PlannerSessionContent.__annotations__)


class PlanPhase(NamedTuple):
    """A phase of a plan. What it does not say is None, or empty.

    Attributes:
        number: Its place among the phases, from 1.
        name: Its name or title; of a phase that is a text alone, that text.
        description: Its description, or its goal.
        agents: The agents that it plans, each with its domain in brackets.
        depends_on: The phases that come before it.
        saved: The phase as it was saved.
    """

    number: int
    name: str | None
    description: str | None
    agents: list[str]
    depends_on: list[str]
    saved: Any


class PlanEvaluation(NamedTuple):
    """The answer of one planner. What it does not say is None.

    Attributes:
        number: Its place among the evaluations, from 1.
        planner: The planner's name in its config, or its model.
        complexity: The complexity that it found.
        agent_count: The number of agents that it wants.
        confidence: 0 to 1 in a sound answer.
        response_time_ms: The time that it took.
        cost: In USD.
        saved: The evaluation as it was saved: its config, the whole answer, and what else it has.
    """

    number: int
    planner: str | None
    complexity: str | None
    agent_count: float | None
    confidence: float | None
    response_time_ms: float | None
    cost: float | None
    saved: Any


class PlanDetail(NamedTuple):
    """What was saved of a plan besides the fields that its outcome has, too.

    Attributes:
        plan_id: The plan's id.
        superseded_by: The latest plan that the same session carried out, where that is another.
        phases: Its phases, in order.
        evaluations: The planners' answers, in order.
        consensus: The agreement of the planners, as it was saved.
        execution_plan: As it was saved.
        metadata: As it was saved.
        odd_numbers: Why a number is none that counts, by the field's name.
        other: The fields that it has besides.
    """

    plan_id: str
    superseded_by: str | None
    phases: list[PlanPhase]
    evaluations: list[PlanEvaluation]
    consensus: Any
    execution_plan: Any
    metadata: Any
    odd_numbers: dict[str, str]
    other: dict[str, Any]


class _PlanRow(NamedTuple):
    agent_session_id: str | None
    content: str | None
    node_metadata: str | None


class _LinkedPlan(NamedTuple):
    plan_id: str
    agent_session_id: str | None


async def plan_detail(reader: Reader, plan_id: str) -> PlanDetail | None:
    """Return the plan of this id, or None.

    Args:
        reader: A reader of the plans, and perhaps of other files.
        plan_id: The whole id.
    """
    rows = await reader.fetch_as(_PlanRow, partial(_plan, plan_id))
    if not rows:
        return None
    row = rows[0]
    content = _mapping(codec.column(row.content))
    node_metadata = _mapping(codec.column(row.node_metadata))
    latest = None
    if (session := row.agent_session_id) is not None:
        plans = await _linked(reader, linked_to(session, is_exact=True))
        latest = next((plan.plan_id for plan in plans if plan.agent_session_id == session), None)
    phases = enumerate(_list(content.get("phases")), 1)
    evaluations = enumerate(_list(content.get("evaluations")), 1)
    odd_numbers = _mapping(node_metadata.get(ODD_NUMBERS))
    return PlanDetail(
        plan_id=plan_id,
        superseded_by=latest if latest != plan_id else None,
        phases=[_phase(number, phase) for number, phase in phases],
        evaluations=[_evaluation(number, evaluation) for number, evaluation in evaluations],
        consensus=content.get("consensus"),
        execution_plan=content.get("execution_plan"),
        metadata=content.get("metadata"),
        odd_numbers={name: str(reason) for name, reason in odd_numbers.items()},
        other={name: value for name, value in content.items() if name not in _FIELDS},
    )


async def find_plan(reader: Reader, id: str) -> str:
    """Return the id of the plan that is named by its id, by its session's, or a beginning of one.

    Of the plans of a session, the latest.

    Raises:
        NotFoundError: There is none, or several plans or sessions begin so.
    """
    if await _linked(reader, column("id") == id):
        return id
    plans = await _linked(reader, linked_to(id, is_exact=True))
    if plans:
        carried_out = (plan for plan in plans if plan.agent_session_id == id)
        return next(carried_out, plans[0]).plan_id
    plans = await _linked(reader, (column("id") >= id) & (column("id") <= id + LAST_CHARACTER))
    names = [plan.plan_id for plan in plans]
    if not plans:
        plans = await _linked(reader, linked_to(id, is_exact=False))
        names = [*dict.fromkeys(plan.agent_session_id or plan.plan_id for plan in plans)]
    if not names:
        raise NotFoundError(
            f"no plan, and no session of one, has an id that begins with {id!r}",
            hint="khive-persist plans lists them",
        )
    if len(names) > 1:
        raise NotFoundError(
            f"several plans begin with {id!r}: {', '.join(names[:_MAX_NAMED])}",
            hint="write more of it",
        )
    return plans[0].plan_id


async def _linked(reader: Reader, plan_filter: Filter) -> list[_LinkedPlan]:
    """Return the plans that pass, the latest of each session before its others."""

    def build(source: Source) -> Statement:
        columns = {"plan_id": "id", "agent_session_id": _agent_session_sql(source)}
        order = -column("created_at"), -column("id")
        plans = source.only(PLANNER_SESSIONS.name)
        return select(plans, [plan_filter], order, _MOST_LINKED, columns=named(columns))

    return await reader.fetch_as(_LinkedPlan, build)


def _plan(plan_id: str, source: Source) -> Statement:
    columns = {
        "agent_session_id": _agent_session_sql(source),
        "content": source.content,
        "node_metadata": "node_metadata",
    }
    plans = source.only(PLANNER_SESSIONS.name)
    return select(plans, [column("id") == plan_id], limit=1, columns=named(columns))


def _agent_session_sql(source: Source) -> str:
    return f"nullif({plan_session_sql(source)}, '')"


def _phase(number: int, phase: Any) -> PlanPhase:
    if not isinstance(phase, Mapping):
        return PlanPhase(number, phase if isinstance(phase, str) else None, None, [], [], phase)
    agents = _list(phase.get("agents"))
    depends_on = _first(phase, _PHASE_DEPENDENCIES, list) or []
    return PlanPhase(
        number,
        _first(phase, _PHASE_NAMES, str),
        _first(phase, _PHASE_DESCRIPTIONS, str),
        [_agent(agent) for agent in agents],
        [item if isinstance(item, str) else codec.dump_lossy(item) for item in depends_on],
        phase,
    )


def _agent(agent: Any) -> str:
    if not isinstance(agent, Mapping):
        return agent if isinstance(agent, str) else codec.dump_lossy(agent)
    name, domain = _first(agent, _AGENT_NAMES, str), agent.get("domain")
    if name is None:
        return codec.dump_lossy(agent)
    return f"{name} ({domain})" if isinstance(domain, str) and domain else name


def _evaluation(number: int, saved: Any) -> PlanEvaluation:
    fields = _mapping(saved)
    config, answer = fields.get("config"), _mapping(fields.get("evaluation"))
    planner = config if isinstance(config, str) else _first(_mapping(config), _PLANNER_NAMES, str)
    return PlanEvaluation(
        number,
        planner,
        _first(answer, ("complexity",), str),
        _number(_first(answer, _AGENT_COUNTS, (int, float))),
        _number(answer.get("confidence")),
        _number(fields.get("response_time_ms")),
        _number(fields.get("cost")),
        saved,
    )


def _first(fields: Mapping[str, Any], names: Sequence[str], kind: type | tuple[type, ...]) -> Any:
    """Return the first of these fields that is of a kind, and not empty; else None."""
    values = (fields.get(name) for name in names)
    return next((value for value in values if isinstance(value, kind) and value != ""), None)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and is_plain(value) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
