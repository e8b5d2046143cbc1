"""What a spotter learns and is tested on beside its words: other words, speech without them, windows of streams."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from speechtransfer.acceptance import Rejection
from speechtransfer.audio import Recordings, content_hash
from speechtransfer.augmentation import Surroundings
from speechtransfer.batches import item_seed
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.manifest import RESERVED, SILENCE, UNKNOWN, LedgerRow, Manifest, Utterance
from speechtransfer.objectives.pooled import Pooling
from speechtransfer.practice import moved, practise
from speechtransfer.splits import cross_validation, group_count, require_all
from speechtransfer.trimming import speech_span, window_for

if TYPE_CHECKING:
    from speechtransfer.recipe import Recipe

#: Seconds; no word is shorter.
_SHORTEST_WINDOW = 0.1
_LEARNT = ("train", "dev")
#: What each loss takes of the settings, and what is no matter of the loss.
_COMPARED = ("pooling", "dropout", "embedding", "metric")
_TAKEN = {
    "classify": ("pooling", "dropout", "hidden", "smoothing", "balanced", "layers", "rejection"),
    "prototypes": (*_COMPARED, "temperature"),
    "ntxent": (*_COMPARED, "temperature"),
    "triplet": (*_COMPARED, "margin"),
    "siamese": (*_COMPARED, "margin"),
    "match": ("embedding", "metric", "layers"),
}
_ALWAYS = ("loss", "false_accepts", "windows", "window", "words", "others", "surroundings", "copies")


@dataclass(frozen=True)
class Keywords:
    """What a keyword spotter is, and what it learns beside its words.

    Attributes:
        pooling: of frames over time: ``mean``, ``max``, ``attentive``, or ``parts``, the means of both halves beside
            the maximum.
        hidden: widths of ReLU layers before the output; of ``classify``.
        dropout: before every layer.
        smoothing: of the targets; of ``classify``.
        balanced: rare words weigh as much in the loss as common ones; of ``classify``.
        false_accepts: the share of dev's other recordings that a word's threshold may take for it.
        windows: how many windows of made-up streams are made around each recording and learnt beside it, with
            what is no word in them as ``_unknown_`` and ``_silence_``; 0 for a closed set of words.
        window: seconds of a window; None holds nearly all of the training words.
        words: which labels are words to spot; none are all.
        others: whether the other labels are learnt as ``_unknown_``, or ``unseen`` until a test, ``open``; rows that
            are labelled so are learnt in any case.
        loss: ``classify`` is an output layer over a closed set of words. The others compare clips (see ``Contrast``)
            and give a spotter that words can be added to without training; ``match`` compares them frame by frame
            and is not trained at all (see ``Match``).
        embedding: width of the space in which clips are compared; None keeps that of what is pooled, and is 64 of
            ``match``.
        temperature: of ``prototypes`` and ``ntxent``.
        margin: of ``triplet`` and ``siamese``.
        metric: what the training clips say of distances: ``within`` that the ways in which clips of one word differ
            count less, ``channels`` how far each channel varies, ``plain`` nothing. ``match`` learns its own
            ``within``, or takes that of the ``source``, a run that learnt one.
        layers: blocks of the encoder, such as ``layer0,layer1,layer2``, of which a learned weighted sum is pooled,
            or which ``match`` compares side by side; none is the last block alone; of those two.
        rejection: whether a word's threshold is one of its ``probability`` or of its ``energy`` (see ``Acceptance``);
            of ``classify``; the others reject by distance.
        surroundings: noise, rooms and telephones; where any is asked for, the test is heard in them once more, as a
            further test of that name.
        copies: how many copies of each training recording in these surroundings are learnt beside it.
    """

    pooling: Pooling = "mean"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.1
    smoothing: float = 0.0
    balanced: bool = True
    false_accepts: float = 0.001
    windows: int = 0
    window: float | None = None
    words: tuple[str, ...] = ()
    others: Literal["unknown", "unseen"] = "unknown"
    loss: Literal["classify", "prototypes", "triplet", "ntxent", "siamese", "match"] = "classify"
    embedding: int | None = None
    temperature: float = 0.1
    margin: float = 0.5
    metric: Literal["within", "channels", "plain", "source"] = "within"
    layers: tuple[str, ...] = ()
    rejection: Rejection = "probability"
    surroundings: Surroundings = field(default_factory=Surroundings)
    copies: int = 0

    def __post_init__(self) -> None:
        """Refuse a window that holds nothing, and words that are none.

        Raises:
            SettingsError: a number below zero, a window that is not above zero, a reserved or repeated word or
                layer, what the chosen loss does not take, copies of nothing.
        """
        if self.windows < 0 or not (self.window is None or self.window >= _SHORTEST_WINDOW):
            raise SettingsError(
                f"keywords: windows={self.windows} must be zero or more, and window={self.window} at least "
                f"{_SHORTEST_WINDOW} seconds."
            )
        if self.others == "unseen" and not self.words:
            raise SettingsError(
                "keywords.others=unseen: name in keywords.words which of the labels are not the others."
            )
        if self.copies < 0 or (self.copies and not self.surroundings.changes):
            raise SettingsError(
                f"keywords.copies={self.copies}: zero or more, and of surroundings that change sound, such as "
                "keywords.surroundings.noise=0.5."
            )
        if len(set(self.layers)) < len(self.layers):
            raise SettingsError(f"keywords.layers={','.join(self.layers)}: name each block once.")
        if idle := [name for name in self.changed if name not in (*_ALWAYS, *_TAKEN[self.loss])]:
            raise SettingsError(
                f"keywords.{', '.join(idle)} would do nothing: loss={self.loss} takes {', '.join(_TAKEN[self.loss])}."
            )
        if self.metric == "source" and self.loss != "match":
            raise SettingsError("keywords.metric=source is of loss=match alone: others learn theirs here.")
        if len(set(self.words)) < len(self.words) or set(self.words) & set(RESERVED):
            raise SettingsError(f"keywords.words={','.join(self.words)}: name each word once, and none of {RESERVED}.")

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the settings that are not the usual ones."""
        usual = (
            (one.name, one.default if one.default_factory is MISSING else one.default_factory()) for one in fields(self)
        )
        return tuple(name for name, value in usual if getattr(self, name) != value)

    @property
    def taken(self) -> dict[str, Any]:
        """What the objective takes, by name."""
        return {name: getattr(self, name) for name in _TAKEN[self.loss]}


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
        DataError: a word that has no recording to learn from, or none at all; speech without words that holds some,
            or is too little to split.
    """
    manifest, tests = _chosen(recipe, manifest)
    _require_words(manifest)
    window = recipe.keywords.window
    if window is None and (recipe.keywords.windows or negatives is not None):
        words = [row for row in manifest.split("train") if row.label not in RESERVED]
        spans = [speech_span(recordings(row), recordings.sample_rate) for row in words]
        window = window_for([(last - first) / recordings.sample_rate for first, last in spans])
    heard = None
    if negatives is not None:
        _refuse_words(manifest, negatives)
        heard = _cut(recipe, negatives, recordings, fold)
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
    surroundings, copies, seed = recipe.keywords.surroundings, recipe.keywords.copies, recipe.split_seed
    if surroundings.changes:
        if copies:
            learnt = [row for row in (*manifest, *made) if row.split == "train"]
            made += moved(learnt, recordings, surroundings, copies, seed)
        test = moved(manifest.split("test").rows, recordings, surroundings, 1, seed)
        tests["surroundings"] = Manifest(tuple(replace(row, split="surroundings") for row in test))
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
    renamed = others_unknown(manifest, (*words, UNKNOWN))
    if recipe.keywords.others == "unknown":
        return renamed, {}
    reason = "not among the words: its kind is met in the test alone"
    others = {row.id for row in manifest if row.label not in (*words, *RESERVED)}
    kept = tuple(row for row in renamed if row.id not in others)
    ledger = tuple(LedgerRow(row.id, reason, split=row.split) for row in renamed if row.id in others)
    met = tuple(replace(row, split="open") for row in renamed.split("test"))
    learnt = tuple(row for row in ledger if row.split in _LEARNT)
    return Manifest(kept, (*manifest.ledger, *learnt)), {"open": Manifest(met)}


def others_unknown(manifest: Manifest, labels: Collection[str | None]) -> Manifest:
    """The same rows, those of none of the labels as ``_unknown_`` where that is one of them; otherwise as they are."""
    if UNKNOWN not in labels:
        return manifest
    known = {*labels, *RESERVED, None}
    rows = tuple(row if row.label in known else replace(row, label=UNKNOWN) for row in manifest)
    return Manifest(rows, manifest.ledger)


def _require_words(manifest: Manifest) -> None:
    words = {row.label for row in manifest if row.label is not None and row.label not in RESERVED}
    lost = sorted(words - {row.label for row in manifest.split("train")})
    if lost or not words:
        raise DataError(
            f"no recording is left to learn {', '.join(map(repr, lost)) or 'any word'} from, after dev and test have "
            "theirs. Add recordings of it, three at least, or leave it out."
        )


def _refuse_words(manifest: Manifest, negatives: Manifest) -> None:
    """Raise where speech without words holds a recording or a label of the words."""
    words = {row.label for row in manifest} - {*RESERVED, None}
    labelled = next((row for row in negatives if row.label in words), None)
    sounds = {content_hash(row.audio) for row in manifest}
    same = labelled or next((row for row in negatives if content_hash(row.audio) in sounds), None)
    if same is not None:
        what = f"is labelled {same.label}" if labelled else "is among the recordings of the words"
        raise DataError(f"negatives: {same.audio} {what}. Give speech in which none of the words is said.")


def _without_background(manifest: Manifest, recordings: Recordings, window: float) -> Manifest:
    """What is learnt of ``_silence_`` are the windows that it is the background of, not minutes of it as one clip."""

    def reason(row: Utterance) -> str | None:
        background = row.label == SILENCE and row.split in _LEARNT and recordings.seconds(row) > window
        return "heard as the background of windows alone" if background else None

    return manifest.keep(reason)


def _cut(recipe: Recipe, negatives: Manifest, recordings: Recordings, fold: int) -> Manifest:
    """Speech without words in train, dev and test: over all folds, each recording is tested on once.

    It is cut by speaker where that gives as many parts as folds, whatever they say alike; of fewer voices by
    prompt, and those of the test are then learnt from as well, which its figure says.
    """
    if negatives.splits:
        require_all(negatives, "the rows of the negatives")
        return negatives

    def sound(row: Utterance) -> str:
        return content_hash(row.audio)

    by_speaker = all(row.speaker for row in negatives) and group_count(negatives, sound, True) >= recipe.folds
    return cross_validation(
        negatives,
        recipe.folds,
        fold,
        recipe.split_seed,
        recordings.seconds,
        sound if by_speaker else lambda row: row.text or sound(row),
        by_speaker,
    )


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
