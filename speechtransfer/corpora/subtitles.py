"""Subtitles, ``.srt`` and ``.vtt`` -> Manifest, a row for each span of the sound of that name; and back, by pysubs2."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from pathlib import Path

from speechtransfer.corpora.contract import Importer
from speechtransfer.corpora.media import Media
from speechtransfer.corpora.spans import Sound, manifest_of
from speechtransfer.corpora.tiers import Annotation, Tier, holds, transcripts
from speechtransfer.errors import DataError
from speechtransfer.files import read_content, write_atomically
from speechtransfer.manifest import Manifest, Utterance

_SUFFIXES = (".srt", ".vtt")
#: What begins every subtitle: from when to when it is shown.
_TIMES = re.compile(r"\s*[\d:.,]+\s*-->\s*[\d:.,]+")
_BLANK = re.compile(r"\n{3,}")
#: What pysubs2 leaves of WebVTT's marks within a text, such as the time of a word.
_MARK = re.compile(r"</?[a-z\d][^<>\n]*>", re.IGNORECASE)


def recognises(data: str) -> bool:
    """Whether DATA is a file of subtitles or a folder with one."""
    return holds(data, *_SUFFIXES)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read subtitles, each a span of the sound (or film) of the file's own stem.

    A language's code may stand behind the stem, as in ``talk.sw.vtt`` beside ``talk.m4a``. Lines of one subtitle are
    one text, without marks of style. Subtitles that nobody corrected often show a sentence early or late, or twice:
    ``check`` says where they overlap.

    Args:
        data: the folder, or a file.
        audio_roots: folders besides the file's own that audio may lie in.
        language: ISO 639-3 code of every row.

    Raises:
        DataError: a damaged file, two of one sound, or no subtitle that can be used.
    """
    base, files = transcripts(data, *_SUFFIXES)
    media = Media(base, audio_roots)
    heard = {file: _sound(media, file) for file in files}
    made: dict[Path, Path] = {}
    for file, sound in heard.items():
        if isinstance(sound, Sound) and (other := made.setdefault(sound.audio, file)) != file:
            raise DataError(f"{other} and {file.name} are of one sound: leave the one in its language, or corrected.")

    def hear(file: Path) -> Sound:
        sound = heard[file]
        if isinstance(sound, DataError):
            raise sound
        return sound

    return manifest_of(data, [_tier(file) for file in files], hear, language)


def _sound(media: Media, file: Path) -> Sound | DataError:
    """The sound of a file's stem, or of that without a language's code behind it; otherwise why there is none."""
    try:
        return Sound(media.like(file))
    except DataError as error:
        shorter = _sound(media, file.with_name(file.stem)) if "." in file.stem else error
        return shorter if isinstance(shorter, Sound) else error


def _tier(file: Path) -> Tier:
    """All subtitles of a file.

    Raises:
        DataError: it is not UTF-8, or not all of its subtitles can be read.
    """
    # Not every command reads subtitles, and each should start at once.
    import pysubs2

    kind = file.suffix.lower()[1:]
    try:
        text = io.TextIOWrapper(io.BytesIO(read_content(file)), "utf-8-sig").read()
    except UnicodeError as error:
        raise DataError(f"{file}: is not UTF-8 text ({error}). Save it as UTF-8.") from error
    text = _BLANK.sub("\n\n", text)  # at thousands of empty lines in a row pysubs2 takes minutes
    shown = sum(1 for line in text.splitlines() if _TIMES.match(line))
    try:
        found = [one for one in pysubs2.SSAFile.from_string(text, format_=kind) if not one.is_comment]
    except Exception as error:  # it raises whatever its first surprise leads to
        raise DataError(
            f"{file}: cannot be read as .{kind} ({type(error).__name__}: {error}). Save it again."
        ) from error
    # Of a recording in which nothing is said.
    empty = not text.strip() or (text.startswith("WEBVTT") and "-->" not in text)
    if len(found) != shown or (not shown and not empty):
        raise DataError(
            f"{file}: shows {shown} subtitles, of which {len(found)} can be read. Mend it in an editor of them."
        )
    annotations = tuple(
        Annotation(
            f"{file}:subtitle {number}",
            " ".join(html.unescape(_MARK.sub("", one.plaintext)).split()),
            one.start / 1000,
            one.end / 1000,
        )
        for number, one in enumerate(found, 1)
    )
    return Tier(file, kind, "subtitle", annotations)


def write_srt(path: Path, seconds: float, rows: Sequence[Utterance]) -> None:
    """Write the utterances of one recording, in order, as numbered subtitles.

    Args:
        path: the file.
        seconds: of the recording.
        rows: its utterances.

    Raises:
        DataError: the file cannot be written.
    """
    import pysubs2

    document = pysubs2.SSAFile()
    for row in rows:
        start, end = row.start or 0.0, seconds if row.end is None else row.end
        document.append(pysubs2.SSAEvent(round(1000 * start), round(1000 * end), row.text or ""))
    write_atomically(path, document.to_string("srt"))


IMPORTER = Importer(
    looks_like="a folder with subtitles (.srt, .vtt) beside the sound or film that they were made for, or one of them",
    recognises=recognises,
    load=load,
)
