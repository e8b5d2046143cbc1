"""Lines of a text in one long recording of tones, whose borders are known, and what becomes of other lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import families
import numpy as np
import pytest
import torch

from speechtransfer import cli
from speechtransfer.audio import read, write_wav
from speechtransfer.corpora import load
from speechtransfer.errors import AudioError, DataError, SettingsError, SpeechTransferError
from speechtransfer.files import read_lines
from speechtransfer.hearing import hear
from speechtransfer.manifest import LedgerRow, Utterance, read_manifest
from speechtransfer.model import Model
from speechtransfer.objectives import Classify, Ctc, Sum
from speechtransfer.segment import Line, Segmentation, read_transcript, segment
from speechtransfer.vocabulary import Vocabulary

RATE = 16_000
SAID = ["ab cd", "abc", "dad ab", "cab", "bad dab", "acd", "bcd a", "dc ba"]


def lines(*texts: str) -> tuple[Line, ...]:
    return tuple(Line(Path("story.txt"), number, text) for number, text in enumerate(texts, 1))


def require_at(done: Segmentation, times: dict[str, tuple[float, float]]) -> None:
    """Each line is where it is said, with all of its sound and little of the pauses, and none overlaps another."""
    assert [one.line.text for one in done.segments] == [*times]
    behind = 0.0
    for one in done.segments:
        start, end = times[one.line.text]
        assert behind <= one.row.start <= start + 0.02  # type: ignore[operator]
        assert end - 0.02 <= one.row.end <= done.seconds  # type: ignore[operator]
        assert one.row.start == pytest.approx(start, abs=0.12)
        assert one.row.end == pytest.approx(end, abs=0.12)
        behind = one.row.end or 0.0


@pytest.mark.parametrize("name", ["story.wav", "story.flac"])
def test_lines_lie_where_they_are_said(listener: Model, story: Callable[..., tuple[Path, list]], name: str) -> None:
    audio, times = story(SAID * 3, name)  # over half a minute: several windows
    given = lines(*SAID * 3)
    done = segment(listener, audio, given)
    assert [one.line for one in done.segments] == [*given]
    assert not done.ledger
    for one, (start, end) in zip(done.segments, times, strict=True):
        assert one.row.start == pytest.approx(start, abs=0.12)
        assert one.row.end == pytest.approx(end, abs=0.12)
        assert one.confidence > 0.3
        assert "".join(letter for _, letter in one.letters) == one.line.text
        assert all(start <= second <= end for second, _ in one.letters)


def test_what_was_not_said_or_not_written_costs_its_own_place_alone(
    listener: Model, story: Callable[..., tuple[Path, list]]
) -> None:
    audio, times = story(SAID)
    written = [SAID[0], SAID[1], "dddd cc dddd", SAID[3], SAID[4], SAID[6], "aaaa bbbb", SAID[7]]
    done = segment(listener, audio, lines(*written))
    heard = [text for text in written if text in SAID]
    require_at(done, {text: times[SAID.index(text)] for text in heard})
    assert [(row.where, row.reason.split(":")[0]) for row in done.ledger] == [
        ("story.txt:3", "not heard"),
        ("story.txt:7", "not heard"),
    ]


def test_every_line_is_used_or_dropped(listener: Model, story: Callable[..., tuple[Path, list]]) -> None:
    audio, _ = story(SAID)
    given = lines(SAID[0], "page 7", *SAID[1:4], "xyz", "bad xab", *SAID[5:], "dddd cccc dddd")
    for least in (0.0, 0.9, 1.0):
        done = segment(listener, audio, given, least)
        dropped = [row for row in done.ledger if row.action == "dropped"]
        assert len(done.segments) + len(dropped) == len(given)
        assert {one.line.where for one in done.segments}.isdisjoint(row.where for row in dropped)
        assert all(one.confidence >= least for one in done.segments)
        low = [row.where for row in dropped if row.reason.startswith("low confidence")]
        assert low == [one.line.where for one in done.doubtful]
        unusable = [row.where for row in dropped if row.reason.startswith("unusable transcript")]
        assert unusable == ["story.txt:2", "story.txt:6"]
    assert done.manifest.ledger == done.ledger


def test_a_letter_that_the_recogniser_lacks_is_heard_as_any_and_told(
    listener: Model, story: Callable[..., tuple[Path, list]]
) -> None:
    audio, times = story(SAID)
    given = [text.replace("bad dab", "bad xab") for text in SAID]
    done = segment(listener, audio, lines(*given))
    require_at(done, dict(zip(given, times, strict=True)))
    (row,) = done.ledger
    said = done.segments[4].row
    assert row == LedgerRow(said.id, "unknown letters: x, heard as any", "kept", where="story.txt:5")
    assert said.text == "bad xab"


def test_the_wrong_line_is_less_sure(listener: Model, story: Callable[..., tuple[Path, list]]) -> None:
    audio, _ = story(SAID)
    done = segment(listener, audio, lines(*SAID[:4], "bad dbb", *SAID[5:]))
    by_text = {one.line.text: one.confidence for one in done.segments}
    assert by_text.pop("bad dbb") < 0.5 < min(by_text.values())


def test_windows_are_heard_as_the_whole(tmp_path: Path, listener: Model) -> None:
    """Where an encoder looks no further than the sound heard with a window: two seconds."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(47 * RATE + 777).astype(np.float32)
    write_wav(tmp_path / "noise.wav", wave, RATE)
    whole = torch.from_numpy(read(tmp_path / "noise.wav", RATE))[None]
    encoder = families.build("compact")
    head = Ctc(Vocabulary((" ", "a", "b")))
    head.attach(encoder.width, encoder.period)
    for model in (listener, Model(encoder, head)):
        part = model.objective
        assert isinstance(part, Ctc)
        heard = hear(model, part, tmp_path / "noise.wav")
        with torch.inference_mode():
            frames = model.encoder(whole, torch.tensor([whole.shape[1]]))
            expected = part.log_posteriors(frames)[0].numpy()
        assert heard.log_posteriors.shape == expected.shape
        np.testing.assert_allclose(heard.log_posteriors, expected, atol=2e-4)
        assert len(heard.decibels) == 4704
        assert heard.decibels == pytest.approx(-20, abs=2.5)


def test_the_layer_of_the_language_aligns(listener: Model, story: Callable[..., tuple[Path, list]]) -> None:
    own = listener.objective
    assert isinstance(own, Ctc)
    parts = {}
    for language, characters in (("eng", ("x", "y")), ("spa", own.vocabulary.symbols)):
        parts[language] = Ctc(Vocabulary(characters), only={"language": language})
        parts[language].attach(listener.encoder.width, listener.encoder.period)
    parts["spa"].load_state_dict(own.state_dict())
    model = Model(listener.encoder, Sum(**{name: (1.0, part) for name, part in parts.items()}))
    audio, _ = story(SAID)
    done = segment(model, audio, lines(*SAID), language="spa")
    assert {one.row.language for one in done.segments} == {"spa"}
    assert len(done.segments) == len(SAID)
    for language in (None, "fra"):
        with pytest.raises(SettingsError, match=r"eng, spa.*--language"):
            segment(model, audio, lines(*SAID), language=language)


def test_what_cannot_be_aligned_is_refused(
    listener: Model, story: Callable[..., tuple[Path, list]], tmp_path: Path
) -> None:
    audio, _ = story(SAID[:2])
    write_wav(tmp_path / "silence.wav", np.zeros(3 * RATE, np.float32), RATE)
    spotter = Model(listener.encoder, Classify(("yes", "no")))
    for expected, match, arguments in (
        (SettingsError, "adapt --task ctc", (spotter, audio, lines("ab"))),
        (AudioError, "silence.wav: is silent", (listener, tmp_path / "silence.wav", lines("ab"))),
        (AudioError, "no such file", (listener, tmp_path / "absent.wav", lines("ab"))),
        (DataError, r"story.txt:1: .*digits", (listener, audio, lines("17", "18"))),
        (DataError, "unknown to the recogniser: w x", (listener, audio, lines("wx"))),
        (DataError, "none of 2 lines is heard", (listener, audio, lines("d" * 90, "c" * 90))),
        (SettingsError, "between 0 and 1", (listener, audio, lines("ab"), 1.5)),
    ):
        with pytest.raises(expected, match=match):
            segment(*arguments)  # type: ignore[arg-type]


def test_text_far_longer_than_the_sound_leaves_what_is_said(
    listener: Model, story: Callable[..., tuple[Path, list]]
) -> None:
    audio, times = story(SAID[:3])
    done = segment(listener, audio, lines(*SAID[:3], *["dddd cccc dddd"] * 50))
    require_at(done, dict(zip(SAID[:3], times, strict=True)))
    assert len(done.ledger) == 50


def test_a_text_is_read_by_lines_or_sentences(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes("\ufeffЭто раз. Это два!\r\n\r\n  three \n".encode())
    assert [(one.number, one.text) for one in read_transcript(text)] == [(1, "Это раз. Это два!"), (3, "three")]
    by = read_transcript(text, "sentences")
    assert [(one.where, one.text) for one in by] == [
        (f"{text}:1", "Это раз."),
        (f"{text}:1", "Это два!"),
        (f"{text}:3", "three"),
    ]
    text.write_text(" \n\n")
    with pytest.raises(DataError, match="holds no text"):
        read_transcript(text)
    text.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="not UTF-8"):
        read_transcript(text)


@pytest.fixture
def verb(
    listener: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command line; its exit status and all that it says."""
    monkeypatch.setattr("speechtransfer.actions.align.load_model", lambda folder: listener)

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out + said.err

    return call


def test_the_verb_writes_a_corpus(
    verb: Callable[..., tuple[int, str]], story: Callable[..., tuple[Path, list]], tmp_path: Path
) -> None:
    audio, _ = story(SAID)
    text, out = tmp_path / "story.txt", tmp_path / "out"
    text.write_text("\n".join([*SAID[:4], '"bad" <xab>', "dddd cc dddd", *SAID[5:]]) + "\n")
    command = ("align", "run", audio, text, "--out", out, "--language", "spa")
    status, said = verb(*command)
    assert status == 0, said
    assert "8 of 9 lines placed" in said
    assert f"--audio-root {tmp_path}" in said
    rows = read_manifest(out / "manifest.jsonl", (tmp_path,))
    assert len(rows) + sum(row["action"] == "dropped" for row in read_lines(out / "ledger.jsonl")) == 9
    assert all(row.audio == audio and row.language == "spa" and row.confidence for row in rows)
    assert rows[4].text == '"bad" <xab>'
    page = (out / "segments.html").read_text()
    assert "&lt;xab&gt;" in page
    assert "not heard" in page
    again = load(f"{out}/story.TextGrid", audio_roots=(tmp_path,))
    assert [(row.text, row.start, row.end) for row in again] == [(row.text, row.start, row.end) for row in rows]
    assert verb("check", out, "--audio-root", tmp_path)[0] == 0
    assert verb("check", out)[0] == 1  # sound outside the folder is read only where that is said
    status, said = verb(*command)
    assert (status, "is not empty" in said) == (1, True)


def test_where_no_line_is_sure_the_status_says_so(
    verb: Callable[..., tuple[int, str]], story: Callable[..., tuple[Path, list]], tmp_path: Path
) -> None:
    audio, _ = story(SAID[:2])
    (tmp_path / "story.txt").write_text("\n".join(SAID[:2]))
    status, said = verb(
        "align", "run", audio, tmp_path / "story.txt", "--out", tmp_path / "out", "--least-confidence", 1
    )
    assert (status, "no line is sure enough" in said, "adapt" in said) == (1, True, False)
    assert len(read_lines(tmp_path / "out" / "ledger.jsonl")) == 2


def test_the_verb_refuses_with_one_message(
    verb: Callable[..., tuple[int, str]], story: Callable[..., tuple[Path, list]], tmp_path: Path
) -> None:
    audio, _ = story(SAID[:2])
    (tmp_path / "empty.txt").write_text("\n")
    for arguments in ((audio, tmp_path / "empty.txt"), (audio, tmp_path / "no.txt"), (tmp_path / "no.wav", audio)):
        status, said = verb("align", "run", *arguments, "--out", tmp_path / "out")
        assert status == 1
        assert said.startswith("speechtransfer: ")
        assert "Traceback" not in said
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["2", "-0.1", '"high"', "true"])
def test_a_confidence_is_a_share(tmp_path: Path, value: str) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(f'{{"audio": "a.wav", "confidence": {value}}}\n')
    with pytest.raises(SpeechTransferError, match="confidence"):
        read_manifest(path)


def test_a_confidence_changes_no_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"audio": "a.wav"}\n')
    plain = read_manifest(path)
    path.write_text('{"audio": "a.wav", "confidence": 0.5}\n')
    sure = read_manifest(path)
    assert sure[0] == Utterance(tmp_path / "a.wav", confidence=0.5)
    assert sure.fingerprint() == plain.fingerprint()
