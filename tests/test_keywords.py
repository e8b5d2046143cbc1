"""Spotters end to end on tones in class folders: splits that hold every word, speakers by pattern, honest scores."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from clips import RATE, SPEAKERS, WORDS, say_words

from speechtransfer import cli
from speechtransfer.baseline import Scratch
from speechtransfer.batches import BatchSettings
from speechtransfer.checkpoint import load
from speechtransfer.defaults import defaults
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.files import read_lines
from speechtransfer.objectives import Classify, Contrast
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings, MaskSettings
from speechtransfer.sources import load_encoder
from speechtransfer.spotting import Keywords
from speechtransfer.tasks import fold_task, open_corpus
from speechtransfer.trial import Outcome

recipes, baseline = (import_module(f"speechtransfer.{name}") for name in ("recipe", "baseline"))


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Drawing takes longer than these trainings."""
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))  # where activations are kept


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return say_words(tmp_path_factory.mktemp("words"))


def recipe(words: Path, **values: object) -> Recipe:
    """The words alone; tests/test_spotting.py and tests/test_spot.py have what stands between them."""
    usual = replace(defaults(str(words), "many", "conformer", "eng", "keywords"), source="random:conformer")
    return replace(usual, **{"keywords": Keywords(), **values})


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_every_split_of_every_fold_holds_every_word(words: Path) -> None:
    made = recipe(words)
    corpus = open_corpus(made, RATE)
    tested: Counter[str] = Counter()
    for fold in range(made.folds):
        manifest = fold_task(made, corpus, fold).manifest
        for split in ("train", "dev", "test"):
            assert {row.label for row in manifest.split(split)} == set(WORDS)
        tested.update(row.id for row in manifest.split("test"))
    assert set(tested.values()) == {1}
    assert len(tested) == len(corpus.manifest)


def test_speakers_are_found_in_paths_and_never_cross_splits(words: Path) -> None:
    made = recipe(words, speaker_pattern=r"/(\w+)_\d\.wav$")
    corpus = open_corpus(made, RATE)
    assert set(corpus.manifest.speakers) == set(SPEAKERS)
    task = fold_task(made, corpus, 0)
    heard = [{row.speaker for row in task.manifest.split(split)} for split in ("train", "dev", "test")]
    assert not heard[0] & heard[1] | heard[0] & heard[2] | heard[1] & heard[2]
    assert task.notes == {"test": ()}
    assert fold_task(recipe(words), open_corpus(recipe(words), RATE), 0).notes == {"test": ("speaker-dependent",)}


def test_one_sound_under_two_names_stays_in_one_split(words: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(words, tmp_path / "copy")
    twins = [(folder / word / "anna_0.wav", folder / word / "twin.wav") for word in WORDS]
    for one, other in twins:
        shutil.copy(one, other)
    made = recipe(folder)
    for fold in range(made.folds):
        split = {row.audio: row.split for row in fold_task(made, open_corpus(made, RATE), fold).manifest}
        assert all(split[one] == split[other] for one, other in twins)


def test_labels_come_from_training_rows_alone(words: Path) -> None:
    made = recipe(words)
    task = fold_task(made, open_corpus(made, RATE), 0)
    objective = task.objective()
    assert isinstance(objective, Classify)
    assert objective.labels == tuple(sorted(WORDS))
    assert objective.weights is not None


@pytest.mark.parametrize(("pattern", "says"), [("(", "no regular expression"), (r"\w+", "no group")])
def test_a_pattern_that_can_find_no_speaker_is_refused(words: Path, pattern: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        recipe(words, speaker_pattern=pattern)


def test_a_path_without_a_speaker_is_named(words: Path) -> None:
    with pytest.raises(DataError, match=r"anna_0\.wav: the speaker pattern"):
        open_corpus(recipe(words, speaker_pattern=r"speaker-(\w+)"), RATE)


def test_a_spotter_is_trained_scored_and_loaded(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ("adapt", words, "--task", "keywords", "--source", "random:conformer", "--out", out)
    closed = ("keywords.windows=0", "scratch.rates=1e-3")
    training = ("--baseline", "scratch", "--set", *closed, "scratch.factor=1", "settings.epochs=4")
    assert call(*command, "--speaker-pattern", r"/(\w+)_\d\.wav$", *training) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "accuracy" in said
    assert "macro F1" in said
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["task"] == "keywords"
    assert "unseen_floor" not in metrics
    assert metrics["verdict"]["metric"] == "accuracy"
    test, scratch = metrics["test"]["accuracy"], metrics["baselines"]["scratch"]["test"]["accuracy"]
    assert test["count"] == scratch["count"] == len(read_lines(out / "predictions" / "test.jsonl"))
    assert 0 <= test["low"] <= test["value"] <= test["high"] <= 1
    model = load(out)
    assert isinstance(model.objective, Classify)
    assert model.objective.labels == tuple(sorted(WORDS))
    assert call("score", out, words) == 0
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("loss", ["prototypes", "triplet", "ntxent", "siamese"])
def test_a_spotter_that_compares_clips_is_trained_resumed_and_loaded(
    words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], loss: str
) -> None:
    out = tmp_path / "run"
    command = ("adapt", words, "--task", "keywords", "--source", "random:conformer", "--out", out)
    training = ("--set", f"keywords.loss={loss}", "settings.epochs=2", "settings.evaluations=2")
    assert call(*command, *training) == 0
    made = json.loads((out / "recipe.json").read_text())
    assert made["settings"]["batches"]["episode"] == [10, 4]
    assert json.loads((out / "objective.json").read_text())["loss"] == loss
    before = (out / "model.safetensors").read_bytes()
    assert call(*command, *training, "--resume") == 0
    assert (out / "model.safetensors").read_bytes() == before
    model = load(out)
    assert isinstance(model.objective, Contrast)
    assert model.objective.labels == tuple(sorted(WORDS))
    learnt = fold_task(recipe(words), open_corpus(recipe(words), RATE), 0).manifest.split("train")
    counted = Counter(row.label for row in learnt)
    assert model.objective.clips.tolist() == [counted[word] for word in sorted(WORDS)]
    capsys.readouterr()
    assert call("score", out, words) == 0
    assert "accuracy" in capsys.readouterr().out
    assert call("transcribe", out, words / "low" / "anna_0.wav", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["text"] in WORDS and 0 < said["confidence"] <= 1


def test_prototypes_of_a_frozen_encoder_need_no_step(words: Path, tmp_path: Path) -> None:
    made = recipe(words, run_folds=(0,), scratch=Scratch(folds=0), keywords=Keywords(loss="prototypes"))
    made = replace(made, settings=replace(made.settings, steps=0, epochs=None))
    encoder = load_encoder("random:conformer")
    outcome = recipes.run(made, tmp_path / "run", encoder)
    assert outcome.metrics["steps"] == outcome.metrics["best_step"] == 0
    (row,) = read_lines(tmp_path / "run" / "history.jsonl")
    assert row["loss"] is None
    model = load(tmp_path / "run")
    assert isinstance(model.objective, Contrast)
    assert int(model.objective.clips.min()) > 0
    aloud = replace(made, settings=replace(made.settings, cache=False))
    heard = recipes.run(aloud, tmp_path / "aloud", encoder)
    assert [row.hypothesis for row in heard.scores["test"].rows] == [
        row.hypothesis for row in outcome.scores["test"].rows
    ]
    other = load(tmp_path / "aloud").objective
    assert isinstance(other, Contrast)
    assert torch.allclose(other.prototypes, model.objective.prototypes, atol=1e-4)


@pytest.mark.parametrize("loss", ["prototypes", "triplet"])
def test_comparing_cached_activations_is_comparing_sound(words: Path, tmp_path: Path, loss: str) -> None:
    made = recipe(words, run_folds=(0,), scratch=Scratch(folds=0), keywords=Keywords(loss=loss, dropout=0.0))  # type: ignore[arg-type]
    batches, encoder = replace(made.settings.batches, episode=(3, 4)), load_encoder("random:conformer")
    for cache in (True, False):
        settings = replace(made.settings, steps=4, epochs=None, evaluations=1, batches=batches, cache=cache)
        recipes.run(replace(made, settings=settings), tmp_path / str(cache), encoder)
    one, two = (load(tmp_path / str(cache)) for cache in (True, False))
    for name, value in one.state_dict().items():
        assert torch.allclose(value.float(), two.state_dict()[name].float(), atol=1e-3), name
    heard = [read_lines(tmp_path / str(cache) / "predictions" / "test.jsonl") for cache in (True, False)]
    assert [line["hypothesis"] for line in heard[0]] == [line["hypothesis"] for line in heard[1]]


def test_frozen_is_the_default_and_letters_are_not_grafted(words: Path) -> None:
    made = recipe(words)
    assert made.transfer.graft == "fresh"
    assert [rule.scale for rule in made.transfer.rules] == [0.0, 1.0]
    assert made.settings.cache
    assert not made.settings.batches.changes


def test_scratch_learns_from_changed_sound_where_the_frozen_encoder_is_cached(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[FitSettings] = []
    trial = recipes.run_trial

    def watched(*given: Any, **named: Any) -> Outcome:
        seen.append(next(one for one in given if isinstance(one, FitSettings)))
        return trial(*given, **named)

    for module in (recipes, baseline):
        monkeypatch.setattr(module, "run_trial", watched)
    made = recipe(words, run_folds=(0,), scratch=Scratch(rates=(1e-3,), factor=1.0, folds=1))
    recipes.run(replace(made, settings=replace(made.settings, steps=2, epochs=None)), tmp_path / "run")
    transfer, scratch = seen
    assert transfer.cache
    assert not scratch.cache
    assert scratch.batches.speeds == BatchSettings().speeds
    assert scratch.masks == MaskSettings()
    assert list((tmp_path / "cache" / "activations").iterdir())


def test_every_draw_takes_other_recordings_of_the_same_folds(words: Path, tmp_path: Path) -> None:
    made = recipe(words, train_clips=1, draws=3, run_folds=(1,), scratch=Scratch(folds=0))
    corpus = open_corpus(made, RATE)
    drawn = [fold_task(made, corpus, number).manifest for number in (1, 6, 11)]
    assert {manifest.split("test").fingerprint() for manifest in drawn} == {drawn[0].split("test").fingerprint()}
    taken = [frozenset(row.id for row in manifest.split("train")) for manifest in drawn]
    assert all(len(one) == len(WORDS) for one in taken)
    assert len(set(taken)) == 3
    quick = replace(made, settings=replace(made.settings, steps=2, epochs=None, evaluations=1))
    outcome = recipes.run(quick, tmp_path / "run", corpus=corpus)
    assert (outcome.metrics["folds"], outcome.metrics["draws"]) == (1, 3)
    tested = len(drawn[0].split("test"))
    assert outcome.scores["test"]["accuracy"].count == tested
    assert len(read_lines(tmp_path / "run" / "predictions" / "test.jsonl")) == tested
    assert sorted(path.name for path in (tmp_path / "run" / "folds").iterdir()) == ["1", "11", "6"]
    # The frozen encoder heard every recording once.
    assert len(list((tmp_path / "cache" / "activations").iterdir())) == 1


def test_every_draw_takes_other_people_who_said_every_word(words: Path) -> None:
    named = {"speaker_pattern": r"/([a-z]+)_\d+\.wav$", "split_by": "prompt"}
    made = recipe(words, train_speakers=1, draws=8, run_folds=(1,), scratch=Scratch(folds=0), **named)
    corpus = open_corpus(made, RATE)
    taken = [fold_task(made, corpus, number).manifest.split("train") for number in range(1, 40, 5)]
    assert all(len(one.speakers) == 1 and {row.label for row in one} == set(WORDS) for one in taken)
    assert len({one.speakers for one in taken}) > 1
    with pytest.raises(SettingsError, match="two amounts"):
        recipe(words, train_speakers=1, train_clips=1)
    with pytest.raises(SettingsError, match="train_speakers=0"):
        recipe(words, train_speakers=0)


def test_draws_of_everything_are_refused(words: Path) -> None:
    with pytest.raises(SettingsError, match="draws=2"):
        recipe(words, draws=2)
    with pytest.raises(SettingsError, match="draws=0"):
        recipe(words, draws=0, train_clips=1)


def test_the_baseline_of_several_draws_is_of_the_first(words: Path, tmp_path: Path) -> None:
    made = recipe(words, train_clips=1, draws=2, folds=3, scratch=Scratch(rates=(1e-3,), factor=1.0, folds=5))
    quick = replace(made, settings=replace(made.settings, steps=2, epochs=None, evaluations=1))
    outcome = recipes.run(quick, tmp_path / "run")
    assert outcome.metrics["baselines"]["scratch"]["folds"] == 3
    assert outcome.metrics["verdict"]["metric"] == "accuracy"


def test_without_training_there_is_no_baseline_from_scratch(words: Path) -> None:
    made = recipe(words, scratch=Scratch(folds=0))
    still = replace(made.settings, steps=0, epochs=None)
    replace(made, settings=still)
    with pytest.raises(SettingsError, match="no fair baseline"):
        replace(made, settings=still, scratch=Scratch(folds=1))
