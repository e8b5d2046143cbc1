"""Rows of a Hugging Face data set -> utterances: which column is what, and a file for the sound of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from speechtransfer.corpora.contract import UnusableError, is_sound, one_language
from speechtransfer.corpora.media import Media
from speechtransfer.corpora.tables import COLUMNS
from speechtransfer.errors import DataError
from speechtransfer.files import write_atomically
from speechtransfer.manifest import Utterance

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "text": (*COLUMNS["text"], "normalized_text", "raw_transcription", "raw_text"),
    "label": COLUMNS["label"],
    "speaker": (*COLUMNS["speaker"], "speaker_id"),
    "language": (*COLUMNS["language"], "lang_id", "locale"),
    "split": COLUMNS["split"],
}
# A file of the hub itself, or one in an archive there; any other address in a row is not followed.
_REMOTE = re.compile(r"(?:zip://[^:]*::)?hf://datasets/[^:]+")
_MAGIC = (
    (re.compile(rb"RIFF....WAVE", re.DOTALL), ".wav"),
    (re.compile(rb"fLaC"), ".flac"),
    (re.compile(rb"OggS"), ".ogg"),
    (re.compile(rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"), ".mp3"),
    (re.compile(rb"....ftyp", re.DOTALL), ".m4a"),
    (re.compile(rb"FORM....AIF", re.DOTALL), ".aiff"),
    (re.compile(rb"\.snd"), ".au"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), ".webm"),
)


@dataclass(frozen=True)
class Part:
    """A split, or a parquet file of one.

    Attributes:
        where: for messages.
        split: its name as the data set has it; empty where it has none.
        features: the type of each column.
        rows: of some columns alone, the sound not decoded.
        count: how many rows, where that is known.
    """

    where: str
    split: str
    features: Mapping[str, Any]
    rows: Callable[[Sequence[str]], Iterable[dict[str, Any]]]
    count: int | None


@dataclass(frozen=True)
class Place:
    """Where the sound of a data set may lie.

    Attributes:
        store: the folder for sound that is no file yet; each file there is named by its content.
        media: the folders that may be read; None where there are none.
        on_hub: whether a row may name a file of the hub.
    """

    store: Path
    media: Media | None
    on_hub: bool = False


def _fields(part: Part) -> dict[str, str]:
    """The column of each field that a part has, and that of its sound."""
    import datasets

    named = {name.lower(): name for name in part.features}
    sounds = [name for name, feature in part.features.items() if isinstance(feature, datasets.Audio)]
    sounds += [named[name] for name in COLUMNS["audio"] if name in named and _may_be_sound(part.features[named[name]])]
    found = {
        field: next((named[name] for name in names if name in named and _is_plain(part.features[named[name]])), None)
        for field, names in _FIELDS.items()
    }
    found["audio"] = next(iter(sounds), None)
    there = ", ".join(f"{name} ({getattr(kind, 'dtype', type(kind).__name__)})" for name, kind in part.features.items())
    if found["audio"] is None:
        raise DataError(f"{part.where}: has no column of sound; its columns are {there or 'none'}.")
    if found["text"] is None and found["label"] is None:
        names = ", ".join((*_FIELDS["text"], *_FIELDS["label"]))
        raise DataError(f"{part.where}: has no column of text or labels ({names}); its columns are {there}.")
    return {field: column for field, column in found.items() if column is not None}


def _may_be_sound(feature: Any) -> bool:
    return {"bytes", "path"} <= set(feature) if isinstance(feature, dict) else getattr(feature, "dtype", "") == "string"


def _is_plain(feature: Any) -> bool:
    """Whether a column's values are each a text or a number."""
    return str(getattr(feature, "dtype", "")).startswith(("string", "large_string", "int", "uint", "float", "bool"))


def records(part: Part) -> Iterator[tuple[dict[str, str], Any]]:
    """The values of each row by field, those that are missing or empty left out, and its sound as the column has it.

    Raises:
        DataError: a column is missing, or the rows end with an error.
    """
    fields = _fields(part)
    sound = fields.pop("audio")
    try:
        for row in part.rows([*dict.fromkeys([sound, *fields.values()])]):
            values = {field: _plain(row[column], part.features[column]) for field, column in fields.items()}
            yield {field: value for field, value in values.items() if value}, row[sound]
    except Exception as error:  # the network breaks, or a file is damaged further on
        raise DataError(f"{part.where}: cannot be read to its end ({told(error)}). Try again.") from error


def _plain(value: Any, feature: Any) -> str | None:
    """A value as text; that of a class is its name."""
    names = getattr(feature, "names", None)
    if value is not None and names is not None:
        value = names[value] if 0 <= value < len(names) else None  # -1 hides the class of a test set
    return None if value is None else str(value).strip()


def utterance(values: Mapping[str, str], sound: Any, where: str, place: Place) -> Utterance:
    """The row of some values, whose sound is written to the store where it is no file.

    Args:
        values: as ``records`` has them.
        sound: likewise.
        where: the row, for messages.
        place: where sound may lie.

    Raises:
        UnusableError: neither text nor label, or no sound that can be used.
        DataError: the store cannot be written, or the hub not be reached.
    """
    if not values.keys() & {"text", "label"}:
        raise UnusableError("no transcript")
    heard = _heard(sound, where, place)
    if not isinstance(heard, Path):
        content, suffix = heard
        heard = place.store / f"{sha256(content).hexdigest()[:32]}{suffix}"
        if not heard.is_file() or heard.stat().st_size != len(content):
            write_atomically(heard, content)
    spoken = values.get("language", "")
    return Utterance(
        heard,
        text=values.get("text"),
        label=values.get("label"),
        speaker=values.get("speaker"),
        language=one_language(spoken),
    )


def called(sound: Any) -> str | None:
    """The path that a row gives for its sound."""
    path = sound.get("path") if isinstance(sound, dict) else sound
    return path if isinstance(path, str) and path else None


def _heard(sound: Any, where: str, place: Place) -> Path | tuple[bytes, str]:
    """The file of a row's sound, or its content and the ending that a file of it would have."""
    content, path = sound.get("bytes") if isinstance(sound, dict) else None, called(sound)
    if not content and path and place.on_hub and _REMOTE.fullmatch(path):
        content = _remote(path, where)
    if isinstance(content, bytes) and content:
        if path and is_sound(Path(path)):
            return content, Path(path).suffix.lower()
        suffix = next((suffix for magic, suffix in _MAGIC if magic.match(content)), None)
        if suffix is None:
            raise UnusableError("sound of a kind that is not known")
        return content, suffix
    if path is None:
        raise UnusableError("no sound")
    if place.media is None:
        raise UnusableError("no sound in the row, and no --audio-root to look for its file in")
    try:
        return place.media.find(path, where)
    except DataError as error:
        raise UnusableError(f"no sound file: {error}") from error


def _remote(path: str, where: str) -> bytes:
    """The content of a file of the hub."""
    import fsspec

    try:
        with fsspec.open(path) as file:
            return bytes(file.read())
    except Exception as error:
        raise DataError(f"{where}: {path} cannot be fetched ({told(error)}). Try again.") from error


def told(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
