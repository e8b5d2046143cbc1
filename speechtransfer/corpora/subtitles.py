"""Subtitles, ``.srt`` and ``.vtt`` -> Manifest, a row for each span of the sound of that name; and back."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from speechtransfer.corpora.contract import Importer, is_sound, walk
from speechtransfer.corpora.iso639 import language_of
from speechtransfer.corpora.media import Media
from speechtransfer.corpora.spans import Sound, manifest_of
from speechtransfer.corpora.tiers import Annotation, Tier, holds, transcripts
from speechtransfer.errors import DataError
from speechtransfer.files import read_content, write_atomically
from speechtransfer.manifest import Manifest, Utterance

_SUFFIXES = (".srt", ".vtt")
#: How a line begins that says from when to when text is shown.
_TIMES = re.compile(r"\s*[\d:.,]+\s*-->")
#: Of SubRip, whole seconds or thousandths; of other fractions nobody can say what they mean.
_ODD_FRACTION = re.compile(r"^[\d:]*[.,](?!\d{3}(?!\d))\d*\s*-->|-->\s*[\d:]*[.,](?!\d{3}(?!\d))", re.MULTILINE)
#: Marks of style, of who speaks and of a word's time, and those that players of SubRip know from other formats.
_MARK = re.compile(
    r"</?(?:[ibusvc]|font|lang|ruby|rt)(?:\.[^<>\s]+)*>"
    r"|<(?:v|lang|font)(?:\.[^<>\s]+)*\s[^<>\n]*>"
    r"|<\d[\d:.]*>"
    r"|\{\\[^{}\n]*\}",
    re.IGNORECASE,
)
_MEND = "Mend it in an editor of subtitles."


def recognises(data: str) -> bool:
    """Whether DATA is a file of subtitles, or a folder with one for half of its sounds at least."""
    if not holds(data, *_SUFFIXES):
        return False
    if not Path(data).is_dir():
        return True
    files = walk(Path(data))
    return sum(map(is_sound, files)) <= 2 * sum(file.suffix.lower() in _SUFFIXES for file in files)


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
        stem, _, code = file.stem.rpartition(".")
        if not stem or language_of(code) is None:
            return error
    try:
        return Sound(media.like(file.with_name(f"{stem}{file.suffix}")))
    except DataError as error:
        return error


def _tier(file: Path) -> Tier:
    """All subtitles of a file.

    Raises:
        DataError: it is not UTF-8, or not all of its subtitles can be read.
    """
    try:
        text = io.TextIOWrapper(io.BytesIO(read_content(file)), "utf-8-sig").read()
    except UnicodeError as error:
        raise DataError(f"{file}: is not UTF-8 text ({error}). Save it as UTF-8.") from error
    kind = file.suffix.lower()[1:]
    # A recording in which nothing is said may have an empty file.
    shown = (_subrip(file, text) if kind == "srt" else _webvtt(file, text)) if text.strip() else []
    annotations = tuple(
        Annotation(f"{file}:subtitle {number}", " ".join(html.unescape(_MARK.sub("", said)).split()), start, end)
        for number, (start, end, said) in enumerate(shown, 1)
    )
    return Tier(file, kind, "subtitle", annotations)


def _subrip(file: Path, text: str) -> list[tuple[float, float, str]]:
    """Start, end and text of each subtitle; whatever is none of them is refused."""
    # Not every command reads subtitles, and each should start at once.
    import srt

    if odd := _ODD_FRACTION.search(text):
        raise DataError(f"{file}: {odd[0].strip()!r} is no time with thousandths of a second. {_MEND}")
    try:
        found = list(srt.parse(text))
    except (srt.SRTParseError, srt.TimestampParseError, ValueError, OverflowError) as error:
        raise DataError(f"{file}: cannot be read as .srt ({str(error)[:200]}). {_MEND}") from error
    return [(one.start.total_seconds(), one.end.total_seconds(), one.content) for one in found]


def _webvtt(file: Path, text: str) -> list[tuple[float, float, str]]:
    """Start, end and text of each cue, without notes, styles and names of cues."""
    import webvtt

    try:
        found = webvtt.from_string(text).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as .vtt ({error}). {_MEND}") from error
    shown = sum(1 for line in text.splitlines() if _TIMES.match(line))
    if len(found) != shown:
        raise DataError(f"{file}: shows {shown} subtitles, of which {len(found)} can be read. {_MEND}")

    def seconds(time: webvtt.models.Timestamp) -> float:
        return float(3600 * time.hours + 60 * time.minutes + time.seconds + time.milliseconds / 1000)

    return [(seconds(one.start_time), seconds(one.end_time), one.raw_text) for one in found]


def write_srt(path: Path, seconds: float, rows: Sequence[Utterance]) -> None:
    """Write the utterances of one recording, in order, as numbered subtitles.

    Args:
        path: the file.
        seconds: of the recording.
        rows: its utterances.

    Raises:
        DataError: the file cannot be written.
    """
    import srt

    last = int(1000 * seconds)  # nothing lies behind the end of the sound, which may be within a millisecond
    shown = [
        srt.Subtitle(
            number,
            timedelta(milliseconds=round(1000 * (row.start or 0.0))),
            timedelta(milliseconds=last if row.end is None else min(last, round(1000 * row.end))),
            row.text or "",
        )
        for number, row in enumerate(rows, 1)
    ]
    write_atomically(path, srt.compose(shown, reindex=False))


IMPORTER = Importer(
    looks_like="a folder with subtitles (.srt, .vtt) beside the sound or film that they were made for, or one of them",
    recognises=recognises,
    load=load,
)
