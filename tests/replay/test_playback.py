"""A position in a session: time passes, keys step and seek, and nothing is shown early or lost."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.replay.playback import FASTEST, SLOWEST, Playback, offsets

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OFFSETS = st.lists(st.integers(0, 1000), min_size=1, max_size=30).map(sorted)


def at(*seconds: float) -> list[datetime]:
    return [NOON + timedelta(seconds=one) for one in seconds]


def test_offsets_are_seconds_from_the_first() -> None:
    assert offsets([]) == []
    assert offsets(at(5, 6, 6, 60)) == [0, 1, 1, 55]
    assert offsets(at(5, 6, 6, 60), 2) == [0, 1, 1, 3]
    assert offsets(at(5, 6, 6, 60), 0) == [0, 0, 0, 0]


def test_time_goes_at_its_speed_and_stops_while_paused() -> None:
    playback = Playback([0, 10, 20, 20], speed=5)
    assert (playback.shown, playback.wait(), playback.end, len(playback)) == (0, 0, 20, 4)
    playback.pass_by(0)
    assert (playback.shown, playback.wait()) == (1, 2)
    playback.pass_by(1.5)
    assert (playback.shown, playback.at, playback.wait()) == (1, 7.5, 0.5)
    playback.is_paused = True
    playback.pass_by(100)
    assert (playback.shown, playback.wait()) == (1, None)
    playback.is_paused = False
    playback.pass_by(2.5)
    assert (playback.shown, playback.is_over, playback.wait()) == (4, True, None)


def test_without_a_pause_all_is_shown_at_once() -> None:
    playback = Playback([0, 10, 3600], speed=math.inf)
    assert playback.wait() == 0
    playback.pass_by(0)
    assert (playback.shown, playback.is_over) == (3, True)
    playback.faster(2)
    assert math.isinf(playback.speed)


def test_nothing_to_play_is_over() -> None:
    playback = Playback([])
    assert (playback.is_over, playback.wait(), playback.end) == (True, None, 0)
    playback.step()
    playback.seek(3)
    assert (playback.shown, playback.at) == (0, 0)


def test_steps_and_seeks_stay_within_the_session() -> None:
    playback = Playback([0, 10, 20])
    playback.step(-1)
    assert playback.shown == 0
    playback.step(2)
    assert (playback.shown, playback.at) == (2, 10)
    playback.step(5)
    assert (playback.shown, playback.at) == (3, 20)
    playback.seek(-4)
    assert (playback.shown, playback.at) == (1, 0)
    playback.seek(10)
    assert playback.shown == 2
    playback.seek(9.9)
    assert playback.shown == 1
    playback.seek(99)
    assert (playback.shown, playback.at) == (3, 20)


def test_the_speed_has_bounds() -> None:
    playback = Playback([0])
    for _ in range(20):
        playback.faster(2)
    assert playback.speed == FASTEST
    for _ in range(40):
        playback.faster(0.5)
    assert playback.speed == SLOWEST


def test_the_next_failure_is_one_that_was_not_shown() -> None:
    playback = Playback([0, 1, 2, 3, 4])
    marked = [1, 3]
    assert playback.find(marked) == 1
    playback.show(2)
    assert playback.find(marked) == 3
    assert playback.find(marked, backwards=True) is None
    playback.show(4)
    assert playback.find(marked) is None
    assert playback.find(marked, backwards=True) == 1
    assert playback.find([]) is None


@given(OFFSETS, st.lists(st.floats(0, 500), max_size=40), st.sampled_from([0.5, 1.0, 7.0]))
def test_however_time_is_cut_each_entry_is_shown_when_it_is_due(
    due: list[float], passed: list[float], speed: float
) -> None:
    due = [one - due[0] for one in due]
    playback = Playback(due, speed=speed)
    for seconds in passed:
        playback.pass_by(seconds)
        assert playback.shown == sum(one <= playback.at for one in due)
    while (wait := playback.wait()) is not None:
        before = playback.shown
        # What is waited for is there after that time, but for the last bit of a float.
        playback.pass_by(wait * (1 + 1e-9) + 1e-9)
        assert playback.shown > before
    assert playback.shown == len(due)


@given(st.integers(2, 30), st.data())
def test_a_step_and_its_opposite_lead_back(size: int, data: st.DataObject) -> None:
    playback = Playback([float(at) for at in range(size)])
    count = data.draw(st.integers(0, size - 1))
    playback.show(count)
    playback.step()
    playback.step(-1)
    assert playback.shown == count


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_after_a_step_time_goes_on_from_there(speed: float) -> None:
    playback = Playback([0, 100, 200], speed=speed)
    playback.show(2)
    assert playback.wait() == 100 / speed
