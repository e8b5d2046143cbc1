"""What an importer is, how importers walk folders, and how clips are matched with the lines that they say."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer import audio
from speechtransfer.errors import AudioError, DataError, TextError
from speechtransfer.manifest import SPLITS, LedgerRow, Manifest, Utterance
from speechtransfer.text import TextContract

SOUND_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aif", ".aiff", ".au", ".caf"}
    | {".gsm", ".w64", ".webm", ".wma", ".3gp"}
)
"""File name endings, in lower case, that are taken for sound; everything else is not opened."""

SPLIT_NAMES = {name: name for name in SPLITS} | dict.fromkeys(("valid", "validation", "val"), "dev")
"""What splits are called elsewhere -> their names here."""

# What makes a text differ from what is said. The first that matches is the reason.
_FAULTS = (
    (re.compile(r"\d"), "digits in the text, which are read out as words"),
    (re.compile(r"[\[\](){}<>]"), "a remark in brackets in the text"),
    (re.compile("\ufffd"), "a mis-encoded letter in the text"),
    (re.compile(r"[*#@$€£¥%&+=/\\|~^°ºª]|\bwww\."), "a symbol or web address in the text, read out as words"),
)
# mis, mul, und and zxx are codes of no one language.
_LANGUAGE = re.compile(r"(?!(mis|mul|und|zxx)$)[a-z]{3}")
_SCRIPTS = {"bel": "CYRILLIC", "bul": "CYRILLIC", "ell": "GREEK", "rus": "CYRILLIC"}
# Belarusian has no such letters: a line with one is Russian, or misspelt.
_UNWRITTEN = {"bel": re.compile("[ищъ]", re.IGNORECASE)}


class UnusableError(Exception):
    """Why an importer leaves an utterance out: the reason of its ledger row, never seen by users as an error."""


@dataclass(frozen=True)
class Importer:
    """One kind of corpus.

    Every utterance that an importer is given is accounted for: it is in the manifest's rows, or a
    ledger row with action ``dropped`` says why not. Importers read tables and file names; whether the
    sound is sound is for the data doctor to find out.

    Attributes:
        looks_like: what the format looks like, for the message that lists the known formats.
        recognises: whether DATA (a path, or a name such as ``debian:asterisk-ru``) is of this kind,
            decided from names alone and without writing anything.
        load: (DATA, folders that audio may lie in besides DATA's own, language of rows that state
            none) -> Manifest. Raises DataError on what a user must mend.
    """

    looks_like: str
    recognises: Callable[[str], bool]
    load: Callable[[str, Sequence[str | Path], str | None], Manifest]


@dataclass(frozen=True)
class Packaged:
    """A corpus that lies in Debian packages.

    Attributes:
        packages: their names; they are unpacked together.
        language: ISO 639-3.
        read: the folder that they were unpacked into (it holds ``usr``) -> Manifest.
    """

    packages: tuple[str, ...]
    language: str
    read: Callable[[Path], Manifest]


@dataclass(frozen=True)
class Line:
    """One line of a transcript.

    Attributes:
        text: as it is written.
        where: the file and line that it was read from.
        voice: whoever says it, as the transcript has it.
    """

    text: str
    where: str
    voice: str = ""


def one_language(code: str) -> str | None:
    """A code that is ISO 639-3's of one language; None of any other text."""
    return code if _LANGUAGE.fullmatch(code) else None


def is_sound(path: Path) -> bool:
    """Whether a file's name ends like a sound file's."""
    return path.suffix.lower() in SOUND_SUFFIXES


def natural(path: Path | str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key under which ``rec_2.wav`` comes before ``rec_10.wav``."""
    parts = re.split(r"([0-9]+)", str(path))  # every second part is a number
    return tuple((index % 2, int(part) if index % 2 else 0, part) for index, part in enumerate(parts))


def walk(folder: Path) -> list[Path]:
    """All files below a folder in natural order, hidden files and folders left out.

    A link to a folder that holds it leads nowhere new, and is not followed.

    Raises:
        DataError: a folder that cannot be listed.
    """
    return sorted(_walk(folder, frozenset()), key=natural)


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """As ``walk``, in any order, without the folders that lie ``above``."""
    try:
        inside = above | {folder.resolve()}
        for entry in folder.iterdir():
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield entry
            elif not entry.is_symlink() or entry.resolve() not in inside:
                yield from _walk(entry, inside)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}). Check the path.") from error


def text_fault(text: str, language: str) -> str | None:
    """Why nobody can know from a line of text how it is read out; None where it can be known.

    Args:
        text: the line as the corpus gives it.
        language: ISO 639-3; it decides which script and letters are expected.
    """
    for fault, reason in _FAULTS:
        if fault.search(text):
            return f"{reason}: {text}"
    own = _SCRIPTS.get(language, "LATIN")
    for character in text:
        script, *words = unicodedata.name(character, "").split()[:3] or [""]
        if "LETTER" in words and script not in (own, "MODIFIER"):
            return f"{script.title()} letters in a {own.title()} text: {text}"
    if language in _UNWRITTEN and _UNWRITTEN[language].search(text):
        return f"letters that the language does not write: {text}"
    return None


def match(
    clips: Mapping[Path, str],
    lines: Mapping[str, Line],
    reason_to_drop: Callable[[Path, Line], str | None],
    row: Callable[[Path, Line], Utterance],
) -> Manifest:
    """Rows for the clips that say their lines; every other clip, and every line without a clip, is in the ledger.

    Of several clips with the very same samples the first stays, where all have one text as the text contract
    sees it. Where the texts differ nobody can know which is right, and none stays.

    Args:
        clips: the key of each clip's line.
        lines: by key; a line may have several clips.
        reason_to_drop: why a clip does not say its line; None where it does.
        row: makes the row of a clip and its line.
    """
    rows, ledger = [], []
    repeated = _repeated({path: lines[key].text for path, key in clips.items() if key in lines and lines[key].text})
    for path, key in clips.items():
        line = lines.get(key)
        if line is None:
            ledger.append(LedgerRow(str(path), "no line in the transcript"))
            continue
        reason = reason_to_drop(path, line) if line.text else "an empty line in the transcript"
        if (reason := reason or repeated.get(path)) is None:
            rows.append(row(path, line))
        else:
            ledger.append(LedgerRow(str(path), reason, where=line.where))
    said = set(clips.values())
    for key, line in lines.items():
        if key not in said:
            ledger.append(LedgerRow(key, f"no sound file for the line: {line.text}", where=line.where))
    return Manifest(tuple(rows), tuple(ledger))


def too_fast(path: Path, text: str, fastest: float) -> str | None:
    """Why a clip cannot hold all of its text; None where it can, or where it cannot be opened.

    Args:
        path: the clip; only its header is read.
        text: what it is to say.
        fastest: characters a second, over the whole clip, that its reader never exceeds.
    """
    try:
        seconds = audio.probe(path).seconds
    except AudioError:
        return None  # what is wrong with it is for the doctor to say
    count = len(words(text))
    if count <= fastest * seconds:
        return None
    return f"the clip is too short for its text: {count} characters in {seconds:.2f} s: {text}"


def _repeated(texts: Mapping[Path, str]) -> dict[Path, str]:
    """Why to drop each clip that decodes to the very samples of another."""
    reasons = {}
    for first, *others in _alike(texts):
        said = {words(texts[path]): texts[path] for path in (first, *others)}
        if len(said) > 1:
            reason = f"the same sound has different texts: {' | '.join(said.values())}"
            reasons.update(dict.fromkeys((first, *others), reason))
        else:
            reasons.update(dict.fromkeys(others, f"the same sound as another clip: {first.name}"))
    return reasons


def _alike(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of two clips or more with the same samples; only clips of one length need decoding for that."""
    lengths, contents = defaultdict(list), defaultdict(list)
    for path in paths:
        try:
            info = audio.probe(path)
        except AudioError:
            continue
        lengths[info.frames, info.sample_rate].append(path)
    for path in (path for group in lengths.values() if len(group) > 1 for path in group):
        try:
            contents[audio.content_hash(path)].append(path)
        except AudioError:
            continue
    return [group for group in contents.values() if len(group) > 1]


def words(text: str) -> str:
    """What is said of a text, by the text contract: two texts with the same words are one prompt."""
    try:
        return TextContract(digits="keep").apply(text)
    except TextError:
        return text
