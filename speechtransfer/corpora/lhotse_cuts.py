"""Lhotse's manifests -> Manifest: cuts, or recordings with their supervisions, read line by line."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from speechtransfer.corpora.contract import SPLIT_NAMES, Importer, UnusableError, natural, one_language
from speechtransfer.corpora.media import Media
from speechtransfer.corpora.spans import without_rivals
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance

_CUTS, _RECORDINGS, _SUPERVISIONS = "cuts", "recordings", "supervisions"
_FILE = re.compile(rf"(.*?)({_CUTS}|{_RECORDINGS}|{_SUPERVISIONS})(.*)\.jsonl(?:\.gz)?")
_TYPES = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut")
_MOST_BYTES, _LONGEST_LINE, _MOST_BLANK = (
    1 << 31,
    1 << 24,
    1 << 16,
)  # unpacked: some kilobytes of gzip may hold terabytes

_KINDS: Mapping[type, str] = {str: "text", dict: "an object", list: "a list"}
_T = TypeVar("_T")


def recognises(data: str) -> bool:
    """Whether DATA is a manifest of lhotse's by its name and first line, or a folder with one.

    A folder that holds ``manifest.jsonl`` is read as that says.
    """
    path = Path(data)
    if path.is_file():
        return path.name.endswith((".jsonl", ".jsonl.gz")) and _kind(path) is not None
    return path.is_dir() and not (path / "manifest.jsonl").is_file() and any(_manifests(path))


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read each supervision as an utterance: its span of the recording, its text, speaker and language.

    A name such as ``libri_cuts_train.jsonl.gz`` says the split. Where a folder holds cuts, its recordings and
    supervisions are not read. What is no plain stretch of one file is dropped: mixed cuts, recordings from
    commands (which are never run) or addresses, sound that lhotse was to change in speed, loudness and the like, and
    one channel of several.

    Args:
        data: the folder, the file of cuts, or one of recordings or supervisions whose other half lies beside it.
        audio_roots: folders besides DATA's own that audio may lie in.
        language: ISO 639-3 code of supervisions that state none in ISO 639-3.

    Raises:
        DataError: a damaged file, one without its other half, or no supervision that can be used.
    """
    path = Path(data)
    media = Media(path if path.is_dir() else path.parent, audio_roots)
    files = {file: _kind(file) for file in (_manifests(path) if path.is_dir() else [path])}
    cuts = [file for file, kind in files.items() if kind == _CUTS]
    ledger = [LedgerRow(str(file), "not read, since cuts lie beside it") for file in files if cuts and file not in cuts]
    rows: list[tuple[Utterance, str]] = []
    pairs = {} if cuts else dict.fromkeys(_pair(file) for file in files)
    given = [(file, _cut_supervisions(file)) for file in cuts]
    given += [(supervisions, _joined(recordings, supervisions)) for recordings, supervisions in pairs]
    for file, supervisions in given:
        parts = re.split(r"[^a-z]+", file.name.lower())
        split = next((SPLIT_NAMES[part] for part in parts if part in SPLIT_NAMES), None)
        for one in supervisions:
            try:
                rows.append((_utterance(one, media, split, language), one.where))
            except UnusableError as error:
                ledger.append(LedgerRow(str(one.values.get("id", one.where)), str(error), split=split, where=one.where))
    manifest = without_rivals(rows, ledger)
    if not manifest.rows:
        first = next(iter(manifest.ledger), None)
        why = f" The first of {len(manifest.ledger)}: {first.where}: {first.reason}." if first else ""
        raise DataError(f"{data}: holds no supervision that can be used.{why}")
    return manifest


@dataclass(frozen=True)
class _Supervision:
    """A supervision as it is in its file.

    Attributes:
        where: file and line.
        values: its own.
        recording: that of its cut; None where there is none.
        offset: second of the recording at which its time begins.
        fault: why it can be no utterance, where that is known from its cut.
    """

    where: str
    values: Mapping[str, Any]
    recording: Mapping[str, Any] | None = None
    offset: float = 0.0
    fault: str | None = None


def _manifests(folder: Path) -> list[Path]:
    """The files of a folder that are lhotse's."""
    named = sorted((path for path in folder.iterdir() if _FILE.fullmatch(path.name)), key=natural)
    return [path for path in named if path.is_file() and _kind(path)]


def _kind(file: Path) -> str | None:
    """What a file holds, as its name says, or else its first line; None where it is not lhotse's."""
    named = _FILE.fullmatch(file.name)
    if named and file.name.endswith(".gz"):
        return named[2]
    try:
        first = next((values for _, values in _lines(file)), {})
    except DataError:
        return named[2] if named else None  # whoever reads it says what is wrong
    if first.get("type") in _TYPES:
        return _CUTS
    if "recording_id" in first and "audio" not in first:
        return _SUPERVISIONS
    return _RECORDINGS if isinstance(first.get("sources"), list) else None


def _pair(file: Path) -> tuple[Path, Path]:
    """The recordings and the supervisions of which ``file`` is one."""
    named = _FILE.fullmatch(file.name)
    if named is None:
        raise DataError(
            f"{file}: is half of a pair; name the two like x_recordings_y.jsonl and x_supervisions_y.jsonl."
        )
    halves = []
    for kind in (_RECORDINGS, _SUPERVISIONS):
        names = [f"{named[1]}{kind}{named[3]}.jsonl{ending}" for ending in ("", ".gz")]
        found = [file.parent / name for name in names if (file.parent / name).is_file()]
        if len(found) != 1:
            fault = "both lie" if found else "neither lies"
            raise DataError(f"{file}: needs one of {' and '.join(names)} beside it, and {fault} there.")
        halves += found
    return halves[0], halves[1]


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line of a file is, and its object."""
    if not file.is_file():
        raise DataError(f"{file}: is no plain file. Name the file that lhotse wrote.")
    read = blank = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            number = 0
            while line := lines.readline(_LONGEST_LINE):
                number, read = number + 1, read + len(line)
                where = f"{file}:{number}"
                if len(line) == _LONGEST_LINE or read > _MOST_BYTES or blank > _MOST_BLANK:
                    raise DataError(f"{where}: is too long to be a manifest of lhotse's. Split the file.")
                if not line.strip():
                    blank += 1
                    continue
                try:
                    values = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{where}: is not JSON ({error}). Write the file again.") from error
                if not isinstance(values, dict):
                    raise DataError(f"{where}: is not a JSON object. Write the file again.")
                yield where, values
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read ({error}). Write the file again.") from error


def _cut_supervisions(file: Path) -> Iterator[_Supervision]:
    """The supervisions of cuts; a cut without any stands for itself."""
    for where, cut in _lines(file):
        fault, parts = None, [cut]
        if cut.get("type") not in ("MonoCut", "MultiCut"):
            fault = f"a {cut.get('type')}, which is no stretch of one recording"
            parts = [_typed(track, "cut", dict, where, {}) for track in _dicts(cut, "tracks", where)]
        found = [values for part in parts for values in _dicts(part, "supervisions", where)]
        if not found:
            yield _Supervision(where, cut, fault=fault or "a cut without a supervision")
        for values in found:
            recording = None if fault else _typed(cut, "recording", dict, where)
            yield _Supervision(where, values, recording, 0.0 if fault else _seconds(cut, "start", where), fault)


def _joined(recordings: Path, supervisions: Path) -> Iterator[_Supervision]:
    """The supervisions of one file with the recordings of another."""
    known: dict[str, dict[str, Any]] = {}
    for where, values in _lines(recordings):
        name = _typed(values, "id", str, where, "")
        if known.setdefault(name, values) != values:
            raise DataError(f"{where}: another recording has the id {name!r} too. Remove one of them.")
    for where, values in _lines(supervisions):
        yield _Supervision(where, values, known.get(_typed(values, "recording_id", str, where, "")))


def _utterance(one: _Supervision, media: Media, split: str | None, language: str | None) -> Utterance:
    """The row of a supervision."""
    values, where = one.values, one.where
    text = (_typed(values, "text", str, where) or "").strip()
    if one.fault or one.recording is None or not text:
        raise UnusableError(one.fault or ("no recording" if one.recording is None else "no text in the supervision"))
    start = one.offset + _seconds(values, "start", where)
    end = start + _seconds(values, "duration", where)
    if not 0 <= start < end < math.inf:
        raise UnusableError(f"an empty or impossible span: {start:g} to {end:g} s")
    name = _source(one.recording, _channels(values.get("channel", 0), where), where)
    try:
        audio = media.find(name, where)
    except DataError as error:
        raise UnusableError(f"no sound file: {error}") from error
    spoken = _typed(values, "language", str, where) or ""
    spoken_language = one_language(spoken) or language
    speaker = _typed(values, "speaker", str, where)
    # Sums of tenths are not tenths; lhotse too counts nanoseconds.
    return Utterance(
        audio, round(start, 9), round(end, 9), text, speaker=speaker or None, language=spoken_language, split=split
    )


def _source(recording: Mapping[str, Any], heard: set[int], where: str) -> str:
    """The file of a recording, where the channels heard are all of it and nothing changes its time or sound."""
    sources = _dicts(recording, "sources", where)
    kinds = sorted({str(source.get("type")) for source in sources})
    if kinds != ["file"]:
        raise UnusableError(
            f"sound from no file, which is not fetched and no command run: {', '.join(kinds) or 'none'}"
        )
    if len(sources) > 1:
        raise UnusableError("channels in several files")
    changes = {str(change.get("name")) for change in _dicts(recording, "transforms", where)} - {"Resample"}
    if changes:
        raise UnusableError(f"sound that lhotse was to change: {', '.join(sorted(changes))}")
    channels = _channels(sources[0].get("channels", 0), where)
    if channels - heard:
        raise UnusableError(f"in some of the channels of its recording alone: {sorted(heard)} of {sorted(channels)}")
    name: str = _typed(sources[0], "source", str, where, "")
    return name


def _channels(value: Any, where: str) -> set[int]:
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, int) for number in numbers):
        raise DataError(f"{where}: {value!r} are no channels. Write the file again.")
    return set(numbers)


def _seconds(values: Mapping[str, Any], key: str, where: str) -> float:
    value = values.get(key)
    # A whole number of hundreds of digits is no float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise DataError(f"{where}: {key!r} must be a time in seconds, not {str(value)[:50]}. Write the file again.")
    return float(value)


def _typed(values: Mapping[str, Any], key: str, kind: type[_T], where: str, default: _T | None = None) -> Any:
    """A value of a kind, or the default where there is none."""
    value = values.get(key)
    if value is not None and not isinstance(value, kind):
        raise DataError(f"{where}: {key!r} must be {_KINDS[kind]}, not {str(value)[:50]}. Write the file again.")
    return default if value is None else value


def _dicts(values: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects; empty where there is none."""
    found = _typed(values, key, list, where, [])
    if not all(isinstance(value, dict) for value in found):
        raise DataError(f"{where}: {key!r} must hold objects alone. Write the file again.")
    return list(found)


IMPORTER = Importer(
    looks_like="lhotse's cuts, or its recordings and supervisions (.jsonl or .jsonl.gz), or a folder of them",
    recognises=recognises,
    load=load,
)
