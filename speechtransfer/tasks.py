"""From a recipe's data to the task of a fold: loaded, examined, split, and what its figures must say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from speechtransfer.acceptance import Acceptance
from speechtransfer.activations import Heard, keep
from speechtransfer.audio import Recordings, content_hash
from speechtransfer.corpora import load as load_corpus
from speechtransfer.corpora.prose import Prose, read_prose
from speechtransfer.doctor import examine, require
from speechtransfer.errors import DataError
from speechtransfer.joining import join
from speechtransfer.keeping import keep_splits
from speechtransfer.manifest import RESERVED, SPLITS, LedgerRow, Manifest, Utterance
from speechtransfer.objectives import Classify, Contrast, Distil, Match, Objective, Regress, Sum
from speechtransfer.pronunciation import Phones
from speechtransfer.recognition import ALL, output_layers
from speechtransfer.separation import speaker_dependent
from speechtransfer.sources import load_encoder
from speechtransfer.splits import (
    cross_validation,
    group_count,
    joined,
    require_all,
    take_each,
    take_seconds,
    take_speakers,
)
from speechtransfer.spotting import Keywords, others_unknown, spotting
from speechtransfer.text import TextContract
from speechtransfer.trial import NEGATIVES, Task

if TYPE_CHECKING:
    from speechtransfer.recipe import Recipe

#: What each task learns from.
FIELDS = {"ctc": "text", "keywords": "label", "grades": "label"}
#: Fewer groups cannot be train, dev and test.
_FEWEST_GROUPS = 3
#: Where no more of a test's utterances say a prompt of training, all else weighs more: people say yes twice.
_FEW_PROMPTS = 0.05


@dataclass(frozen=True)
class Corpus:
    """A recipe's data, examined.

    Attributes:
        manifest: usable rows, with the ledger of the others.
        recordings: their reader.
        tests: further test sets by name.
        by_speaker: whether splits are cut by speaker.
        by_file: whether spans of one recording stay in one split.
        task: ``ctc``, ``keywords`` or ``grades``.
        negatives: speech without any of the keywords, examined; None where there is none.
        prose: text without sound, for a recogniser's language model.
        contract: what transcripts pass before they are compared or learnt.
        phones: of a lexicon that has all words of the transcripts; None where the units are others.
    """

    manifest: Manifest
    recordings: Recordings
    tests: Mapping[str, Manifest]
    by_speaker: bool
    task: str = "ctc"
    negatives: Manifest | None = None
    prose: Prose = field(default_factory=lambda: Prose(()))
    contract: TextContract = field(default_factory=TextContract)
    by_file: bool = True
    phones: Phones | None = None

    def prompt(self, row: Utterance) -> str:
        """What must not cross splits: the text after the contract; of labels, one and the same sound."""
        if self.task != "ctc":
            return content_hash(row.audio) if row.whole else row.id
        return self.contract.apply(row.text) if row.text else row.id

    def stratum(self, row: Utterance) -> str:
        """What every split must have: each keyword."""
        return (row.label or "") if self.task == "keywords" else ""


def open_corpus(
    recipe: Recipe, sample_rate: int, audio_roots: tuple[str, ...] = (), format: str | None = None
) -> Corpus:
    """Load and examine a recipe's data.

    Raises:
        DataError: nothing usable, an unusable test row, or a recording that two of the data have.
        SettingsError: rules of a language that is not named, or units that fit no text.
        TextError: rules that the language has not, or words that the lexicon lacks.
    """
    contract = recipe.contract.contract(recipe.language)
    phones = recipe.units.check(contract)
    recordings, learnt = Recordings(sample_rate), FIELDS[recipe.task]
    loaded = join({name: load_corpus(name, format, audio_roots, recipe.language) for name in recipe.data})
    rows = tuple(_with_speaker(row, recipe.speaker_pattern) for row in loaded)
    manifest = require(examine(Manifest(rows, loaded.ledger), recordings, contract, learnt))
    tests: dict[str, Manifest] = {}
    lost: list[LedgerRow] = []
    for name, data in recipe.tests.items():
        further = load_corpus(data, None, audio_roots, recipe.language)
        marked = tuple(replace(_with_speaker(row, recipe.speaker_pattern), split=name) for row in further)
        tests[name] = require(examine(Manifest(marked), recordings, contract, learnt))
        # What the importer could not use of it was never a test row; it is in the ledger all the same.
        lost += [replace(line, where=line.where or f"further test {name}") for line in further.ledger]
    if phones is not None:
        texts = [contract.apply(row.text) for rows in (manifest, *tests.values()) for row in rows if row.text]
        phones.require(word for text in texts for word in text.split(" "))
    # Who speaks in one scene speaks in others: where rows name their scene, that is what stays together.
    voices = {row.speaker for row in manifest if row.speaker and not row.group}
    by_speaker = recipe.split_by == "auto" and len(voices) > 1
    negatives = None
    if recipe.negatives:
        without = join({name: load_corpus(name, None, audio_roots) for name in recipe.negatives})
        negatives = require(examine(without, recordings, contract, "audio"))
    whole = Manifest(manifest.rows, (*manifest.ledger, *lost))
    prose = read_prose(recipe.texts, contract)
    by_file = recipe.split_by != "span"
    return Corpus(whole, recordings, tests, by_speaker, recipe.task, negatives, prose, contract, by_file, phones)


def _with_speaker(row: Utterance, pattern: str | None) -> Utterance:
    """A row with the speaker that its path names; what the corpus itself says of the speaker stands.

    Raises:
        DataError: the pattern finds nothing in the path.
    """
    if pattern is None or row.speaker is not None:
        return row
    found = re.search(pattern, row.audio.as_posix())
    if found is None:
        raise DataError(
            f"{row.audio}: the speaker pattern {pattern!r} finds nothing in this path. Correct the pattern."
        )
    return replace(row, speaker=found[1])


def _builder(recipe: Recipe, corpus: Corpus, prose: Sequence[str]) -> Callable[[Sequence[Utterance]], Objective]:
    """What makes the recipe's objective of training rows, and of sentences beside them."""

    def build(rows: Sequence[Utterance]) -> Objective:
        if recipe.task == "keywords":
            return _spotter(rows, recipe.keywords)
        if recipe.task == "grades":
            head = recipe.keywords
            return Regress.from_rows(rows, pooling=head.pooling, hidden=head.hidden, dropout=head.dropout)
        parts: dict[str, tuple[float, Objective]]
        parts = {name: (1.0, part) for name, part in output_layers(rows, recipe, prose, corpus.phones).items()}
        if recipe.distillation.teacher is not None:
            encoder = load_encoder(recipe.distillation.teacher)
            shared = encoder.sample_rate == corpus.recordings.sample_rate
            own = corpus.recordings if shared else Recordings(encoder.sample_rate)
            teacher = Heard(keep(encoder, rows, own, recipe.distillation.block, "float16"), encoder.card)
            parts["teacher"] = (recipe.distillation.weight, Distil(teacher.width, teacher))
        return Sum(**parts) if len(parts) > 1 else parts[ALL][1]

    return build


def _spotter(rows: Sequence[Utterance], keywords: Keywords) -> Objective:
    """An output layer, prototypes or recordings to compare with, with the settings that are theirs."""
    settings = keywords.taken
    by = settings.pop("rejection", keywords.rejection)
    acceptance = Acceptance(rate=keywords.false_accepts, window=keywords.window, by=by)
    kind: type[Classify | Contrast | Match] = Match
    if keywords.loss == "classify":
        kind = Classify
    elif keywords.loss != "match":
        kind, settings["loss"] = Contrast, keywords.loss
    return kind.from_rows(rows, acceptance=acceptance, **settings)


def fold_task(recipe: Recipe, corpus: Corpus, fold: int) -> Task:
    """The splits of one fold: the corpus's own where it has them, otherwise cut from it.

    From ``recipe.folds`` on, numbers are those of the same folds with other draws of their training rows.

    Raises:
        DataError: some rows have a split and others none, a split is missing, too few speakers or
            recordings to cut, fewer minutes than ``train_minutes``, or splits to keep that cannot be kept.
    """
    draw, fold = divmod(fold, recipe.folds)
    cut = None if corpus.manifest.splits else _cut(recipe, corpus, fold)
    if recipe.keep_splits is not None and cut is None:
        raise DataError("the rows name their own splits, which are kept as they are: leave --keep-splits out.")
    manifest = cut
    if manifest is None:  # of several data, some may name their splits: what others have is for training
        manifest = _with_new(corpus, recipe.split_by == "auto") if len(recipe.data) > 1 else corpus.manifest
    require_all(manifest, "the rows")
    if recipe.train_minutes is not None:
        manifest = _shortened(manifest, recipe.train_minutes, recipe.split_seed + draw, corpus.recordings)
    if recipe.train_clips is not None:
        manifest = _fewer_clips(manifest, recipe.train_clips, recipe.split_seed + draw, corpus)
    if recipe.train_speakers is not None:
        words = recipe.keywords.words
        manifest = _fewer_speakers(manifest, recipe.train_speakers, recipe.split_seed + draw, words)
    further, negatives = dict(corpus.tests), None
    if recipe.task == "keywords":
        made = spotting(recipe, manifest, corpus.recordings, corpus.negatives, fold)
        manifest, negatives = made.manifest, made.negatives
        labels = {row.label for row in manifest.split("train")}
        further = {name: others_unknown(rows, labels) for name, rows in further.items()} | made.tests
        recipe = replace(recipe, keywords=replace(recipe.keywords, window=made.window))
    learnt = [*manifest.split("train"), *manifest.split("dev")]
    own = {name: manifest.split(name) for name in manifest.splits if name not in ("train", "dev")}
    tests = {**own, **further}
    notes = {name: _notes(learnt, rows, corpus) for name, rows in tests.items()}
    if negatives is not None and corpus.negatives is not None:
        alike = {row.audio for row in corpus.negatives}
        notes[NEGATIVES] = _notes([row for row in learnt if row.audio in alike], negatives, corpus)
    spoken = sorted({row.language for row in manifest if row.language})
    language = recipe.language or "+".join(spoken) or None
    # A sentence that is a prompt of dev or a test is one that the recogniser may not have read before.
    later = [row.text for rows in (manifest.split("dev"), *tests.values()) for row in rows if row.text]
    asked = set(map(corpus.contract.apply, later)) if corpus.prose.sentences else set()
    build = _builder(recipe, corpus, [text for text in corpus.prose.sentences if text not in asked])
    return Task(manifest, corpus.recordings, recipe.task, build, tests, language, notes, negatives, cut)


def _with_new(corpus: Corpus, by_speaker: bool) -> Manifest:
    """Rows that name no split beside those that do, as far as they may be trained on."""
    return joined(corpus.manifest, corpus.prompt, by_speaker, corpus.by_file)


def _cut(recipe: Recipe, corpus: Corpus, fold: int) -> Manifest:
    if recipe.keep_splits is not None:
        run = Path(recipe.keep_splits)
        as_before = keep_splits(corpus.manifest, run, corpus.prompt, corpus.by_speaker, corpus.by_file)
        if missing := [name for name in SPLITS if name not in as_before.splits]:
            raise DataError(
                f"{run}: beside its test no row is left for {', '.join(missing)}: all others share a prompt, a "
                "recording or a speaker with it. Give the split_by that it was cut with, or leave --keep-splits out."
            )
        return as_before
    groups = group_count(corpus.manifest, corpus.prompt, corpus.by_speaker, corpus.by_file)
    if groups < _FEWEST_GROUPS:
        kept = "speakers" if corpus.by_speaker else "recordings or prompts"
        hint = " Cut by prompt instead with --set split_by=prompt;" if corpus.by_speaker else ""
        if len({row.audio for row in corpus.manifest}) < _FEWEST_GROUPS < len(corpus.manifest):
            hint = " Cut between their utterances with --set split_by=span;"
        raise DataError(
            f"{len(corpus.manifest)} utterances are of only {groups} {kept}, which cannot be train, dev and test at "
            f"once.{hint} give every row a 'split', or add {kept}."
        )
    # One fold alone may be a larger part of a corpus of few speakers; all folds together must be as many as said.
    count = min(recipe.folds, groups) if recipe.run_folds is not None else recipe.folds
    return cross_validation(
        corpus.manifest,
        count,
        fold,
        recipe.split_seed,
        corpus.recordings.seconds,
        corpus.prompt,
        corpus.by_speaker,
        corpus.stratum,
        corpus.by_file,
    )


def _shortened(manifest: Manifest, minutes: float, seed: int, recordings: Recordings) -> Manifest:
    there = sum(map(recordings.seconds, manifest.split("train"))) / 60
    if not 0 < minutes <= there:
        raise DataError(f"{minutes:g} minutes are wanted of a training split of {there:.1f}. Ask for less, or for all.")
    return _with_train(manifest, take_seconds(manifest.split("train"), 60 * minutes, seed, recordings.seconds))


def _fewer_clips(manifest: Manifest, clips: int, seed: int, corpus: Corpus) -> Manifest:
    train = manifest.split("train")
    most = max(Counter(map(corpus.stratum, train)).values())
    if clips > most:
        raise DataError(f"{clips} recordings of each word are wanted of at most {most}. Ask for less, or for all.")
    return _with_train(manifest, take_each(train, clips, seed, corpus.stratum))


def _fewer_speakers(manifest: Manifest, count: int, seed: int, words: Sequence[str]) -> Manifest:
    """Of the training rows those of so many people, who each said all words: the chosen ones, or all there are."""

    def word(row: Utterance) -> str:
        spotted = row.label not in RESERVED and (row.label in words or not words)
        return (row.label or "") if spotted else ""

    return _with_train(manifest, take_speakers(manifest.split("train"), count, seed, word))


def _with_train(manifest: Manifest, kept: Manifest) -> Manifest:
    """A manifest of whose training rows only some are kept."""
    names = {row.id for row in kept}
    return Manifest(tuple(row for row in manifest if row.split != "train" or row.id in names), manifest.ledger)


def _notes(learnt: Iterable[Utterance], tested: Iterable[Utterance], corpus: Corpus) -> tuple[str, ...]:
    """What test and training share that other speech would not: speakers, unless all are known, recordings, prompts."""
    before, after = tuple(learnt), tuple(tested)
    shared = {row.audio for row in before} & {row.audio for row in after}
    again = 0
    if corpus.task == "ctc":
        said_before = set(map(corpus.prompt, before))
        again = sum(corpus.prompt(row) in said_before for row in after)
    return (
        *(("speaker-dependent",) if speaker_dependent(before, after) else ()),
        *(("recording-dependent",) if shared else ()),
        *(("prompt-dependent",) if again > _FEW_PROMPTS * len(after) else ()),
    )
