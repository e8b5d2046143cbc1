"""From a recipe's data to the task of a fold: loaded, examined, split, and what its figures must say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from speechtransfer.audio import Recordings
from speechtransfer.corpora import load as load_corpus
from speechtransfer.doctor import examine, require
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance
from speechtransfer.splits import cross_validation, group_count, take_seconds
from speechtransfer.text import TextContract
from speechtransfer.trial import Task

if TYPE_CHECKING:
    from speechtransfer.recipe import Recipe

#: Fewer groups cannot be train, dev and test.
_FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Corpus:
    """A recipe's data, examined.

    Attributes:
        manifest: usable rows, with the ledger of the others.
        recordings: their reader.
        tests: further test sets by name.
        by_speaker: whether splits are cut by speaker.
    """

    manifest: Manifest
    recordings: Recordings
    tests: Mapping[str, Manifest]
    by_speaker: bool

    @property
    def contract(self) -> TextContract:
        """What transcripts pass before they are compared."""
        return TextContract()

    def prompt(self, row: Utterance) -> str:
        """What must not cross splits: the text after the contract."""
        return self.contract.apply(row.text) if row.text else row.id


def open_corpus(
    recipe: Recipe, sample_rate: int, audio_roots: tuple[str, ...] = (), format: str | None = None
) -> Corpus:
    """Load and examine a recipe's data.

    Raises:
        DataError: nothing usable, or an unusable test row.
    """
    recordings = Recordings(sample_rate)
    loaded = [load_corpus(name, format, audio_roots, recipe.language) for name in recipe.data]
    rows = tuple(row for one in loaded for row in one)
    ledger = tuple(line for one in loaded for line in one.ledger)
    manifest = require(examine(Manifest(rows, ledger), recordings, TextContract()))
    tests: dict[str, Manifest] = {}
    lost: list[LedgerRow] = []
    for name, data in recipe.tests.items():
        further = load_corpus(data, None, audio_roots, recipe.language)
        labelled = tuple(replace(row, split=name) for row in further)
        tests[name] = require(examine(Manifest(labelled), recordings, TextContract()))
        # What the importer could not use of it was never a test row; it is in the ledger all the same.
        lost += [replace(line, where=line.where or f"further test {name}") for line in further.ledger]
    by_speaker = recipe.split_by == "auto" and len(manifest.speakers) > 1
    return Corpus(Manifest(manifest.rows, (*manifest.ledger, *lost)), recordings, tests, by_speaker)


def fold_task(recipe: Recipe, corpus: Corpus, fold: int) -> Task:
    """The splits of one fold: the corpus's own where it has them, otherwise cut from it.

    Raises:
        DataError: some rows have a split and others none, a split is missing, too few speakers or
            recordings to cut, or fewer minutes than ``train_minutes``.
    """
    manifest = corpus.manifest if corpus.manifest.splits else _cut(recipe, corpus, fold)
    missing = {"train", "dev", "test"} - set(manifest.splits)
    if missing or any(row.split is None for row in manifest):
        raise DataError(
            f"the rows name the splits {', '.join(manifest.splits)}, but "
            f"{', '.join(sorted(missing)) or 'that of some rows'} is missing. "
            "Name train, dev and test on every row, or on none."
        )
    if recipe.train_minutes is not None:
        manifest = _shortened(manifest, recipe.train_minutes, recipe.split_seed, corpus.recordings)
    learnt = [*manifest.split("train"), *manifest.split("dev")]
    own = {name: manifest.split(name) for name in manifest.splits if name not in ("train", "dev")}
    tests = {**own, **corpus.tests}
    notes = {name: _notes(learnt, rows) for name, rows in tests.items()}
    spoken = sorted({row.language for row in manifest if row.language})
    return Task(manifest, corpus.recordings, tests, recipe.language or "+".join(spoken) or None, notes)


def _cut(recipe: Recipe, corpus: Corpus, fold: int) -> Manifest:
    groups = group_count(corpus.manifest, corpus.prompt, corpus.by_speaker)
    if groups < _FEWEST_GROUPS:
        kept = "speakers" if corpus.by_speaker else "recordings or prompts"
        hint = " Cut by prompt instead with --set split_by=prompt;" if corpus.by_speaker else ""
        raise DataError(
            f"{len(corpus.manifest)} utterances are of only {groups} {kept}, which cannot be train, dev and test at "
            f"once.{hint} give every row a 'split', or add {kept}."
        )
    # One fold alone may be a larger part of a corpus of few speakers; all folds together must be as many as said.
    count = min(recipe.folds, groups) if recipe.run_folds is not None else recipe.folds
    weight = corpus.recordings.seconds
    return cross_validation(corpus.manifest, count, fold, recipe.split_seed, weight, corpus.prompt, corpus.by_speaker)


def _shortened(manifest: Manifest, minutes: float, seed: int, recordings: Recordings) -> Manifest:
    there = sum(map(recordings.seconds, manifest.split("train"))) / 60
    if not 0 < minutes <= there:
        raise DataError(f"{minutes:g} minutes are wanted of a training split of {there:.1f}. Ask for less, or for all.")
    kept = {row.id for row in take_seconds(manifest.split("train"), 60 * minutes, seed, recordings.seconds)}
    return Manifest(tuple(row for row in manifest if row.split != "train" or row.id in kept), manifest.ledger)


def _notes(learnt: Iterable[Utterance], tested: Iterable[Utterance]) -> tuple[str, ...]:
    """Figures are of unseen speakers only where every speaker is known and none is on both sides."""
    heard, said = {row.speaker for row in learnt}, {row.speaker for row in tested}
    return ("speaker-dependent",) if None in heard | said or heard & said else ()
