"""Enrolment: a word from a few clips, other words' scores bit for bit as before, and a run that no crash breaks."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import RATE, WORDS, say_words, tone

from speechtransfer import checkpoint, cli
from speechtransfer.audio import Recordings, content_hash, write_wav
from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import load
from speechtransfer.defaults import defaults
from speechtransfer.evaluate import embed
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.objectives import Nearest
from speechtransfer.spotting import Keywords
from speechtransfer.tasks import fold_task, open_corpus

recipes = import_module("speechtransfer.recipe")


def spotter(folder: Path, words: Path, keywords: Keywords, cache: Path) -> Path:
    """A run of no steps (of one, where there is something to learn) on a tiny random encoder."""
    made = replace(
        replace(defaults(str(words), "many", "conformer", "eng", "keywords"), source="random:conformer"),
        run_folds=(0,),
        scratch=Scratch(folds=0),
        keywords=keywords,
    )
    steps = int(keywords.loss == "classify")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
        patch.setenv("SPEECHTRANSFER_CACHE", str(cache))
        settings = replace(made.settings, steps=steps, epochs=None, evaluations=1)
        torch.manual_seed(0)  # of the random encoder, whatever other tests drew before
        recipes.run(replace(made, settings=settings), folder)
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return say_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module", params=["prototypes", "match"])
def trained(words: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    home = tmp_path_factory.mktemp("spotter")
    return spotter(home / "run", words, Keywords(loss=request.param), home / "cache")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Three recordings of a word that is none of the run's."""
    draw = np.random.default_rng(5)
    return [tone(tmp_path / f"clip{take}.wav", 5000, draw) for take in range(3)]


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def objective(run: Path) -> Nearest:
    found = load(run).objective
    assert isinstance(found, Nearest)
    return found


def distances(run: Path, words: Path) -> torch.Tensor:
    model = load(run)
    rows = Manifest(tuple(Utterance(path) for path in sorted(words.rglob("*.wav"))))
    assert isinstance(model.objective, Nearest)
    return model.objective.distances(embed(model, rows, Recordings(RATE)))


def bytes_of(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def test_a_new_word_is_known_and_old_words_score_what_they_did(
    run: Path, clips: list[Path], words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, scale = distances(run, words), objective(run).scale
    assert call("enrol", run, "shrill", *clips) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:3]] == list(map(str, clips))
    assert "from shrill" in said[0] and "4 words" in said[3]
    after = distances(run, words)
    assert torch.equal(before, after[:, :3])
    new = objective(run)
    assert new.labels == (*sorted(WORDS), "shrill")
    assert int(new.clips[3]) == 3
    assert torch.equal(new.scale, scale)
    assert call("transcribe", run, clips[0]) == 0
    assert capsys.readouterr().out.strip().endswith("shrill")
    assert {content_hash(path) for path in clips} <= load(run).encoder.card.audio


def test_enrolling_the_training_clips_gives_the_word_of_training(run: Path, words: Path) -> None:
    usual = replace(defaults(str(words), "many", "conformer", "eng", "keywords"), source="random:conformer")
    made = replace(usual, keywords=Keywords())
    train = fold_task(made, open_corpus(made, RATE), 0).manifest.split("train")
    own = [row.audio for row in train if row.label == "low"]
    assert call("enrol", run, "deep", *own) == 0
    found, places = distances(run, words), objective(run).labels
    assert torch.allclose(found[:, places.index("low")], found[:, places.index("deep")], atol=1e-5)


def test_a_metric_goes_from_one_run_to_another_by_command(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is trained, and no option but the two that say so is needed."""
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    first, second = tmp_path / "first", tmp_path / "second"
    match = ("--task", "keywords", "--set", "keywords.loss=match")
    assert call("adapt", words, "--source", "random:conformer", "--out", first, *match) == 0
    assert call("adapt", words, "--source", first, "--out", second, *match, "keywords.metric=source") == 0
    one, two = (objective(run).heads["project"] for run in (first, second))
    assert torch.equal(one.weight, two.weight) and torch.equal(one.bias, two.bias)
    assert json.loads((second / "metrics.json").read_text())["steps"] == 0
    third = tmp_path / "third"
    for asked in (("--steps", "3"), ("--baseline", "scratch")):
        assert call("adapt", words, "--source", first, "--out", third, *asked, *match) == 1
        assert not (third / "metrics.json").exists()
    capsys.readouterr()
    assert call("plan", words, "--source", "random:conformer", *match) == 0
    assert "forecast: 0 steps" in capsys.readouterr().out


def test_a_copy_leaves_the_run_alone(run: Path, clips: list[Path], tmp_path: Path) -> None:
    before = bytes_of(run)
    out = tmp_path / "further" / "copy"
    assert call("enrol", run, "shrill", *clips, "--out", out) == 0
    assert bytes_of(run) == before
    assert objective(out).labels[-1] == "shrill"
    assert bytes_of(out).keys() == before.keys()
    assert [path.name for path in out.parent.iterdir()] == ["copy"]


def test_a_word_is_made_anew_only_where_that_is_asked(
    run: Path, clips: list[Path], words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, old = bytes_of(run), distances(run, words)
    assert call("enrol", run, "low", *clips) == 1
    assert "Give --replace" in capsys.readouterr().err
    assert call("enrol", run, "shrill", *clips, "--replace") == 1
    assert "leave out --replace" in capsys.readouterr().err
    assert bytes_of(run) == before
    assert call("enrol", run, "low", *clips, "--replace") == 0
    place = objective(run).labels.index("low")
    others = [index for index in range(3) if index != place]
    new = distances(run, words)
    assert torch.equal(old[:, others], new[:, others])
    assert not torch.equal(old[:, place], new[:, place])


def test_a_clip_of_another_word_is_warned_of(
    run: Path, clips: list[Path], words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("enrol", run, "shrill", *clips, words / "low" / "eva_0.wav") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "warning: nearer to low" in lines[3]
    assert not any("warning" in line for line in lines[:3])


@pytest.mark.parametrize(
    ("word", "count", "says"),
    [
        ("_unknown_", 1, "cannot be a word"),
        ("_silence_", 1, "cannot be a word"),
        (" ", 1, "cannot be a word"),
        ("two\nlines", 1, "cannot be a word: it holds a line break"),
        ("a\tb", 1, "a tab"),
        ("shrill", 21, "21 recordings; give 1 to 20"),
    ],
)
def test_what_cannot_be_a_word_is_refused(
    run: Path, clips: list[Path], capsys: pytest.CaptureFixture[str], word: str, count: int, says: str
) -> None:
    before = bytes_of(run)
    assert call("enrol", run, word, *(clips * 7)[:count]) == 1
    assert says in capsys.readouterr().err
    assert bytes_of(run) == before


@pytest.mark.parametrize("defect", ["silent", "not sound", "missing", "folder", "twice", "too short", "out is there"])
def test_a_clip_that_cannot_be_used_changes_nothing(
    run: Path, clips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], defect: str
) -> None:
    bad, more = tmp_path / "bad.wav", ()
    if defect == "silent":
        write_wav(bad, np.zeros(RATE), RATE)
    elif defect == "not sound":
        bad.write_text("this is a text")
    elif defect == "folder":
        bad.mkdir()
    elif defect == "twice":
        shutil.copy(clips[0], bad)
    elif defect == "too short":
        write_wav(bad, np.full(9, 0.1), RATE)
    elif defect == "out is there":
        shutil.copy(clips.pop(), bad)
        more = ("--out", str(tmp_path))  # type: ignore[assignment]
    before = bytes_of(run)
    assert call("enrol", run, "shrill", *clips, bad, *more) == 1
    message = capsys.readouterr().err
    assert str(tmp_path if more else bad) in message
    assert "Traceback" not in message
    assert bytes_of(run) == before


def test_a_run_without_prototypes_says_what_can_enrol(
    words: Path, clips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = spotter(tmp_path / "closed", words, Keywords(), tmp_path / "cache")
    capsys.readouterr()
    assert call("enrol", made, "shrill", *clips) == 1
    assert "keywords.loss=prototypes" in capsys.readouterr().err


class OutageError(Exception):
    """What takes the program down."""


@pytest.mark.parametrize("at", ["encoder.json", "model.safetensors", "objective.json"])
def test_after_a_crash_the_run_is_the_old_one_or_the_new_one(
    run: Path, clips: list[Path], words: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The power fails just before one of the files is written."""
    old = distances(run, words)

    def failing(path: Path, *given: object) -> None:
        if path.name == at:
            raise OutageError
        writers[path.suffix](path, *given)

    def renaming(one: Path, other: Path) -> None:
        if Path(other).name == at:
            raise OutageError
        rename(one, other)

    writers = {".json": checkpoint.write_json, ".safetensors": checkpoint.write_tensors}
    rename = os.replace
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_json", failing)
        patch.setattr(checkpoint, "write_tensors", failing)
        if at == "objective.json":
            patch.setattr(os, "replace", renaming)
        with pytest.raises(OutageError):
            cli.main(["enrol", str(run), "shrill", *map(str, clips)])
    after = distances(run, words)
    assert torch.equal(old, after[:, :3])
    known = objective(run).labels
    assert known == ((*sorted(WORDS), "shrill") if at == "objective.json" else tuple(sorted(WORDS)))
    word = "piercing"
    assert call("enrol", run, word, *clips) == 0
    assert objective(run).labels == (*known, word)
    assert json.loads((run / "objective.json").read_text())["labels"] == [*known, word]
    assert not (run / "objective.next.json").exists()


def test_a_word_longer_than_the_window_is_warned_of(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = objective(run).acceptance.window
    assert window is not None
    draw, short, long = np.random.default_rng(5), tmp_path / "short.wav", tmp_path / "long.wav"
    tone(short, 5000, draw)
    write_wav(long, 0.3 * draw.standard_normal(round(2 * window * RATE)), RATE)
    assert call("enrol", run, "brief", short) == 0
    assert "warning" not in capsys.readouterr().out
    assert call("enrol", run, "lengthy", long) == 0
    assert f"lengthy lasts {2 * window:.1f} s" in capsys.readouterr().out.replace("\n", " ")


def test_a_word_is_known_however_its_accents_are_written(
    run: Path, clips: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("enrol", run, unicodedata.normalize("NFC", "café"), clips[0]) == 0
    assert call("enrol", run, unicodedata.normalize("NFD", "café"), clips[1]) == 1
    assert "is one of the run's words already" in capsys.readouterr().err
