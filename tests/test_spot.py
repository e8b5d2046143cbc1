"""Spotting by command: words in files, a corpus and standard input; false accepts an hour and what supports them."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from speechtransfer import cli
from speechtransfer.audio import read, write_wav
from speechtransfer.batches import item_seed
from speechtransfer.checkpoint import load, save
from speechtransfer.files import read_lines
from speechtransfer.manifest import RESERVED
from speechtransfer.objectives import Classify, Ctc
from speechtransfer.sources import load_encoder
from speechtransfer.stream import Windows
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary

RATE = 16_000
WORDS = {"high": 2000, "low": 300}


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def tone(hertz: int, draw: np.random.Generator) -> np.ndarray:
    time = np.arange(int(draw.uniform(0.3, 0.4) * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * hertz * time) + 0.003 * draw.standard_normal(len(time))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spotter of two synthetic words, with windows of made-up streams."""
    folder = tmp_path_factory.mktemp("spotter")
    draw = np.random.default_rng(0)
    for word, hertz in WORDS.items():
        for number in range(20):
            write_wav(folder / "words" / word / f"{number}.wav", tone(hertz, draw), RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECHTRANSFER_CACHE", str(folder / "cache"))
        patch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
        # Draws follow names, and this folder has another name in every session of tests.
        patch.setattr(
            "speechtransfer.practice.item_seed",
            lambda seed, number, name: item_seed(seed, number, str(Path(name).relative_to(folder))),
        )
        torch.manual_seed(0)
        # Frozen, as what is given as a run is: what it learns must not depend on draws by this folder's name.
        model, _ = Transfer().apply(load_encoder("random:conformer"), Ctc(Vocabulary(("a",))))
        save(model, folder / "source")
        command = ("adapt", folder / "words", "--task", "keywords", "--source", folder / "source", "--out")
        settings = ("keywords.windows=6", "keywords.hidden=64", "settings.epochs=60")
        assert call(*command, folder / "run", "--set", *settings) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """high, low, low, high, two seconds apart and in faint noise."""
    draw = np.random.default_rng(1)
    pieces = []
    for word in ("high", "low", "low", "high"):
        pieces += [np.zeros(2 * RATE), tone(WORDS[word], draw)]
    wave = np.concatenate([*pieces, np.zeros(RATE)])
    path = tmp_path_factory.mktemp("stream") / "a.wav"
    write_wav(path, wave + 0.002 * draw.standard_normal(len(wave)), RATE)
    return path


def test_windows_teach_what_is_no_word(run: Path) -> None:
    objective = load(run).objective
    assert isinstance(objective, Classify)
    assert set(objective.labels) == {*WORDS, *RESERVED}
    assert objective.words == tuple(sorted(WORDS))
    assert set(objective.acceptance.thresholds) == set(WORDS)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["acceptance"]["window"] == objective.acceptance.window
    assert metrics["test"]["accuracy"]["count"] < metrics["windows"]["accuracy"]["count"]
    assert {"eer", "false_rejects", "false_accepts"} <= metrics["windows"].keys()
    assert {row["reference"] for row in read_lines(run / "predictions" / "test.jsonl")} == set(WORDS)


def test_words_are_heard_once_where_they_are_said(run: Path, stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("spot", run, stream, "--json", "--threshold", "0.3") == 0
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.out.splitlines()]
    assert [event["word"] for event in events] == ["high", "low", "low", "high"]
    ends = np.cumsum([2.0 + 0.35] * 4)
    assert np.abs(np.array([event["time"] for event in events]) - ends).max() < 1.0
    assert all(event["audio"] == str(stream) for event in events)
    assert "4 events in 10." in printed.err


def test_words_that_are_asked_for_are_told_of_alone(
    run: Path, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert call("spot", run, stream, "--threshold", "0.3") == 0
    everything = capsys.readouterr().out.splitlines()
    assert call("spot", run, stream, "--threshold", "0.3", "--words", "low,") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [line for line in everything if line.split("\t")[2] == "low"]
    assert "2 events in 10." in printed.err
    assert call("spot", run, stream, "--words", "low", "shrill") == 1
    assert "--words shrill" in (said := capsys.readouterr().err) and "spots high, low" in said


def test_files_and_both_kinds_of_standard_input_say_the_same(
    run: Path, stream: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wave = read(stream, RATE)
    held = io.BytesIO()
    soundfile.write(held, wave, RATE, format="FLAC")
    bare = np.round(wave * 32768).astype("<i2").tobytes()
    said = []
    for data, arguments in ((b"", (stream,)), (held.getvalue(), ("-",)), (bare, ("-", "--raw", RATE))):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        capsys.readouterr()
        assert call("spot", run, *map(str, arguments), "--threshold", "0.3") == 0
        said.append([line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()])
    assert len(said[0]) == 4
    assert said[0] == said[1] == said[2]


def test_a_corpus_is_heard_recording_by_recording(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("spot", run, run.parent / "words", "--threshold", "0.3") == 0
    printed = capsys.readouterr()
    lines = [line.split("\t") for line in printed.out.splitlines()]
    assert len(lines) >= 36
    assert sum(Path(line[0]).parent.name == line[2] for line in lines) >= 36
    assert "read as" in printed.err


def test_false_accepts_are_counted_with_their_bound(
    run: Path, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "quiet.wav", 0.002 * np.random.default_rng(0).standard_normal(36 * RATE), RATE)
    capsys.readouterr()
    assert call("spot", run, tmp_path / "quiet.wav", "--absent", "--threshold", "0.9") == 0
    told = capsys.readouterr().err
    assert "false accepts: 0 in 0.010 hours, 0.00 an hour; with 95% certainty fewer than 299.57" in told
    assert "--threshold 0.5        0 events, 0.00 an hour" in told
    assert call("spot", run, stream, "--absent", "--threshold", "0.3") == 0
    assert "false accepts: 4 in 0.003 hours" in capsys.readouterr().err


def test_what_another_threshold_would_have_given_is_what_it_gives(
    run: Path, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for words in ((), ("--words", "low")):
        capsys.readouterr()
        assert call("spot", run, stream, "--absent", *words) == 0
        told = re.findall(r"--threshold (\S+) +(\d+) events, (\S+) an hour", capsys.readouterr().err)
        assert len(told) == 8
        for threshold, events, _ in told:
            assert call("spot", run, stream, "--absent", "--threshold", threshold, *words) == 0
            assert f"false accepts: {events} in 0.003 hours" in capsys.readouterr().err
        found[words] = [int(events) for _, events, _ in told]
    assert max(found[()]) > max(found["--words", "low"]) > 0


def test_a_claim_that_the_hours_cannot_support_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "quiet.wav", 0.002 * np.random.default_rng(0).standard_normal(36 * RATE), RATE)
    command = ("spot", run, tmp_path / "quiet.wav", "--absent", "--threshold", "0.9", "--claim")
    assert call(*command, "1") == 1
    assert "With as many, that needs 3.0 hours" in capsys.readouterr().err
    assert call(*command, "300") == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "one of them"),
        (("a.wav", "--microphone"), "one of them"),
        (("a.wav", "--raw", "16000"), "--raw is about standard input"),
        (("a.wav", "--claim", "1"), "--absent"),
        (("a.wav", "--hop", "9"), "longer than a window"),
        (("a.wav", "--hop", "0"), "hop=0"),
        (("missing.wav",), "missing.wav: no such file"),
        (("a.wav", "--absent", "--claim", "0"), "Claim a rate above 0"),
    ],
)
def test_a_wrong_request_is_said(
    run: Path, stream: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    given = [str(stream) if one == "a.wav" else one for one in arguments]
    assert call("spot", run, *given) == 1
    assert says in capsys.readouterr().err


def test_a_manifest_is_a_corpus(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"audio": f"words/high/{number}.wav", "label": "high"} for number in range(4)]
    path = run.parent / "some.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    capsys.readouterr()
    assert call("spot", run, path, "--threshold", "0.3") == 0
    assert "read as" in capsys.readouterr().err


def test_no_sound_at_all_is_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    assert call("spot", run, "-", "--raw", "16000") == 1
    assert "no sound to listen to" in capsys.readouterr().err


def test_a_microphone_that_is_interrupted_is_told_as_any_sound(
    run: Path, stream: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def heard(rate: int) -> Iterator[np.ndarray]:
        yield from np.array_split(read(stream, rate), 50)
        raise KeyboardInterrupt

    monkeypatch.setattr("speechtransfer.actions.spot.from_microphone", heard)
    capsys.readouterr()
    assert call("spot", run, "--microphone", "--absent", "--threshold", "0.3") == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 4
    assert "false accepts: 4 in 0.003 hours" in printed.err


def test_an_interruption_while_it_is_scored_loses_nothing_that_was_heard(
    run: Path, stream: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored, calls = Windows._score, []

    def interrupted(windows: Windows, waves: np.ndarray) -> list[list[float]]:
        calls.append(len(waves))
        if len(calls) == 20:
            raise KeyboardInterrupt
        return scored(windows, waves)

    monkeypatch.setattr(Windows, "_score", interrupted)
    monkeypatch.setattr(
        "speechtransfer.actions.spot.from_microphone", lambda rate: iter(np.array_split(read(stream, rate), 50))
    )
    capsys.readouterr()
    assert call("spot", run, "--microphone", "--absent", "--threshold", "0.3") == 0
    assert "false accepts: " in capsys.readouterr().err
    assert len(calls) == 21  # the end of what was heard until then


def test_what_is_shorter_than_a_window_is_heard_when_it_is_interrupted(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def heard(rate: int) -> Iterator[np.ndarray]:
        yield tone(WORDS["high"], np.random.default_rng(1)).astype(np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr("speechtransfer.actions.spot.from_microphone", heard)
    capsys.readouterr()
    assert call("spot", run, "--microphone", "--threshold", "0.01") == 0
    assert "high" in capsys.readouterr().out


def test_scored_on_other_words_they_count_as_unknown(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng(3)
    for word, hertz in (("high", 2000), ("cat", 900)):
        for number in range(3):
            write_wav(tmp_path / word / f"{number}.wav", tone(hertz, draw), RATE)
    assert call("score", run, tmp_path, "--out", tmp_path / "scored.jsonl") == 0
    assert "3 utterances are of no word of the run's and count as _unknown_: cat" in capsys.readouterr().out
    assert {row["reference"] for row in read_lines(tmp_path / "scored.jsonl")} == {"high", "_unknown_"}


def test_a_run_of_several_folds_says_which_to_name(
    run: Path, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "many" / "folds" / "0")
    assert call("spot", tmp_path / "many", stream) == 1
    assert "holds a model for each fold" in capsys.readouterr().err
