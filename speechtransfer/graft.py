"""Rows of an old output layer for a new one: labels matched by our text contract, blank and boundary by role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from speechtransfer.errors import PlanError, TextError
from speechtransfer.text import TextContract
from speechtransfer.weights import Head

#: What checkpoints call the blank and the word boundary, and what is never grafted.
_BLANKS = frozenset({"", "<pad>", "[PAD]", "<blank>", "<blk>"})
_WORD_START = "\u2581"
_BOUNDARIES = frozenset({" ", "|", "<space>", _WORD_START})
_NEVER = frozenset({"<s>", "</s>", "<unk>", "[UNK]", "[CLS]", "[SEP]"})


def match_labels(
    head: Head, donor: Head, graft: Literal["shared", "fresh"] | Mapping[str, str | int]
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
    """Write the donor's rows into the head: new index to old index, in place."""
    with torch.no_grad():
        for new, old in rows.items():
            head.weight[new] = donor.weight[old].to(head.weight.dtype)
            head.bias[new] = donor.bias[old].to(head.bias.dtype)
