"""The JSON Schemas of a comparison and a report."""

from typing import Final

from khive_persist.server.routes.read.schemas import (
    BOOLEAN,
    CALIBRATION,
    COUNT,
    INSTANT,
    NUMBER,
    TEXT,
    Schema,
    array,
    mapping,
    maybe,
    record,
)

_FIGURES: Final[Schema] = {"type": "object", "description": "The figures of one test."}
_TESTS: Final = (
    "welch", "mann_whitney", "effect", "median_difference", "shares", "welch_anova",
    "brown_forsythe_anova", "paired_t", "sign", "wilcoxon", "spread",
)  # fmt: skip
_METRIC: Final = record(
    metric=record(name=TEXT, definition=TEXT, unit=TEXT, kind={"enum": ["number", "share"]}),
    groups=array(
        record(
            name=TEXT,
            description=record(
                n=COUNT,
                mean=maybe(NUMBER),
                sd=maybe(NUMBER),
                median=maybe(NUMBER),
                q1=maybe(NUMBER),
                q3=maybe(NUMBER),
                minimum=maybe(NUMBER),
                maximum=maybe(NUMBER),
                outliers=COUNT,
            ),
            left_out=mapping(COUNT),
            normality=maybe(_FIGURES),
        )
    ),
    tested=array(COUNT),
    refusal=TEXT,
    **dict.fromkeys(_TESTS, maybe(_FIGURES)),
    pairs=maybe(array(_FIGURES)),
    smallest_effect=maybe(NUMBER),
    needed=maybe(COUNT),
    p=maybe(NUMBER),
    p_holm=maybe(NUMBER),
    p_bh=maybe(NUMBER),
    finding={"enum": ["difference", "perhaps chance", "unclear", "none found", "not tested"]},
    sentence=TEXT,
)
COMPARISON: Final = record(
    by=TEXT,
    groups=mapping(COUNT),
    sessions=COUNT,
    ungrouped=COUNT,
    unwanted=COUNT,
    pairs=maybe(COUNT),
    span=record(first=maybe(INSTANT), last=maybe(INSTANT)),
    experiment=maybe({"type": "object"}),
    metrics=array(_METRIC),
)
_GROUPS: Final = array(
    record(
        group=maybe(TEXT),
        sessions=COUNT,
        tokens=COUNT,
        cost=maybe(NUMBER),
        unpriced=COUNT,
        cost_before=maybe(NUMBER),
        unpriced_before=COUNT,
    )
)
REPORT: Final = record(
    period={"enum": ["day", "week"]},
    name=TEXT,
    since=INSTANT,
    until=INSTANT,
    before=record(name=TEXT, since=INSTANT, until=INSTANT),
    is_running=BOOLEAN,
    is_empty=BOOLEAN,
    last_record=maybe(INSTANT),
    totals=array(
        record(name=TEXT, unit=TEXT, now=maybe(NUMBER), before=maybe(NUMBER), change=maybe(NUMBER))
    ),
    days=array(
        record(
            day=TEXT,
            events=COUNT,
            failures=COUNT,
            sessions=COUNT,
            tokens=COUNT,
            cost=maybe(NUMBER),
            unpriced=COUNT,
        )
    ),
    tools=array(
        record(
            tool=TEXT,
            tool_name=maybe(TEXT),
            calls=COUNT,
            failures=COUNT,
            median_ms=maybe(NUMBER),
            p95_ms=maybe(NUMBER),
            longest_ms=maybe(NUMBER),
            total_ms=maybe(NUMBER),
            before_median_ms=maybe(NUMBER),
        )
    ),
    failures=array(
        record(tool=TEXT, tool_name=maybe(TEXT), count=COUNT, before=COUNT, example=maybe(TEXT))
    ),
    outcomes=array(record(outcome=TEXT, now=COUNT, before=COUNT)),
    series=array(
        record(
            kind={"enum": ["score", "measurement"]},
            name=TEXT,
            unit=maybe(TEXT),
            values=COUNT,
            sessions=COUNT,
            mean=maybe(NUMBER),
            smallest=maybe(NUMBER),
            largest=maybe(NUMBER),
            values_before=COUNT,
            mean_before=maybe(NUMBER),
        )
    ),
    by=record(model=_GROUPS, project=_GROUPS, tool=_GROUPS),
    sessions=array(
        record(
            session_id=TEXT,
            title=maybe(TEXT),
            tool=maybe(TEXT),
            project=maybe(TEXT),
            cost=NUMBER,
            unpriced=COUNT,
            failures=COUNT,
            duration_seconds=maybe(NUMBER),
        )
    ),
    calibration=maybe(CALIBRATION),
    comparison=maybe(array(_METRIC)),
    comparison_missing=maybe(TEXT),
    sentences=array(TEXT),
)
