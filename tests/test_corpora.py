"""Corpora of every kind become manifests in which each given utterance is used or in the ledger."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechtransfer import audio, corpora
from speechtransfer.corpora import debian
from speechtransfer.corpora.contract import natural
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, Utterance, ledger_counts, write_manifest


def clip(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(800) / 3), 8000)
    return path


def dropped(manifest: Manifest) -> dict[str, str]:
    """Reason by file name, of what did not make it in."""
    return {Path(row.audio).name: row.reason for row in manifest.ledger if row.action == "dropped"}


# Finding out what DATA is.


def test_each_format_is_recognised(tmp_path: Path) -> None:
    clip(tmp_path / "words/yes/1.wav")
    clip(tmp_path / "splits/train/yes/1.wav")
    table = clip(tmp_path / "table/a.wav").with_name("metadata.csv")
    table.write_text("file_name,text\na.wav,yes\n")
    write_manifest(tmp_path / "m.jsonl", Manifest((Utterance(tmp_path / "table/a.wav", text="yes"),)))
    known = {
        "words": "classes",
        "splits": "classes",
        "table": "table",
        "table/metadata.csv": "table",
        "m.jsonl": "manifest",
    }
    for name, format in known.items():
        assert corpora.detect(str(tmp_path / name)) == format
        manifest = corpora.load(str(tmp_path / name), language="eng")
        assert len(manifest) == 1 and manifest[0].language == "eng"
    assert corpora.detect("debian:asterisk-ru") == "debian"


def test_what_no_importer_knows_lists_the_formats(tmp_path: Path) -> None:
    clip(tmp_path / "flat.wav")
    for data, message in ((tmp_path, "none of the formats"), (tmp_path / "no", "no such file or folder")):
        with pytest.raises(DataError, match=message) as caught:
            corpora.detect(str(data))
        assert all(name in str(caught.value) for name in corpora.IMPORTERS)
    with pytest.raises(DataError, match="'mp3' is no format; the formats are manifest, debian"):
        corpora.load(str(tmp_path), format="mp3")


def test_numbers_in_names_sort_as_numbers() -> None:
    names = ["rec_10.wav", "rec_2.wav", "rec_1.wav", "a.wav", "10.wav", "9.wav", "rec.wav"]
    ordered = ["9.wav", "10.wav", "a.wav", "rec.wav", "rec_1.wav", "rec_2.wav", "rec_10.wav"]
    assert sorted(names, key=natural) == ordered


# Class folders.


def test_class_folders(tmp_path: Path) -> None:
    for name in ("так/10.wav", "так/2.wav", "ні/1.WAV", "deep/er/1.wav", "loose.wav"):
        clip(tmp_path / name)
    (tmp_path / "так/notes.txt").touch()
    (tmp_path / ".git").mkdir()
    clip(tmp_path / ".git/1.wav")
    manifest = corpora.load(str(tmp_path), "classes", language="ukr")
    assert [(row.label, row.audio.name) for row in manifest] == [
        ("ні", "1.WAV"),
        ("так", "2.wav"),
        ("так", "10.wav"),
    ]
    assert dropped(manifest) == {
        "notes.txt": "not a sound file by its name",
        "1.wav": "not directly in a class folder",
        "loose.wav": "not directly in a class folder",
    }
    assert all(row.split is None and row.text is None for row in manifest)


def test_split_folders_above_class_folders(tmp_path: Path) -> None:
    for name in ("train/yes/1.wav", "train/no/1.wav", "dev/yes/2.wav", "test/no/3.wav", "test/stray.wav"):
        clip(tmp_path / name)
    manifest = corpora.load(str(tmp_path))
    assert manifest.splits == ("train", "dev", "test") and len(manifest) == 4
    assert {row.label for row in manifest} == {"yes", "no"}
    assert [(row.split, row.reason) for row in manifest.ledger] == [("test", "not directly in a class folder")]


def test_a_word_may_be_called_test(tmp_path: Path) -> None:
    for word in ("test", "train", "bus"):
        clip(tmp_path / word / "1.wav")
    assert {row.label for row in corpora.load(str(tmp_path))} == {"test", "train", "bus"}


def test_class_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        corpora.load(str(tmp_path / "missing"), "classes")
    with pytest.raises(DataError, match="holds no sound file"):
        corpora.load(str(tmp_path), "classes")
    clip(tmp_path / "train/yes/1.wav")
    clip(tmp_path / "yes/1.wav")
    with pytest.raises(DataError, match="yes/ stands beside it"):
        corpora.load(str(tmp_path))


def test_links_out_of_the_folder_need_leave(tmp_path: Path) -> None:
    clip(tmp_path / "data/no/1.wav")
    (tmp_path / "data/yes").mkdir()
    (tmp_path / "data/yes/1.wav").symlink_to(clip(tmp_path / "elsewhere/1.wav"))
    with pytest.raises(DataError, match="--audio-root"):
        corpora.load(str(tmp_path / "data"))
    assert len(corpora.load(str(tmp_path / "data"), audio_roots=[tmp_path / "elsewhere"])) == 2


# Tables.


def table(folder: Path, content: str | bytes, name: str = "metadata.csv", clips: str = "a b") -> str:
    for stem in clips.split():
        clip(folder / f"{stem}.wav")
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return str(folder)


def test_a_table_with_every_column(tmp_path: Path) -> None:
    content = (
        "\ufeffFile_Name,sentence,client_id,language,split,start,end\r\n"
        'a.wav,"Yes, ""sir""",anna,swh,validation,0.01,0.05\r\n'
        "a.wav,no,,,other voices,0.05,\r\n"
    )
    manifest = corpora.load(table(tmp_path, content, clips="a"), language="eng")
    path = tmp_path.resolve() / "a.wav"
    assert manifest.rows == (
        Utterance(path, 0.01, 0.05, 'Yes, "sir"', speaker="anna", language="swh", split="dev"),
        Utterance(path, 0.05, None, "no", language="eng", split="other voices"),
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.tsv", 'path\ttext\na.wav\the said "no\n'),
        ("metadata.csv", 'file;transcript\na.wav;he said "no\n'),
        ("metadata.csv", 'audio,label,transcription\na.wav,,"he said ""no"\n'),
    ],
)
def test_tables_of_other_dialects(tmp_path: Path, name: str, content: str) -> None:
    (row,) = corpora.load(table(tmp_path, content, name, clips="a"))
    assert row.text == 'he said "no' and row.label is None


def test_rows_without_text_and_files_without_row_are_in_the_ledger(tmp_path: Path) -> None:
    content = "file,text\na.wav,yes\nb.wav,  \n\n"
    manifest = corpora.load(table(tmp_path, content, clips="a b c sub/d"))
    assert [row.text for row in manifest] == ["yes"]
    assert dropped(manifest) == {
        "b.wav": "no transcript",
        "c.wav": "no row in metadata.csv",
        "d.wav": "no row in metadata.csv",
    }
    assert manifest.ledger[0].where.endswith("metadata.csv:3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,text\na.wav,yes\nmissing.wav,no\n", r"metadata.csv:3: missing.wav does not exist"),
        ("file,text\n../a.wav,yes\n", r"metadata.csv:2: .*--audio-root"),
        ("file,text\n/etc/passwd,yes\n", r"metadata.csv:2: .*--audio-root"),
        ("file,text\n,yes\n", r"metadata.csv:2: names no sound file"),
        ("file,text\na.wav,yes, please\n", r"metadata.csv:2: has 3 fields, the header 2"),
        ("file,text\na.wav,yes\na.wav,no\n", r"metadata.csv:3: .*already in .*metadata.csv:2"),
        ("file,text,start\na.wav,yes,soon\n", r"metadata.csv:2: 'soon' is no time"),
        ("file,text,start\na.wav,yes,nan\n", r"metadata.csv:2: 'nan' is no time"),
        ('file,text,start\na.wav,yes,"1,5"\n', r"metadata.csv:2: '1,5' is no time"),
        ("file,text,start,end\na.wav,yes,2,1\n", r"metadata.csv:2: the span 2 to 1 s is empty"),
        ('file,text\na.wav,"yes\n', r"not a well-formed table"),
        ("file,text\na.wav,\n", r"holds no row with a transcript"),
        ("file,words\na.wav,yes\n", r"has no column text, sentence, .* or label; its header is file, words"),
        ("name,text\na.wav,yes\n", r"has no column file_name, audio, path or file"),
        ("", r"its header is empty"),
        ("file,text\na.wav,señor\n".encode("latin-1"), r"is not UTF-8 text"),
        ("file,text\na.wav,yes\n".encode("utf-16"), r"is not UTF-8 text"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        corpora.load(table(tmp_path, content))


def test_two_tables_or_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither metadata\.csv nor metadata\.tsv"):
        corpora.load(str(tmp_path), "table")
    table(tmp_path, "file,text\na.wav,yes\n", "metadata.tsv")
    with pytest.raises(DataError, match=r"both metadata\.csv and metadata\.tsv"):
        corpora.load(table(tmp_path, "file,text\na.wav,yes\n"))


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
