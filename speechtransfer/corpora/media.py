"""Where the sound lies that a transcript names: as it says, or by its name, since folders move and paths do not."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from speechtransfer.corpora.contract import is_sound, walk
from speechtransfer.errors import DataError
from speechtransfer.manifest import readable, resolve_inside


class Media:
    """The sound files of a corpus, found by the paths that another machine gave them.

    Args:
        base: the corpus's own folder; relative paths start here.
        audio_roots: further folders that may be read.
    """

    def __init__(self, base: Path, audio_roots: Sequence[str | Path] = ()) -> None:
        self.base = base.resolve()
        self.roots = readable(self.base, audio_roots)
        self._named: dict[str, list[Path]] | None = None
        self._stems: dict[str, list[Path]] | None = None

    def find(self, name: str, where: str, beside: Path | None = None) -> Path:
        """The file that a transcript calls ``name``.

        A path that leads to a file in a folder that may be read is that file. Any other, absolute or not, with
        ``file://`` or a Windows drive before it, is looked for by its last part in all of those folders; of several
        such files the one whose folders agree furthest with the path.

        Args:
            name: as the transcript has it.
            where: the file and line of the transcript, for messages.
            beside: the folder that a relative path starts from; None is the corpus's own.

        Raises:
            DataError: no such file, or several that agree with the path alike.
        """
        given = plain_path(name)
        near = beside or self.base
        if not _is_foreign(given) and os.path.isfile(near / given):  # no exception at a name too long to be one
            try:
                return resolve_inside(str(near / given), self.base, self.roots, where)
            except DataError:
                if not self._candidates(given):
                    raise
        found = self._candidates(given)
        if not found:
            raise DataError(
                f"{where}: {name} is not there, and no sound file of that name lies in "
                f"{', '.join(map(str, self.roots))}. Copy it there, or name its folder with --audio-root."
            )
        agreed = [_agreement(path, given) for path in found]
        best = [path for path, parts in zip(found, agreed, strict=True) if parts == max(agreed)]
        if len(best) > 1:
            raise DataError(
                f"{where}: {name} may be {' or '.join(map(str, best[:3]))}. Remove all but one, or mend the path."
            )
        return resolve_inside(str(best[0]), self.base, self.roots, where)

    def like(self, transcript: Path) -> Path:
        """The sound file of a transcript's own stem, whose folders agree furthest with the transcript's.

        That is the one beside it, if there is one; of several in one folder it is WAV, else FLAC, else the first
        by name.

        Raises:
            DataError: no such file, or several in folders that agree alike.
        """
        if self._stems is None:
            self._stems = defaultdict(list)
            for path in self._sounds():
                self._stems[name_key(path.stem)].append(path)
        found = self._stems.get(name_key(transcript.stem), [])
        if not found:
            raise DataError(
                f"{transcript}: no sound file called {transcript.stem} lies in {', '.join(map(str, self.roots))}. "
                "Copy it there, or name its folder with --audio-root."
            )
        agreed = [_agreement(path.parent, str(transcript.parent)) for path in found]
        best = [path for path, parts in zip(found, agreed, strict=True) if parts == max(agreed)]
        if len({path.parent for path in best}) > 1:
            raise DataError(f"{transcript}: its sound may be {' or '.join(map(str, best[:3]))}. Remove all but one.")
        first = min(best, key=lambda path: (path.suffix.lower() != ".wav", path.suffix.lower() != ".flac"))
        return resolve_inside(str(first), self.base, self.roots, str(transcript))

    def _candidates(self, given: str) -> list[Path]:
        if self._named is None:
            self._named = defaultdict(list)
            for path in self._sounds():
                self._named[name_key(path.name)].append(path)
        return self._named.get(name_key(PurePosixPath(given).name), [])

    def _sounds(self) -> list[Path]:
        return list(dict.fromkeys(path for root in self.roots for path in walk(root) if is_sound(path)))


def plain_path(name: str) -> str:
    """A path with slashes, without the scheme of a ``file:`` URL and its percent signs."""
    if name.lower().startswith("file:"):
        try:
            parts = urlsplit(name)
        except ValueError:  # brackets that are no IPv6 address
            return name.replace("\\", "/")
        # file:///C:/a.wav, file:/C:/a.wav and file://server/share/a.wav are all met.
        name = unquote(f"//{parts.netloc}{parts.path}" if parts.netloc else parts.path)
        if len(name) > 2 and name[0] == "/" and name[2] == ":":
            name = name[1:]
    return name.replace("\\", "/")


def _is_foreign(path: str) -> bool:
    """Whether a path begins with a drive or a server, as no path does here."""
    return path.startswith("//") or (len(path) > 1 and path[1] == ":" and path[0].isalpha())


def name_key(name: str) -> str:
    """One key for the spellings that file systems take for one name: macOS decomposes letters, Windows ignores case."""
    return unicodedata.normalize("NFC", name).casefold()


def _agreement(path: Path, given: str) -> int:
    """How many parts of two paths are alike, from the end."""
    count = 0
    for own, other in zip(reversed(path.parts), reversed(PurePosixPath(given).parts), strict=False):
        if name_key(own) != name_key(other):
            break
        count += 1
    return count
