"""An application's records of its session: begin and end, variants, measurements, scores."""

from collections.abc import Iterator, Sequence

from khive_persist import clock
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.assignment import NAMED, Assignment
from khive_persist.models.measurement import Measurement
from khive_persist.models.score import Score
from khive_persist.sessions.timeline.entry import MAX_RECORDS, Entry, content_of, of_record
from khive_persist.sessions.timeline.labels import line_of


def trials(sessions: Sequence[ApplicationSession]) -> Iterator[Entry]:
    for session in sessions:
        content = content_of(session)
        names = ("application", "participant", "scenario", "group")
        facts = [f"{name} {line_of(content[name])}" for name in names if content.get(name)]
        details = (", ".join(facts),) * bool(facts)
        yield of_record(
            Entry(session.created_at, "event", "session begun", details), session.id, "begin"
        )
        if (at := clock.from_column(content.get("completed_at"))) is not None:
            results = [f"{n} {line_of(content[n])}" for n in ("outcome", "summary") if n in content]
            entry = Entry(at, "event", "session completed", tuple(results))
            yield of_record(entry, session.id, "end")


def assigned(assignments: Sequence[Assignment]) -> Iterator[Entry]:
    for assignment in assignments:
        content = content_of(assignment)
        method = "by name" if content.get("method") == NAMED else "at random"
        suffix = ", late" if content.get("is_late") else ""
        experiment, variant = line_of(content.get("experiment")), line_of(content.get("variant"))
        title = f"variant {variant} of {experiment} assigned {method}{suffix}"
        yield of_record(Entry(assignment.created_at, "event", title), assignment.id)


def measured(measurements: Sequence[Measurement]) -> Iterator[Entry]:
    """Yield an entry for each series, at its end: one for each measurement would be too many."""
    series: dict[tuple[str, str], list[Measurement]] = {}
    for measurement in measurements:
        content = content_of(measurement)
        key = (line_of(content.get("name")), line_of(content.get("unit")))
        series.setdefault(key, []).append(measurement)
    for (name, unit), points in series.items():
        values = [content_of(point).get("value") for point in points]
        numbers = [value for value in values if isinstance(value, int | float)]
        spread = f", {min(numbers):g} to {max(numbers):g} {unit}".rstrip() if numbers else ""
        title = f"{name} measured {len(points)} times{spread}"
        # The last one changes while it is measured.
        entry = of_record(Entry(points[-1].created_at, "event", title), points[0].id)
        yield entry._replace(records=tuple(point.id for point in points[:MAX_RECORDS]))


def scored(scores: Sequence[Score]) -> Iterator[Entry]:
    for score in scores:
        content = content_of(score)
        value, most = str(content.get("value")), content.get("max_value")
        title = f"score {line_of(content.get('name'))}: {line_of(value)}"
        title += "" if most is None else f" of {line_of(str(most))}"
        note = (line_of(content["note"]),) if "note" in content else ()
        yield of_record(Entry(score.created_at, "event", title, note), score.id)
