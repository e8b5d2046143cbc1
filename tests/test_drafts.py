"""Drafts of recordings of tones whose utterances are known, and what becomes of them in ELAN, Praat and a player."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE

from speechtransfer import cli
from speechtransfer.audio import probe, write_wav
from speechtransfer.corpora import load
from speechtransfer.corpora.elan import write_eaf
from speechtransfer.corpora.praat import write_textgrid
from speechtransfer.corpora.subtitles import write_srt
from speechtransfer.drafts import draft
from speechtransfer.errors import AudioError, DataError, SettingsError
from speechtransfer.hearing import Heard
from speechtransfer.manifest import Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Classify, Ctc, Regress, Sum
from speechtransfer.objectives.regress import Scale

SAID = ["ab cd", "abc", "dad ab", "cab", "bad dab", "acd", "bcd a", "dc ba"]

Story = Callable[..., tuple[Path, list[tuple[float, float]]]]


@pytest.mark.parametrize("name", ["story.wav", "story.flac"])
def test_utterances_lie_between_pauses(listener: Model, story: Story, name: str) -> None:
    audio, times = story(SAID * 6, name, least=0.7)  # the window's edges fall everywhere
    found = draft(listener, audio, "eng")
    assert found.seconds == probe(audio).seconds > 60
    assert [row.text for row in found.rows] == SAID * 6
    assert found.text == " ".join(SAID * 6)
    behind = 0.0
    for row, (start, end) in zip(found.rows, times, strict=True):
        assert row.start is not None and row.end is not None
        assert behind <= row.start <= start + 0.02 and end - 0.02 <= row.end <= found.seconds
        assert (row.start, row.end) == (pytest.approx(start, abs=0.12), pytest.approx(end, abs=0.12))
        assert (row.audio, row.language) == (audio, "eng")
        assert row.confidence is not None and row.confidence > 0.85
        behind = row.end
    assert found.confidence is not None and found.confidence > 0.9


def test_short_gaps_part_nothing_and_no_sound_gives_nothing(
    listener: Model, spoken: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", spoken("ab cd a"), RATE)
    (row,) = draft(listener, tmp_path / "a.wav").rows
    assert (row.text, row.start, row.end) == (
        "ab cd a",
        0.0,
        pytest.approx(probe(tmp_path / "a.wav").seconds, abs=0.01),
    )
    noise = 1e-3 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    write_wav(tmp_path / "noise.wav", noise, RATE)
    found = draft(listener, tmp_path / "noise.wav")
    assert (found.rows, found.text, found.confidence, found.seconds) == ((), "", None, 1.0)
    write_wav(tmp_path / "silence.wav", np.zeros(RATE, np.float32), RATE)
    with pytest.raises(AudioError, match="is silent"):
        draft(listener, tmp_path / "silence.wav")


def test_what_is_said_without_a_pause_is_parted_between_words(
    listener: Model, spoken: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    said = " ".join(SAID * 7)
    write_wav(tmp_path / "a.wav", spoken(said), RATE)
    found = draft(listener, tmp_path / "a.wav")
    assert found.text == said, "no word is cut, none is lost"
    lengths = [(row.end or 0.0) - (row.start or 0.0) for row in found.rows]
    assert probe(tmp_path / "a.wav").seconds > 40
    assert len(lengths) > 1 and max(lengths) <= 20.1 and min(lengths) > 4
    shorter = draft(listener, tmp_path / "a.wav", longest=7.0)
    assert shorter.text == said
    assert max((row.end or 0.0) - (row.start or 0.0) for row in shorter.rows) <= 7.4


def test_words_without_spaces_are_parted_between_letters_and_written_together(
    listener: Model, spoken: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    said = "abcd" * 60
    write_wav(tmp_path / "a.wav", spoken(said), RATE)
    found = draft(listener, tmp_path / "a.wav")
    assert len(found.rows) == 2
    assert found.text.replace(" ", "") == said


def test_the_output_layer_of_the_language_writes(listener: Model, story: Story) -> None:
    part = listener.objective
    assert isinstance(part, Ctc)
    audio, _ = story(SAID[:2], least=0.7)
    named = Ctc(part.vocabulary, only={"language": "spa"})
    named.attach(listener.encoder.width, listener.encoder.period)
    named.load_state_dict(part.state_dict())
    model = Model(listener.encoder, Sum(spa=(1.0, named), other=(1.0, Ctc(part.vocabulary, only={"language": "eng"}))))
    assert [row.text for row in draft(model, audio, "spa").rows] == SAID[:2]
    with pytest.raises(SettingsError, match="writes eng, spa, not fra"):
        draft(model, audio, "fra")
    spotter = Model(listener.encoder, Classify(["yes", "no"]))
    with pytest.raises(SettingsError):
        draft(spotter, audio)


@pytest.mark.parametrize("longest", [7.0, 7.01, 6.5])
def test_parts_that_nothing_lies_between_share_no_frame(
    listener: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, longest: float
) -> None:
    assert isinstance(listener.objective, Ctc)
    labels = listener.objective.vocabulary.labels
    letters = [labels.index(letter) for letter in "abcd"]
    frames = np.full((1500, len(labels)), -20.0, np.float32)
    frames[np.arange(1500), np.tile(letters, 375)] = 0.0  # another letter in every frame, and no blank
    heard = Heard(frames, 0.02, np.zeros(3000), 30.0)
    monkeypatch.setattr("speechtransfer.drafts.hear", lambda *_: heard)
    found = draft(listener, tmp_path / "a.wav", longest=longest)
    assert len(found.rows) > 4
    assert found.text.replace(" ", "") == "abcd" * 375


@pytest.mark.parametrize("cut", [0.00875, 0.003, 0.0155])
def test_what_ends_in_the_midst_of_speech_ends_with_its_sound(
    listener: Model, spoken: Callable[[str], np.ndarray], tmp_path: Path, cut: float
) -> None:
    audio = tmp_path / "a.wav"
    write_wav(audio, spoken("ab")[: round(RATE * (0.28 + cut))], RATE)
    found = draft(listener, audio)
    assert found.rows[-1].end is not None and found.seconds - 0.02 < found.rows[-1].end <= found.seconds
    for suffix, write in ((".TextGrid", write_textgrid), (".srt", write_srt)):
        write(audio.with_suffix(suffix), found.seconds, found.rows)
    write_eaf(audio.with_suffix(".eaf"), audio, found.seconds, found.rows)
    for suffix in (".TextGrid", ".srt", ".eaf"):
        (*_, last) = load(str(audio.with_suffix(suffix))).rows
        assert last.end == pytest.approx(found.rows[-1].end, abs=0.002) and last.end <= found.seconds


ROWS = [(0.0, 1.5, "ab <cd> & \u201ce\u0301\u201d"), (1.5, 2.25, "abc"), (3661.004, 3662.0, "\u0438 \u4e00")]


def test_elan_reads_what_is_written_for_it(tmp_path: Path) -> None:
    audio, path = tmp_path / "sound" / "a \u00e9.wav", tmp_path / "drafts" / "a \u00e9.eaf"
    audio.parent.mkdir()
    write_wav(audio, np.tile(np.float32([0.5, -0.5]), 8000), 4)  # an hour and more of 4 Hz
    rows = [Utterance(audio, start, end, text) for start, end, text in ROWS]
    write_eaf(path, audio, 4000.0, rows)
    found = load(str(path), audio_roots=(audio.parent,))
    assert [(row.audio, row.start, row.end, row.text) for row in found] == [(audio, *row) for row in ROWS]
    assert found.ledger == ()
    text = path.read_text(encoding="utf-8")
    assert 'RELATIVE_MEDIA_URL="./../sound/a \u00e9.wav"' in text and f'MEDIA_URL="{audio.as_uri()}"' in text
    write_eaf(path, audio, 4000.0, [])
    assert "ALIGNABLE_ANNOTATION" not in path.read_text(encoding="utf-8")


def test_subtitles_are_as_players_read_them(tmp_path: Path) -> None:
    rows = [Utterance(tmp_path / "a.wav", start, end, text) for start, end, text in [*ROWS, (3999.9996, None, "d")]]
    write_srt(tmp_path / "a.srt", 4000.5, rows)
    assert (tmp_path / "a.srt").read_text(encoding="utf-8") == (
        "1\n00:00:00,000 --> 00:00:01,500\nab <cd> & \u201ce\u0301\u201d\n\n"
        "2\n00:00:01,500 --> 00:00:02,250\nabc\n\n"
        "3\n01:01:01,004 --> 01:01:02,000\n\u0438 \u4e00\n\n"
        "4\n01:06:40,000 --> 01:06:40,500\nd\n\n"
    )


@pytest.fixture
def call(
    listener: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setattr("speechtransfer.actions.transcribe.load_model", lambda folder: listener)
    monkeypatch.setattr("speechtransfer.actions.transcribe.find_run", lambda folder: folder)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main(["transcribe", "run", *map(str, arguments)])
        told = capsys.readouterr()
        return int(stopped.value.code or 0), told.out, told.err

    return run


def test_a_long_recording_is_one_line_like_a_short_one(call: Callable[..., tuple[int, str, str]], story: Story) -> None:
    long, times = story(SAID * 4, least=0.7)
    short, _ = story(SAID[:2], "short.wav")
    assert probe(long).seconds > 30
    status, out, _ = call(short, long, short)
    assert (status, out.splitlines()) == (
        0,
        [f"{short}\tab cd abc", f"{long}\t{' '.join(SAID * 4)}", f"{short}\tab cd abc"],
    )
    status, out, _ = call(short, long, "--json")
    one, other = map(json.loads, out.splitlines())
    assert one.keys() == {"audio", "text", "confidence"}
    assert [row["text"] for row in other["utterances"]] == SAID * 4
    assert [row["start"] for row in other["utterances"]] == pytest.approx([start for start, _ in times], abs=0.12)
    assert other["text"] == " ".join(SAID * 4) and 0.9 < other["confidence"] <= 1


@pytest.mark.parametrize(
    ("to", "suffix"), [((), ".eaf"), (("--to", "textgrid"), ".TextGrid"), (("--to", "srt"), ".srt")]
)
def test_what_is_written_is_a_corpus_to_correct(
    call: Callable[..., tuple[int, str, str]], story: Story, tmp_path: Path, to: tuple[str, ...], suffix: str
) -> None:
    audio, times = story(SAID, least=0.7)
    bad, out = tmp_path / "bad.wav", tmp_path / "drafts"
    bad.write_text("no sound")
    status, told, warned = call(audio, bad, "--out", out, *to)
    assert status == 1 and "1 of 2 files could not be read" in warned
    assert told.startswith(f"{out / 'story'}{suffix}: 8 utterances, ")
    assert f"adapt {out} --audio-root {tmp_path}" in warned
    found = load(str(out), audio_roots=(tmp_path,))
    assert [row.text for row in found] == SAID
    assert [row.start for row in found] == pytest.approx([start for start, _ in times], abs=0.12)
    corrected = (out / f"story{suffix}").read_bytes()
    other, _ = story(SAID[:2], "other.wav")
    status, told, warned = call(audio, other, "--out", out, *to)
    assert (status, told.splitlines()) == (0, [f"{out / 'other'}{suffix}: 1 utterances, 2 of 3 seconds"])
    assert f"{out / 'story'}{suffix}: is there already, and may be corrected: it stays" in warned
    assert (out / f"story{suffix}").read_bytes() == corrected
    assert call(audio, "--out", out, *to)[0] == 0


def test_subtitles_and_json_of_what_is_written(
    call: Callable[..., tuple[int, str, str]], story: Story, spoken: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    write_wav(tmp_path / "fast.wav", spoken(" ".join(SAID * 2)), RATE)
    assert probe(tmp_path / "fast.wav").seconds > 14
    assert "1 utterances" in call(tmp_path / "fast.wav", "--out", tmp_path / "whole")[1]
    assert "1 utterances" not in call(tmp_path / "fast.wav", "--out", tmp_path / "shown", "--to", "srt")[1]
    audio, _ = story(SAID, least=0.7)
    status, told, warned = call(audio, "--out", tmp_path / "out", "--to", "srt", "--json")
    assert status == 0 and warned.endswith(f"--audio-root {tmp_path} --set split_by=span --out runs/corrected\n")
    assert [row["text"] for row in json.loads(told)["utterances"]] == SAID
    assert (tmp_path / "out" / "story.srt").read_text().count(" --> ") == len(SAID)


def test_what_could_not_be_written_is_refused_before_anything_is_heard(
    call: Callable[..., tuple[int, str, str]], story: Story, tmp_path: Path
) -> None:
    audio, _ = story(SAID[:2])
    (tmp_path / "more").mkdir()
    twin = tmp_path / "more" / audio.name
    twin.write_bytes(audio.read_bytes())
    for asked in (("--to", "srt"), ("--out", audio)):
        assert "Name a folder with --out" in call(audio, *asked)[2]
    assert "would both be" in call(audio, twin, "--out", tmp_path / "out")[2]
    assert not (tmp_path / "out").exists()


def test_a_name_that_no_xml_can_hold_is_refused_for_elan(
    call: Callable[..., tuple[int, str, str]], story: Story, tmp_path: Path
) -> None:
    audio, _ = story(SAID[:2])
    audio = audio.rename(tmp_path / "a\x01b.wav")
    status, _, warned = call(audio, "--out", tmp_path / "out")
    assert status == 1 and "its name has characters that no .eaf file can hold" in warned
    assert call(audio, "--out", tmp_path / "out", "--to", "srt")[0] == 0
    with pytest.raises(DataError, match="characters that no"):
        write_eaf(tmp_path / "a.eaf", tmp_path / "caf\udce9.wav", 1.0, [])


def test_numbers_are_given_of_recordings_of_any_length_and_none_to_correct(
    call: Callable[..., tuple[int, str, str]],
    listener: Model,
    story: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grader = Regress(Scale(0.0, 1.0))
    grader.attach(listener.encoder.width, listener.encoder.period)
    model = Model(listener.encoder, grader)
    monkeypatch.setattr("speechtransfer.actions.transcribe.load_model", lambda folder: model)
    audio, _ = story(SAID * 4, least=0.7)
    assert probe(audio).seconds > 30
    status, told, _ = call(audio)
    assert status == 0 and told.startswith(f"{audio}\t") and float(told.split("\t")[1]) is not None
    status, _, warned = call(audio, "--out", tmp_path / "out")
    assert status == 1 and "writes nothing that could be corrected" in warned


def test_a_spotter_has_no_utterances_to_write(
    call: Callable[..., tuple[int, str, str]],
    listener: Model,
    story: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spotter = Model(listener.encoder, Classify(["yes", "no"]))
    monkeypatch.setattr("speechtransfer.actions.transcribe.load_model", lambda folder: spotter)
    audio, _ = story(SAID[:2])
    status, _, warned = call(audio, "--out", tmp_path / "out")
    assert status == 1 and "`spot` finds their times" in warned
