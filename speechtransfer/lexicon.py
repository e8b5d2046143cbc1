"""The words of transcripts: counted to choose from, wanted by name, and found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from speechtransfer.errors import SettingsError, TextError
from speechtransfer.manifest import RESERVED, Manifest, Utterance
from speechtransfer.text import TextContract

_LONGEST_NAME = 255  # bytes that a folder's name may have


@dataclass(frozen=True)
class Counted:
    """How often a word is said: in all, in how many utterances, and by how many known speakers."""

    word: str
    occurrences: int
    utterances: int
    speakers: int


def parted(given: Iterable[str]) -> list[str]:
    """The words of a command line's arguments, each of which may hold several, parted by commas."""
    return [word for argument in given for part in argument.split(",") if (word := part.strip())]


def wanted(words: Iterable[str], contract: TextContract) -> tuple[str, ...]:
    """Words and phrases as transcripts hold them after the contract, each once; each can name a class folder.

    Raises:
        SettingsError: a word that cannot name a class folder, or none at all.
        TextError: a word that breaks the contract.
    """
    found = []
    for word in words:
        if word in RESERVED:
            raise SettingsError(f"--words: {word} is what a spotter calls everything else. Choose another word.")
        if word.startswith(".") or set(word) & set("/\\\0"):
            raise SettingsError(f"--words: {word!r} cannot name a folder. Write it as it is said, in letters.")
        found.append(contract.apply(word))
        if len(found[-1].encode()) > _LONGEST_NAME:
            raise SettingsError(f"--words: {word!r} is too long to name a folder. Choose a shorter phrase.")
    if not found:
        raise SettingsError("--words names no word. Leave it out to see the corpus's words by count.")
    return tuple(dict.fromkeys(found))


def legible(manifest: Manifest, contract: TextContract) -> Manifest:
    """The rows whose transcripts pass the contract; each other is a ledger row."""

    def fault(row: Utterance) -> str | None:
        if row.text is None:
            return "no transcript"
        try:
            contract.apply(row.text)
        except TextError as error:
            return f"unusable transcript: {error}"
        return None

    return manifest.keep(fault)


def counted(manifest: Manifest, contract: TextContract) -> list[Counted]:
    """The words of legible rows, the commonest first, then by the alphabet."""
    said: dict[str, list[Utterance]] = defaultdict(list)
    for row in manifest:
        for word in contract.apply(row.text or "").split(" "):
            said[word].append(row)
    found = [
        Counted(
            word,
            len(rows),
            len({row.id for row in rows}),
            len({row.speaker for row in rows if row.speaker is not None}),
        )
        for word, rows in said.items()
    ]
    return sorted(found, key=lambda one: (-one.occurrences, one.word))


def places(text: str, phrase: str) -> list[tuple[int, int]]:
    """First and last word of each occurrence in a text, from the left, none overlapping another; both normalised."""
    said, sought = text.split(" "), phrase.split(" ")
    found: list[tuple[int, int]] = []
    for first in range(len(said) - len(sought) + 1):
        if said[first : first + len(sought)] == sought and (not found or first > found[-1][1]):
            found.append((first, first + len(sought) - 1))
    return found
