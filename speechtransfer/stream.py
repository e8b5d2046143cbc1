"""A spotter over sound of any length: fixed windows at fixed times, so that live and offline are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from speechtransfer.batches import Sound
from speechtransfer.console import watched
from speechtransfer.errors import PlanError, SettingsError
from speechtransfer.events import Event, Events
from speechtransfer.manifest import Utterance
from speechtransfer.model import Model
from speechtransfer.objectives.contract import Spots
from speechtransfer.score import false_accepts_per_hour

#: Seconds of windows that are scored together: enough to keep a processor busy, little enough for any memory.
_TOGETHER = 30.0


@dataclass(frozen=True)
class SpotSettings:
    """How a stream is listened to.

    Attributes:
        hop: seconds from one window to the next.
        smooth: windows whose scores are averaged.
        refractory: seconds after an event in which its word gives no other.
        threshold: of every word, in place of those chosen on dev.
    """

    hop: float = 0.2
    smooth: int = 2
    refractory: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse what would never end, or never fire.

        Raises:
            SettingsError: a hop that is not above zero, a threshold outside (0, 1].
        """
        if not self.hop > 0 or not (self.threshold is None or 0 < self.threshold <= 1):
            raise SettingsError(f"hop={self.hop} must be above zero, threshold={self.threshold} in (0, 1].")


class Windows:
    """Scores of a model's words on windows that end every ``hop`` seconds.

    Window k begins at k x hop and is ``acceptance.window`` seconds long; a last one ends where the sound does,
    and sound shorter than a window is one. What comes out depends on the sound alone, never on how it was pushed.

    Args:
        model: whose objective spots words; in eval mode.
        hop: seconds.

    Raises:
        PlanError: its objective spots none, or was never finished.
        SettingsError: a hop longer than a window: words between two windows would be lost.
    """

    def __init__(self, model: Model, hop: float) -> None:
        objective, rate = model.objective, model.encoder.sample_rate
        if not isinstance(objective, Spots):
            raise PlanError(f"{objective.kind}: spots no words. Take a run on keywords.")
        window = objective.acceptance.window
        if window is None:
            raise PlanError("the run has no window yet: its dev split held no word. Train it on more recordings.")
        if hop > window:
            raise SettingsError(f"hop={hop} s is longer than a window of {window} s.")
        self.model, self.objective = model, objective
        self._hop, self._size = max(1, round(hop * rate)), round(window * rate)
        self._held = np.zeros(0, np.float32)
        self._heard = 0  # samples pushed so far
        self._end = 0  # of the last window

    @property
    def seconds(self) -> float:
        """How much sound was pushed."""
        return self._heard / self.model.encoder.sample_rate

    def push(self, wave: np.ndarray) -> list[tuple[float, list[float]]]:
        """Take (S,) samples at the encoder's rate; give the end in seconds and the scores of each whole window."""
        self._held = np.concatenate([self._held, wave])
        self._heard += len(wave)
        return self._scored(range(self._end + self._hop if self._end else self._size, self._heard + 1, self._hop))

    def flush(self) -> list[tuple[float, list[float]]]:
        """The window at the end of the sound, unless one ended just there."""
        return self._scored(range(self._heard, self._heard + 1)) if self._heard > self._end else []

    def _scored(self, ends: range) -> list[tuple[float, list[float]]]:
        scored: list[tuple[float, list[float]]] = []
        rate = self.model.encoder.sample_rate
        first, size = self._heard - len(self._held), min(self._heard, self._size)
        together = max(1, int(_TOGETHER * rate / self._size))
        for start in range(0, len(ends), together):
            chosen = ends[start : start + together]
            windows = np.stack([self._held[end - size - first : end - first] for end in chosen])
            scored += zip((end / rate for end in chosen), self._score(windows), strict=True)
        if ends:
            self._end = ends[-1]
        # No later window begins before this.
        kept = max(0, self._end + 1 - self._size)
        self._held = self._held[max(0, kept - first) :]
        return scored

    @torch.inference_mode()
    def _score(self, windows: np.ndarray) -> list[list[float]]:
        """(N, S) samples to N rows of scores; what gives no frame scores nothing."""
        device = next(self.model.parameters()).device
        lengths = torch.full((len(windows),), windows.shape[1], dtype=torch.int64, device=device)
        if not int(self.model.encoder.frame_lengths(lengths[:1])[0]):
            return [[0.0] * len(self.objective.words)] * len(windows)
        frames = self.model.encoder.run(torch.from_numpy(windows).to(device), lengths, taps=self.model.objective.taps)
        scores: list[list[float]] = self.objective.word_scores(frames).float().cpu().tolist()
        return scores


def false_accepts(model: Model, rows: Iterable[Utterance], recordings: Sound) -> dict[str, Any]:
    """``false_accepts_per_hour`` of recordings in which no word is said, as ``metrics.json`` holds it, and the hours.

    Each recording is a stream of its own.

    Raises:
        AudioError: a recording cannot be read.
        DataError: there is none.
    """
    events, seconds = 0, 0.0
    for row in watched(list(rows), "counting false accepts"):
        spotter = Spotter(model)
        events += sum(1 for _ in spotter.listen([recordings(row)]))
        seconds += spotter.windows.seconds
    rate = false_accepts_per_hour(events, seconds / 3600)
    return {"false_accepts_per_hour": rate.as_dict(), "hours": seconds / 3600}


class Spotter:
    """Words in a stream, as they are said.

    Args:
        model: of a run on keywords, in eval mode.
        settings: how to listen.
        beside: thresholds of all words whose events are counted too, in ``counts``: scores are the work, not these.

    Attributes:
        counts: of each threshold in ``beside``, how often each word passed it until now.

    Raises:
        PlanError: the model spots no words, or has no thresholds and none is given.
        SettingsError: a hop longer than a window.
    """

    def __init__(self, model: Model, settings: SpotSettings | None = None, beside: Sequence[float] = ()) -> None:
        settings = settings or SpotSettings()
        self.windows = Windows(model, settings.hop)
        objective = self.windows.objective
        thresholds = dict(objective.acceptance.thresholds)
        if settings.threshold is not None:
            thresholds = dict.fromkeys(objective.words, settings.threshold)
        if not thresholds:
            raise PlanError("the run has no thresholds, since its dev split held no word. Give one for all.")
        smooth, refractory = settings.smooth, settings.refractory
        self._events = Events({word: thresholds[word] for word in objective.words}, smooth, refractory)
        self._beside = {one: Events(dict.fromkeys(objective.words, one), smooth, refractory) for one in beside}
        self.counts: dict[float, Counter[str]] = {one: Counter() for one in beside}

    def listen(self, blocks: Iterable[np.ndarray]) -> Iterator[Event]:
        """The events of all that is pushed, block by block, as soon as they are certain, to the sound's end."""
        for block in blocks:
            yield from self.push(block)
        yield from self.flush()

    def push(self, wave: np.ndarray) -> list[Event]:
        """Take (S,) samples at the encoder's rate; give the events that they make certain."""
        return self._heard(self.windows.push(wave))

    def flush(self) -> list[Event]:
        """The events of the sound's end."""
        return self._heard(self.windows.flush())

    def _heard(self, windows: Iterable[tuple[float, list[float]]]) -> list[Event]:
        found = []
        for time, scores in windows:
            for threshold, events in self._beside.items():
                if (event := events.push(time, scores)) is not None:
                    self.counts[threshold][event.word] += 1
            if (event := self._events.push(time, scores)) is not None:
                found.append(event)
        return found
