"""Events against cases worked by hand: smoothing, thresholds, refractory time, one word at a time."""

from __future__ import annotations

import pytest

from speechtransfer.errors import SettingsError
from speechtransfer.events import Event, Events


def fired(rows: list[tuple[float, ...]], hop: float = 0.5, **settings: float) -> list[tuple[str, float]]:
    events = Events({"yes": 0.6, "no": 0.8}, **settings)
    found = (events.push((index + 1) * hop, row) for index, row in enumerate(rows))
    return [(one.word, one.time) for one in found if one]


def test_a_score_at_its_threshold_fires_at_the_end_of_its_window() -> None:
    assert fired([(0.5, 0.1), (0.6, 0.1), (0.1, 0.1)], smooth=1) == [("yes", 1.0)]


def test_each_word_has_its_own_threshold() -> None:
    assert fired([(0.1, 0.7)], smooth=1) == []
    assert fired([(0.1, 0.8)], smooth=1) == [("no", 0.5)]


def test_scores_are_averaged_over_the_latest_windows() -> None:
    # Means of two: 0.5, 0.7, 0.65, 0.2: by hand.
    assert fired([(0.5, 0), (0.9, 0), (0.4, 0), (0.0, 0)], smooth=2, refractory=0) == [("yes", 1.0), ("yes", 1.5)]


def test_the_first_windows_are_averaged_over_those_there_are() -> None:
    event = Events({"yes": 0.6}, smooth=4).push(0.2, (0.9,))
    assert event == Event("yes", 0.2, 0.9)


def test_a_word_fires_again_only_after_its_refractory_time() -> None:
    rows = [(0.9, 0.0)] * 7
    assert fired(rows, smooth=1, refractory=1.0) == [("yes", 0.5), ("yes", 1.5), ("yes", 2.5), ("yes", 3.5)]
    assert fired(rows, smooth=1, refractory=10) == [("yes", 0.5)]


def test_another_word_does_not_wait() -> None:
    assert fired([(0.9, 0.0), (0.0, 0.9)], smooth=1, refractory=5) == [("yes", 0.5), ("no", 1.0)]


def test_what_sounds_less_like_it_than_a_word_that_waits_is_no_event() -> None:
    assert fired([(0.95, 0.0), (0.95, 0.9)], smooth=1, refractory=5) == [("yes", 0.5)]


@pytest.mark.parametrize("wrong", [{"smooth": 0}, {"refractory": -1}, {"thresholds": {}}])
def test_settings_that_can_hear_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="give a word at least"):
        Events(**{"thresholds": {"yes": 0.5}, **wrong})  # type: ignore[arg-type]
