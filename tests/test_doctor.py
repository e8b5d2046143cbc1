"""The doctor: each fault by itself in a training row is a ledger row, in a test row an error, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, tone

from speechtransfer.audio import Recordings
from speechtransfer.corpora import load
from speechtransfer.doctor import examine, judge, learnable, require
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, ledger_counts
from speechtransfer.objectives import Ctc
from speechtransfer.text import TextContract
from speechtransfer.vocabulary import Vocabulary

CONTRACT = TextContract()


def samples(path: Path, wave: np.ndarray, **options: str) -> None:
    soundfile.write(path, wave, RATE, **options)


def short(path: Path) -> None:
    samples(path, tone("abc"))
    path.write_bytes(path.read_bytes()[:-5000])


def holed(path: Path) -> None:
    wave = tone("abc")
    wave[100] = np.nan
    samples(path, wave, subtype="FLOAT")


#: What may be wrong with a sound file, and what the reason says of it.
SOUND: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (short, "unusable sound: is cut short"),
    "empty": (lambda path: path.write_bytes(b""), "unusable sound: is empty"),
    "no samples": (lambda path: samples(path, np.zeros(0)), "unusable sound: "),
    "silent": (lambda path: samples(path, np.zeros(RATE)), "silent: no sample"),
    "an offset alone": (lambda path: samples(path, np.full(RATE, 0.5)), "silent: no sample"),
    "not a number": (holed, "unusable sound: 1 of its samples are not finite"),
    "not sound": (lambda path: path.write_text("this is a text"), "unusable sound: is not a sound file"),
}
#: What may be wrong with a transcript.
TEXTS: dict[str, tuple[str | None, str]] = {
    "missing": (None, "no transcript"),
    "digits": ("room 7", "unusable transcript: digits in 'room 7'"),
    "no letter": ("?!", "unusable transcript: no letter is left"),
}


@pytest.fixture
def good(tmp_path: Path) -> Manifest:
    """Nine good rows, three a split."""
    rows = []
    for index in range(9):
        samples(tmp_path / f"{index}.wav", tone("ab"))
        rows.append(Utterance(tmp_path / f"{index}.wav", text="ab", split=("train", "dev", "test")[index % 3]))
    return Manifest(tuple(rows), (LedgerRow("before.wav", "from the importer"),))


def check(given: Manifest, index: int, reason: str) -> None:
    """A fault in row ``index``: a ledger row, and an error as well where it is a test row."""
    examined = examine(given, Recordings(RATE), CONTRACT)
    row = given[index]
    assert examined.manifest.rows == tuple(other for other in given if other is not row)
    assert len(examined.manifest) + len(examined.manifest.ledger) == len(given) + len(given.ledger)
    found = examined.manifest.ledger[-1]
    assert (found.audio, found.split, found.action) == (row.id, row.split, "dropped")
    assert found.reason.startswith(reason)
    assert str(row.audio) not in found.reason  # reasons are counted by their first words
    if row.split == "test" or not row.audio.is_file():
        assert [error for error in examined.errors if row.id in error and reason in error] == list(examined.errors)
        with pytest.raises(DataError, match=row.audio.name):
            require(examined)
    else:
        assert examined.errors == ()
        assert require(examined) == examined.manifest


@pytest.mark.parametrize("index", [0, 1, 2], ids=["train", "dev", "test"])
@pytest.mark.parametrize("fault", SOUND)
def test_unusable_sound(good: Manifest, fault: str, index: int) -> None:
    make, reason = SOUND[fault]
    make(good[index].audio)
    check(good, index, reason)


@pytest.mark.parametrize("index", [0, 1, 2], ids=["train", "dev", "test"])
@pytest.mark.parametrize("fault", TEXTS)
def test_unusable_transcripts(good: Manifest, fault: str, index: int) -> None:
    text, reason = TEXTS[fault]
    rows = list(good)
    rows[index] = replace(rows[index], text=text)
    check(Manifest(tuple(rows), good.ledger), index, reason)


@pytest.mark.parametrize("index", [0, 2])
def test_a_missing_file_is_an_error_in_every_split(good: Manifest, index: int) -> None:
    good[index].audio.unlink()
    check(good, index, "there is no such file")


def test_a_span_beyond_its_file(good: Manifest) -> None:
    rows = list(good)
    rows[0] = replace(rows[0], start=0.1, end=9.0)
    check(Manifest(tuple(rows), good.ledger), 0, "unusable sound: the span 0.1 to 9 s lies beyond")


def test_a_further_test_set_is_a_test_too(good: Manifest) -> None:
    rows = [replace(row, split="elsewhere") if row.split == "test" else row for row in good]
    good[2].audio.write_bytes(b"")
    examined = examine(Manifest(tuple(rows)), Recordings(RATE), CONTRACT)
    assert [str(good[2].audio) in error for error in examined.errors] == [True]


def test_rows_without_a_split_are_dropped(good: Manifest) -> None:
    rows = tuple(replace(row, split=None) for row in good)
    good[2].audio.write_bytes(b"")
    examined = examine(Manifest(rows), Recordings(RATE), CONTRACT)
    assert examined.errors == ()
    assert len(examined.manifest) == 8
    assert examined.seconds == pytest.approx({"all": 8 * 2 / 3}, abs=1e-3)


def test_faults_of_a_kind_are_counted_together(good: Manifest) -> None:
    for index, make in ((0, short), (3, short), (6, holed)):
        make(good[index].audio)
    rows = [replace(row, text=f"{index} rooms") if row.split == "dev" else row for index, row in enumerate(good)]
    counts = ledger_counts(examine(Manifest(tuple(rows)), Recordings(RATE), CONTRACT).manifest.ledger)
    assert counts == {"unusable sound": 3, "unusable transcript": 3}


def test_a_split_that_would_be_empty_is_an_error(good: Manifest) -> None:
    for row in good.split("dev"):
        row.audio.write_text("no sound")
    examined = examine(good, Recordings(RATE), CONTRACT)
    assert [error for error in examined.errors if "the dev split would be empty" in error] == list(examined.errors)
    for row in good:
        row.audio.write_text("no sound")
    errors = examine(good, Recordings(RATE), CONTRACT).errors
    assert sum("split would be empty" in error for error in errors) == 3
    assert any(f"no utterance can be used. Of 9 in 10, {good[0].id} first: unusable sound" in one for one in errors)
    with pytest.raises(DataError, match="and 2 more"):
        require(examine(good, Recordings(RATE), CONTRACT))
    assert "no utterance can be used" in examine(Manifest(()), Recordings(RATE), CONTRACT).errors[0]


@pytest.mark.parametrize(
    ("field", "has", "meant"),
    [("text", {"label": "x"}, "did you mean --task keywords"), ("label", {"text": "x"}, "did you mean --task ctc")],
)
def test_rows_of_another_task_say_which(good: Manifest, field: str, has: dict[str, str], meant: str) -> None:
    rows = Manifest(tuple(replace(row, **({"text": None, "label": None} | has)) for row in good))
    found = judge(rows, {}, lambda row: 1.0, CONTRACT, field).errors
    assert any(meant in error for error in found)
    bare = Manifest(tuple(replace(row, text=None, label=None) for row in good))
    assert not any("did you mean" in error for error in judge(bare, {}, lambda row: 1.0, CONTRACT, field).errors)


def test_test_utterances_that_the_importer_dropped_are_errors(tmp_path: Path) -> None:
    """A table whose test row has no transcript; a stray text file in a test folder is no utterance."""
    lines = ["file_name,text,split"]
    for index, split in enumerate(("train", "dev", "test", "test", "train")):
        samples(tmp_path / f"{index}.wav", tone("ab"))
        lines.append(f"{index}.wav,{'' if index >= 3 else 'ab'},{split}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    given = load(str(tmp_path))
    examined = examine(given, Recordings(RATE), CONTRACT)
    assert examined.errors == (f"{tmp_path / '3.wav'}: no transcript",)
    stray = LedgerRow("/c/test/yes/notes.txt", "not a sound file by its name", split="test")
    span = LedgerRow("/c/x.wav#1-2", "no transcript", split="test")
    changed = LedgerRow("/c/y.wav", "mended", action="changed", split="test")
    errors = examine(Manifest(given.rows, (stray, span, changed)), Recordings(RATE), CONTRACT).errors
    assert errors == ("/c/x.wav#1-2: no transcript",)


@pytest.mark.parametrize(
    ("spans", "crosses"),
    [
        ([(None, None), (None, None)], True),
        ([(None, None), (0.0, None)], True),
        ([(None, None), (0.1, 0.3)], True),
        ([(0.1, 0.3), (0.1, 0.3)], True),
        ([(None, 0.3), (0.0, 0.3)], True),
        ([(None, 0.3), (0.3, 0.6)], False),
        ([(0.1, 0.3), (0.3, None)], False),
    ],
)
def test_a_recording_in_two_splits_is_an_error(
    good: Manifest, spans: list[tuple[float | None, float | None]], crosses: bool
) -> None:
    one, two = (
        Utterance(good[0].audio, *span, text="ab", split=split)
        for span, split in zip(spans, ("train", "test"), strict=True)
    )
    examined = examine(Manifest((one, two, *good.rows[1:])), Recordings(RATE), CONTRACT)
    assert [str(good[0].audio) in error and "at once" in error for error in examined.errors] == [True] * crosses


def test_the_good_corpus_passes(synthetic: Manifest) -> None:
    examined = examine(synthetic, Recordings(RATE), CONTRACT)
    assert examined.errors == ()
    assert require(examined) == synthetic
    assert 10 < examined.seconds["all"] < 60


def test_labels_are_examined_in_their_place(good: Manifest) -> None:
    rows = tuple(replace(row, text=None, label=None if index == 3 else "yes") for index, row in enumerate(good))
    examined = examine(Manifest(rows), Recordings(RATE), CONTRACT, field="label")
    assert examined.errors == ()
    assert [row.reason for row in examined.manifest.ledger] == ["no label"]


def test_what_cannot_be_learnt_enters_the_ledger(tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    """At 40 ms a frame, 0.4 s are ten frames; a blank must stand between equal letters."""
    texts = {"abcdabcdab": True, "abcdabcdabc": False, "aabbaab": True, "aabbaabb": False, "ж": False, "a7": False}
    rows = []
    for index, text in enumerate([*texts, None]):
        samples(tmp_path / f"{index}.wav", tone("abcd")[: round(0.4 * RATE) - 1])
        rows.append(Utterance(tmp_path / f"{index}.wav", text=text, split="train"))
    given = Manifest(tuple(rows), (LedgerRow("x", "y"),))
    objective = Ctc(Vocabulary(tuple(" abcd")))
    kept = learnable(given, tiny(), objective, Recordings(RATE))
    assert [row.text for row in kept] == [text for text, fits in texts.items() if fits]
    assert len(kept) + len(kept.ledger) == len(given) + 1
    assert ledger_counts(kept.ledger)["label longer than its audio"] == 2
    with pytest.raises(DataError, match=r"no utterance that can be learnt from \(no transcript\)"):
        learnable(Manifest((rows[-1],)), tiny(), objective, Recordings(RATE))
    with pytest.raises(DataError, match="it was empty"):
        learnable(Manifest(()), tiny(), objective, Recordings(RATE))


def test_learnable_goes_by_the_samples_that_there_are(tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    """A span may overrun its file by 50 ms, more than a frame."""
    samples(tmp_path / "a.wav", tone("abcd")[: round(0.36 * RATE) - 1])
    row = Utterance(tmp_path / "a.wav", 0.0, 0.4, text="abcdabcdab")
    with pytest.raises(DataError, match="10 frames needed, 9 there"):
        learnable(Manifest((row,)), tiny(), Ctc(Vocabulary(tuple("abcd"))), Recordings(RATE))
