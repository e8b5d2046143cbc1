"""The sound files of a release's ``clips`` folder, by the names that its tables give them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from speechtransfer.corpora.contract import is_sound, walk
from speechtransfer.corpora.media import Media, name_key, plain_path
from speechtransfer.errors import DataError


class Clips:
    """A folder of sound files.

    Args:
        folder: where they lie; it is inside ``base``.
        base: the corpus's own folder.
        audio_roots: further folders that may be read.
    """

    def __init__(self, folder: Path, base: Path, audio_roots: Sequence[str | Path] = ()) -> None:
        self.folder = folder
        self._media = Media(base, audio_roots)
        self._files: dict[str, list[Path]] = defaultdict(list)
        for path in walk(folder) if folder.is_dir() else []:
            if is_sound(path):
                self._files[_key(path.relative_to(folder).as_posix())].append(path)

    def find(self, name: str, where: str) -> Path:
        """The file that a table calls ``name``, or the one that it was converted to: ``a.wav`` for ``a.mp3`` or ``a``.

        Raises:
            DataError: as ``Media.find``.
        """
        try:
            return self._media.find(name, where, self.folder)
        except DataError:
            converted = self._files.get(_key(name), [])
            if len(converted) != 1:
                raise
            return self._media.find(str(converted[0]), where)

    def beyond(self, names: Iterable[str]) -> list[Path]:
        """The files that go by none of these names."""
        known = {_key(name) for name in names}
        return [path for key, paths in self._files.items() if key not in known for path in paths]


def _key(name: str) -> str:
    path = PurePosixPath(plain_path(name))
    return name_key(str(path.with_suffix("") if is_sound(Path(path)) else path))
