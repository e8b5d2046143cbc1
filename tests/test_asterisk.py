"""Asterisk's prompts: every line and file accounted for, and lines that do not say what the clip says left out."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clips import clip, dropped

from speechtransfer import audio, corpora
from speechtransfer.corpora import asterisk
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, ledger_counts


def unpacked(root: Path, name: str, transcript: str, keys: str) -> asterisk.Prompts:
    prompts = asterisk.VOICES[name]
    code = prompts.transcript
    path = root / f"usr/share/doc/asterisk-core-sounds-{code}/core-sounds-{code}.txt.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(f"\ufeff; Core Sounds\n\n{transcript}\n".encode()))
    for key in keys.split():
        clip(root / "usr/share/asterisk/sounds" / prompts.folder / f"{key}.wav")
    return prompts


def texts(manifest: Manifest) -> dict[str, str | None]:
    return {row.audio.stem: row.text for row in manifest}


def test_asterisk_lines_that_say_what_the_clip_says(tmp_path: Path) -> None:
    prompts = unpacked(
        tmp_path,
        "asterisk-it",
        "activated: Attivato.\nhello:  Che cosa?\nletters/dash: trattino [-]\nletters/O: o\nagain: again: Ancora",
        "activated hello letters/dash letters/o again",
    )
    manifest = asterisk.read_prompts(tmp_path, prompts)
    assert texts(manifest) == {
        "activated": "Attivato.",
        "hello": "Che cosa?",
        "dash": "trattino",
        "o": "o",
        "again": "Ancora",
    }
    row = manifest[0]
    assert (row.speaker, row.language, row.domain, row.split) == ("carlo", "ita", "asterisk", None)
    assert {row.reason for row in manifest.ledger if row.action == "changed"} == {
        "the symbol beside its name was removed: trattino [-]",
        "the line repeated its own key",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("premere 1", "digits in the text"),
        ("Voce disattivata. (You are now muted.)", "a remark in brackets"),
        ("<segnale>", "a remark in brackets"),
        ("Spiacente, [quello] non è valido", "a remark in brackets"),
        ("il tempo sar? esattamente", "a mis-encoded letter"),
        ("La conferenza ? piena.", "a mis-encoded letter"),
        ("separati da * e", "a symbol or web address"),
        ("visitare www.asterisk.org", "a symbol or web address"),
        ("eliminato then-pound: poi premere", "another clip's line runs on"),
        ("", "an empty line"),
    ],
)
def test_asterisk_lines_that_do_not(tmp_path: Path, text: str, reason: str) -> None:
    transcript = f"bad: {text}\nthen-pound: poi premere"
    manifest = asterisk.read_prompts(tmp_path, unpacked(tmp_path, "asterisk-it", transcript, "bad then-pound"))
    assert texts(manifest) == {"then-pound": "poi premere"}
    assert dropped(manifest)["bad.wav"].startswith(reason)
    assert manifest.ledger[0].where == "core-sounds-it.txt.gz:3"


def test_asterisk_lines_and_files_are_all_accounted_for(tmp_path: Path) -> None:
    transcript = "digits/0: cero\ndigits/0: diez\ndigits/1: uno\ndigits/1: una\ngone: nada\nbeep: un tono"
    keys = "digits/0 digits/1 digits/10 beep silence/1 untold"
    manifest = asterisk.read_prompts(tmp_path, unpacked(tmp_path, "asterisk-es", transcript, keys))
    assert texts(manifest) == {"0": "cero", "1": "uno", "10": "diez"}
    assert ledger_counts(row for row in manifest.ledger if row.action == "dropped") == {
        "not speech": 2,
        "a second line for the same sound file": 1,
        "no sound file for the line": 1,
        "no line in the transcript": 1,
    }


def test_latin_letters_in_a_russian_line(tmp_path: Path) -> None:
    transcript = "vm-first: первoe\nvm-last: последнее"  # the first ends in Latin o and e
    manifest = asterisk.read_prompts(tmp_path, unpacked(tmp_path, "asterisk-ru", transcript, "vm-first vm-last"))
    assert texts(manifest) == {"vm-last": "последнее"}
    assert dropped(manifest)["vm-first.wav"].startswith("Latin letters")


def test_the_second_italian_voice_keeps_to_its_words(tmp_path: Path) -> None:
    transcript = "digits/1: uno\nletters/b: b\nhello: Ciao\nabsent: Niente"
    prompts = unpacked(tmp_path, "asterisk-it-menardi", transcript, "digits/1 letters/b hello phonetic/x")
    manifest = asterisk.read_prompts(tmp_path, prompts)
    assert texts(manifest) == {"1": "uno", "b": "b"} and manifest.speakers == {"menardi"}
    assert set(dropped(manifest)) == {"hello.wav", "x.wav"}


def test_the_second_french_and_spanish_voices_are_gsm_files_of_words(tmp_path: Path) -> None:
    for name, speaker, transcript, odd in (
        ("asterisk-fr-armelle", "armelle", "digits/1: un\nletters/dash: trait d'union\nhello: Bonjour", "dash"),
        ("asterisk-es-co", "july", "digits/1: uno\ndigits/pound: tecla de numero\nhello: Hola", "pound"),
    ):
        root = tmp_path / name
        prompts = unpacked(root, name, transcript, "")
        folder = root / "usr/share/asterisk/sounds" / prompts.folder
        for key in ("digits/1", f"{'digits' if odd == 'pound' else 'letters'}/{odd}", "digits/h-99", "hello"):
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{key}.gsm", np.zeros(800), 8000, format="RAW", subtype="GSM610")
        manifest = asterisk.read_prompts(root, prompts)
        assert [row.audio.name for row in manifest] == ["1.gsm"] and manifest.speakers == {speaker}
        assert {name: reason.split(":")[0] for name, reason in dropped(manifest).items()} == {
            "hello.gsm": "a long prompt, worded differently from the transcript",
            "h-99.gsm": "no line in the transcript",
            f"{odd}.gsm": "the clip says another word",
        }
        assert audio.probe(manifest[0].audio).sample_rate == 8000


def test_one_person_is_one_speaker_in_two_languages() -> None:
    assert asterisk.VOICES["asterisk-en"].speaker == asterisk.VOICES["asterisk-es"].speaker == "allison"


def test_a_damaged_or_empty_package(tmp_path: Path) -> None:
    prompts = unpacked(tmp_path, "asterisk-ru", "a: б", "b")
    with pytest.raises(DataError, match="no clip can be used"):
        asterisk.read_prompts(tmp_path, prompts)
    with pytest.raises(DataError, match="cannot be listed"):
        asterisk.read_prompts(tmp_path / "nothing", prompts)
    transcript = next(tmp_path.rglob("*.txt.gz"))
    transcript.write_bytes(transcript.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        asterisk.read_prompts(tmp_path, prompts)


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "clips", "minutes", "given"),
    [
        ("asterisk-en", 486, 15.9, 569),
        ("asterisk-es", 426, 20.4, 529),
        ("asterisk-fr", 447, 15.2, 568),
        ("asterisk-it", 496, 13.7, 601),
        ("asterisk-ru", 503, 14.7, 576),
        ("asterisk-it-menardi", 205, 2.9, 555),
        ("asterisk-fr-armelle", 139, 2.5, 327),
        ("asterisk-es-co", 88, 1.2, 285),
    ],
)
def test_real_packages(name: str, clips: int, minutes: float, given: int) -> None:
    manifest = corpora.load(f"debian:{name}")
    assert len(manifest) == clips
    assert len(manifest) + len([row for row in manifest.ledger if row.action == "dropped"]) == given
    assert sum(audio.probe(row.audio).seconds for row in manifest) / 60 == pytest.approx(minutes, abs=0.05)
