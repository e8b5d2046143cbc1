"""What editors, transfers and hostile senders do to a corpus: one change to one of its files, or to where it lies."""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from speechtransfer.corpora.contract import is_sound

Change = Callable[[bytes, random.Random], bytes]

NUMBERS = (
    *("0", "-1", "nan", "inf", "1e999", "-1e-300", "1e18", "2147483648"),
    "9" * 400,
    "9" * 5000,
    "0x10",
    "1_0",
    "٣",
)
PATHS = (
    *("../outside/secret.wav", "../../outside/secret.wav", "../../../../../../etc/passwd", "/etc/passwd", "/dev/zero"),
    *(
        "file:///etc/passwd",
        "file://[x",
        "file:%2e%2e/outside/secret.wav",
        "http://[::1/x.wav",
        "C:\\a.wav",
        "//host/a",
    ),
    *(
        "a" * 300 + ".wav",
        "b/" * 3000 + "a.wav",
        "",
        ".",
        "..",
        "/",
        "~/a.wav",
        "-",
        "|",
        "cat /etc/passwd |",
        "a.wav:12",
    ),
)
ODD = (
    *("", " ", "\0", "\t", '"', "'", "<", "&", "\\", "\r", "\x1a", "\x85", "\u2028", "\u202e", "\ufeff", "\U0010ffff"),
    *("\\ud800", "&#xD800;", "&#0;", "null", "true", "[]", "{}", "{0}", "%s", "\u0301", "a" * 70_000, "ي" * 40_000),
)
NESTS = (("[", "]"), ('{"a":', "}"), ("<a>", "</a>"), ('"', '"'), ("(", ")"), ("\n", "\n"))
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1", "cp1251", "utf-8-sig", "shift-jis", "cp037")


def cut_short(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def bytes_changed(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 2, 20)) if content else 0):
        # Letters and signs for the like keep a format well-formed, and its meaning is damaged.
        changed[draw.randrange(len(changed))] = draw.choice((*b'aT0129"<,-|\t\n{', 0, 0xFF, draw.randrange(256)))
    return bytes(changed)


def lines_moved(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    one, two = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(6)
    if kind == 0:
        draw.shuffle(lines)
    elif kind == 1:
        lines[one], lines[two] = lines[two], lines[one]
    elif kind == 2:
        lines.insert(one, lines[two])
    elif kind == 3:
        del lines[one]
    elif kind == 4:
        lines[one:] = [b" ".join(lines[one:])]
    return (b"\r\n" if kind == 5 else b"\n").join(lines)


def columns_moved(content: bytes, draw: random.Random) -> bytes:
    rows = [line.split(separator := draw.choice((b"\t", b",", b"|", b" "))) for line in content.split(b"\n")]
    order = draw.sample(range(width := max(map(len, rows))), width)
    return b"\n".join(separator.join(row[place] for place in order if place < len(row)) for row in rows)


def encoded(content: bytes, draw: random.Random) -> bytes:
    return content.decode("utf-8", "replace").encode(draw.choice(ENCODINGS), "replace")


def _replaced(pattern: bytes, values: tuple[str, ...]) -> Change:
    found = re.compile(pattern)

    def change(content: bytes, draw: random.Random) -> bytes:
        places = [match.span() for match in found.finditer(content)] or [(0, 0)]
        start, end = draw.choice(places)
        value = draw.choice(values).encode()
        return content[:start] + value + content[end:]

    return change


def nested(content: bytes, draw: random.Random) -> bytes:
    opening, closing = draw.choice(NESTS)
    depth, place = draw.choice((50, 100_000)), draw.randrange(len(content) + 1)
    closing = draw.choice((closing, ""))
    return content[:place] + (opening * depth + closing * depth).encode() + content[place:]


def repeated(content: bytes, draw: random.Random) -> bytes:
    """A stretch of some kilobytes or megabytes."""
    start = draw.randrange(len(content) + 1)
    stretch = content[start : start + draw.randint(1, 40)]
    return content[:start] + stretch * draw.choice((10, 300, 3000)) + content[start:]


CONTENTS: dict[str, Change] = {
    "cut short": cut_short,
    "bytes": bytes_changed,
    "lines": lines_moved,
    "columns": columns_moved,
    "encoding": encoded,
    "number": _replaced(rb"-?\d[\d.]*", NUMBERS),
    "path": _replaced(rb"[\w:/.~-]{1,99}\.\w{2,5}\b", PATHS),
    "field": _replaced(rb'[^\t,|"\n<>=]+', (*ODD, *PATHS)),
    "letters": _replaced(rb"(?=.)", ODD),
    "nesting": nested,
    "repeated": repeated,
}


def removed(file: Path, draw: random.Random) -> None:
    file.unlink()


def made_folder(file: Path, draw: random.Random) -> None:
    file.unlink()
    (file / "x").mkdir(parents=True)


def made_pipe(file: Path, draw: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def linked(file: Path, draw: random.Random) -> None:
    outside = next(parent / "outside" for parent in file.parents if (parent / "outside").is_dir())
    target = draw.choice((outside / "secret.wav", outside / "secret.txt", Path("/dev/zero"), Path("gone"), file))
    file.unlink()
    file.symlink_to(target)


def looped(file: Path, draw: random.Random) -> None:
    """Folders that hold themselves, twice: there are a billion ways through them."""
    for name in ("again", "once_more"):
        if not (file.parent / name).exists():
            (file.parent / name).symlink_to(file.parent, target_is_directory=True)


def renamed(file: Path, draw: random.Random) -> None:
    """To a name that is no UTF-8, or one of another spelling."""
    name = os.fsencode(file.name)
    changed = draw.choice((b"\xff" + name, name.upper(), b" " + name, b"#a," + name, name + b".bak", b"'|\n;" + name))
    os.rename(file, os.path.join(os.fsencode(file.parent), changed))


def doubled(file: Path, draw: random.Random) -> None:
    shutil.copy(file, file.with_name(f"{file.stem}-2{file.suffix}"))


PLACES: dict[str, Callable[[Path, random.Random], None]] = {
    "removed": removed,
    "a folder": made_folder,
    "a pipe": made_pipe,
    "a link": linked,
    "a loop": looped,
    "renamed": renamed,
    "doubled": doubled,
}


def packed(kind: str, size: int) -> bytes:
    """A few kilobytes of gzip that unpack to ``size`` bytes of one sort."""
    block = {"zeros": b"\0", "blank lines": b"\n", "one line": b"a"}[kind] * (1 << 20)
    return gzip.compress(block, 9) * (size >> 20)  # members of one file follow each other


def _changed(file: Path, change: Change, draw: random.Random) -> bytes:
    """A file's content otherwise; of an archive what is in it, or the archive itself."""
    content = file.read_bytes()
    if file.suffix == ".gz" and draw.random() < 0.7:
        with suppress(OSError, EOFError, zlib.error):  # it was damaged before
            return gzip.compress(change(gzip.decompress(content), draw))
    return change(content, draw)


def mutate(folder: Path, draw: random.Random) -> str:
    """Change a corpus somewhere; what was done, for the message of whatever fails."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = [path for path in files if not is_sound(path)]
    done = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        file = draw.choice(texts if texts and draw.random() < 0.85 else files)
        if not os.path.lexists(file) or not file.is_file():
            continue
        if draw.random() < 0.2:
            kind = draw.choice(list(PLACES))
            PLACES[kind](file, draw)
        else:
            kind = draw.choice(list(CONTENTS))
            file.write_bytes(_changed(file, CONTENTS[kind], draw))
        done.append(f"{file.relative_to(folder)}: {kind}")
    return ", ".join(done)
