"""Which units a recipe asks for, and those that are chosen of training texts where it leaves the choice."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from speechtransfer.errors import SettingsError, TextError
from speechtransfer.pronunciation import Phones, read_lexicon
from speechtransfer.text import TextContract
from speechtransfer.units import CLUSTER, RAREST, Characters, Clusters, Multigraphs, Pieces, Units

#: Clusters are chosen where no larger share of other text would be clusters that training never saw.
MOST_UNSEEN = 0.01
#: Characters of training text for each piece, where no size is given: a piece is then seen dozens of times.
CHARACTERS_A_PIECE = 100
#: More pieces than this are worth nothing here, however much text there is.
_MOST_PIECES = 1000


@dataclass(frozen=True)
class UnitSettings:
    """What a recipe asks of the outputs of a recogniser.

    Attributes:
        kind: ``characters``; grapheme ``clusters``; ``multigraphs``, letters of several characters; ``phones`` by a
            lexicon; ``bpe``, pieces of words; or ``auto``, characters or clusters by the training texts.
        multigraphs: what is one letter, such as ``ny,tsh``; all other letters are clusters.
        lexicon: a file: a word a line, then its phones.
        size: of ``bpe``, how many units, characters among them; None is a hundredth of the training texts'
            characters, and 1000 at most.
    """

    kind: Literal["auto", "characters", "clusters", "multigraphs", "phones", "bpe"] = "characters"
    multigraphs: tuple[str, ...] = ()
    lexicon: str | None = None
    size: int | None = None

    def check(self, contract: TextContract) -> Phones | None:
        """Refuse what fits no text, before any is read; gives the lexicon's phones where there is one.

        Raises:
            SettingsError: a setting that the kind has not or lacks, or a multigraph that no transcript can hold.
            DataError: a damaged lexicon.
        """
        needed = {"multigraphs": self.multigraphs, "lexicon": self.lexicon, "size": self.size}
        owners = {"multigraphs": "multigraphs", "lexicon": "phones", "size": "bpe"}
        for name, value in needed.items():
            if value not in ((), None) and self.kind != owners[name]:
                raise SettingsError(
                    f"units.{name} is for units.kind={owners[name]}, not {self.kind}. Set the kind too."
                )
        if self.kind == "multigraphs" and not self.multigraphs:
            raise SettingsError("units.kind=multigraphs: which? Name them, as in units.multigraphs=ny,tsh.")
        for one in self.multigraphs:
            _inside(one, contract)
        if self.kind != "phones":
            return None
        if not self.lexicon:
            raise SettingsError("units.kind=phones: by which lexicon? Name the file: units.lexicon=FILE.")
        return read_lexicon(self.lexicon, contract)

    def choose(self, texts: Collection[str], contract: TextContract, phones: Phones | None) -> tuple[Units, str]:
        """The units of training texts, and why these.

        Args:
            texts: after the contract. Each counts once: a prompt said twenty times is one prompt.
            contract: that they passed.
            phones: what ``check`` gave.

        Raises:
            SettingsError: no multigraph stands in the texts, or they are too few for pieces.
        """
        once = sorted(set(texts))
        if self.kind == "multigraphs":
            return _multigraphs({_inside(one, contract) for one in self.multigraphs}, once)
        if self.kind == "bpe":
            return self._pieces(once)
        if phones is not None:
            return phones, f"by {self.lexicon}; what is written down and scored are phones, words cannot be written"
        if self.kind == "auto":
            return _automatic(once)
        return (Clusters() if self.kind == "clusters" else Characters()), "as asked"

    def _pieces(self, texts: list[str]) -> tuple[Units, str]:
        letters, count = len(set("".join(texts))), sum(map(len, texts))
        size = self.size or min(_MOST_PIECES, count // CHARACTERS_A_PIECE)
        enough = f"Give more text, or take units.kind=characters ({letters} of them)."
        if size <= letters:
            asked = f"units.size={size}" if self.size else f"{CHARACTERS_A_PIECE} for each piece makes {size}"
            raise SettingsError(
                f"units.kind=bpe: of {count} different characters of training text, {asked}: no more than there are "
                f"letters. {enough}"
            )
        pieces = Pieces.learnt(texts, size)
        held = len(pieces.reachable.union(*texts))
        if held < (self.size or letters + 1):
            raise SettingsError(
                f"units.kind=bpe: letters, and pieces that stand {RAREST} times or more in the training texts, are "
                f"only {held} units, not {size}. {enough}"
            )
        return pieces, f"{held} units learnt from {count} characters of training text, {letters} letters among them"


def _inside(multigraph: str, contract: TextContract) -> str:
    """A multigraph as transcripts hold it inside words.

    Raises:
        SettingsError: the contract changes more of it than its case and its form.
    """
    try:
        inside = contract.apply(f"q{multigraph}q")[1:-1]
    except TextError as error:
        raise SettingsError(f"units.multigraphs: {multigraph!r} is in no transcript: {error}") from error
    if " " in inside or len(inside) < len(unicodedata.normalize(contract.unicode, multigraph)):
        raise SettingsError(
            f"units.multigraphs: of {multigraph!r} the text contract leaves {inside!r}, so no transcript holds it. "
            "Write it with letters alone."
        )
    return inside


def _multigraphs(listed: set[str], texts: list[str]) -> tuple[Units, str]:
    """Those that training has; what it never saw stays as many letters, so that it can be written."""
    whole = Multigraphs(tuple(sorted(listed)))
    seen = Counter(piece for text in texts for word in text.split(" ") for piece in whole.cut(word))
    there = sorted(listed & seen.keys())
    if not there:
        raise SettingsError(f"units.multigraphs: none of {', '.join(sorted(listed))} stands in the training texts.")
    absent = sorted(listed - seen.keys())
    never = f"; never in the training texts, so left apart: {', '.join(absent)}" if absent else ""
    return Multigraphs(tuple(there)), ", ".join(f"{one} {seen[one]} times" for one in there) + never


def _automatic(texts: list[str]) -> tuple[Units, str]:
    """Clusters where marks need them and the texts have shown nearly all of them; otherwise characters.

    The share of other text that would be unseen clusters is that of the clusters seen once (Good 1953, "The
    population frequencies of species and the estimation of population parameters").
    """
    counts = Counter(cluster for text in texts for word in text.split(" ") for cluster in CLUSTER.findall(word))
    marked = sum(len(cluster) > 1 for cluster in counts)
    if not marked:
        return Characters(), "no letter carries a mark that is a character of its own"
    unseen = sum(times == 1 for times in counts.values()) / counts.total()
    told = f"of other text about {unseen:.1%} would be clusters that training never saw"
    if unseen <= MOST_UNSEEN:
        return Clusters(), f"{marked} letters carry marks that are characters of their own; {told}"
    return Characters(), f"{told}, more than {MOST_UNSEEN:.0%}, so letters and their marks are told apart"
