"""Names such as debian:asterisk-ru: fetching that shows how much has come and leaves nothing half done."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from speechtransfer import corpora
from speechtransfer.corpora import debian
from speechtransfer.corpora.contract import Packaged
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, Utterance

SIZE = 5000  # bytes of every package of the stand-in archive


def stand_in(
    monkeypatch: pytest.MonkeyPatch, apt_says: Callable[[list[str]], str | None] = lambda command: None
) -> list[list[str]]:
    """Replace the tools, one look long each; ``apt_says`` gives the error that a command of apt-get fails with."""
    commands: list[list[str]] = []

    class Tool:
        def __init__(self, command: list[str], cwd: Path, **how: object) -> None:
            self.command, self.folder, self.looks = command, cwd, 0
            self.errors = (apt_says(command) if command[0] == "apt-get" else None) or ""
            self.returncode = 100 if self.errors else 0
            commands.append(command)

        def __enter__(self) -> Tool:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def communicate(self, timeout: float) -> tuple[str, str]:
            package = self.command[-1]
            archive = self.folder / f"{package}_1_all.deb"
            if self.command[0] == "apt-get" and "--print-uris" in self.command:
                return f"'http://archive/{package}_1_all.deb' {package}_1_all.deb {SIZE} SHA256:0f", self.errors
            if self.command[0] == "apt-get" and "download" in self.command:
                archive.write_bytes(bytes(SIZE if self.looks else SIZE // 2))
            elif self.command[0] == "dpkg-deb":
                name = self.command[2]
                assert (self.folder / name).stat().st_size == SIZE, "half a file is never unpacked"
                (self.folder / "unpacked" / name).mkdir(parents=True, exist_ok=True)
            self.looks += 1
            if self.looks == 1 and not self.errors:
                raise subprocess.TimeoutExpired(self.command, timeout)
            return "", self.errors

    monkeypatch.setattr(debian.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(debian.subprocess, "Popen", Tool)
    return commands


def verbs(commands: list[list[str]]) -> list[str]:
    return [next(word for word in ("--print-uris", "download", "update", "-x") if word in one) for one in commands]


def test_packages_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = stand_in(monkeypatch)
    folder = debian.fetch(["one", "two"], tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["one_1_all.deb", "two_1_all.deb"]
    assert verbs(commands) == ["--print-uris", "download", "-x"] * 2
    assert debian.fetch(("one", "two"), tmp_path) == folder and len(commands) == 6
    assert list((tmp_path / "debian").iterdir()) == [folder], "nothing temporary is left"


def test_a_download_shows_how_much_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []

    class Recorder(Progress):
        def update(self, task: Any, **fields: Any) -> None:
            shown.append(fields)
            super().update(task, **fields)

    stand_in(monkeypatch)
    monkeypatch.setattr("speechtransfer.console.Progress", Recorder)
    debian.fetch(["big"], tmp_path)
    assert shown == [
        {"total": SIZE},
        {"completed": SIZE // 2},
        {"description": "Unpacking big", "completed": 0, "total": None},
    ]


def test_old_lists_are_replaced_by_lists_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(command: list[str]) -> str | None:
        return None if "-o" in command or "--print-uris" in command else "E: 404 Not Found"

    commands = stand_in(monkeypatch, gone)
    folder = debian.fetch(["one"], tmp_path)
    assert folder.is_dir() and verbs(commands) == [
        "--print-uris",
        "download",
        "update",
        "--print-uris",
        "download",
        "-x",
    ]
    assert f"Dir::State::Lists={tmp_path / 'apt/lists'}" in commands[2]
    assert (tmp_path / "apt/lists/partial").is_dir()


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, lambda command: "E: Unable to locate package one")
    with pytest.raises(DataError, match=r"one cannot be downloaded \(E: Unable to locate.*apt-get update"):
        debian.fetch(["one"], tmp_path)
    assert not list((tmp_path / "debian").iterdir())


def test_systems_without_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.shutil, "which", lambda tool: None)
    with pytest.raises(DataError, match="need apt-get"):
        debian.fetch(["one"], tmp_path)


def test_a_name_is_looked_up_fetched_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path))

    def read(root: Path) -> Manifest:
        return Manifest((Utterance(root / "a.wav", text="a"),))

    importer = debian.importer({"mine": Packaged(("one",), "rus", read)})
    assert importer.recognises("debian:mine") and not importer.recognises("mine")
    assert importer.load("debian:mine", (), None)[0].audio == tmp_path / "debian/one/a.wav"
    assert len(importer.load("debian:mine", (), "rus")) == 1
    with pytest.raises(DataError, match="its language is rus, not ukr"):
        importer.load("debian:mine", (), "ukr")


def test_names_that_do_not_exist_list_those_that_do() -> None:
    with pytest.raises(DataError, match="no such corpus; the known ones are debian:asterisk-en") as caught:
        corpora.load("debian:asterisk-xx")
    for name in ("asterisk-es-co", "tuxpaint-ru", "tuxpaint-da", "fillets-cs", "fillets-nl"):
        assert f"debian:{name}" in str(caught.value)


def test_the_cache_lies_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "mine"))
    assert debian.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("SPEECHTRANSFER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert debian.cache_folder() == tmp_path / "speechtransfer"
