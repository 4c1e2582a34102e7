"""Plans like the one that is to be made, and how they ended."""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from heapq import heappush, heappushpop
from math import log
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.analytics.outcomes import PlanOutcome, joined
from khive_persist.errors import InvalidQueryError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.models.query import checked_count, column
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.sessions import event_facts as facts

DEFAULT_LIMIT: Final = 5
MAX_LIMIT: Final = 1_000
_WORD: Final = re.compile(r"\w+")
_WEIGHTS: Final = {"words": 3, "complexity": 1, "pattern": 1}


class SimilarPlan(NamedTuple):
    """A plan, its similarity and its outcome.

    Attributes:
        score: Above 0, to 1. See `similar_plans`.
        words: The words that both have, those that fewer plans have first.
        plan: The plan and its outcome.
    """

    score: float
    words: list[str]
    plan: PlanOutcome

    def as_document(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        return {"score": self.score, "words": self.words} | self.plan._asdict()


async def similar_plans(
    task: str = "",
    *,
    complexity: str | None = None,
    pattern: str | None = None,
    limit: int = DEFAULT_LIMIT,
    dir: Path | str | None = None,
) -> list[SimilarPlan]:
    """Return the plans that are most like a task, and how they ended; of equals the latest first.

    score = Σ weight · part / Σ weight, over those of the three that are given:

    - words, weight 3: of the task's words, how much is in the plan's `task_description`, each word
      weighing ln(1 + (N - n + ½) / (n + ½)) where n of N plans have it. That is the weight of
      BM25 (Robertson and Zaragoza 2009, in the form that is never negative): a word that every plan
      has tells little. A word is a run of letters, digits and underscores, in either case; a
      repeated one counts once.
    - complexity, weight 1: 1 where it is the same, else 0.
    - pattern, weight 1: the same of `workflow_pattern`.

    Where words are given, a plan that has none of them is not like it, whatever else it has.
    All plans are read twice, in flat memory.

    Args:
        task: The task to plan, in any words.
        complexity: As in simple or complex.
        pattern: The workflow pattern, as in parallel.
        limit: At most so many, to 1,000.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidQueryError: Nothing is asked for, or the limit is out of range.
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say.
    """
    words = words_of(task)
    if not words and complexity is None and pattern is None:
        raise InvalidQueryError("nothing to compare with", hint="give words, complexity or pattern")
    if (checked_count("limit", limit) or 0) > MAX_LIMIT:
        raise InvalidQueryError(f"limit is at most {MAX_LIMIT}")
    project = find_project(dir)
    task_query = TaskQuery(words, complexity, pattern)
    weights = await _word_weights(project, words)
    best: list[tuple[float, int, str, list[str]]] = []
    number = 0
    async with aclosing(_tasks(project)) as rows:
        async for plan in rows:
            number += 1
            score, common = task_query.score(plan, weights)
            if score > 0 and limit:
                # Of equals the one that is read first, which is the latest, stays.
                entry = (score, -number, plan.id, common)
                if len(best) < limit:
                    heappush(best, entry)
                else:
                    heappushpop(best, entry)
    return await _with_outcomes(project, sorted(best, reverse=True))


async def plans_like(
    plan: PlanOutcome, *, limit: int = DEFAULT_LIMIT, dir: Path | str | None = None
) -> list[SimilarPlan]:
    """Return the other plans that `similar_plans` finds for the task, complexity and pattern of a
    plan; none where it has none of the three.
    """
    task, complexity, pattern = plan.task_description or "", plan.complexity, plan.workflow_pattern
    if not words_of(task) and complexity is None and pattern is None:
        return []
    # It is the most like itself.
    most = min(limit + 1, MAX_LIMIT)
    plans = await similar_plans(task, complexity=complexity, pattern=pattern, limit=most, dir=dir)
    return [similar for similar in plans if similar.plan.plan_id != plan.plan_id][:limit]


class TaskQuery(NamedTuple):
    """The task that plans are compared with."""

    words: frozenset[str]
    complexity: str | None
    pattern: str | None

    def score(self, plan: facts.Task, weights: Mapping[str, float]) -> tuple[float, list[str]]:
        """Return how like a plan is, 0 to 1, and the words that both have."""
        parts: dict[str, float] = {}
        words = self.words & words_of(plan.task_description or "")
        common = sorted(words, key=lambda word: (-weights[word], word))
        if self.words:
            if not common:
                return 0.0, []
            parts["words"] = sum(weights[w] for w in common) / sum(weights[w] for w in self.words)
        if self.complexity is not None:
            parts["complexity"] = float(plan.complexity == self.complexity)
        if self.pattern is not None:
            parts["pattern"] = float(plan.workflow_pattern == self.pattern)
        total = sum(_WEIGHTS[name] for name in parts)
        return sum(_WEIGHTS[name] * part for name, part in parts.items()) / total, common


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, each once, whatever their case."""
    return frozenset(_WORD.findall(text.casefold()))


async def _word_weights(project: Project, words: frozenset[str]) -> dict[str, float]:
    plans, having = 0, Counter[str]()
    if words:
        async with aclosing(_tasks(project)) as rows:
            async for plan in rows:
                plans += 1
                having.update(words & words_of(plan.task_description or ""))
    return {word: log(1 + (plans - having[word] + 0.5) / (having[word] + 0.5)) for word in words}


async def _tasks(project: Project) -> AsyncGenerator[facts.Task, None]:
    async with (
        reading(project, PLANNER_SESSIONS) as reader,
        aclosing(reader.stream_as(facts.Task, facts.tasks)) as rows,
    ):
        async for row in rows:
            yield row


async def _with_outcomes(
    project: Project, best: list[tuple[float, int, str, list[str]]]
) -> list[SimilarPlan]:
    chosen = column("id").in_([id for _, _, id, _ in best])
    outcomes = {}
    async with aclosing(joined(project, [chosen])) as plans:
        async for plan in plans:
            outcomes[plan.plan_id] = plan
    # One that was deleted since is gone.
    return [SimilarPlan(s, common, outcomes[id]) for s, _, id, common in best if id in outcomes]
