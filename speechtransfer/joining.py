"""Several DATA as one manifest, in which no sound stands twice."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from speechtransfer.audio import content_hash
from speechtransfer.console import watched
from speechtransfer.errors import AudioError, DataError
from speechtransfer.manifest import Manifest, Utterance

#: Seconds that spans of two DATA may share at a border.
_SHARED = 0.1
_LEAVE = "Leave it out of one of them."


def join(loaded: Mapping[str, Manifest]) -> Manifest:
    """All of several DATA.

    Raises:
        DataError: the same recording, or span of it, is in two of them: it would be learnt and counted twice. Or of one
            of them some rows name a split and others none.
    """
    for name, manifest in loaded.items():
        if len(loaded) > 1 and manifest.splits and (bare := [row for row in manifest if row.split is None]):
            raise DataError(
                f"{name}: {bare[0].id} names no split, and other rows do. Name one on every row, or on none."
            )
    if len(loaded) > 1:
        _refuse_shared(loaded)
    rows = tuple(row for manifest in loaded.values() for row in manifest)
    return Manifest(rows, tuple(line for manifest in loaded.values() for line in manifest.ledger))


def _refuse_shared(loaded: Mapping[str, Manifest]) -> None:
    """Raise where two DATA have one sound: of a recording the same stretch, or a copy of a whole one elsewhere."""
    spans: dict[Path, list[tuple[float, float, str, Utterance]]] = defaultdict(list)
    for name, manifest in loaded.items():
        for row in manifest:
            spans[row.audio].append((row.start or 0.0, math.inf if row.end is None else row.end, name, row))
    for places in spans.values():
        ends: dict[str, tuple[float, Utterance]] = {}
        for start, end, name, row in sorted(places, key=lambda one: one[:3]):
            for other, (until, held) in ends.items():
                if other != name and until - start > _SHARED:
                    raise DataError(f"{row.id}: is in {name}, and its sound, as {held.id}, in {other} too. {_LEAVE}")
            if name not in ends or end > ends[name][0]:
                ends[name] = (end, row)
    copies: dict[str, tuple[str, Path]] = {}
    for audio, places in watched(list(spans.items()), "comparing"):
        try:
            sound = content_hash(audio)
        except AudioError:  # which is told of later
            continue
        for name in dict.fromkeys(name for _, _, name, _ in places):
            owner, twin = copies.setdefault(sound, (name, audio))
            if owner != name and twin != audio:
                raise DataError(f"{audio}: is in {name}, and the same sound, as {twin}, in {owner} too. {_LEAVE}")
