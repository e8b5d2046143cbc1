"""Damage to text files that a reader must survive: what editors, transfers and hostile senders do to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest

_ODD = (
    "../../etc/passwd",
    "/etc/passwd",
    "9" * 5000,
    "-1",
    "nan",
    "1e999",
    "a" * 300,
    "\0",
    "",
    "file://[x",
    "|",
    "\t",
)


def damaged(content: str, seed: int) -> Iterator[bytes]:
    """Versions of a file: cut, re-encoded, with fields, lines and columns moved, repeated, removed or replaced."""
    draw = random.Random(seed)
    data = content.encode()
    yield from (data[: draw.randrange(len(data))] for _ in range(4))
    yield from (content.encode(encoding, "replace") for encoding in ("utf-16", "latin-1", "utf-8-sig"))
    yield content.replace("\n", "\r\n").encode()
    yield content.replace("\n", "\n\n \n").encode()
    lines = content.splitlines()
    yield "\n".join(draw.sample(lines, len(lines))).encode()
    yield "\n".join([*lines, lines[-1]]).encode()
    for separator in "\t", ",", "|", ";", " ":
        rows = [line.split(separator) for line in lines]
        if min(map(len, rows)) > 1:
            order = draw.sample(range(min(map(len, rows))), min(map(len, rows)))
            yield "\n".join(separator.join(row[place] for place in order) for row in rows).encode()
            for odd in _ODD:
                row, column = draw.randrange(len(rows)), draw.randrange(min(map(len, rows)))
                changed = [list(cells) for cells in rows]
                changed[row][column] = odd
                yield "\n".join(map(separator.join, changed)).encode()


def survives(load: Callable[[], Manifest], files: Iterator[Path], seed: int = 0) -> int:
    """How many damaged versions of some files end in a manifest; each other one is a DataError, or this fails."""
    loaded = 0
    for path in list(files):
        content = path.read_bytes()
        for version in damaged(content.decode(), seed):
            path.write_bytes(version)
            with suppress(DataError):
                manifest = load()
                assert all(row.audio.is_file() for row in manifest)
                assert len({row.id for row in manifest}) == len(manifest) > 0
                assert all(row.reason for row in manifest.ledger)
                loaded += 1
        path.write_bytes(content)
    return loaded


def spoilt(files: Sequence[Path], seed: int, most: int, times: int = 60) -> Iterator[Path]:
    """One file at a time with its end cut off or up to ``most`` bytes replaced; afterwards it is as it was."""
    draw = random.Random(seed)
    for _ in range(times):
        path = draw.choice(files)
        content = path.read_bytes()
        version = bytearray(content)
        if draw.random() < 0.3:
            del version[draw.randrange(len(version)) :]
        else:
            for _ in range(draw.randint(1, most)):
                version[draw.randrange(len(version))] = draw.randrange(256)
        path.write_bytes(version)
        yield path
        path.write_bytes(content)
