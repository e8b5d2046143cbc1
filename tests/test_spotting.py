"""What a spotter's task has beside its words: others learnt or unseen, speech without words, windows of streams."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import tone

from speechtransfer.audio import Recordings, write_wav
from speechtransfer.augmentation import Surroundings
from speechtransfer.baseline import Scratch
from speechtransfer.defaults import defaults
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.manifest import RESERVED, UNKNOWN, Manifest, Utterance
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.sources import load_encoder
from speechtransfer.spotting import Keywords, spotting
from speechtransfer.tasks import Corpus, fold_task, open_corpus
from speechtransfer.trial import run_trial

RATE = 16_000
WORDS = {"high": 2000, "low": 300, "middle": 800, "top": 4000}


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of synthetic tones."""
    folder = tmp_path_factory.mktemp("words")
    draw = np.random.default_rng(0)
    for word, hertz in WORDS.items():
        for take in range(10):
            tone(folder / word / f"{take}.wav", hertz, draw)
    return folder


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic speech without a word: noise of one to three seconds, and one of a tenth."""
    folder = tmp_path_factory.mktemp("speech")
    draw = np.random.default_rng(1)
    lines = ["file_name,text"]
    for number in range(15):
        length = RATE // 10 if number == 7 else int(draw.uniform(1, 3) * RATE)
        write_wav(folder / f"{number}.wav", 0.1 * draw.standard_normal(length), RATE)
        lines.append(f"{number}.wav,sentence {number}")
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


def recipe(folder: Path, negatives: tuple[str, ...] = (), **values: object) -> Recipe:
    usual = defaults(str(folder), "random:conformer", "conformer", "eng", "keywords")
    return replace(usual, keywords=Keywords(**values), negatives=negatives)  # type: ignore[arg-type]


def labels(rows: Manifest) -> set[str | None]:
    return {row.label for row in rows}


def test_without_a_word_chosen_all_are_words(words: Path) -> None:
    made = recipe(words)
    corpus = open_corpus(made, RATE)
    manifest = fold_task(made, corpus, 0).manifest
    assert labels(manifest) == set(WORDS)
    assert spotting(made, manifest, corpus.recordings, None, 0).manifest.rows == manifest.rows


def test_other_labels_are_learnt_as_unknown(words: Path) -> None:
    made = recipe(words, words=("high", "low"))
    task = fold_task(made, open_corpus(made, RATE), 0)
    for split in ("train", "dev", "test"):
        assert labels(task.manifest.split(split)) == {"high", "low", UNKNOWN}
    assert set(task.tests) == {"test"}


def test_unseen_labels_are_met_in_a_test_of_their_own_alone(words: Path) -> None:
    made = recipe(words, words=("high", "low"), others="unseen")
    corpus = open_corpus(made, RATE)
    task = fold_task(made, corpus, 0)
    for split in ("train", "dev", "test"):
        assert labels(task.manifest.split(split)) == {"high", "low"}
    opened = task.tests["open"]
    assert Counter(row.label for row in opened) == {"high": 2, "low": 2, UNKNOWN: 4}
    assert {row.audio for row in task.tests["test"]} < {row.audio for row in opened}
    dropped = [row for row in task.manifest.ledger if "not among the words" in row.reason]
    assert len(dropped) + len(task.manifest) + 4 == len(corpus.manifest)
    assert {row.split for row in dropped} == {"train", "dev"}


def test_a_closed_set_refuses_strangers_by_its_thresholds(words: Path, tmp_path: Path) -> None:
    made = recipe(words, words=("high", "low"), others="unseen")
    task = fold_task(made, open_corpus(made, RATE), 0)
    outcome = run_trial(tmp_path, load_encoder(made.source), task, made.transfer, FitSettings(steps=2, evaluations=1))
    opened = outcome.scores["open"]
    assert {"detected_at_5", "detected_at_1", "false_accepts", "false_rejects", "eer"} <= set(opened.metrics)
    for row in opened.rows:
        assert row.hypothesis == UNKNOWN or row.hypothesis in (row.accepted or ())
    assert "detected_at_5" not in outcome.scores["test"].metrics


def test_speech_without_words_is_learnt_and_counted_apart(words: Path, speech: Path, tmp_path: Path) -> None:
    made = recipe(words, (str(speech),), windows=1)
    corpus = open_corpus(made, RATE)
    tested: Counter[str] = Counter()
    for fold in range(made.folds):
        task = fold_task(made, corpus, fold)
        assert task.negatives is not None
        tested.update(row.id for row in task.negatives)
        heard = {split: {row.audio for row in task.manifest.split(split)} for split in ("train", "dev")}
        assert not {row.audio for row in task.negatives} & (heard["train"] | heard["dev"])
        stretches = [row for row in task.manifest if row.audio.parent == speech]
        assert {row.label for row in stretches} == {UNKNOWN}
        assert {row.text for row in stretches} == {None}
        assert not {row.audio for row in stretches if row.split == "train"} & {
            row.audio for row in stretches if row.split == "dev"
        }
    assert set(tested.values()) == {1}
    assert len(tested) == 15
    outcome = run_trial(tmp_path, load_encoder(made.source), task, made.transfer, FitSettings(steps=2, evaluations=1))
    entry = outcome.metrics["negatives"]
    rate = entry["false_accepts_per_hour"]
    assert entry["hours"] == pytest.approx(sum(map(corpus.recordings.seconds, task.negatives)) / 3600)
    assert rate["value"] == pytest.approx(rate["count"] / entry["hours"])
    assert rate["high"] > rate["value"]


def test_windows_are_of_their_split_and_as_long_as_a_stream_is_scored_by(words: Path) -> None:
    made = recipe(words, windows=2)
    corpus = open_corpus(made, RATE)
    task = fold_task(made, corpus, 0)
    objective = task.objective()
    assert set(objective.settings()["labels"]) == {*WORDS, *RESERVED}
    window = objective.settings()["acceptance"]["window"]
    made_rows = [row for row in task.manifest if row.audio.parent.parent.name == "practice"]
    assert len(made_rows) > 30
    assert {corpus.recordings.seconds(row) for row in (*made_rows, *task.tests["windows"])} == {window}
    assert not {row.audio for row in task.tests["windows"]} & {row.audio for row in made_rows}


@pytest.mark.parametrize("count", [1, 3, 8])
def test_background_of_ones_own_is_heard_in_windows_alone(words: Path, tmp_path: Path, count: int) -> None:
    folder = shutil.copytree(words, tmp_path / "words")
    hum = 0.1 * np.sin(2 * np.pi * 5000 * np.arange(5 * RATE) / RATE)
    for number in range(count):
        write_wav(folder / "_silence_" / f"{number}.wav", hum * (1 + number), RATE)
    made = recipe(folder, windows=2)
    task = fold_task(made, open_corpus(made, RATE), 0)
    whole = [row for row in task.manifest if row.audio.parent.name == "_silence_"]
    assert {row.split for row in whole} <= {"test"}
    dropped = [row for row in task.manifest.ledger if "background of windows" in row.reason]
    assert len(whole) + len(dropped) == count
    assert task.objective().settings()["labels"] == sorted([*WORDS, *RESERVED])


def test_a_window_that_is_given_is_kept(words: Path) -> None:
    made = recipe(words, windows=1, window=1.3)
    assert fold_task(made, open_corpus(made, RATE), 0).objective().settings()["acceptance"]["window"] == 1.3


def test_a_word_that_is_left_without_a_recording_to_learn_from_is_named(words: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(words, tmp_path / "words")
    write_wav(folder / "solo" / "0.wav", 0.3 * np.sin(np.arange(5000) / 3), RATE)
    made = recipe(folder, windows=1)
    corpus = open_corpus(made, RATE)
    lost = [fold for fold in range(made.folds) if not _learns(made, corpus, fold)]
    assert lost
    with pytest.raises(DataError, match="left to learn 'solo' from"):
        fold_task(made, corpus, lost[0])


def _learns(made: Recipe, corpus: Corpus, fold: int) -> bool:
    try:
        fold_task(made, corpus, fold)
    except DataError:
        return False
    return True


def test_a_corpus_without_a_word_is_refused(tmp_path: Path) -> None:
    for label in RESERVED:
        for number in range(8):
            tone = 0.3 * np.sin(np.arange(5000 + 10 * number) / 3)
            write_wav(tmp_path / "words" / label / f"{number}.wav", tone, RATE)
    made = recipe(tmp_path / "words", windows=1)
    with pytest.raises(DataError, match="any word"):
        fold_task(made, open_corpus(made, RATE), 0)


def test_speech_that_holds_the_words_is_refused(words: Path, speech: Path, tmp_path: Path) -> None:
    made = recipe(words, (str(words),), windows=1)
    with pytest.raises(DataError, match="is labelled"):
        fold_task(made, open_corpus(made, RATE), 0)
    folder = shutil.copytree(speech, tmp_path / "speech")
    shutil.copy(words / "low" / "0.wav", folder / "3.wav")
    made = recipe(words, (str(folder),), windows=1)
    with pytest.raises(DataError, match=r"3\.wav is among the recordings of the words"):
        fold_task(made, open_corpus(made, RATE), 0)


def test_splits_of_speech_without_words_are_all_named_or_none(words: Path, speech: Path, tmp_path: Path) -> None:
    def listed(*splits: str | None) -> str:
        rows = [{"audio": str(speech / f"{k}.wav"), "split": split} for k, split in enumerate(splits)]
        path = tmp_path / "speech.jsonl"
        path.write_text("\n".join(json.dumps({k: v for k, v in row.items() if v}) for row in rows))
        return str(path)

    good = recipe(words, (listed("train", "train", "dev", "test"),), windows=1)
    roots = (str(speech),)
    task = fold_task(good, open_corpus(good, RATE, roots), 0)
    assert task.negatives is not None
    assert [row.audio.name for row in task.negatives] == ["3.wav"]
    for wrong in (("train", "dev", "dev"), ("train", "dev", "test", None)):
        made = recipe(words, (listed(*wrong),), windows=1)
        with pytest.raises(DataError, match="is missing"):
            fold_task(made, open_corpus(made, RATE, roots), 0)


@pytest.mark.parametrize(("voices", "known"), [(5, False), (2, True)])
def test_speech_without_words_is_cut_by_voice_where_there_are_enough(
    words: Path, speech: Path, tmp_path: Path, voices: int, known: bool
) -> None:
    # All say the one sentence.
    rows = [{"audio": str(speech / f"{k}.wav"), "text": "no", "speaker": f"s{k % voices}"} for k in range(15)]
    texts = [{**row, "text": f"sentence {k}"} for k, row in enumerate(rows)]
    path = tmp_path / "speech.jsonl"
    path.write_text("\n".join(map(json.dumps, texts if known else rows)))
    made = recipe(words, (str(path),), windows=1)
    task = fold_task(made, open_corpus(made, RATE, (str(speech),)), 0)
    assert task.negatives is not None
    learnt = {row.speaker for row in task.manifest if row.label == UNKNOWN and row.audio.parent == speech}
    assert bool({row.speaker for row in task.negatives} & learnt) is known
    assert ("speaker-dependent" in task.notes["negatives"]) is known


def test_a_word_without_a_recording_is_named(words: Path) -> None:
    made = recipe(words, words=("high", "hihg"))
    with pytest.raises(DataError, match="hihg: no recording has this label; the labels are high, low, middle, top"):
        fold_task(made, open_corpus(made, RATE), 0)


def test_too_little_speech_without_words_is_said(words: Path, speech: Path) -> None:
    made = recipe(words, windows=1)
    one = Manifest((Utterance(speech / "0.wav"),))
    manifest = fold_task(made, open_corpus(made, RATE), 0).manifest
    with pytest.raises(DataError):
        spotting(made, manifest, Recordings(RATE), one, 0)


@pytest.mark.parametrize(
    "wrong", [{"words": ("a", "a")}, {"words": ("_unknown_",)}, {"windows": -1}, {"window": 0.01}, {"others": "unseen"}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="keywords"):
        Keywords(**wrong)  # type: ignore[arg-type]


def test_a_recogniser_has_no_speech_without_words(words: Path) -> None:
    with pytest.raises(SettingsError, match="negatives"):
        Recipe("r", (str(words),), scratch=Scratch(folds=0), negatives=("x",))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"layers": ("layer0", "layer0")}, "name each block once"),
        ({"layers": ("layer0",), "loss": "triplet"}, "layers would do nothing: loss=triplet takes"),
        ({"rejection": "energy", "loss": "prototypes"}, "rejection would do nothing"),
        ({"pooling": "max", "dropout": 0.3, "loss": "match"}, "pooling, dropout would do nothing"),
        ({"hidden": (64,), "loss": "prototypes"}, "hidden would do nothing"),
        ({"margin": 0.2, "loss": "ntxent"}, "margin would do nothing"),
        ({"temperature": 0.2, "embedding": 64}, "embedding, temperature would do nothing"),
        ({"metric": "source", "loss": "siamese"}, "of loss=match alone"),
        ({"copies": 2}, "surroundings that change sound"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Keywords(**asked)


def test_surroundings_add_copies_to_learn_from_and_a_test(words: Path) -> None:
    noisy = Surroundings(noise=1.0)
    plain, made = recipe(words), recipe(words, surroundings=noisy, copies=2)
    before, after = (fold_task(one, open_corpus(one, RATE), 0) for one in (plain, made))
    count = {name: len(before.manifest.split(name)) for name in ("train", "dev", "test")}
    assert len(after.manifest.split("train")) == 3 * count["train"]
    assert {name: len(after.manifest.split(name)) for name in ("dev", "test")} == {
        name: count[name] for name in ("dev", "test")
    }
    heard = after.tests["surroundings"]
    assert len(heard) == count["test"]
    assert {row.group for row in heard} == {row.group or row.id for row in after.manifest.split("test")}
    alone = recipe(words, surroundings=noisy)
    task = fold_task(alone, open_corpus(alone, RATE), 0)
    assert len(task.manifest.split("train")) == count["train"]
    assert [row.audio for row in task.tests["surroundings"]] == [row.audio for row in heard]


def test_further_tests_have_the_words_of_the_run(words: Path) -> None:
    made = replace(recipe(words, words=("high", "low")), tests={"voices": str(words)})
    voices = fold_task(made, open_corpus(made, RATE), 0).tests["voices"]
    assert labels(voices) == {"high", "low", UNKNOWN}
    every = replace(made, keywords=Keywords())
    assert labels(fold_task(every, open_corpus(every, RATE), 0).tests["voices"]) == set(WORDS)


def test_what_windows_teach_is_what_other_words_of_further_tests_are(words: Path, tmp_path: Path) -> None:
    for word in ("high", "low"):
        shutil.copytree(words / word, tmp_path / "two" / word)
    made = replace(recipe(tmp_path / "two", windows=1), tests={"voices": str(tmp_path / "voices")})
    for name in WORDS:
        write_wav(tmp_path / "voices" / name / "0.wav", np.random.default_rng(0).normal(0, 0.1, RATE // 2), RATE)
    voices = fold_task(made, open_corpus(made, RATE), 0).tests["voices"]
    assert labels(voices) == {"high", "low", UNKNOWN}


@pytest.mark.parametrize(("task", "asked"), [("ctc", {"windows": 3}), ("grades", {"smoothing": 0.1})])
def test_settings_of_another_task_are_refused(task: Any, asked: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"{next(iter(asked))} would do nothing where the task is {task}"):
        Recipe("r", ("x",), task=task, keywords=Keywords(**asked))
    Recipe("r", ("x",), task="grades", keywords=Keywords(pooling="max", hidden=(8,)))
