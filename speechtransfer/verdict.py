"""Did transfer help? One sentence from a paired comparison of two systems on the same utterances.

A difference is claimed only where the 95% interval of the DIFFERENCE excludes zero (paired bootstrap over
prompts or speakers: Bisani and Ney, ICASSP 2004). Two intervals that overlap say nothing either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechtransfer.errors import DataError
from speechtransfer.score import (
    FEWEST_GROUPS,
    GRADED,
    Difference,
    ErrorCounts,
    Row,
    Scores,
    paired_difference,
    word_errors,
)

# What a metric's error rate is called, and what it is counted in.
_NAMES = {
    "cer": ("CER", "characters"),
    "wer": ("WER", "words"),
    "per": ("phone error rate", "phones"),
    "accuracy": ("error rate", "items"),
    "mae": ("mean absolute error", "items"),
}


@dataclass(frozen=True)
class Verdict:
    """What can be claimed, in words and in figures; the difference is transfer minus baseline."""

    text: str
    difference: Difference
    metric: str = "cer"

    def as_dict(self) -> dict[str, Any]:
        """The verdict as ``metrics.json`` holds it."""
        return {"text": self.text, "metric": self.metric, "difference": self.difference.as_dict()}

    def __str__(self) -> str:
        return self.text


def judge(
    transfer: Scores | Sequence[Scores],
    baseline: Scores | Sequence[Scores],
    metric: str = "cer",
    against: str = "from scratch",
    seed: int = 0,
    claims: tuple[str, str] = ("Transfer helps", "Transfer hurts"),
) -> Verdict:
    """Compare two systems on the utterances that both were tested on.

    Args:
        transfer: the scores of one run, or of several runs (training seeds), which are averaged.
        baseline: the same for the system to compare with; the number of runs may differ.
        metric: ``cer``, ``wer``, ``per``, ``accuracy`` (judged as an error rate) or ``mae``.
        against: how the sentence calls the baseline.
        seed: the bootstrap's.
        claims: how the sentence begins where fewer errors can be claimed, and where more.

    Raises:
        DataError: the two were not tested on the same utterances with the same references.
    """
    if metric not in _NAMES:
        raise DataError(f"cannot judge by {metric!r}; the metrics are {', '.join(_NAMES)}.")
    runs_a, runs_b = (([one] if isinstance(one, Scores) else list(one)) for one in (baseline, transfer))
    if not runs_a or not runs_b:
        raise DataError("a verdict needs at least one run of each system.")
    rows = {row.id: row for row in runs_b[0].rows}
    counted_a, counted_b = ([_counted(run, rows, metric) for run in runs] for runs in (runs_a, runs_b))
    errors_a, errors_b = (np.stack([one.errors for one in counted]) for counted in (counted_a, counted_b))
    counts = counted_b[0].counts
    groups = [row.group for row in rows.values()]
    difference = paired_difference(errors_a, errors_b, counts, groups, seed)
    rate_a, rate_b = (float(errors.mean(0).sum() / counts.sum()) for errors in (errors_a, errors_b))
    name, units = _NAMES[metric]
    form = ".3g" if metric in GRADED else ".1%"
    text = _sentence(difference, f"{name} {rate_b:{form}} against {rate_a:{form}} {against}", units, metric, claims)
    notes = dict.fromkeys(note for run in (*runs_b, *runs_a) for note in run.notes)
    return Verdict(" ".join([text, *(f"Note: {note}." for note in notes)]), difference, metric)


def _counted(run: Scores, rows: dict[str, Row], metric: str) -> ErrorCounts:
    """The errors of a run in the order of ``rows``, after checking that both hold the same test."""
    own = {row.id: row for row in run.rows}
    if len(own) != len(run.rows):
        raise DataError("an utterance was scored twice in one run. Pool disjoint folds before judging.")
    stray = sorted(own.keys() ^ rows.keys())
    if stray:
        raise DataError(
            f"{len(stray)} utterances were tested in one run only, {stray[0]} first. "
            "Score both systems on one test set."
        )
    for name, row in rows.items():
        if own[name].reference != row.reference:
            raise DataError(
                f"{name}: one run was scored against {own[name].reference!r}, another against "
                f"{row.reference!r}. Score both systems with one text contract."
            )
        if own[name].group != row.group:
            raise DataError(
                f"{name}: one run counts it to {own[name].group!r}, another to {row.group!r}: their intervals are of "
                "other groups. Let both know the speakers (--speaker-pattern), or neither."
            )
    ordered = [own[name] for name in rows]
    if metric == "wer":
        return word_errors([(row.reference, row.hypothesis) for row in ordered])
    return ErrorCounts(
        np.array([row.errors for row in ordered], dtype=float),
        np.array([row.count for row in ordered], dtype=float),
    )


def _sentence(difference: Difference, figures: str, units: str, metric: str, claims: tuple[str, str]) -> str:
    ends = difference.value, difference.low, difference.high
    plain = metric in GRADED
    value, low, high = (f"{one:+.3g}" if plain else f"{100 * one:+.1f}" for one in ends)
    points = "" if plain else " points"
    interval = f"(difference {value}{points}, 95% interval {low} to {high}, {difference.count} {units})."
    if difference.significant:
        helps = difference.value < 0
        relative = ""
        if difference.relative is not None:
            relative = f", {abs(difference.relative.value):.1%} relative {'lower' if helps else 'higher'}"
        return f"{claims[not helps]}: {figures}{relative} {interval}"
    text = f"No difference can be claimed: {figures} {interval}"
    if difference.groups < FEWEST_GROUPS:
        text += (
            f" The test holds only {difference.groups} independent groups (prompts or speakers); "
            f"a claim needs {FEWEST_GROUPS}."
        )
    return text
