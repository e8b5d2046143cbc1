"""Events of a spotter: a word whose smoothed score passes its threshold, once in a refractory time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from speechtransfer.errors import SettingsError


@dataclass(frozen=True)
class Event:
    """A word that a spotter heard.

    Attributes:
        word: which.
        time: seconds from the beginning of the sound to the end of the window that it fired at.
        score: smoothed, in [0, 1].
    """

    word: str
    time: float
    score: float


class Events:
    """What fires, window by window: the one definition that files, streams and false accepts an hour share.

    A word's smoothed score is the mean of its latest ``smooth`` scores (of those there are, at the beginning).
    An event is a window where the word of the highest smoothed score reaches its threshold and has not fired
    within ``refractory`` seconds. While a word waits, what sounds less like it than like that word is no event.

    Args:
        thresholds: of each word, in the order of its scores.
        smooth: windows to average over.
        refractory: seconds after an event in which its word gives no other.

    Raises:
        SettingsError: no word, no window, a negative time.
    """

    def __init__(self, thresholds: Mapping[str, float], smooth: int = 2, refractory: float = 1.0) -> None:
        if not thresholds or smooth < 1 or refractory < 0:
            raise SettingsError(
                f"{len(thresholds)} words, smooth={smooth}, refractory={refractory}: give a word at least, "
                "one window or more, and no negative time."
            )
        self.thresholds, self.refractory = dict(thresholds), refractory
        self._latest: deque[Sequence[float]] = deque(maxlen=smooth)
        self._fired: dict[str, float] = {}

    def push(self, time: float, scores: Sequence[float]) -> Event | None:
        """One window: its end in seconds, and a score for each word."""
        self._latest.append(scores)
        smoothed = [sum(column) / len(self._latest) for column in zip(*self._latest, strict=True)]
        score, word = max(zip(smoothed, self.thresholds, strict=True), key=lambda pair: pair[0])
        waits = word in self._fired and time - self._fired[word] < self.refractory
        if waits or score < self.thresholds[word]:
            return None
        self._fired[word] = time
        return Event(word, time, score)
