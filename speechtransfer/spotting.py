"""What a spotter learns and is tested on beside its words: other words, speech without them, windows of streams."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from speechtransfer.audio import Recordings
from speechtransfer.batches import item_seed
from speechtransfer.errors import DataError
from speechtransfer.manifest import RESERVED, SILENCE, UNKNOWN, LedgerRow, Manifest, Utterance
from speechtransfer.practice import practise
from speechtransfer.splits import cross_validation
from speechtransfer.trimming import speech_span, window_for

if TYPE_CHECKING:
    from speechtransfer.recipe import Recipe

_LEARNT = ("train", "dev")


@dataclass(frozen=True)
class Spotting:
    """The splits of a spotter.

    Attributes:
        manifest: train, dev and test.
        tests: further test sets by name.
        negatives: speech of the test split without any word; its events are false accepts.
        window: seconds of a window of a stream, where it is chosen before training.
    """

    manifest: Manifest
    tests: dict[str, Manifest] = field(default_factory=dict)
    negatives: Manifest | None = None
    window: float | None = None


def spotting(
    recipe: Recipe, manifest: Manifest, recordings: Recordings, negatives: Manifest | None, fold: int
) -> Spotting:
    """The splits of a fold, with all that the recipe asks for beside the words.

    Args:
        recipe: its ``keywords`` say what is made.
        manifest: rows with their splits.
        recordings: the reader.
        negatives: speech without any of the words, not split yet.
        fold: which part of it is the test.

    Raises:
        DataError: a word that has no recording, or too little speech without words to split.
    """
    manifest, tests = _chosen(recipe, manifest)
    window = recipe.keywords.window
    if window is None and (recipe.keywords.windows or negatives is not None):
        words = [row for row in manifest.split("train") if row.label not in RESERVED]
        spans = [speech_span(recordings(row), recordings.sample_rate) for row in words]
        window = window_for([(last - first) / recordings.sample_rate for first, last in spans])
    heard = None if negatives is None else _cut(recipe, negatives, recordings, fold)
    made: list[Utterance] = []
    if recipe.keywords.windows and window is not None:
        each = {
            name: practise(manifest.split(name).rows, recordings, window, recipe.keywords.windows, recipe.split_seed)
            for name in (*_LEARNT, "test")
        }
        made += [*each["train"], *each["dev"]]
        manifest = _without_background(manifest, recordings, window)
        tests["windows"] = Manifest(tuple(replace(row, split="windows") for row in each["test"]))
    if heard is not None and window is not None:
        for name in _LEARNT:
            count = max(1, recipe.keywords.windows) * len(manifest.split(name))
            made += _stretches(heard.split(name).rows, recordings, window, count, recipe.split_seed)
    whole = Manifest((*manifest.rows, *made), manifest.ledger)
    return Spotting(whole, tests, None if heard is None else heard.split("test"), window)


def _chosen(recipe: Recipe, manifest: Manifest) -> tuple[Manifest, dict[str, Manifest]]:
    """Rows of the chosen words, and of all others as ``_unknown_``: learnt too, or met in a test of their own alone."""
    words = recipe.keywords.words
    if not words:
        return manifest, {}
    labels = sorted({row.label for row in manifest if row.label is not None})
    missing = [word for word in words if word not in labels]
    if missing:
        raise DataError(
            f"keywords.words: {', '.join(missing)}: no recording has this label; the labels are {', '.join(labels)}."
        )
    renamed = [row if row.label in (*words, *RESERVED) else replace(row, label=UNKNOWN) for row in manifest]
    if recipe.keywords.others == "unknown":
        return Manifest(tuple(renamed), manifest.ledger), {}
    reason = "not among the words: its kind is met in the test alone"
    dropped = [LedgerRow(row.id, reason, split=row.split) for row in renamed if row.label == UNKNOWN]
    kept = tuple(row for row in renamed if row.label != UNKNOWN)
    met = tuple(replace(row, split="open") for row in renamed if row.split == "test")
    ledger = tuple(row for row in dropped if row.split in _LEARNT)
    return Manifest(kept, (*manifest.ledger, *ledger)), {"open": Manifest(met)}


def _without_background(manifest: Manifest, recordings: Recordings, window: float) -> Manifest:
    """What is learnt of ``_silence_`` are the windows that it is the background of, not minutes of it as one clip."""

    def reason(row: Utterance) -> str | None:
        background = row.label == SILENCE and row.split in _LEARNT and recordings.seconds(row) > window
        return "heard as the background of windows alone" if background else None

    return manifest.keep(reason)


def _cut(recipe: Recipe, negatives: Manifest, recordings: Recordings, fold: int) -> Manifest:
    """Speech without words in train, dev and test: over all folds, each recording is tested on once."""
    if negatives.splits:
        return negatives
    return cross_validation(negatives, recipe.folds, fold, recipe.split_seed, recordings.seconds)


def _stretches(
    rows: Sequence[Utterance], recordings: Recordings, window: float, count: int, seed: int
) -> list[Utterance]:
    """So many windows of recordings, the longer the more, as ``_unknown_``; what is shorter is whole."""
    seconds = [recordings.seconds(row) for row in rows]
    draw = random.Random(item_seed(seed, 0, "stretches"))
    made = []
    for index in draw.choices(range(len(rows)), seconds, k=count) if rows else ():
        row = replace(rows[index], text=None, label=UNKNOWN)
        if seconds[index] > window:
            start = (row.start or 0.0) + round(draw.uniform(0.0, seconds[index] - window), 3)
            row = replace(row, start=start, end=start + window)
        made.append(row)
    return list({row.id: row for row in made}.values())
