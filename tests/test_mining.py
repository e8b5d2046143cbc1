"""Mining: what is cut, what is not and why, what it inherits, and that the folder is read as what it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechtransfer import cli, corpora
from speechtransfer.audio import Recordings, probe, read
from speechtransfer.cuts import write_cuts
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.files import read_lines
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, read_manifest, write_manifest
from speechtransfer.mining import Cutting, Mined, mine
from speechtransfer.model import Model

RATE, OWN_RATE = 16_000, 22_050
SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
TEXTS = ("ab cd", "cd ab cd", "abc", "ab", "d cd")


@pytest.fixture
def corpus(tmp_path: Path, spoken: Callable[[str], np.ndarray]) -> Manifest:
    """Tones at a rate that is not the model's, in stereo."""
    import soxr

    rows = []
    for number, text in enumerate(TEXTS):
        wave = soxr.resample(spoken(text), RATE, OWN_RATE)
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.stack([wave, wave], 1), OWN_RATE, subtype="PCM_24")
        rows.append(Utterance(path, text=text, speaker="anna", language="eng", split="train", domain="tones"))
    return Manifest(tuple(rows), (LedgerRow("lost.wav", "no line in the transcript"),))


@pytest.fixture
def run(listener: Model, corpus: Manifest, tmp_path: Path) -> Callable[..., Mined]:
    def start(words: str = "ab cd", manifest: Manifest = corpus, out: str = "out", **settings: float) -> Mined:
        phrases = [word.replace("_", " ") for word in words.split()]
        return mine(listener, manifest, Recordings(RATE), phrases, tmp_path / out, Cutting(**settings))

    return start


def changed(manifest: Manifest, **fields: dict[int, str]) -> Manifest:
    """A manifest with some fields of some rows set, by their numbers."""
    rows = [*manifest]
    for field, values in fields.items():
        for number, value in values.items():
            rows[number] = replace(rows[number], **{field: value})
    return Manifest(tuple(rows))


def test_clips_hold_their_words_at_the_recordings_own_rate(run: Callable[..., Mined], tmp_path: Path) -> None:
    mined = run(margin=0.1)
    out = tmp_path / "out"
    assert {word: (tally.occurrences, tally.clips) for word, tally in mined.tallies.items()} == {
        "ab": (3, 3),
        "cd": (4, 4),
    }
    index = read_lines(out / "index.jsonl")
    assert [line["audio"] for line in index] == [*mined.clips]
    for line in index:
        info = probe(out / line["audio"])
        assert (info.sample_rate, info.channels, info.subtype) == (OWN_RATE, 1, "PCM_16")
        assert info.seconds == pytest.approx(line["end"] - line["start"], abs=2 / OWN_RATE)
        # Two letters of 0.12 s, and up to 0.1 s on either side where there is so much.
        assert 0.24 - 0.041 <= info.seconds <= 0.44 + 0.041
        assert info.seconds <= probe(line["source"]).seconds
        source = read(line["source"], OWN_RATE, line["start"], line["end"])
        clip = read(out / line["audio"], OWN_RATE)
        assert clip == pytest.approx(source[: len(clip)], abs=2**-15)
        assert line["confidence"] > 0.9


def test_the_folder_is_read_as_manifest_and_as_class_folders(run: Callable[..., Mined], tmp_path: Path) -> None:
    mined = run()
    out = tmp_path / "out"
    told = corpora.load(str(out))
    assert corpora.detect(str(out)) == "manifest"
    assert told == read_manifest(out / "manifest.jsonl")
    folders = corpora.load(str(out), format="classes")
    assert sorted((row.audio, row.label) for row in folders) == sorted((row.audio, row.label) for row in told)
    assert len(told) == len(mined.clips) == 7
    assert {(row.speaker, row.language, row.split, row.domain, row.text) for row in told} == {
        ("anna", "eng", "train", "tones", None)
    }


def test_a_phrase_is_one_clip(run: Callable[..., Mined]) -> None:
    mined = run("ab_cd cd_ab")
    assert {word: tally.clips for word, tally in mined.tallies.items()} == {"ab cd": 2, "cd ab": 1}
    assert {name.split("/")[0] for name in mined.clips} == {"ab cd", "cd ab"}
    assert {round(cut.end - cut.start, 1) for cut in mined.clips.values() if cut.row.text == "ab cd"} == {0.8}


def test_what_is_left_out_is_said(run: Callable[..., Mined], corpus: Manifest, tmp_path: Path) -> None:
    corpus[4].audio.write_bytes(corpus[4].audio.read_bytes()[:-4000])
    texts = {0: "ba cd", 1: "ab é cd", 2: "ab " * 14 + "cd", 4: "cd d"}
    mined = run(manifest=changed(corpus, text=texts), at_most=1, words="ba ab cd")
    assert {word: tally.clips for word, tally in mined.tallies.items()} == {"ba": 0, "ab": 1, "cd": 1}
    assert mined.tallies["ba"].dropped == Counter({"low confidence": 1})
    assert mined.tallies["ab"].dropped == Counter({"too few frames": 14, "unknown characters": 1})
    assert mined.tallies["cd"].dropped["unusable sound"] == 1
    for tally in mined.tallies.values():
        assert tally.clips + tally.dropped.total() == tally.occurrences
    ledger = read_lines(tmp_path / "out" / "ledger.jsonl")
    assert len(ledger) == sum(tally.dropped.total() for tally in mined.tallies.values())
    assert all(row["where"].startswith("the word ") and row["reason"] for row in ledger)


def test_the_corpus_ledger_is_kept(run: Callable[..., Mined], tmp_path: Path) -> None:
    run()
    assert [row["audio"] for row in read_lines(tmp_path / "out" / "ledger.jsonl")] == ["lost.wav"]


def test_of_too_many_clips_each_speaker_has_a_turn(run: Callable[..., Mined], corpus: Manifest) -> None:
    given = changed(corpus, speaker={4: "ben"})
    mined = run("cd", manifest=given, at_most=2)
    assert sorted(cut.row.speaker for cut in mined.clips.values()) == ["anna", "ben"]
    assert mined.tallies["cd"].dropped == Counter({"more than were wanted": 2})


def test_what_belongs_together_shares_a_group(run: Callable[..., Mined], corpus: Manifest, tmp_path: Path) -> None:
    def groups(manifest: Manifest, out: str) -> dict[str, set[str | None]]:
        run(manifest=manifest, out=out)
        found: dict[str, set[str | None]] = {}
        for row in read_manifest(tmp_path / out / "manifest.jsonl"):
            found.setdefault(row.audio.stem.split("_")[1], set()).add(row.group)
        return found

    alone = groups(corpus, "alone")
    assert all(len(names) == 1 for names in alone.values())
    assert len(set().union(*alone.values())) == len(alone) == 4
    # A scene ties its recordings, and so does a prompt that two of them say.
    tied = groups(changed(corpus, group={0: "scene", 1: "scene"}, text={4: "ab cd"}), "tied")
    assert tied["0"] == tied["1"] == {"scene"}
    assert tied["3"] != tied["0"]
    # Of several known speakers each is a group: no voice crosses splits.
    voices = groups(changed(corpus, speaker={0: "ben", 1: "ben"}), "voices")
    assert voices == {"0": {"ben"}, "1": {"ben"}, "3": {"anna"}, "4": {"anna"}}


def test_nothing_is_written_where_no_clip_is_sure(run: Callable[..., Mined], corpus: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could be cut \(bab: 0 in transcripts.*without --words, mine lists"):
        run("bab")
    with pytest.raises(DataError, match=r"1 low confidence.*or a lower --least-confidence"):
        run("dcba", manifest=changed(corpus, text={3: "dcba"}))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_files_is_left_alone(run: Callable[..., Mined], tmp_path: Path) -> None:
    run()
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match="holds mined clips already"):
        run()
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(SettingsError, match="is not empty"):
        run(out="other")


@pytest.mark.parametrize(
    "wrong", [{"least_confidence": 1.1}, {"margin": -0.1}, {"margin": float("nan")}, {"at_most": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="--" + next(iter(wrong)).replace("_", "-")):
        Cutting(**wrong)


def test_the_page_shows_the_least_sure(run: Callable[..., Mined], tmp_path: Path) -> None:
    mined = run("ab cd bab", least_confidence=0.0)
    path = tmp_path / "out" / "cuts.html"
    write_cuts(path, mined)
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") == 3 + 4  # of cd the middle one is among the least sure
    assert 'href="ab/000000_0_0.flac"' in page
    assert "<strong>ab</strong> cd" in page
    least = min(cut.confidence for cut in mined.clips.values())
    assert f"confidence {least:.2f}" in page


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_the_command_lists_words_and_mines_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "run"
    training = ("--source", "random:conformer", "--steps", "1", "--set", "folds=2", "language_model=0")
    assert call("adapt", SYNTHETIC, "--out", made, *training) == 0
    capsys.readouterr()
    assert call("mine", SYNTHETIC, "--least-count", "3") == 0
    said = capsys.readouterr().out
    assert "door" in said and "yellow" not in said
    assert call("mine", SYNTHETIC, "--least-count", "99") == 1
    assert "--least-count" in capsys.readouterr().err

    command = ("mine", SYNTHETIC, "--run", made, "--out", tmp_path / "words", "--words", "the,door", "Open the")
    assert call(*command, "--least-confidence", "0", "--least-count", "4") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: open the: 1 clips, fewer than 4" in said
    assert "warning: the" not in said
    reasons = {row["reason"] for row in read_lines(tmp_path / "words" / "ledger.jsonl")}
    assert reasons == {"unknown characters: c"}  # no training text has the c of "close the door"
    assert "cuts.html" in said
    rows = corpora.load(str(tmp_path / "words"))
    assert Counter(row.label for row in rows) == {"the": 5, "door": 3, "open the": 1}
    for line in read_lines(tmp_path / "words" / "index.jsonl"):
        assert probe(tmp_path / "words" / line["audio"]).seconds <= probe(line["source"]).seconds
    assert call(*command) == 1
    assert "holds mined clips already" in capsys.readouterr().err

    assert call("mine", SYNTHETIC, "--words", "the", "--out", tmp_path / "more") == 1
    assert "--run" in capsys.readouterr().err
    assert call("mine", SYNTHETIC, "--words", "the", "--run", made) == 1
    assert "--out" in capsys.readouterr().err
    assert call("mine", SYNTHETIC, "--words", "zebra", "--run", made, "--out", tmp_path / "more") == 1
    assert "zebra: 0 in transcripts" in capsys.readouterr().err
    assert call("mine", SYNTHETIC, "--words", "_unknown_", "--run", made, "--out", tmp_path / "more") == 1
    assert "_unknown_" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


def test_mined_words_are_what_a_spotter_is_made_of(
    listener: Model, corpus: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechtransfer.actions.mine.load_model", lambda folder: listener)
    monkeypatch.setattr("speechtransfer.recipe.write_report", lambda folder: folder)
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    split = {0: "train", 1: "dev", 2: "train", 3: "test", 4: "test"}
    write_manifest(tmp_path / "corpus.jsonl", changed(corpus, split=split))
    out = tmp_path / "words"
    assert call("mine", tmp_path / "corpus.jsonl", "--run", "any", "--words", "ab,cd", "--out", out) == 0
    command = ("adapt", out, "--task", "keywords", "--source", "random:conformer", "--steps", "1")
    assert call(*command, "--out", tmp_path / "spotter") == 0
    tested = [json.loads(line) for line in (tmp_path / "spotter/predictions/test.jsonl").read_text().splitlines()]
    assert len(tested) == 2
