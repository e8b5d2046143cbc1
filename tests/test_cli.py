"""The command line on good data and on data with one defect: a message or a ledger row, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import say_words

from speechtransfer import cli
from speechtransfer.actions.train import _folder, _overridden
from speechtransfer.checkpoint import save
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.objectives import Ctc, Sum
from speechtransfer.recipe import Recipe
from speechtransfer.spotting import Keywords
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
VICTIM = "clips/03.wav"
LETTERS = {"eng": "abcdefghijklmnopqrstuvwxyz '", "ell": "αβγδεζ "}


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these trainings; one test here draws, the others say nothing about pictures."""
    if "whole_run_folder" not in request.node.name:
        monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a tiny conformer that knows the letters a to e."""
    folder = tmp_path_factory.mktemp("source")
    tiny = Conformer(ConformerSettings(width=16, layers=1, heads=2, kernel=3, expansion=2))
    model, _ = Transfer().apply(tiny, Ctc(Vocabulary.from_texts(["a bade"])))
    save(model, folder)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The synthetic speech as 16-bit WAV with a metadata.csv."""
    folder = tmp_path / "corpus"
    (folder / "clips").mkdir(parents=True)
    for clip in sorted((SYNTHETIC / "clips").glob("*.ogg"))[:14]:
        wave, rate = soundfile.read(clip)
        soundfile.write(folder / "clips" / f"{clip.stem}.wav", wave, rate)
    lines = (SYNTHETIC / "metadata.csv").read_text().replace(".ogg", ".wav").splitlines()[:15]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def adapt(corpus: Path, source: Path, out: Path, *more: str) -> int:
    return call("adapt", corpus, "--source", source, "--out", out, "--steps", "1", "--set", "folds=2", *more)


def test_the_good_corpus_gives_a_whole_run_folder(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert adapt(corpus, source, out, "--baseline", "scratch", "--set", "scratch.rates=1e-3", "folds=2") == 0
    said = capsys.readouterr().out
    assert "report.html" in said
    assert said.count("heard:") == 3
    names = "model.safetensors encoder.json objective.json recipe.json plan.json history.jsonl metrics.json"
    for name in [*names.split(), "ledger.jsonl", "report.html", "README.md", "predictions/test.jsonl"]:
        assert (out / name).is_file(), name
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["cer"]["low"] <= metrics["test"]["cer"]["value"] <= metrics["test"]["cer"]["high"]
    assert metrics["baselines"]["scratch"]["test"]["cer"]["count"] == metrics["test"]["cer"]["count"]
    assert "speaker-dependent" in metrics["test"]["notes"]
    assert metrics["padding_waste"] <= 0.02
    assert (out / "ledger.jsonl").read_text() == ""

    before = {path: path.read_bytes() for path in out.rglob("*.safetensors")}
    assert adapt(corpus, source, out) == 1
    assert "--resume" in capsys.readouterr().err
    assert (
        adapt(corpus, source, out, "--resume", "--baseline", "scratch", "--set", "scratch.rates=1e-3", "folds=2") == 0
    )
    assert before == {path: path.read_bytes() for path in out.rglob("*.safetensors")}

    capsys.readouterr()
    assert call("transcribe", out, corpus / VICTIM, "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"audio", "text", "confidence"}
    good, bad = corpus / VICTIM, tmp_path / "bad.wav"
    bad.write_text("no sound")
    assert call("transcribe", out, bad, good) == 1  # the others are heard all the same
    told = capsys.readouterr()
    assert told.out.startswith(f"{good}\t")
    assert str(bad) in told.err and "1 of 2 files could not be read" in told.err
    assert call("transcribe", out, bad) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert call("score", out, corpus) == 0
    assert "contaminated" in capsys.readouterr().out
    assert call("report", out) == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--set", "source=random:conformer"), "give --source in its place"),
        (("--set", "task=keywords"), "give --task in its place"),
        (("--amounts", "0.05", "500"), "500 minutes are wanted"),
        (("--set", "settings.patience=-1"), "patience=-1 must be zero or more"),
        (("--set", "settings.clip=-1"), "clip=-1.0 must be zero or more"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: Sequence[str], says: str
) -> None:
    assert call("adapt", corpus, "--source", source, "--out", tmp_path / "run", "--steps", "1", *asked) == 1
    assert says in capsys.readouterr().err.replace("\n", " ")
    assert not [*tmp_path.rglob("history.jsonl")]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


def _rewrite(change: Callable[[np.ndarray], np.ndarray], subtype: str, factor: float = 1.0) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        wave, rate = soundfile.read(path)
        soundfile.write(path, change(wave), round(rate * factor), subtype=subtype)

    return rewrite


UNUSABLE: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "empty file": lambda path: path.write_bytes(b""),
    "no samples": _rewrite(lambda wave: wave[:0], "PCM_16"),
    "silent": _rewrite(np.zeros_like, "PCM_16"),
    "NaN": _rewrite(lambda wave: np.where(np.arange(len(wave)) == 99, np.nan, wave), "FLOAT"),
    "not sound": lambda path: path.write_text("this is a text"),
}
USABLE: dict[str, Callable[[Path], None]] = {
    "another rate": _rewrite(lambda wave: wave, "PCM_16", 2.0),
    "stereo": _rewrite(lambda wave: np.stack([wave, wave], 1), "PCM_16"),
    "24 bits": _rewrite(lambda wave: wave, "PCM_24"),
    "float": _rewrite(lambda wave: wave, "FLOAT"),
}


def dropped(ledger: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


@pytest.mark.parametrize("defect", UNUSABLE)
def test_unusable_sound_is_a_ledger_row(defect: str, corpus: Path, source: Path, tmp_path: Path) -> None:
    UNUSABLE[defect](corpus / VICTIM)
    assert adapt(corpus, source, tmp_path / "run") == 0
    rows = dropped(tmp_path / "run" / "ledger.jsonl")
    assert [Path(row["audio"]).name for row in rows] == ["03.wav"]
    assert rows[0]["reason"]
    verdicts = tmp_path / "verdicts.jsonl"
    assert call("check", corpus, "--out", verdicts) == 0
    assert sum(row["verdict"] == "drop" for row in dropped(verdicts)) == 1
    assert sum(row["verdict"] == "ok" for row in dropped(verdicts)) == 13


@pytest.mark.parametrize("form", USABLE)
def test_unusual_sound_is_used(form: str, corpus: Path, source: Path, tmp_path: Path) -> None:
    USABLE[form](corpus / VICTIM)
    assert adapt(corpus, source, tmp_path / "run") == 0
    assert dropped(tmp_path / "run" / "ledger.jsonl") == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("yellow tree", "", "transcript"),
        ("yellow tree", "???", "no letter"),
        ("yellow tree", "7 trees", "digits"),
    ],
)
def test_an_unusable_transcript_is_a_ledger_row(
    old: str, new: str, reason: str, corpus: Path, source: Path, tmp_path: Path
) -> None:
    table = corpus / "metadata.csv"
    table.write_text(table.read_text().replace(old, new))
    assert adapt(corpus, source, tmp_path / "run") == 0
    [row] = dropped(tmp_path / "run" / "ledger.jsonl")
    assert "03.wav" in row["audio"]
    assert reason in row["reason"]


def test_a_label_longer_than_its_audio_is_a_ledger_row(corpus: Path, source: Path, tmp_path: Path) -> None:
    rows = (corpus / "metadata.csv").read_text().splitlines()
    split = ["split", *["train"] * 8, *["dev"] * 3, *["test"] * 3]
    table = [f"{row},{name}" for row, name in zip(rows, split, strict=True)]
    table[4] = table[4].replace("yellow tree", "the yellow tree by the sea " * 8)
    (corpus / "metadata.csv").write_text("\n".join(table) + "\n")
    assert adapt(corpus, source, tmp_path / "run") == 0
    [row] = dropped(tmp_path / "run" / "ledger.jsonl")
    assert "03.wav" in row["audio"]
    assert "longer than its audio" in row["reason"]


def _split(corpus: Path, names: list[str]) -> None:
    rows = (corpus / "metadata.csv").read_text().splitlines()
    table = [f"{row},{name}" for row, name in zip(rows, ["split", *names], strict=True)]
    (corpus / "metadata.csv").write_text("\n".join(table) + "\n")


def refused(capsys: pytest.CaptureFixture[str], *holds: str) -> None:
    message = capsys.readouterr().err
    assert message.startswith("speechtransfer: ")
    assert "Traceback" not in message
    for text in holds:
        assert text in message


def test_nothing_is_dropped_from_a_test_split(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _split(corpus, [*["train"] * 3, "test", *["train"] * 5, *["dev"] * 2, *["test"] * 3])
    _truncate(corpus / VICTIM)
    assert adapt(corpus, source, tmp_path / "run") == 1
    refused(capsys, "03.wav")
    assert call("check", corpus) == 1


def test_an_empty_split_is_refused(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _split(corpus, [*["train"] * 11, *["test"] * 3])
    assert adapt(corpus, source, tmp_path / "run") == 1
    refused(capsys, "dev")


def test_a_missing_file_is_refused(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / VICTIM).unlink()
    assert adapt(corpus, source, tmp_path / "run") == 1
    refused(capsys, "03.wav")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--set", "settings.speed=2"], "settings.lr"),
        (["--set", "settings.lr=fast"], "settings.lr"),
        (["--amounts", "some"], "--amounts some"),
        (["--require-unseen-speakers"], "speakers"),
        (["--minutes", "0"], "minutes"),
    ],
)
def test_a_wrong_request_is_one_message(
    flags: list[str], says: str, corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("adapt", corpus, "--source", source, "--out", tmp_path / "run", *flags) == 1
    refused(capsys, says)


def test_an_unknown_flag_is_usage(corpus: Path, tmp_path: Path) -> None:
    assert call("adapt", corpus, "--out", tmp_path / "run", "--sauce", "x") == 2


def test_data_and_source_that_do_not_exist_are_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("check", tmp_path / "nowhere") == 1
    refused(capsys, "nowhere")
    assert call("adapt", corpus, "--out", tmp_path / "run", "--source", tmp_path / "nowhere") == 1
    refused(capsys, "nowhere")


def test_a_full_disk_is_one_message_and_nothing_is_lost(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert adapt(corpus, source, out) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert adapt(corpus, source, tmp_path / "second") == 1
    refused(capsys, "No space left")
    assert call("report", out) == 1
    refused(capsys, "No space left")
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_amounts_give_a_learning_curve(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert adapt(corpus, source, out, "--amounts", "0.05", "all") == 0
    small, whole = (json.loads((out / name / "metrics.json").read_text()) for name in ("0.05min", "all"))
    assert small["audio_seconds"] < whole["audio_seconds"]
    assert small["test"]["cer"]["count"] == whole["test"]["cer"]["count"]
    assert "0.05min" in capsys.readouterr().out


def test_runs_on_data_that_moved_are_compared(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt(corpus, source, tmp_path / "here") == 0
    assert adapt(corpus.rename(tmp_path / "elsewhere"), source, tmp_path / "there", "--seed", "5") == 0
    capsys.readouterr()
    assert call("compare", tmp_path / "here", "--against", tmp_path / "there") == 0
    assert capsys.readouterr().out.startswith("test: ")


@pytest.mark.parametrize("verb", ["report", "transcribe", "compare"])
def test_what_is_no_finished_run_says_what_to_name(
    verb: str, corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    more = {"report": (), "transcribe": (corpus / VICTIM,), "compare": ("--against", tmp_path)}[verb]
    for amount in ("1min", "all"):
        (out / amount).mkdir(parents=True)
        (out / amount / "recipe.json").write_text("{}")
    assert call(verb, out, *more) == 1
    assert f"{out}: holds several runs. Name one of them: {out / '1min'}, {out / 'all'}." in capsys.readouterr().err
    assert call(verb, out / "all", *more) == 1
    assert "its training is not finished. Give the same command with --resume" in capsys.readouterr().err
    (out / "all" / "metrics.json").write_text("{}")
    (out / "all" / "encoder.json").write_text("{")
    assert call(verb, out / "all", *more) == 1
    assert str(out / "all") in capsys.readouterr().err


def test_what_cannot_be_done_is_refused_before_anything_is_heard(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("transcribe", source) == 1
    assert "there is nothing to transcribe" in capsys.readouterr().err
    assert call("score", source, tmp_path / "nowhere", "--out", tmp_path) == 1
    assert f"{tmp_path}: is a folder. Name a file" in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "goes_on"), [("adapt", True), ("check", False)])
def test_an_interruption_speaks_of_resuming_what_can_be_resumed(
    verb: str,
    goes_on: bool,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("train", "check"):
        monkeypatch.setattr(f"speechtransfer.actions.{place}.detect", interrupt)
    assert call(verb, corpus, *(("--out", tmp_path / "run") if goes_on else ())) == 130
    assert ("--resume" in capsys.readouterr().err) is goes_on


def test_plan_trains_nothing_and_forecasts(corpus: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", corpus, "--source", source, "--set", "folds=2", "settings.steps=5") == 0
    said = capsys.readouterr().out
    for text in ("encoder.layers.0", "labels grafted", "test:", "forecast: 5 steps a fold"):
        assert text in said


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Class folders of synthetic tones."""
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "words"
    folder.mkdir()
    return say_words(folder)


def test_keywords_are_planned_as_adapt_would_train_them(
    words: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", words, "--task", "keywords", "--source", source, "--language", "eng") == 0
    said = capsys.readouterr().out
    assert "objective.output.weight" in said
    assert "frozen" in said
    comparing = ("keywords.loss=prototypes", "settings.steps=0")
    assert call("plan", words, "--task", "keywords", "--source", "random:conformer", "--set", *comparing) == 0
    said = capsys.readouterr().out
    assert "objective.project.weight" in said
    assert "forecast: 0 steps a fold" in said


def test_what_says_the_language_is_written_by_its_output_layer(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Conformer(ConformerSettings(width=16, layers=1, heads=2, kernel=3, expansion=2))
    heads = {name: (1.0, Ctc(Vocabulary.from_texts([text]), only={"language": name})) for name, text in LETTERS.items()}
    model, _ = Transfer().apply(tiny, Sum(**heads))
    save(model, tmp_path / "run")
    assert call("transcribe", tmp_path / "run", corpus / VICTIM) == 1
    assert "They are for language eng, language ell: say which it is" in capsys.readouterr().err
    for language, letters in LETTERS.items():
        assert call("transcribe", tmp_path / "run", corpus / VICTIM, "--language", language, "--json") == 0
        assert set(json.loads(capsys.readouterr().out)["text"]) <= set(letters)
    assert call("score", tmp_path / "run", corpus, "--language", "eng") == 0
    assert "14 utterances scored" in capsys.readouterr().out


def test_a_smoke_run_takes_no_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("recipes/source_compact", "--smoke", "--out", tmp_path)
    assert call("run", *asked, "--steps", "5") == 1
    assert "no other settings" in capsys.readouterr().err
    assert call("run", *asked, "--audio-root", tmp_path) == 1
    assert "no other settings" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_splits_of_ones_own_are_not_cross_validated(
    corpus: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row.split(",") for row in (corpus / "metadata.csv").read_text().splitlines()]
    parts = ["split", *("train", "train", "dev", "test") * 4]
    lines = [",".join([*row, part]) for row, part in zip(rows, parts, strict=False)]
    (corpus / "metadata.csv").write_text("\n".join(lines) + "\n")
    asked = ("--source", source, "--out", tmp_path / "run", "--steps", "1", "--cross-validate")
    assert call("adapt", corpus, *asked) == 1
    assert "the rows name their own splits" in capsys.readouterr().err
    assert call("plan", corpus, "--source", source) == 0
    assert "1 folds with their baselines" in capsys.readouterr().out.replace("\n", " ")
    assert call("plan", corpus, "--set", "source=random:conformer") == 1
    assert "give --source in its place" in capsys.readouterr().err


def test_amounts_of_grades_are_minutes_and_of_words_recordings() -> None:
    assert [_folder("0.5", "grades"), _folder("5", "keywords"), _folder("all", "ctc")] == ["0.5min", "5clips", "all"]


def test_settings_of_a_loss_may_stand_before_it() -> None:
    usual = Recipe("r", ("x",), task="keywords")
    for asked in (("keywords.margin=0.2", "keywords.loss=triplet"), ("keywords.loss=triplet", "keywords.margin=0.2")):
        assert _overridden(usual, asked).keywords == Keywords(loss="triplet", margin=0.2)


def test_python_dash_m_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "speechtransfer", "check", str(tmp_path / "x")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("speechtransfer: ")
