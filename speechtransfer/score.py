"""Error rates, detection measures and paired comparisons, each with an honest 95% interval.

Intervals are a percentile bootstrap (Efron 1979) over whole groups, prompts or speakers, because the
utterances of a group share their errors; Bisani and Ney ("Bootstrap estimates for confidence intervals in
ASR performance evaluation", ICASSP 2004) give it for the WER and for the paired difference of two systems.
Where resampling varies nothing (no error at all, one utterance), the exact binomial interval of Clopper and
Pearson (Biometrika 1934) stands in, so that 0 errors in n are never "0 [0, 0]". A single group is resampled
by utterance, and no difference is claimed on it.

Not for: choosing thresholds, or cleaning text. Strings arrive here after the text contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from speechtransfer.errors import DataError

Array = npt.ArrayLike
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Groups = Sequence[Hashable]
Pairs = Sequence[tuple[str, str]]  # (reference, hypothesis)

RESAMPLES = 2000
#: Figures in the units of graded labels, and their correlation.
GRADED = ("mae", "rmse", "correlation")
#: What other figures than shares are in.
_UNITS = {"false_accepts_per_hour": "an hour", **dict.fromkeys(GRADED, "")}
# On n paired groups the exact sign-flip test cannot give less than p = 2 / 2**n: under 0.05 from six on.
FEWEST_GROUPS = 6


_NAMES = {
    "cer": "CER",
    "wer": "WER",
    "eer": "EER",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "macro_f1": "macro F1",
    "per": "phone error rate",
    "detected_at_1": "detected at 1% false accepts",
    "detected_at_5": "detected at 5% false accepts",
}


def called(metric: str) -> str:
    """A metric's name for people."""
    return _NAMES.get(metric, metric.replace("_", " "))


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval and the number of reference units (or trials) that it rests on.

    ``unit`` is for people only: "%" prints the value times a hundred, anything else prints it as it is, and none
    with its count.
    """

    value: float
    low: float
    high: float
    count: int
    unit: str = "%"

    def as_dict(self) -> dict[str, Any]:
        """The figure as ``metrics.json`` holds it."""
        return {"value": self.value, "low": self.low, "high": self.high, "count": self.count}

    @classmethod
    def read(cls, metric: str, values: Mapping[str, Any]) -> Estimate:
        """The inverse of ``as_dict``, in the unit of the metric."""
        value, low, high = (float(values[name]) for name in ("value", "low", "high"))
        return cls(value, low, high, int(values["count"]), _UNITS.get(metric, "%"))

    def __str__(self) -> str:
        if not self.unit:
            return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}] of {self.count}"
        if self.unit != "%":
            return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}] {self.unit}"
        return f"{self.value:.1%} [{100 * self.low:.1f}, {100 * self.high:.1f}] of {self.count}"


@dataclass(frozen=True)
class Difference:
    """Rate b minus rate a; ``relative`` is the reduction (a - b) / a, None where a resample has no a."""

    value: float
    low: float
    high: float
    relative: Estimate | None
    count: int
    groups: int

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero, on enough groups for any test to say so at the 5% level."""
        return self.groups >= FEWEST_GROUPS and (self.low > 0 or self.high < 0)

    def as_dict(self) -> dict[str, Any]:
        """The difference as ``metrics.json`` holds it."""
        relative = self.relative.as_dict() if self.relative else None
        return asdict(self) | {"relative": relative, "significant": self.significant}


@dataclass(frozen=True)
class Transcription:
    """What was said and what was recognised (or two labels); ``group`` is what the bootstrap resamples.

    Of a spotter, ``scores`` are those of each word, and ``accepted`` the words whose threshold was reached.
    """

    id: str
    reference: str
    hypothesis: str
    group: str
    scores: Mapping[str, float] | None = field(default=None, kw_only=True)
    accepted: tuple[str, ...] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Row(Transcription):
    """One utterance's result: edits and characters or phones; of a label 0 or 1, and 1; of a grade its error, and 1."""

    errors: float
    count: int


@dataclass(frozen=True)
class ErrorCounts:
    """Edits and reference units of each utterance, in the order given."""

    errors: Floats
    counts: Floats


@dataclass(frozen=True)
class Scores:
    """Every figure of one test set by name, the utterances behind it, and what its reader must be told."""

    metrics: Mapping[str, Estimate]
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, metric: str) -> Estimate:
        return self.metrics[metric]

    def as_dict(self) -> dict[str, Any]:
        """The entry of ``metrics.json``: metric -> figure, and the notes where there are any."""
        figures: dict[str, Any] = {name: estimate.as_dict() for name, estimate in self.metrics.items()}
        return figures | ({"notes": list(self.notes)} if self.notes else {})

    def __str__(self) -> str:
        return "\n".join([*(f"{name} {estimate}" for name, estimate in self.metrics.items()), *self.notes])


def character_errors(pairs: Pairs) -> ErrorCounts:
    """Character edits of each (reference, hypothesis): code points, inner spaces included."""
    return _edits(pairs, "process_characters")


def word_errors(pairs: Pairs) -> ErrorCounts:
    """Word edits of each (reference, hypothesis); words are what spaces separate."""
    return _edits(pairs, "process_words")


def aligned(reference: str, hypothesis: str, phones: bool = False) -> list[tuple[str, list[str], list[str]]]:
    """A best alignment: (equal, substitute, delete or insert; what was said; what was heard), a character at a time.

    Of phones, which spaces separate, each is given with a space behind it.
    """
    (pieces,) = _align([(reference, hypothesis)], "process_words" if phones else "process_characters")
    behind = " " if phones else ""
    return [(kind, [one + behind for one in said], [one + behind for one in heard]) for kind, said, heard in pieces]


def substitutions(pairs: Pairs, phones: bool = False) -> Counter[tuple[str, str]]:
    """How often each character (or phone) was taken for another; '' stands for none (a deletion or an insertion)."""
    confusions: Counter[tuple[str, str]] = Counter()
    for pieces in _align(pairs, "process_words" if phones else "process_characters"):
        for kind, said, heard in pieces:
            if kind != "equal":
                confusions.update(zip(said or [""] * len(heard), heard or [""] * len(said), strict=True))
    return confusions


def _align(pairs: Pairs, measure: str) -> list[list[tuple[str, list[str], list[str]]]]:
    import jiwer

    if not pairs:
        raise DataError("there is no utterance to score. Check that the test split is not empty.")
    for number, (reference, _) in enumerate(pairs, 1):
        if not reference.strip():
            raise DataError(
                f"reference {number} of {len(pairs)} has nothing left to recognise. Transcribe it, "
                "or check which of its characters the text contract removes."
            )
    result = getattr(jiwer, measure)([said for said, _ in pairs], [heard for _, heard in pairs])
    return [
        [(one.type, a[one.ref_start_idx : one.ref_end_idx], b[one.hyp_start_idx : one.hyp_end_idx]) for one in chunks]
        for a, b, chunks in zip(result.references, result.hypotheses, result.alignments, strict=True)
    ]


def _edits(pairs: Pairs, measure: str) -> ErrorCounts:
    alignments = _align(pairs, measure)
    errors = [sum(max(len(a), len(b)) for kind, a, b in one if kind != "equal") for one in alignments]
    counts = [sum(len(a) for _, a, _ in one) for one in alignments]
    return ErrorCounts(np.array(errors, dtype=float), np.array(counts, dtype=float))


def exact_interval(events: float, trials: float) -> tuple[float, float]:
    """Clopper and Pearson's 95% interval of a proportion; more events than trials count as all of them."""
    from scipy.stats import beta  # type: ignore[import-untyped]

    events = min(events, trials)
    low = float(beta.ppf(0.025, events, trials - events + 1)) if events > 0 else 0.0
    high = float(beta.ppf(0.975, events + 1, trials - events)) if events < trials else 1.0
    return low, high


def error_rate(errors: Array, counts: Array, groups: Groups, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """The pooled rate, errors over reference units: a long utterance weighs more than a short one.

    Where the exact interval stands in it takes the units as independent, the narrowest that can be defended.
    """
    (edits,), units, codes = _items([errors], counts, groups)
    sums = _sums(np.stack([edits, units], 1), codes, seed, resamples)
    return _estimate(edits.sum() / units.sum(), sums[:, 0] / sums[:, 1], int(units.sum()))


def accuracy(references: Sequence[str], hypotheses: Sequence[str], groups: Groups, seed: int = 0) -> Estimate:
    """The share of labels recognised, with the interval of ``error_rate``."""
    wrong = [said != heard for said, heard in zip(references, hypotheses, strict=True)]
    rate = error_rate(wrong, np.ones(len(wrong)), groups, seed)
    return Estimate(1 - rate.value, 1 - rate.high, 1 - rate.low, rate.count)


def macro_f1(references: Sequence[str], hypotheses: Sequence[str], groups: Groups, seed: int = 0) -> Estimate:
    """F1 averaged over the labels said or recognised; a resample averages over those that it holds.

    Where the exact interval stands in it takes the value for a share of the items.
    """
    _, _, codes = _items([], np.ones(len(references)), groups)
    labels = np.array(sorted({*references, *hypotheses}))
    said, heard = (np.array(one)[:, None] == labels for one in (references, hypotheses))
    columns = np.concatenate([said & heard, said, heard], axis=1).astype(float)

    def f1(sums: Floats) -> Floats:
        hits, positives, claims = np.split(sums, 3, axis=1)
        return np.asarray((2 * hits / np.maximum(positives + claims, 1)).sum(1) / (positives + claims > 0).sum(1))

    value = float(f1(columns.sum(0, keepdims=True))[0])
    return _estimate(value, f1(_sums(columns, codes, seed, RESAMPLES)), len(references))


def paired_difference(
    errors_a: Array, errors_b: Array, counts: Array, groups: Groups, seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """Rate b minus rate a on the same utterances, each resample of the groups taken for both systems.

    Errors are (items,) or (runs, items); runs (training seeds) are averaged first, so that the interval
    speaks of other utterances, not of other seeds.
    """
    (before, after), units, codes = _items([errors_a, errors_b], counts, groups)
    a, b, count = _sums(np.stack([before, after, units], 1), codes, seed, resamples).T
    total = units.sum()
    rate_a, rate_b = before.sum() / total, after.sum() / total
    low, high = _ends((b - a) / count)
    relative = Estimate(float(1 - rate_b / rate_a), *_ends(1 - b / a), int(total)) if a.all() else None
    if high - low < 1e-12:  # nothing varied: the two exact intervals, as if unpaired, and no relative one
        (low_a, high_a), (low_b, high_b) = (exact_interval(one.sum(), total) for one in (before, after))
        low, high, relative = min(low_b - high_a, low), max(high_b - low_a, high), None
    return Difference(float(rate_b - rate_a), low, high, relative, int(total), int(codes.max()) + 1)


def _items(errors: Sequence[Array], counts: Array, groups: Groups) -> tuple[list[Floats], Floats, Codes]:
    """Each item's errors averaged over runs, its reference units, and its group as a number from 0."""
    units = np.asarray(counts, dtype=float)
    means = [np.atleast_2d(np.asarray(one, dtype=float)).mean(0) for one in errors]
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)
    sizes = [len(one) for one in (*means, units, codes)]
    if min(sizes) != max(sizes) or not min(sizes):
        raise DataError(f"errors, reference units and groups must be as many, at least one; they are {sizes}.")
    if not all((one >= 0).all() for one in means) or not (units > 0).all():
        raise DataError("errors must be 0 or more, and every utterance needs at least one reference unit.")
    return means, units, codes


def _weights(codes: Codes, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each resample holds each group: multinomial, a block of resamples at a time for memory."""
    groups = int(codes.max()) + 1
    draw = np.random.default_rng(seed)
    step = max(1, 2_000_000 // len(codes))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = draw.integers(groups, size=(rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(float)


def _sums(columns: Floats, codes: Codes, seed: int, resamples: int) -> Floats:
    """The sum of each column in each resample, (resamples, columns)."""
    if not codes.any():  # one group: its utterances are all there is to resample
        codes = np.arange(len(codes))
    totals = np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)
    return np.concatenate([weights @ totals for weights in _weights(codes, seed, resamples)])


def _ends(drawn: Floats) -> tuple[float, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _estimate(value: float, drawn: Floats, count: int) -> Estimate:
    low, high = _ends(drawn)
    if high - low < 1e-12:
        low, high = exact_interval(value * count, count)
        low, high = min(low, value), max(high, value)  # a WER can pass 100%
    return Estimate(float(value), float(low), float(high), count)


def det_curve(scores: Array, labels: Array) -> tuple[Floats, Floats, Floats]:
    """False-accept rates, false-reject rates and thresholds, for the report's picture."""
    from sklearn.metrics import det_curve as curve  # type: ignore[import-untyped]

    accept, reject, thresholds = curve(np.asarray(labels, dtype=bool), np.asarray(scores, dtype=float))
    return accept, reject, thresholds


def eer(scores: Array, labels: Array, groups: Groups | None = None, seed: int = 0) -> Estimate:
    """The equal error rate, where false accepts meet false rejects, linear between thresholds.

    The count is the rarer of targets and others; resamples that lost either kind are left out.
    """
    values, target = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    _, _, codes = _items([values * 0], np.ones(len(target)), range(len(target)) if groups is None else groups)
    rarer = int(min(target.sum(), (~target).sum()))
    if not rarer:
        raise DataError("an equal error rate needs both targets and others; one kind is missing.")
    order = np.argsort(-values, kind="stable")
    target, codes = target[order], codes[order]
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)  # equal scores pass together

    def crossing(weights: Floats) -> Floats:
        hits, alarms = np.cumsum(weights * target, 1)[:, ends], np.cumsum(weights * ~target, 1)[:, ends]
        usable = (hits[:, -1] > 0) & (alarms[:, -1] > 0)
        hits, alarms = (np.pad(x / x[:, -1:], ((0, 0), (1, 0))) for x in (hits[usable], alarms[usable]))
        gap = alarms - (1 - hits)  # rises from -1, nothing accepted, to 1
        at = (gap >= 0).argmax(1)
        row = np.arange(len(at))
        rise = -gap[row, at - 1] / (gap[row, at] - gap[row, at - 1])
        return np.asarray(alarms[row, at - 1] + rise * (alarms[row, at] - alarms[row, at - 1]))

    value = crossing(np.ones((1, len(codes))))
    drawn = [crossing(weights[:, codes]) for weights in _weights(codes, seed, RESAMPLES // 4)]
    drawn = [one for one in drawn if len(one)] or [value]
    return _estimate(float(value[0]), np.concatenate(drawn), rarer)


def detected_at(
    rate: float, scores: Array, known: Array, right: Array, groups: Groups | None = None, seed: int = 0
) -> Estimate:
    """The share of known words that are detected where at most ``rate`` of what is no known word is accepted.

    Open-set identification (Phillips et al. 2011, "Evaluation methods in face recognition", section 3): a recording
    counts as detected where its highest score reaches the threshold and is that of its own word. The threshold is
    that of the test itself, drawn anew in every resample; thresholds chosen on dev stand in ``false_rejects``.

    Args:
        rate: share of the recordings without a known word that may reach the threshold.
        scores: (N,) the highest score of each recording.
        known: (N,) whether a known word is said in it.
        right: (N,) whether the word of that score is what is said.
        groups: what is resampled; None is each recording.
        seed: of the resampling.

    Raises:
        DataError: no known word, or nothing else.
    """
    values, target = np.asarray(scores, dtype=float), np.asarray(known, dtype=bool)
    _, _, codes = _items([values * 0], np.ones(len(target)), range(len(target)) if groups is None else groups)
    if target.all() or not target.any():
        raise DataError("detection in an open set needs known words and others; one kind is missing.")
    order = np.argsort(-values, kind="stable")
    hit, target, codes = (target & np.asarray(right, dtype=bool))[order], target[order], codes[order]
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)  # equal scores pass together

    def detected(weights: Floats) -> Floats:
        hits, alarms = np.cumsum(weights * hit, 1), np.cumsum(weights * ~target, 1)
        said, others = (weights * target).sum(1), alarms[:, -1]
        usable = (said > 0) & (others > 0)
        passed = (alarms[usable][:, ends] <= (rate + 1e-12) * others[usable, None]).sum(1)
        reached = np.pad(hits[usable][:, ends], ((0, 0), (1, 0)))
        return np.asarray(reached[np.arange(len(passed)), passed] / said[usable])

    value = detected(np.ones((1, len(codes))))
    drawn = [detected(weights[:, codes]) for weights in _weights(codes, seed, RESAMPLES // 4)]
    drawn = [one for one in drawn if len(one)] or [value]
    return _estimate(float(value[0]), np.concatenate(drawn), int(target.sum()))


def false_accepts_per_hour(events: int, hours: float) -> Estimate:
    """Events an hour; each end is an exact one-sided 95% Poisson bound: 0 in H hours is below 3 / H."""
    from scipy.stats import chi2

    if not (hours > 0 and events >= 0):
        raise DataError(f"{events} events in {hours} hours is no rate. Test on more than 0 hours of audio.")
    low = float(chi2.ppf(0.05, 2 * events)) / 2 / hours if events else 0.0
    return Estimate(events / hours, low, float(chi2.ppf(0.95, 2 * events + 2)) / 2 / hours, events, "an hour")


def hours_for(events: int, rate: float) -> float:
    """The hours in which so many events bound the rate at ``rate`` an hour, one-sided at 95%: 3 / rate for none."""
    from scipy.stats import chi2

    if not (rate > 0 and events >= 0):
        raise DataError(f"{rate} events an hour can never be shown. Ask for a rate above 0.")
    return float(chi2.ppf(0.95, 2 * events + 2)) / 2 / rate


def unseen_floor(references: Sequence[Sequence[str]], known: Collection[str], seed: int = 0) -> Estimate:
    """The share of reference characters (or phones) that are not known: no recogniser of these has fewer errors.

    It holds for units of several characters too: what stands in none of them is never written.
    """
    seen = set(known)
    missed = [sum(character not in seen for character in reference) for reference in references]
    return error_rate(missed, [len(one) for one in references], range(len(references)), seed)


def score_transcriptions(rows: Sequence[Transcription], seed: int = 0, words: bool = True) -> Scores:
    """CER and, where spaces separate words, WER of a test set, with each utterance's character edits."""
    pairs, groups = [(row.reference, row.hypothesis) for row in rows], [row.group for row in rows]
    measured = {"cer": character_errors(pairs)} | ({"wer": word_errors(pairs)} if words else {})
    metrics = {name: error_rate(one.errors, one.counts, groups, seed) for name, one in measured.items()}
    return Scores(metrics, _rows(rows, measured["cer"]))


def score_phones(rows: Sequence[Transcription], seed: int = 0) -> Scores:
    """The phone error rate of a test set of phones between spaces, with each utterance's phone edits."""
    counted = word_errors([(row.reference, row.hypothesis) for row in rows])
    rate = error_rate(counted.errors, counted.counts, [row.group for row in rows], seed)
    return Scores({"per": rate}, _rows(rows, counted))


def score_labels(rows: Sequence[Transcription], seed: int = 0) -> Scores:
    """Accuracy and macro-F1 of a test set of single labels; where words have scores, how they are detected.

    The equal error rate is over trials, every word on every recording. False rejects are over the recordings of
    words, false accepts over all recordings: those where a word that was not said reached its threshold.
    """
    texts = [row.reference for row in rows], [row.hypothesis for row in rows], [row.group for row in rows]
    wrong = np.array([row.reference != row.hypothesis for row in rows], dtype=float)
    metrics = {"accuracy": accuracy(*texts, seed), "macro_f1": macro_f1(*texts, seed), **_detection(rows, seed)}
    return Scores(metrics, _rows(rows, ErrorCounts(wrong, np.ones(len(rows)))))


def score_grades(rows: Sequence[Transcription], seed: int = 0) -> Scores:
    """Mean absolute and root mean squared error of a test set of numbers, and Pearson's correlation where both vary.

    References and hypotheses are numbers as text. An error is in the units of the grades.
    """
    said, heard = (np.array([float(getattr(row, side)) for row in rows]) for side in ("reference", "hypothesis"))
    off = np.abs(heard - said)
    (off,), ones, codes = _items([off], np.ones(len(rows)), [row.group for row in rows])
    # Around the middles of this test, where differences of large sums lose nothing.
    x, y = said - said.mean(), heard - heard.mean()
    columns = np.stack([ones, off, off**2, x, y, x**2, y**2, x * y], axis=1)
    whole, drawn = _graded(columns.sum(0, keepdims=True)), _graded(_sums(columns, codes, seed, RESAMPLES))
    names = GRADED if x.any() and y.any() else GRADED[:2]
    metrics = {name: Estimate(float(whole[name][0]), *_ends(drawn[name]), len(rows), "") for name in names}
    found = [Row(**(vars(row) | {"errors": float(far), "count": 1})) for row, far in zip(rows, off, strict=True)]
    return Scores(metrics, tuple(found))


def _graded(sums: Floats) -> dict[str, Floats]:
    """The figures of each line of sums; a resample in which one side does not vary correlates with nothing."""
    count, off, squared, x, y, xx, yy, xy = sums.T
    varies = np.maximum(xx - x**2 / count, 0) * np.maximum(yy - y**2 / count, 0)
    correlation = np.where(varies > 0, (xy - x * y / count) / np.sqrt(np.where(varies > 0, varies, 1)), 0.0)
    return {"mae": off / count, "rmse": np.sqrt(squared / count), "correlation": correlation}


def _detection(rows: Sequence[Transcription], seed: int) -> dict[str, Estimate]:
    metrics: dict[str, Estimate] = {}
    if not all(row.scores for row in rows):
        return metrics
    trials = [
        (score, word == row.reference, row.group) for row in rows if row.scores for word, score in row.scores.items()
    ]
    scores, targets, groups = zip(*trials, strict=True)
    if len(set(targets)) > 1:
        metrics["eer"] = eer(scores, targets, groups, seed)
    best = [max(row.scores.items(), key=lambda pair: pair[1]) for row in rows if row.scores]
    known = [row.reference in row.scores for row in rows if row.scores]
    if len(set(known)) > 1:
        right = [word == row.reference for (word, _), row in zip(best, rows, strict=True)]
        values, owners = [score for _, score in best], [row.group for row in rows]
        for percent in (5, 1):
            found = detected_at(percent / 100, values, known, right, owners, seed)
            metrics[f"detected_at_{percent}"] = found
    if any(row.accepted is None for row in rows):
        return metrics
    said = [row for row in rows if row.scores and row.reference in row.scores]
    if said:
        missed = [row.reference not in (row.accepted or ()) for row in said]
        metrics["false_rejects"] = error_rate(missed, np.ones(len(said)), [row.group for row in said], seed)
    wrong = [any(word != row.reference for word in row.accepted or ()) for row in rows]
    metrics["false_accepts"] = error_rate(wrong, np.ones(len(rows)), [row.group for row in rows], seed)
    return metrics


def _rows(rows: Sequence[Transcription], counted: ErrorCounts) -> tuple[Row, ...]:
    return tuple(
        Row(**(vars(row) | {"errors": int(errors), "count": int(count)}))
        for row, errors, count in zip(rows, counted.errors, counted.counts, strict=True)
    )


#: What scores a test set, by the metric that a task is judged by.
_SCORERS: dict[str, Callable[[Sequence[Row], int], Scores]] = {
    "cer": score_transcriptions,
    "per": score_phones,
    "accuracy": score_labels,
    "mae": score_grades,
}


def pool(scores: Sequence[Scores], seed: int = 0) -> Scores:
    """One figure over folds that tested every utterance once, recomputed from the rows; notes are kept.

    Raises:
        DataError: an utterance was tested twice, or the metrics are not those of one task on rows.
    """
    rows = [row for one in scores for row in one.rows]
    twice = [name for name, times in Counter(row.id for row in rows).items() if times > 1]
    if twice:
        raise DataError(f"{twice[0]} was tested twice ({len(twice)} such utterances). Cut disjoint folds.")
    kinds = {frozenset(one.metrics) for one in scores}
    scorers = [scorer for metric, scorer in _SCORERS.items() if all(metric in kind for kind in kinds)]
    if not kinds or not scorers:
        raise DataError(f"{sorted(map(sorted, kinds))} cannot be recomputed from the rows of the folds.")
    if scorers[0] is score_transcriptions and not all("wer" in kind for kind in kinds):
        pooled = score_transcriptions(rows, seed, words=False)  # no spaces separate words there
    else:
        pooled = scorers[0](rows, seed)
    return Scores(pooled.metrics, pooled.rows, tuple(dict.fromkeys(note for one in scores for note in one.notes)))
