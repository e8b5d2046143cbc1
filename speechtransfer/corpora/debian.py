"""Transcribed speech from Debian packages: Asterisk's telephone prompts in five languages."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from speechtransfer.corpora.contract import Importer, is_sound, natural, walk
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance

PREFIX = "debian:"
WORD_FOLDERS = ("digits", "letters", "phonetic")


@dataclass(frozen=True)
class Prompts:
    """One voice of Asterisk's prompts.

    Attributes:
        transcript: two-letter code of the package that holds the transcript.
        package: the package that holds the sound.
        voice: name of the voice's folder in it.
        language: ISO 639-3.
        words_only: the long prompts are worded differently from the transcript, so that only the
            files in ``WORD_FOLDERS`` can be used.
    """

    transcript: str
    package: str
    voice: str
    language: str
    words_only: bool = False

    @property
    def speaker(self) -> str:
        """The person: ``en_US_f_Allison`` and ``es_MX_f_Allison`` are one."""
        return self.voice.rsplit("_", 1)[-1].lower()


CORPORA = {
    f"asterisk-{code}": Prompts(code, f"asterisk-core-sounds-{code}-wav", voice, language)
    for code, voice, language in (
        ("en", "en_US_f_Allison", "eng"),
        ("es", "es_MX_f_Allison", "spa"),
        ("fr", "fr_CA_f_June", "fra"),
        ("it", "it_IT_m_Carlo", "ita"),
        ("ru", "ru_RU_f_IvrvoiceRU", "rus"),
    )
} | {"asterisk-it-menardi": Prompts("it", "asterisk-prompt-it-menardi-wav", "it_IT_f_Menardi", "ita", words_only=True)}

# Tones and effects, which some transcripts describe in plain words ("un suono beep").
_NOT_SPEECH = re.compile(r"silence/.*|beep|beeperr|(a|de)scending-2tone|confbridge-(join|leave)|tt-monkeys")

# What makes a text differ from what is said. The first that matches is the reason.
_FAULTS = (
    (re.compile(r"\d"), "digits in the text, which are read out as words"),
    (re.compile(r"[\[\]()<>]"), "a remark in brackets in the text"),
    # A question mark where an accented letter was: "sar? esattamente", "la conferenza ? piena".
    (re.compile(r"\?\s*[^\W\d_A-Z]|\ufffd"), "a mis-encoded letter in the text"),
    (re.compile(r"[*#@$%&+=/\\]|\bwww\."), "a symbol or web address in the text, read out as words"),
)
_CYRILLIC_FAULT = (re.compile(r"[A-Za-z]"), "Latin letters in a Cyrillic text")

# "dash [-]": the symbol itself stands behind (or before) its name.
_SYMBOL = re.compile(r"\s*\[[^\w\]]*\]\s*")

# Lines whose key is not the name of the clip that says them: (code, key, text) -> the right key.
_MISNAMED = {("es", "digits/0", "diez"): "digits/10"}

# Lines that do not say what the clip says, by (code, key). The clips of vm-mismatch are too short for
# their lines by a third: "please try again" is not in them.
_WRONG = {
    ("fr", "digits/h-80"): "the text is that of digits/h-70",
    ("fr", "vm-mismatch"): "the clip lacks the text's last sentence",
    ("es", "vm-mismatch"): "the clip lacks the text's last sentence",
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
    folder = root / "usr/share/asterisk/sounds" / prompts.voice
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
        content = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
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
    if (prompts.transcript, key) in _WRONG:
        return _WRONG[prompts.transcript, key]
    if any(f"{other}: " in line.text for other in lines if "-" in other):
        return f"another clip's line runs on from the text: {line.text}"
    faults = (*_FAULTS, _CYRILLIC_FAULT) if prompts.language == "rus" else _FAULTS
    return next((f"{reason}: {line.text}" for fault, reason in faults if fault.search(line.text)), None)


def cache_folder() -> Path:
    """Where downloads are kept: ``$SPEECHTRANSFER_CACHE``, else ``speechtransfer`` in the user's cache."""
    if own := os.environ.get("SPEECHTRANSFER_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speechtransfer"


def fetch(packages: Sequence[str], cache: Path) -> Path:
    """Download Debian packages and unpack them together, once; needs no rights beyond the user's own.

    Returns:
        The folder that they are unpacked into, whole or not there at all.

    Raises:
        DataError: not a Debian system, no package lists, no network, or no room.
    """
    folder = cache / "debian" / "+".join(packages)
    if folder.is_dir():
        return folder
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(tool) is None:
            raise DataError(
                f"{PREFIX} corpora need {tool} (Debian's package {package}), which is not installed here. "
                "Use a Debian or Ubuntu system, or another corpus."
            )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as work:
            for package in track(packages, "Fetching", console=Console(stderr=True), transient=True):
                _download(package, work, cache)
                for archive in Path(work).glob(f"{package}_*.deb"):
                    _run(["dpkg-deb", "-x", archive.name, "unpacked"], work, f"{archive.name} is damaged")
            Path(work, "unpacked").rename(folder)
    except OSError as error:
        if folder.is_dir():  # another process was quicker
            return folder
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}). Free some space, or name another folder in "
            "$SPEECHTRANSFER_CACHE."
        ) from error
    return folder


def _download(package: str, folder: str, cache: Path) -> None:
    """Download one package; where the system's package lists lack it, with lists of our own.

    A fresh machine has no lists, and renewing the system's needs root; a private copy needs no rights.
    """
    failure = f"{package} cannot be downloaded"
    try:
        return _run(["apt-get", "download", "-q", package], folder, failure)
    except DataError:
        private = cache / "apt"
        for part in ("lists/partial", "cache/archives/partial"):
            (private / part).mkdir(parents=True, exist_ok=True)
        options = ["-q", "-o", f"Dir::State::Lists={private / 'lists'}", "-o", f"Dir::Cache={private / 'cache'}"]
        _run(["apt-get", *options, "update"], folder, failure)
        return _run(["apt-get", *options, "download", package], folder, failure)


def _run(command: Sequence[str], folder: str, failure: str) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise DataError(
            f"{failure} ({said[-1]}). Check the network and the sources of apt; where its lists are missing or "
            "old, run apt-get update as root."
        )


def recognises(data: str) -> bool:
    """Whether DATA begins with ``debian:``."""
    return data.startswith(PREFIX)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Fetch and read ``debian:NAME``, NAME a key of ``CORPORA``; downloads at most once.

    Raises:
        DataError: an unknown name, a language that is not the corpus's, or as ``fetch``.
    """
    name = data.removeprefix(PREFIX)
    if name not in CORPORA:
        known = ", ".join(PREFIX + key for key in CORPORA)
        raise DataError(f"{data}: no such corpus; the known ones are {known}.")
    prompts = CORPORA[name]
    if language not in (None, prompts.language):
        raise DataError(f"{data}: its language is {prompts.language}, not {language}. Leave --language out.")
    packages = (f"asterisk-core-sounds-{prompts.transcript}", prompts.package)
    return read_prompts(fetch(packages, cache_folder()), prompts)


IMPORTER = Importer(
    looks_like=f"a name such as {PREFIX}asterisk-ru, fetched with apt-get", recognises=recognises, load=load
)
