"""ELAN's ``.eaf`` files -> Manifest: the annotations of the tiers that are utterances, read with pympi; and back."""

from __future__ import annotations

import math
import mimetypes
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from speechtransfer.corpora.contract import Importer, is_sound, one_language
from speechtransfer.corpora.media import Media, plain_path
from speechtransfer.corpora.spans import Sound, manifest_of
from speechtransfer.corpora.tiers import Annotation, Tier, choose, holds, transcripts
from speechtransfer.errors import DataError
from speechtransfer.files import read_content, write_atomically
from speechtransfer.manifest import Manifest, Utterance

_SUFFIX = ".eaf"
#: Control characters, and what stands for bytes that are no UTF-8 in a file's name.
_NO_XML = re.compile(r"[\x00-\x1f\ud800-\udfff\ufffe\uffff]")

_Descriptor = Mapping[str, str]


def recognises(data: str) -> bool:
    """Whether DATA is an .eaf file or a folder with one, with or without a choice of tiers after it."""
    return holds(data, _SUFFIX)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read the annotations of ELAN files, each a span of the sound that its file links.

    ``folder#tier=NAME`` or ``folder#type=TYPE`` (a linguistic type) says which tiers are the utterances: several
    with commas between them, and ``*`` and ``?`` stand for any letters. Where nothing is said, they are the tiers
    with text at the top of the hierarchy, if all are of one linguistic type and no two in a file of one speaker.

    An annotation without a time of its own has that of the one that it refers to. The speaker is the participant
    of the tier, or of the one that it depends on. Of several media those that are sound by name and type come
    first; where none is found, a sound file of the .eaf's own stem is taken.

    Args:
        data: the folder or the .eaf file.
        audio_roots: folders besides the file's own that audio may lie in.
        language: ISO 639-3 code of tiers that state none.

    Raises:
        DataError: a damaged file, tiers that nobody can choose for the user, or no annotation that can be used.
    """
    base, files = transcripts(data, _SUFFIX)
    media = Media(base, audio_roots)
    tiers: list[Tier] = []
    linked: dict[Path, list[_Descriptor]] = {}
    for file in files:
        document = _document(file)
        tiers += _tiers(file, document)
        linked[file] = document.media_descriptors
    return manifest_of(data, choose(data, tiers, _plain), lambda file: _sound(file, linked[file], media), language)


def write_eaf(path: Path, audio: Path, seconds: float, rows: Sequence[Utterance], tier: str = "utterance") -> None:
    """Write the utterances of one recording as annotations of a tier of that type, linked to its sound.

    Raises:
        DataError: the file cannot be written, or the recording's name not in it.
    """
    import pympi

    require_nameable(audio)

    document = pympi.Eaf(author="speechtransfer")
    document.remove_tier("default")
    document.add_linguistic_type(tier)
    document.remove_linguistic_type("default-lt")
    document.add_tier(tier, tier)
    relative = Path(os.path.relpath(audio, path.parent)).as_posix()
    kind = mimetypes.guess_type(audio.name)[0] or "audio/x-wav"
    document.add_linked_file(audio.resolve().as_uri(), f"./{relative}", kind)
    for row in rows:
        end = round(1000 * (seconds if row.end is None else row.end))
        # Nothing lies behind the end of the sound, which may be within a millisecond.
        document.add_annotation(tier, round(1000 * (row.start or 0.0)), min(end, int(1000 * seconds)), row.text or "")
    root = pympi.Elan.to_adocument(document)
    write_atomically(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def require_nameable(audio: Path) -> None:
    """Refuse a recording whose name no XML can hold.

    Raises:
        DataError: it has control characters, or bytes that are no text.
    """
    if _NO_XML.search(str(audio)):
        raise DataError(f"{audio}: its name has characters that no .eaf file can hold. Rename it, or write --to srt.")


def _document(file: Path) -> Any:
    """An ``Eaf`` of pympi, checked to hold every tier and annotation that the file does.

    Raises:
        DataError: no ELAN file, damaged, or one in which two tiers or annotations share a name.
    """
    # Not every command reads ELAN files, and each should start at once.
    import pympi

    counts = _elements(file)
    try:
        document = pympi.Eaf(str(file), suppress_version_warning=True)
    except Exception as error:  # it raises whatever its first surprise leads to
        raise DataError(
            f"{file}: is not laid out as an ELAN file ({type(error).__name__}: {error}). Open and save it in ELAN."
        ) from error
    annotations = counts["ALIGNABLE_ANNOTATION"] + counts["REF_ANNOTATION"]
    for what, count, read in (
        ("tiers", counts["TIER"], len(document.tiers)),
        ("annotations", annotations, len(document.annotations)),
    ):
        if count != read:
            raise DataError(
                f"{file}: holds {count} {what}, of which {read} can be told apart: some share an identifier or lie "
                "where none belongs. Open and save it in ELAN."
            )
    return document


def _elements(file: Path) -> Counter[str]:
    """How many XML elements a file has of each name.

    Raises:
        DataError: it cannot be read, is not well-formed or not ELAN's, or declares a document type: entities lie
            there, and a few lines of them may stand for more text than memory holds.
    """

    def refuse(*_: object) -> None:
        raise DataError(f"{file}: declares a document type (<!DOCTYPE), as no ELAN file does. Remove it.")

    counts: Counter[str] = Counter()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: counts.update((name,))
    try:
        parser.Parse(read_content(file), True)
    except DataError:
        raise
    except Exception as error:  # besides what is expat's own, whatever an unknown encoding leads to
        raise DataError(f"{file}: is not well-formed XML ({error}). Copy it again, or restore a backup.") from error
    if not counts["ANNOTATION_DOCUMENT"]:
        raise DataError(f"{file}: is XML, but no ELAN file: it holds no ANNOTATION_DOCUMENT. Remove or rename it.")
    return counts


def _tiers(file: Path, document: Any) -> list[Tier]:
    spans, references = {}, {}
    for aligned, referring, _, _ in document.tiers.values():
        spans.update({name: slots for name, (*slots, _, _) in aligned.items()})
        references.update({name: referred for name, (referred, *_) in referring.items()})
    roots = _roots(references)
    tiers = []
    for name, (aligned, referring, attributes, _) in document.tiers.items():
        texts = {identifier: entry[2] for identifier, entry in aligned.items()}
        texts |= {identifier: entry[1] for identifier, entry in referring.items()}
        annotations = []
        for identifier, text in texts.items():
            slots = spans.get(roots.get(identifier, identifier), (None, None))
            start, end = (_seconds(document.timeslots.get(slot)) for slot in slots)
            annotations.append(Annotation(f"{file}#{identifier}", text.strip(), start, end))
        spoken = attributes.get("LANG_REF") or ""
        tiers.append(
            Tier(
                file,
                name,
                attributes.get("LINGUISTIC_TYPE_REF") or "",
                tuple(annotations),
                attributes.get("PARENT_REF"),
                _speaker(name, document),
                one_language(spoken),
            )
        )
    return tiers


def _speaker(name: str, document: Any) -> str | None:
    """The participant of a tier or, where it has none, of the tier that it depends on."""
    seen: set[str] = set()
    while name in document.tiers and name not in seen:
        seen.add(name)
        attributes = document.tiers[name][2]
        if participant := attributes.get("PARTICIPANT", "").strip():
            return str(participant)
        name = attributes.get("PARENT_REF", "")
    return None


def _roots(references: Mapping[str, str]) -> dict[str, str]:
    """By annotation that refers to another, the one at the end of its chain; in a circle, any that refers further."""
    roots: dict[str, str] = {}
    for name in references:
        chain: dict[str, None] = {}
        while name in references and name not in roots and name not in chain:
            chain[name] = None
            name = references[name]
        roots.update(dict.fromkeys(chain, roots.get(name, name)))
    return roots


def _seconds(milliseconds: int | None) -> float | None:
    try:
        return None if milliseconds is None else milliseconds / 1000
    except OverflowError:  # a damaged number of hundreds of digits
        return math.inf if milliseconds and milliseconds > 0 else -math.inf


def _plain(tiers: Iterable[Tier]) -> list[Tier]:
    """The tiers with text at the top, where they are of one type and each speaker of a file has one."""
    top = [tier for tier in tiers if tier.parent is None and tier.texts]
    speakers = Counter((tier.file, tier.speaker) for tier in top)
    return top if len({tier.type for tier in top}) == 1 == max(speakers.values()) else []


def _sound(file: Path, linked: Iterable[_Descriptor], media: Media) -> Sound:
    """The first medium of a file that is found, sound before film; else a sound file of the same stem.

    Raises:
        DataError: there is none, or a medium's origin is no time.
    """
    errors = []
    for descriptor in sorted(linked, key=_film):
        # The path from the file itself still holds where a whole folder was moved.
        for name in filter(None, (descriptor.get("RELATIVE_MEDIA_URL"), descriptor.get("MEDIA_URL"))):
            try:
                return Sound(media.find(name, str(file), file.parent), _origin(descriptor, file))
            except DataError as error:
                errors.append(error)
    try:
        return Sound(media.like(file))
    except DataError as error:
        raise (errors or [error])[0] from error


def _film(descriptor: _Descriptor) -> tuple[bool, bool]:
    """Sorting key: sound before what may be film with sound, as .mp4 is, and that before all else."""
    name = descriptor.get("RELATIVE_MEDIA_URL") or descriptor.get("MEDIA_URL") or ""
    return not is_sound(Path(plain_path(name))), descriptor.get("MIME_TYPE", "").startswith("video")


def _origin(descriptor: _Descriptor, file: Path) -> float:
    """Second of a medium at which the annotations' time begins."""
    origin = descriptor.get("TIME_ORIGIN") or "0"
    try:
        return int(origin) / 1000
    except (ValueError, OverflowError) as error:
        raise DataError(f"{file}: TIME_ORIGIN is {origin[:20]!r}, not a number of milliseconds.") from error


IMPORTER = Importer(
    looks_like="a folder with ELAN's .eaf files, or one of them; #tier=NAME or #type=TYPE after it chooses tiers",
    recognises=recognises,
    load=load,
)
