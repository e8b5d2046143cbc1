"""Rows of an old output layer for a new one: labels matched by our text contract or by sound, some by their role."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import torch
from anyascii import anyascii

from speechtransfer.errors import PlanError, TextError
from speechtransfer.text import TextContract
from speechtransfer.weights import Head

#: What checkpoints call the blank and the word boundary, and what is never grafted.
_BLANKS = frozenset({"", "<pad>", "[PAD]", "<blank>", "<blk>"})
_WORD_START = "\u2581"
_BOUNDARIES = frozenset({" ", "|", "<space>", _WORD_START})
_NEVER = frozenset({"<s>", "</s>", "<unk>", "[UNK]", "[CLS]", "[SEP]"})


def match_labels(
    head: Head, donor: Head, graft: Literal["shared", "transliterated"] | Mapping[str, str | int]
) -> dict[int, int]:
    """Rows of the new head that take a donor's row: new index to old index.

    Labels pass through our text contract; the blank and the word boundary are matched by role. A new head without a
    contract has names (of phones, of words to spot), not text: they match where the strings are the same.

    Raises:
        PlanError: widths differ, a donor without labels under ``shared``, two old labels that fold into
            one, or a map that names a label either side lacks.
    """
    if donor.weight.shape[1] != head.weight.shape[1]:
        raise PlanError(
            f"the donor's rows are {donor.weight.shape[1]} wide, the new head's {head.weight.shape[1]}: no graft fits."
        )
    if donor.labels is not None and len(donor.labels) != donor.weight.shape[0]:
        raise PlanError(f"the donor has {len(donor.labels)} labels for {donor.weight.shape[0]} rows: no graft fits.")
    new = {label: index for index, label in enumerate(head.labels or ())}
    if isinstance(graft, Mapping):
        return {_find(new, key, "the new head"): _old_index(donor, value) for key, value in graft.items()}
    if donor.labels is None:
        raise PlanError("the donor has no labels: use graft='fresh', or a map of label to row number.")
    old: dict[str, list[int]] = {}
    for index, label in enumerate(donor.labels):
        role = _role(label, head.contract)
        if role is not None and role in new:
            old.setdefault(role, []).append(index)
    doubled = [f"{' and '.join(repr(donor.labels[i]) for i in rows)}" for rows in old.values() if len(rows) > 1]
    if doubled:
        raise PlanError(f"old labels fold into one: {'; '.join(doubled)}. Give graft a map that chooses.")
    return {new[label]: rows[0] for label, rows in old.items()}


def match_by_sound(head: Head, donor: Head, taken: Mapping[int, int]) -> dict[int, int]:
    """Rows for letters that the donor lacks: of the letter that is transliterated into the same Latin ones.

    Greek α takes the row of the Latin or Cyrillic a, č that of c. Where no label of the donor is transliterated into
    all of them, a letter takes the row of the longest beginning that one is: θ (th) that of t, я (ya) that of y. Of
    several labels that would do, the plain Latin one is taken, else the first. A head without a contract has names,
    which have no sound of their own: nothing is matched.

    Args:
        head: the new head.
        donor: the old one, with labels.
        taken: what ``match_labels`` matched; those rows of the new head are left as they are.
    """
    if head.contract is None:
        return {}
    spelt: dict[str, int] = {}
    old = [(label, index) for index, label in enumerate(donor.labels or ()) if _is_sound(label)]
    for label, index in sorted(old, key=lambda one: one[0].casefold() != _latin(one[0])):
        spelt.setdefault(_latin(label), index)
    rows = {}
    for index, label in enumerate(head.labels or ()):
        if index in taken or not _is_sound(label):
            continue
        latin = _latin(label)
        # The beginning of a syllable or a word is not what it is written for.
        shortest = 1 if len(label) == 1 else len(latin)
        for end in range(len(latin), shortest - 1, -1):
            if latin[:end] in spelt:
                rows[index] = spelt[latin[:end]]
                break
    return rows


def told(head: Head, donor: Head, alike: Mapping[int, int]) -> list[str]:
    """What ``match_by_sound`` matched, as a note for the plan; no note where that is nothing."""
    new, old = head.labels or (), donor.labels or ()
    pairs = " ".join(f"{old[row]}>{new[index]}" for index, row in sorted(alike.items()))
    return [f"letters that begin as others that sound like them: {pairs}"] if pairs else []


def _is_sound(label: str) -> bool:
    """Whether a label is letters, and no role of a checkpoint's."""
    return label not in _NEVER | _BLANKS and not label.startswith(_WORD_START) and bool(_latin(label))


def _latin(label: str) -> str:
    """A label's letters in plain Latin ones; nothing where it has no letter."""
    return "".join(char for char in anyascii(label).casefold() if char.isalpha())


def _role(label: str, contract: TextContract | None) -> str | None:
    """The new vocabulary's name for an old label, or None where it has none."""
    if label in _NEVER:
        return None
    if label in _BLANKS:
        return ""
    if label in _BOUNDARIES:
        return " "
    if contract is None:
        return label
    if label.startswith(_WORD_START):  # a piece that begins a word is another sound than the same letters inside one
        return None
    try:
        # An apostrophe, a vowel sign or a joiner at an edge is no text, yet part of a label: what it is inside a word.
        return contract.apply(f"q{label}q")[1:-1].strip() or None
    except TextError:
        return None


def _find(labels: Mapping[str, int], label: str, where: str) -> int:
    if label not in labels:
        raise PlanError(f"graft: {where} has no label {label!r}.")
    return labels[label]


def _old_index(donor: Head, value: str | int) -> int:
    if isinstance(value, str):
        return _find({label: i for i, label in enumerate(donor.labels or ())}, value, "the donor")
    if not 0 <= value < donor.weight.shape[0]:
        raise PlanError(f"graft: the donor has {donor.weight.shape[0]} rows, no row {value}.")
    return value


def copy_rows(head: Head, donor: Head, rows: Mapping[int, int]) -> None:
    """Write the donor's rows into the head: new index to old index, in place.

    New labels that take one row share its probability: the logarithm of their number is taken from their biases.
    """
    sharing = Counter(rows.values())
    with torch.no_grad():
        for new, old in rows.items():
            head.weight[new] = donor.weight[old].to(head.weight.dtype)
            head.bias[new] = donor.bias[old].to(head.bias.dtype) - math.log(sharing[old])
