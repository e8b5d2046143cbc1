"""The verb check from end to end: exit status, verdicts, the page, a source's stride and a recogniser's ear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE, tone

from speechtransfer.audio import write_wav
from speechtransfer.checkpoint import save
from speechtransfer.cli import main
from speechtransfer.findings import worst
from speechtransfer.model import Model
from speechtransfer.symptoms import Symptom
from speechtransfer.transfer import Plan

Call = Callable[..., int]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["check", *map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run


def corpus(folder: Path, texts: list[str], splits: list[str] | None = None) -> Path:
    """Every text as tones, made different from each other by a little noise, in a table."""
    folder.mkdir()
    lines = ["file_name,text" + (",split" if splits else "")]
    for place, text in enumerate(texts):
        noise = 0.001 * np.random.default_rng(place).standard_normal(len(tone(text)))
        write_wav(folder / f"{place}.wav", tone(text) + noise, RATE)
        lines.append(f"{place}.wav,{text}" + (f",{splits[place]}" if splits else ""))
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


def verdicts(path: Path) -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {Path(str(one["audio"])).name: one for one in lines}


def test_the_same_sound_in_two_splits(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = corpus(tmp_path / "data", ["ab", "ba", "aba"], ["train", "dev", "test"])
    assert call(data) == 0
    (data / "2.wav").write_bytes((data / "0.wav").read_bytes())
    assert call(data, "--out", tmp_path / "out.jsonl") == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "error: the same sound is in the splits test, train at once" in told
    assert "fewer than 20 utterances" in told and "test: 3 characters in 1 prompts" in told
    found = verdicts(tmp_path / "out.jsonl")
    assert {name: one["verdict"] for name, one in found.items()} == {"0.wav": "warn", "1.wav": "ok", "2.wav": "warn"}


def test_a_source_s_stride(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A third of a second for four letters: enough at 40 ms, not enough at 320."""
    data = corpus(tmp_path / "data", ["ab", "cd", "abc", "dc"], ["train", "dev", "test", "train"])
    table = (data / "metadata.csv").read_text().replace("0.wav,ab", f"0.wav,{'ab' * 20}")
    (data / "metadata.csv").write_text(table.replace("2.wav,abc", f"2.wav,{'abc' * 20}"))
    assert call(data, "--source", "random:conformer", "--out", tmp_path / "out.jsonl") == 0
    found = verdicts(tmp_path / "out.jsonl")
    assert {name: one["verdict"] for name, one in found.items()} == {
        "0.wav": "drop",
        "1.wav": "ok",
        "2.wav": "warn",
        "3.wav": "ok",
    }
    assert str(found["0.wav"]["reason"]).startswith("label longer than its audio: 40 frames needed")
    assert call(data, "--source", "random:vision") == 1
    assert "too coarse" in capsys.readouterr().err


def test_a_stride_that_leaves_no_training(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = corpus(tmp_path / "data", ["ab", "cd"], ["train", "dev"])
    (data / "metadata.csv").write_text(f"file_name,text,split\n0.wav,{'ab' * 40},train\n1.wav,cd,dev\n")
    assert call(data, "--source", "random:conformer") == 1
    assert "random:conformer: has frames enough for no utterance of train" in " ".join(capsys.readouterr().out.split())


def test_labels_have_no_stride(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        write_wav(tmp_path / word / "a.wav", tone("ab"), RATE)
    assert call(tmp_path, "--source", "random:conformer") == 1
    assert "has labels alone" in capsys.readouterr().err


def test_a_recogniser_and_the_page(
    call: Call, tmp_path: Path, join: Callable[..., tuple[Model, Plan]], capsys: pytest.CaptureFixture[str]
) -> None:
    data = corpus(tmp_path / "data", ["ab"] * 24)
    (data / "metadata.csv").write_text((data / "metadata.csv").read_text().replace("\n5.wav,ab", "\n5.wav,a<b>bz"))
    save(join()[0], tmp_path / "run")
    page = tmp_path / "page.html"
    assert call(data, "--recogniser", tmp_path / "run", "--report", page, "--out", tmp_path / "out.jsonl") == 0
    kinds = [one["kind"] for one in verdicts(tmp_path / "out.jsonl")["5.wav"]["doubts"]]  # type: ignore[attr-defined]
    assert "a transcript that the recogniser cannot write" in kinds
    written = page.read_text()
    assert "a&lt;b&gt;bz" in written and "a<b>bz" not in written
    assert "unknown characters:" in written
    assert written.count('aria-label="Log-mel spectrogram"') == written.count('aria-label="Waveform"') >= 1
    for section in ("Verdict", "Doubts", "Sound and text", "Who speaks", "Most doubtful"):
        assert f"<h2>{section}</h2>" in written
    assert "src=" not in written and "http" not in written.replace("http-equiv", "")
    assert call(data, "--recogniser", tmp_path / "nothing") == 1
    assert "is no run folder" in capsys.readouterr().err


def test_the_page_shows_a_few_of_each_kind() -> None:
    many = [Symptom(f"{place}", "many", "") for place in range(50)]
    few = [Symptom("50", "few", ""), Symptom("7", "few", "")]
    assert list(worst([*many, *few])) == ["7", "0", "1", "50"]
    assert list(worst(many, most=2)) == ["0", "1"]
    assert worst([]) == {}
