"""Episodes: batches of a few words with a few clips of each, in which clips can be compared."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

from speechtransfer.errors import SettingsError


def episodes(
    labels: Sequence[str | None], words: int, clips: int, draw: Callable[[str], random.Random]
) -> list[list[int]]:
    """Batches of ``words`` words with ``clips`` clips of each; every clip about once.

    A word's clips are shuffled and dealt ``clips`` at a time, the last deal topped up from its first; a word that has
    fewer gives all that it has. Each batch takes the words with the most deals left. Where fewer than ``words`` words
    have any, others give a deal again: the rarer a word, the more often it is heard.

    Args:
        labels: of each row; rows without one are in no batch.
        words: in a batch, or all where there are fewer.
        clips: of each.
        draw: random numbers by a purpose, so that they depend on nothing else.

    Returns:
        Row indices of each batch.

    Raises:
        SettingsError: the rows are not of two words or more.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        if label is not None:
            rows[label].append(index)
    if len(rows) < 2:
        raise SettingsError(f"batches: an episode compares words, but the training rows are of {len(rows)}.")
    deals: dict[str, list[list[int]]] = {}
    for label, own in rows.items():
        draw(f"deal/{label}").shuffle(own)
        filled = own + own[: -len(own) % clips] if len(own) > clips else own
        deals[label] = [filled[start : start + clips] for start in range(0, len(own), clips)]
    order = sorted(deals)
    chance = draw("order")
    given = dict.fromkeys(order, 0)
    groups: list[list[int]] = []
    while any(given[label] < len(deals[label]) for label in order):
        chance.shuffle(order)
        # The most deals left first; of those that have none left, who gave the least beyond them.
        order.sort(key=lambda label: given[label] - len(deals[label]))
        chosen = order[:words]
        groups.append([index for label in chosen for index in deals[label][given[label] % len(deals[label])]])
        for label in chosen:
            given[label] += 1
    chance.shuffle(groups)
    return groups
