"""Recordings with a text file each -> Manifest: ``a.wav`` beside ``a.txt``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from speechtransfer.corpora.contract import SPLIT_NAMES, Importer, is_sound, walk
from speechtransfer.errors import DataError
from speechtransfer.files import read_text_lines
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, readable, resolve_inside

_SUFFIX = ".txt"


def recognises(data: str) -> bool:
    """Whether DATA is a folder in which at least half of the sound files have a text of their name beside them."""
    if not Path(data).is_dir():
        return False
    files = walk(Path(data))
    texts = {path.with_suffix("") for path in files if path.suffix.lower() == _SUFFIX}
    sounds = [path for path in files if is_sound(path)]
    return bool(sounds) and 2 * sum(path.with_suffix("") in texts for path in sounds) >= len(sounds)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read each recording's text, UTF-8; its lines are joined.

    Where every folder in DATA is called after a split, they are the splits. Recordings without a text, texts
    without a recording, and texts that are empty or no text at all, are in the ledger.

    Args:
        data: the folder; recordings may lie in folders in it.
        audio_roots: further folders that links in it may lead to.
        language: ISO 639-3 code of every row.

    Raises:
        DataError: not a folder, a link that leads outside, or no recording with a text.
    """
    base = Path(data).resolve()
    if not base.is_dir():
        raise DataError(f"{data}: is not a folder.")
    roots = readable(base, audio_roots)
    sounds, texts = defaultdict(list), {}
    for path in walk(base):
        if is_sound(path):
            sounds[path.with_suffix("")].append(path)
        elif path.suffix.lower() == _SUFFIX:
            texts[path.with_suffix("")] = path
    tops = {path.relative_to(base).parts[:-1][:1] for path in sounds}
    divided = all(top and top[0] in SPLIT_NAMES for top in tops)
    rows, ledger = [], []
    for stem, paths in sounds.items():
        split = SPLIT_NAMES[stem.relative_to(base).parts[0]] if divided else None
        text, reason = _text(texts[stem]) if stem in texts else ("", f"no {_SUFFIX} file beside it")
        if len(paths) > 1 and not reason:
            reason = f"several recordings of one text: {', '.join(path.name for path in paths)}"
        if reason:
            ledger += [LedgerRow(str(path), reason, split=split) for path in paths]
        else:
            audio = resolve_inside(str(paths[0]), base, roots, str(paths[0]))
            rows.append(Utterance(audio, text=text, language=language, split=split))
    ledger += [
        LedgerRow(str(path), "no recording beside the text") for stem, path in texts.items() if stem not in sounds
    ]
    if not rows:
        why = f" The first of {len(ledger)}: {ledger[0].reason}" if ledger else ""
        raise DataError(f"{data}: holds no recording with a text, such as a.wav beside a{_SUFFIX}.{why}")
    return Manifest(tuple(rows), tuple(ledger))


def _text(path: Path) -> tuple[str, str | None]:
    """The text of a file on one line, and why it cannot be used."""
    try:
        text = " ".join(" ".join(read_text_lines(path)).split())
    except DataError as error:
        return "", f"unreadable text: {error}"
    if "\0" in text:
        return "", f"a null character in {path.name}"
    return text, None if text else f"{path.name} is empty"


IMPORTER = Importer(
    looks_like="recordings with a text file each: a.wav beside a.txt",
    recognises=recognises,
    load=load,
)
