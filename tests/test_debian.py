"""Debian's voice prompts: every line and file accounted for, and fetching that leaves nothing half done."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import audio, corpora
from speechtransfer.corpora import debian
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, ledger_counts

# Debian packages, as dpkg-deb unpacks them.


def unpacked(root: Path, name: str, transcript: str, keys: str) -> debian.Prompts:
    prompts = debian.CORPORA[name]
    code = prompts.transcript
    path = root / f"usr/share/doc/asterisk-core-sounds-{code}/core-sounds-{code}.txt.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(f"\ufeff; Core Sounds\n\n{transcript}\n".encode()))
    for key in keys.split():
        clip(root / "usr/share/asterisk/sounds" / prompts.voice / f"{key}.wav")
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
    manifest = debian.read_prompts(tmp_path, prompts)
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
    manifest = debian.read_prompts(tmp_path, unpacked(tmp_path, "asterisk-it", transcript, "bad then-pound"))
    assert texts(manifest) == {"then-pound": "poi premere"}
    assert dropped(manifest)["bad.wav"].startswith(reason)
    assert manifest.ledger[0].where == "core-sounds-it.txt.gz:3"


def test_asterisk_lines_and_files_are_all_accounted_for(tmp_path: Path) -> None:
    transcript = "digits/0: cero\ndigits/0: diez\ndigits/1: uno\ndigits/1: una\ngone: nada\nbeep: un tono"
    keys = "digits/0 digits/1 digits/10 beep silence/1 untold"
    manifest = debian.read_prompts(tmp_path, unpacked(tmp_path, "asterisk-es", transcript, keys))
    assert texts(manifest) == {"0": "cero", "1": "uno", "10": "diez"}
    assert ledger_counts(row for row in manifest.ledger if row.action == "dropped") == {
        "not speech": 2,
        "a second line for the same sound file": 1,
        "no sound file for the line": 1,
        "no line in the transcript": 1,
    }


def test_latin_letters_in_a_russian_line(tmp_path: Path) -> None:
    transcript = "vm-first: первoe\nvm-last: последнее"  # the first ends in Latin o and e
    manifest = debian.read_prompts(tmp_path, unpacked(tmp_path, "asterisk-ru", transcript, "vm-first vm-last"))
    assert texts(manifest) == {"vm-last": "последнее"}
    assert dropped(manifest)["vm-first.wav"].startswith("Latin letters")


def test_the_second_italian_voice_keeps_to_its_words(tmp_path: Path) -> None:
    transcript = "digits/1: uno\nletters/b: b\nhello: Ciao\nabsent: Niente"
    prompts = unpacked(tmp_path, "asterisk-it-menardi", transcript, "digits/1 letters/b hello phonetic/x")
    manifest = debian.read_prompts(tmp_path, prompts)
    assert texts(manifest) == {"1": "uno", "b": "b"} and manifest.speakers == {"menardi"}
    assert set(dropped(manifest)) == {"hello.wav", "x.wav"}


def test_one_person_is_one_speaker_in_two_languages() -> None:
    assert debian.CORPORA["asterisk-en"].speaker == debian.CORPORA["asterisk-es"].speaker == "allison"


def test_a_damaged_or_empty_package(tmp_path: Path) -> None:
    prompts = unpacked(tmp_path, "asterisk-ru", "a: б", "b")
    with pytest.raises(DataError, match="no clip can be used"):
        debian.read_prompts(tmp_path, prompts)
    with pytest.raises(DataError, match="cannot be listed"):
        debian.read_prompts(tmp_path / "nothing", prompts)
    transcript = next(tmp_path.rglob("*.txt.gz"))
    transcript.write_bytes(transcript.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        debian.read_prompts(tmp_path, prompts)


# Fetching, with stand-ins for apt-get and dpkg-deb.


def stand_in(monkeypatch: pytest.MonkeyPatch, apt_says: str | None = None) -> list[list[str]]:
    """Replace the tools; ``apt_says`` is the error that apt-get fails with."""
    commands: list[list[str]] = []

    def run(command: list[str], cwd: str, **how: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if command[0] == "apt-get" and apt_says is not None:
            return subprocess.CompletedProcess(command, 100, "", apt_says)
        if command[0] == "apt-get":
            (Path(cwd) / f"{command[-1]}_1_all.deb").touch()
        else:
            (Path(cwd) / "unpacked").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(debian.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(debian.subprocess, "run", run)
    return commands


def test_packages_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = stand_in(monkeypatch)
    folder = debian.fetch(["one", "two"], tmp_path)
    assert folder.is_dir() and [command[0] for command in commands] == ["apt-get", "dpkg-deb"] * 2
    assert debian.fetch(["one", "two"], tmp_path) == folder and len(commands) == 4
    assert list((tmp_path / "debian").iterdir()) == [folder], "nothing temporary is left"


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, apt_says="E: Unable to locate package one")
    with pytest.raises(DataError, match=r"one cannot be downloaded \(E: Unable to locate.*apt-get update"):
        debian.fetch(["one"], tmp_path)
    assert not list((tmp_path / "debian").iterdir())


def test_systems_without_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.shutil, "which", lambda tool: None)
    with pytest.raises(DataError, match="need apt-get"):
        debian.fetch(["one"], tmp_path)


def test_names_and_languages_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such corpus; the known ones are debian:asterisk-en"):
        corpora.load("debian:asterisk-xx")
    with pytest.raises(DataError, match="its language is rus, not ukr"):
        corpora.load("debian:asterisk-ru", language="ukr")
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "mine"))
    assert debian.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("SPEECHTRANSFER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert debian.cache_folder() == tmp_path / "speechtransfer"


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
    ],
)
def test_real_packages(name: str, clips: int, minutes: float, given: int) -> None:
    manifest = corpora.load(f"debian:{name}")
    assert len(manifest) == clips
    assert len(manifest) + len([row for row in manifest.ledger if row.action == "dropped"]) == given
    assert sum(audio.probe(row.audio).seconds for row in manifest) / 60 == pytest.approx(minutes, abs=0.05)
