"""Asterisk's telephone prompts, unpacked -> Manifest: one professional voice a language, and second voices."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from speechtransfer.corpora.contract import Packaged, is_sound, natural, text_fault, walk
from speechtransfer.errors import DataError
from speechtransfer.files import read_content
from speechtransfer.manifest import LedgerRow, Manifest, Utterance

_MOST_BYTES = 1 << 24  # of a transcript, unpacked: some kilobytes of gzip may hold terabytes
WORD_FOLDERS = ("digits", "letters", "phonetic")


@dataclass(frozen=True)
class Prompts:
    """One voice of Asterisk's prompts.

    Attributes:
        transcript: two-letter code of the package that holds the transcript.
        package: the package that holds the sound.
        folder: name of the voice's folder in it.
        speaker: the person; ``en_US_f_Allison`` and ``es_MX_f_Allison`` are one.
        language: ISO 639-3.
        words_only: the long prompts are worded differently from the transcript, so that only the
            files in ``WORD_FOLDERS`` can be used.
    """

    transcript: str
    package: str
    folder: str
    speaker: str
    language: str
    words_only: bool = False


VOICES = {
    f"asterisk-{code}": Prompts(code, f"asterisk-core-sounds-{code}-wav", folder, speaker, language)
    for code, folder, speaker, language in (
        ("en", "en_US_f_Allison", "allison", "eng"),
        ("es", "es_MX_f_Allison", "allison", "spa"),
        ("fr", "fr_CA_f_June", "june", "fra"),
        ("it", "it_IT_m_Carlo", "carlo", "ita"),
        ("ru", "ru_RU_f_IvrvoiceRU", "ivrvoiceru", "rus"),
    )
} | {
    "asterisk-it-menardi": Prompts("it", "asterisk-prompt-it-menardi-wav", "it_IT_f_Menardi", "menardi", "ita", True),
    "asterisk-fr-armelle": Prompts("fr", "asterisk-prompt-fr-armelle", "fr", "armelle", "fra", True),
    "asterisk-es-co": Prompts("es", "asterisk-prompt-es-co", "es", "july", "spa", True),
}
"""By the name behind ``debian:``. Those after the first five are second voices, for tests."""

# Tones and effects, which some transcripts describe in plain words ("un suono beep").
_NOT_SPEECH = re.compile(r"silence/.*|beep|beeperr|(a|de)scending-2tone|confbridge-(join|leave)|tt-monkeys")

# A question mark where an accented letter was: "sar? esattamente", "la conferenza ? piena".
_LOST_LETTER = re.compile(r"\?\s*[^\W\d_A-Z]")

# "dash [-]": the symbol itself stands behind (or before) its name.
_SYMBOL = re.compile(r"\s*\[[^\w\]]*\]\s*")

# Lines whose key is not the name of the clip that says them: (code, key, text) -> the right key.
_MISNAMED = {("es", "digits/0", "diez"): "digits/10"}

# Lines that do not say what the clip says, by (folder, key). The clips of vm-mismatch are too short for
# their lines by a third: "please try again" is not in them. The second voices use words of their own: so say
# the clips' lengths and our own recogniser, by 18 nats or more.
_WRONG = {
    ("fr_CA_f_June", "digits/h-80"): "the text is that of digits/h-70",
    ("fr_CA_f_June", "vm-mismatch"): "the clip lacks the text's last sentence",
    ("es_MX_f_Allison", "vm-mismatch"): "the clip lacks the text's last sentence",
    ("fr", "letters/dash"): "the clip says another word: tiret",
    ("fr", "letters/slash"): "the clip says another word: slash",
    ("es", "digits/pound"): "the clip says another word: numeral",
    ("es", "digits/h-11"): "the clip says other words: decimo primero",
    ("es", "digits/h-12"): "the clip says other words: decimo segundo",
}


@dataclass(frozen=True)
class _Line:
    key: str
    text: str
    where: str
    change: str | None = None


def read_prompts(root: Path, prompts: Prompts) -> Manifest:
    """Make a manifest of unpacked packages.

    Texts are the transcript's own, whatever their spelling (the Spanish one mostly lacks accents).
    Rows have no split. Each line of the transcript and each sound file is either used or in the ledger; for
    ``words_only`` voices, whose transcript is another voice's, each sound file is.

    Args:
        root: the folder that the packages were unpacked into; holds ``usr``.
        prompts: which voice.

    Raises:
        DataError: the transcript or the voice is not there, or no clip can be used.
    """
    folder = root / "usr/share/asterisk/sounds" / prompts.folder
    files = {str(path.relative_to(folder).with_suffix("")): path for path in walk(folder) if is_sound(path)}
    lines, ledger = _match(_lines(root, prompts.transcript), files, prompts.words_only)
    rows = []
    for key in sorted(files, key=natural):
        line = lines.get(key)
        reason = _reason_to_drop(key, line, prompts, lines)
        where = line.where if line else None
        if reason is not None or line is None:
            ledger.append(LedgerRow(str(files[key]), reason or "no line in the transcript", where=where))
            continue
        if line.change is not None:
            ledger.append(LedgerRow(str(files[key]), line.change, action="changed", where=where))
        rows.append(
            Utterance(
                files[key],
                text=line.text,
                speaker=prompts.speaker,
                language=prompts.language,
                domain="asterisk",
            )
        )
    if not rows:
        raise DataError(f"{folder}: no clip can be used. Remove {root} and try again.")
    return Manifest(tuple(rows), tuple(ledger))


def _lines(root: Path, code: str) -> Iterator[_Line]:
    """The transcript's ``key: text`` lines, its comments and blank lines left out."""
    path = root / f"usr/share/doc/asterisk-core-sounds-{code}/core-sounds-{code}.txt.gz"
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(read_content(path))) as packed:
            content = packed.read(_MOST_BYTES).decode("utf-8-sig")
            if packed.read(1):
                raise DataError(f"it unpacks to more than {_MOST_BYTES} bytes")
    except (DataError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Remove {root} and try again.") from error
    for number, line in enumerate(content.splitlines(), 1):
        key, colon, text = line.partition(":")
        if not colon or line.startswith(";"):
            continue
        key, text, change = key.strip(), text.strip(), None
        if text.startswith(f"{key}:"):
            text, change = text[len(key) + 1 :].strip(), "the line repeated its own key"
        if (plain := _SYMBOL.sub(" ", text).strip()) != text:
            text, change = plain, f"the symbol beside its name was removed: {text}"
        if (code, key, text) in _MISNAMED:
            change = f"the line was under another clip's key: {key}"
            key = _MISNAMED[code, key, text]
        yield _Line(key, text, f"{path.name}:{number}", change)


def _match(
    lines: Iterator[_Line], files: dict[str, Path], words_only: bool
) -> tuple[dict[str, _Line], list[LedgerRow]]:
    """The line of each file, and ledger rows for lines without a file of their own.

    Keys that differ from a file's name by case alone (``letters/O``) are that file's.
    """
    by_case = {key.lower(): key for key in files}
    matched: dict[str, _Line] = {}
    ledger = []
    for line in lines:
        key = line.key if line.key in files else by_case.get(line.key.lower())
        if key is not None and key not in matched:
            matched[key] = line
        elif not words_only:
            reason = "no sound file for the line" if key is None else "a second line for the same sound file"
            ledger.append(LedgerRow(line.key, f"{reason}: {line.text}", where=line.where))
    return matched, ledger


def _reason_to_drop(key: str, line: _Line | None, prompts: Prompts, lines: dict[str, _Line]) -> str | None:
    """Why a sound file cannot be used with its line; None where it can."""
    if _NOT_SPEECH.fullmatch(key):
        return "not speech: a tone, an effect or silence"
    if prompts.words_only and key.split("/")[0] not in WORD_FOLDERS:
        return "a long prompt, worded differently from the transcript"
    if line is None:
        return "no line in the transcript"
    if not line.text:
        return "an empty line in the transcript"
    if (prompts.folder, key) in _WRONG:
        return _WRONG[prompts.folder, key]
    if any(f"{other}: " in line.text for other in lines if "-" in other):
        return f"another clip's line runs on from the text: {line.text}"
    if _LOST_LETTER.search(line.text):
        return f"a mis-encoded letter in the text: {line.text}"
    return text_fault(line.text, prompts.language)


CORPORA = {
    name: Packaged(
        (f"asterisk-core-sounds-{prompts.transcript}", prompts.package),
        prompts.language,
        partial(read_prompts, prompts=prompts),
    )
    for name, prompts in VOICES.items()
}
"""By the name behind ``debian:``."""
