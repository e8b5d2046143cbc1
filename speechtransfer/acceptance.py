"""When a word counts as said: a score of each word, calibrated, and a threshold for it, chosen on dev."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from speechtransfer.errors import SettingsError

Rejection = Literal["probability", "energy"]
#: Temperatures that are tried. None below 1: a dev split without an error would ask for certainty itself.
_TEMPERATURES = torch.logspace(0, 1, 101, dtype=torch.float64)
#: Share of dev's words that a window holds, and the seconds below which it holds none.
_HELD, _SHORTEST_WINDOW = 0.95, 0.5
#: A word has a threshold of its own where so many of dev's other recordings may reach it: with fewer it is chance.
_REACHING = 10
#: Probabilities are kept this far from 0 and 1 where their logarithms are compared.
_LEAST = 1e-6


@dataclass(frozen=True)
class Acceptance:
    """What is chosen on dev after training.

    Attributes:
        thresholds: of each word's probability.
        temperature: what logits are divided by before the softmax (Guo et al. 2017, arXiv:1706.04599, eq. 9).
        window: seconds of sound that hold a word, by which a stream is scored; None is yet to be chosen.
        rate: share of dev's other recordings that a threshold was allowed to take for its word.
        by: what is compared with the threshold: the word's ``probability`` among all labels, which is high for a
            stranger too, since something must be likeliest; or its ``energy``, the logit itself, which needs no
            other label to be low (Liu et al. 2020, arXiv:2010.03759, eq. 4; a logit is the negative energy of
            sound and label together, Grathwohl et al. 2020, arXiv:1912.03263, eq. 5).
        middle: of ``energy``: the mean logit of dev's words, which scores 0.5.
        spread: of ``energy``: the standard deviation of the same.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    window: float | None = None
    rate: float = 0.001
    by: Rejection = "probability"
    middle: float = 0.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that accept nothing, or anything.

        Raises:
            SettingsError: a temperature, window or spread that is not above zero, a rate outside [0, 1), no such kind.
        """
        if self.by not in get_args(Rejection) or not self.spread > 0:
            raise SettingsError(
                f"by={self.by!r} must be one of {', '.join(get_args(Rejection))}, the spread above zero."
            )
        if not (self.temperature > 0 and (self.window is None or self.window > 0) and 0 <= self.rate < 1):
            raise SettingsError(
                f"temperature={self.temperature} and window={self.window} must be above zero, "
                f"the rate of false accepts {self.rate} in [0, 1)."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``Acceptance(**values)`` is the inverse."""
        return asdict(self)

    def fitted(self, logits: Tensor, targets: Tensor) -> Acceptance:
        """The same with the temperature, and the scale of energies, of dev's (N, K) logits and (N,) labels."""
        own = logits.detach().double().gather(1, targets[:, None])
        spread = float(own.std(correction=0)) if len(own) > 1 else 0.0
        temperature = fit_temperature(logits, targets)
        return replace(self, temperature=temperature, middle=float(own.mean()), spread=max(spread, _LEAST))

    def word_scores(self, logits: Tensor, columns: Sequence[int]) -> Tensor:
        """(N, words) in [0, 1] of (N, K) logits; ``columns`` are those of the words."""
        if self.by == "energy":
            return ((logits[:, columns] - self.middle) / self.spread).sigmoid()
        return (logits / self.temperature).softmax(-1)[:, columns]

    def chosen(
        self,
        scores: Tensor,
        said: Sequence[str | None],
        words: Sequence[str],
        seconds: Sequence[float],
        alike: bool = False,
    ) -> Acceptance:
        """The same with a threshold for each word by dev's scores (N, words) and labels.

        Where no window is given, it holds 95 of 100 of dev's words, of which ``seconds`` are the durations. For
        ``alike`` see ``fit_acceptance``.
        """
        window = self.window
        spoken = [length for length, label in zip(seconds, said, strict=True) if label in words]
        if window is None and spoken:
            held = float(torch.quantile(torch.tensor(spoken, dtype=torch.float64), _HELD))
            window = max(_SHORTEST_WINDOW, math.ceil(10 * held) / 10)
        return replace(self, thresholds=fit_acceptance(scores, said, words, self.rate, alike), window=window)

    def accepted(self, scores: Mapping[str, float]) -> tuple[str, ...]:
        """The words whose score reaches their threshold; without thresholds, none."""
        return tuple(word for word, score in scores.items() if score >= self.thresholds.get(word, math.inf))


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature from 1 on under which (N, K) logits make (N,) targets likeliest."""
    losses = [functional.cross_entropy(logits.double() / one, targets) for one in _TEMPERATURES]
    return float(_TEMPERATURES[int(torch.stack(losses).argmin())])


def fit_threshold(positives: Sequence[float], negatives: Sequence[float], rate: float) -> float:
    """A threshold that at most ``rate`` of the negatives reach.

    Between the highest negative that must be refused and the lowest positive above it, half way in log odds:
    on the data it was fitted on any value between them does the same, and on other data both sides have room.

    Args:
        positives: scores in [0, 1] where the word was said.
        negatives: scores where it was not.
        rate: share of the negatives that may reach the threshold.
    """
    ranked = sorted(negatives, reverse=True)
    allowed = int(rate * len(ranked) + 1e-9)
    refused = ranked[allowed] if allowed < len(ranked) else 0.0
    above = [score for score in positives if score > refused]
    middle = 1 / (1 + math.exp(-(_log_odds(refused) + _log_odds(min(above, default=1.0))) / 2))
    # At the ends of the scale both have the same log odds; the refused is refused all the same.
    return max(middle, math.nextafter(refused, math.inf))


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))


def fit_acceptance(
    scores: Tensor, said: Sequence[str | None], words: Sequence[str], rate: float, alike: bool = False
) -> dict[str, float]:
    """A threshold for each word, from dev's recordings of it and of everything else.

    Args:
        scores: (N, words) in [0, 1].
        said: the label of each, which may be no word.
        words: the columns.
        rate: as ``fit_threshold``.
        alike: whether a score means the same of every word, as a calibrated probability does and a distance does not.
            Then words with too few others share a threshold, fitted to the scores of all words together: what one
            in a thousand would score cannot be seen on forty recordings.
    """
    rows = scores.double().tolist()
    asked = {
        word: [(row[column], label == word) for row, label in zip(rows, said, strict=True)]
        for column, word in enumerate(words)
    }
    found = {word: _fitted(answers, rate) for word, answers in asked.items()}
    few = [word for word in words if rate * sum(not own for _, own in asked[word]) < _REACHING]
    if alike and few:
        shared = _fitted([answer for answers in asked.values() for answer in answers], rate)
        found |= dict.fromkeys(few, shared)
    return found


def _fitted(answers: Sequence[tuple[float, bool]], rate: float) -> float:
    """``fit_threshold`` of scores, each with whether the word was said."""
    return fit_threshold([score for score, own in answers if own], [score for score, own in answers if not own], rate)
