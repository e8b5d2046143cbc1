"""Tux Paint's stamps: copies, effects, missing lines and lines that are longer than what is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import dropped

from speechtransfer import audio, corpora
from speechtransfer.corpora import tuxpaint
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, ledger_counts

READERS = {reader.code: reader for reader in tuxpaint.READERS}


class Stamps:
    """The package as dpkg-deb unpacks it, of a few stamps."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "usr/share/tuxpaint/stamps"
        self.count = 0

    def text(self, stamp: str, *lines: str) -> None:
        path = self.folder / f"{stamp}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["An English line.", *lines]) + "\n", encoding="utf-8")

    def sound(self, name: str, pitch: float | None = None, seconds: float = 2.0, format: str = "WAV") -> Path:
        """A sound unlike all others, or that of a ``pitch`` named before, in a file of any coding."""
        self.count += 1
        pitch = pitch or 1000 + self.count
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 9000 * np.sin(np.arange(round(seconds * 8000)) * pitch / 8000)
        soundfile.write(path, wave.astype(np.int16), 8000, format=format)
        return path

    def read(self, code: str) -> Manifest:
        return tuxpaint.read_stamps(self.root, READERS[code])


@pytest.fixture
def stamps(tmp_path: Path) -> Stamps:
    return Stamps(tmp_path)


def texts(manifest: Manifest) -> dict[str, str | None]:
    return {row.audio.name: row.text for row in manifest}


def test_a_description_says_its_languages_line(stamps: Stamps) -> None:
    stamps.text("animals/cat", "ca.utf8=Un gat.", "ca@valencia.utf8=Un gatet.", "fr.utf8=Un chat.")
    stamps.text("plants/trees/7oak", "fr_CA.utf8=Un chêne du Canada.", "fr.utf8= Un chêne. ", "frp.utf8=Un chano.")
    for name in ("animals/cat_desc_ca", "animals/cat_desc_fr", "plants/trees/7oak_desc_fr", "animals/cat_desc"):
        stamps.sound(f"{name}.ogg")
    manifest = stamps.read("fr")
    assert texts(manifest) == {"cat_desc_fr.ogg": "Un chat.", "7oak_desc_fr.ogg": "Un chêne."}
    row = manifest[0]
    assert (row.speaker, row.language, row.domain, row.split) == ("tuxpaint-fr", "fra", "tuxpaint", None)
    assert not manifest.ledger, "other languages and regional varieties are another corpus's"
    assert texts(stamps.read("ca")) == {"cat_desc_ca.ogg": "Un gat."}


def test_copies_are_found_by_their_samples_and_one_stays(stamps: Stamps) -> None:
    for stamp, text in (("cat", "Un chat."), ("cat-2", "un CHAT"), ("cat-10", "Un chat."), ("dog", "Un chien.")):
        stamps.text(stamp, f"fr.utf8={text}")
    stamps.sound("cat_desc_fr.ogg", pitch=300)
    stamps.sound("cat-2_desc_fr.ogg", pitch=300, format="FLAC")  # other bytes, the same sound
    stamps.sound("cat-10_desc_fr.ogg", pitch=300)
    stamps.sound("dog_desc_fr.ogg", pitch=301)  # as long, and another sound
    manifest = stamps.read("fr")
    assert texts(manifest) == {"cat-2_desc_fr.ogg": "un CHAT", "dog_desc_fr.ogg": "Un chien."}
    same = "the same sound as another clip: cat-2_desc_fr.ogg"
    assert dropped(manifest) == {"cat-10_desc_fr.ogg": same, "cat_desc_fr.ogg": same}


def test_one_sound_with_two_texts_is_no_ones(stamps: Stamps) -> None:
    stamps.text("walnut", "el.utf8=Καρύδι.")
    stamps.text("pecan", "el.utf8=Πεκάν.")
    stamps.text("tree", "el.utf8=Δέντρο.")
    for name in ("walnut_desc_el.ogg", "pecan_desc_el.ogg", "untold_desc_el.ogg"):
        stamps.sound(name, pitch=300)
    stamps.sound("tree_desc_el.ogg")
    manifest = stamps.read("el")
    assert texts(manifest) == {"tree_desc_el.ogg": "Δέντρο."}
    reason = "the same sound has different texts: Πεκάν. | Καρύδι."
    assert dropped(manifest) == {
        "pecan_desc_el.ogg": reason,
        "walnut_desc_el.ogg": reason,
        "untold_desc_el.ogg": "no line in the transcript",
    }


def test_every_line_and_every_sound_of_the_language_is_accounted_for(stamps: Stamps) -> None:
    stamps.text("cat", "ru.utf8=Кошка.", "ru.utf8=Кот.")
    stamps.text("dog", "ru.utf8=")
    stamps.text("cow", "bg.utf8=Крава.")
    stamps.text("hen", "ru.utf8=Курица.")
    for name in ("cat_desc_ru.ogg", "dog_desc_ru.ogg", "cow_desc_ru.ogg", "fox_desc_ru.ogg", "7_ru.ogg", "cat.ogg"):
        stamps.sound(name)
    manifest = stamps.read("ru")
    assert texts(manifest) == {"cat_desc_ru.ogg": "Кошка."}
    assert ledger_counts(manifest.ledger) == {
        "no line in the transcript": 2,
        "an empty line in the transcript": 1,
        "no sound file for the line": 1,
        "a second line for the same stamp": 1,
        "a sound effect or a name, without a text": 1,
    }
    assert {row.audio: row.where for row in manifest.ledger}["hen"] == "hen.txt:2"
    assert all(row.action == "dropped" for row in manifest.ledger)


def test_a_name_with_its_ending_twice_is_read(stamps: Stamps) -> None:
    stamps.text("photo", "da.utf8=En kat.")
    stamps.sound("photo_desc_da.ogg.ogg")
    assert texts(stamps.read("da")) == {"photo_desc_da.ogg.ogg": "En kat."}


@pytest.mark.parametrize(
    ("code", "line", "reason"),
    [
        ("fr", "Un avion F-22.", "digits in the text"),
        ("fr", "Un paon (mâle).", "a remark in brackets in the text"),
        ("ru", "Буква a.", "Latin letters in a Cyrillic text"),
        ("el", "Το γράμμα b.", "Latin letters in a Greek text"),
        ("be", "Антуриум", "letters that the language does not write"),
        ("ca", "El signe per la lletra en el llenguatge de signes americà.", "the clip is too short for its text"),
    ],
)
def test_lines_that_are_not_what_is_said(stamps: Stamps, code: str, line: str, reason: str) -> None:
    stamps.text("good", f"{code}.utf8={'Ну' if code in ('ru', 'be') else 'ναι' if code == 'el' else 'no'}")
    stamps.text("bad", f"{code}.utf8={line}")
    for name in ("good", "bad"):
        stamps.sound(f"{name}_desc_{code}.ogg")
    manifest = stamps.read(code)
    assert [row.audio.name for row in manifest] == [f"good_desc_{code}.ogg"]
    assert dropped(manifest)[f"bad_desc_{code}.ogg"].startswith(reason)
    assert manifest.ledger[0].where == "bad.txt:2"


def test_letters_that_are_said_by_their_names_alone(stamps: Stamps) -> None:
    stamps.text("symbols/alphabets/english/filled/p_filled", "fr.utf8=La lettre p.", "es.utf8=La letra p.")
    stamps.text("cat", "fr.utf8=Un chat.")
    for code in ("fr", "es"):
        stamps.sound(f"symbols/alphabets/english/filled/p_filled_desc_{code}.ogg")
    stamps.sound("cat_desc_fr.ogg")
    assert dropped(stamps.read("fr")) == {"p_filled_desc_fr.ogg": "the clip says the letter's name alone: La lettre p."}
    assert texts(stamps.read("es")) == {"p_filled_desc_es.ogg": "La letra p."}


def test_danish_loads_with_a_note_on_every_row(stamps: Stamps) -> None:
    stamps.text("cat", "da.utf8=En kat.", "fr.utf8=Un chat.")
    stamps.text("dog", "da.utf8=En hund nr. 1.")
    for name in ("cat_desc_da.ogg", "dog_desc_da.ogg", "cat_desc_fr.ogg"):
        stamps.sound(name)
    manifest = stamps.read("da")
    assert texts(manifest) == {"cat_desc_da.ogg": "En kat."}
    (note,) = (row for row in manifest.ledger if row.action == "kept")
    assert note.audio == manifest[0].id and note.reason.startswith("unverified: ") and note.where == "cat.txt:2"
    assert not [row for row in stamps.read("fr").ledger if row.action == "kept"]


def test_a_damaged_clip_is_left_to_the_doctor(stamps: Stamps) -> None:
    stamps.text("cat", "fr.utf8=Un chat.")
    (stamps.folder / "cat_desc_fr.ogg").write_bytes(b"OggS, and no more")
    assert texts(stamps.read("fr")) == {"cat_desc_fr.ogg": "Un chat."}


def test_a_package_that_cannot_be_read(stamps: Stamps) -> None:
    with pytest.raises(DataError, match="cannot be listed"):
        stamps.read("fr")
    stamps.text("cat", "fr.utf8=Un chat.")
    with pytest.raises(DataError, match="no clip can be used"):
        stamps.read("fr")
    (stamps.folder / "cat.txt").write_bytes(b"A cat.\nfr.utf8=Un chat tr\xe8s noir.\n")
    with pytest.raises(DataError, match=r"cat\.txt: cannot be read .* Remove .* and try again"):
        stamps.read("fr")


def test_all_languages_share_one_package() -> None:
    assert {corpus.packages for corpus in tuxpaint.CORPORA.values()} == {("tuxpaint-stamps-default",)}
    assert list(tuxpaint.CORPORA) == [f"tuxpaint-{code}" for code in READERS] and len(READERS) == 9


@pytest.mark.network
@pytest.mark.parametrize(
    ("code", "clips", "minutes", "given"),
    [
        ("fr", 687, 15.4, 963),
        ("ru", 627, 14.3, 960),
        ("ro", 732, 22.6, 933),
        ("ca", 620, 11.0, 963),
        ("bg", 627, 12.3, 941),
        ("es", 696, 18.8, 961),
        ("be", 535, 12.4, 935),
        ("el", 410, 11.8, 983),
        ("da", 297, 4.8, 952),
    ],
)
def test_real_packages(code: str, clips: int, minutes: float, given: int) -> None:
    manifest = corpora.load(f"debian:tuxpaint-{code}")
    assert len(manifest) == clips
    assert len(manifest) + len([row for row in manifest.ledger if row.action == "dropped"]) == given
    assert sum(audio.probe(row.audio).seconds for row in manifest) / 60 == pytest.approx(minutes, abs=0.05)
