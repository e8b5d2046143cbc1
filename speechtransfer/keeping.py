"""Which split each recording was in, kept in the run folder, so that a later run on more data tests on the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from speechtransfer.audio import content_hash
from speechtransfer.errors import DataError
from speechtransfer.files import read_lines, write_lines
from speechtransfer.manifest import SPLITS, Manifest, Utterance
from speechtransfer.splits import grown, leaks

NAME = "splits.jsonl"
#: A sound wherever its file lies and whatever it is called: its content, and from which second to which.
Place = tuple[str, float | None, float | None]


def _place(row: Utterance) -> Place:
    """What a row is, wherever its file lies and whatever it is called: the sound's content, and the span of it."""
    return content_hash(row.audio), row.start, row.end


def write_splits(folder: Path, manifest: Manifest) -> None:
    """Write down the split of every row; ``audio`` is there for a reader's eye alone.

    Raises:
        DataError: the file cannot be written, or is there from other recordings or another cut.
    """
    places = ((row, _place(row)) for row in manifest)
    names = "content", "start", "end"
    lines = [
        {"audio": row.audio.name, **dict(zip(names, place, strict=True)), "split": row.split} for row, place in places
    ]
    path = folder / NAME
    if path.is_file() and read_lines(path) != lines:
        raise DataError(
            f"{path}: this training began on other recordings or another cut. Resume it with the same data, or train "
            "on what there is now with another --out."
        )
    write_lines(path, lines)


def keep_splits(
    manifest: Manifest, run: Path, prompt: Callable[[Utterance], str], by_speaker: bool, by_file: bool
) -> Manifest:
    """Cut a corpus as it was cut for an earlier run: its test is the same, and what is new is for training.

    Recordings are known by their content, so that files may have moved. What shares a prompt, a recording, a
    group or (unless speakers crossed the earlier splits) a speaker with a row of dev or test is in the ledger.

    Args:
        manifest: the rows; none names a split.
        run: the earlier run folder.
        prompt: what must not cross splits.
        by_speaker: nor may a speaker.
        by_file: nor may a recording, as a whole.

    Raises:
        DataError: the folder has no splits written down, or a test row of it is not in the data any more.
    """
    known, names = _read(run)
    places = {row.id: _place(row) for row in manifest}
    there = set(places.values())
    gone = [names[place] for place, split in known.items() if split == "test" and place not in there]
    if gone:
        raise DataError(
            f"{run}: {len(gone)} of its test recordings are not in the data as they were ({', '.join(gone[:3])}), or "
            "have other spans or other sound. Bring them back, or cut anew without --keep-splits."
        )
    kept = {name: known[place] for name, place in places.items() if place in known}
    before = Manifest(tuple(replace(row, split=kept[row.id]) for row in manifest if row.id in kept))
    crossed = leaks(before, lambda row: row.speaker)
    return grown(manifest, kept, prompt, by_speaker and not crossed, by_file)


def _read(run: Path) -> tuple[dict[Place, str], dict[Place, str]]:
    """The split of each recording, and what its file was called; of one sound in two splits, that of the test."""
    if not (run / NAME).is_file():
        inside = [str(path.parent) for pattern in ("*", "folds/*") for path in sorted(run.glob(f"{pattern}/{NAME}"))]
        rather = f"Name one of the runs in it: {', '.join(inside[:5])}." if inside else "Name the folder of a run."
        raise DataError(f"{run}: has no {NAME}, which a run writes where it cuts the splits itself. {rather}")
    splits: dict[Place, str] = {}
    names: dict[Place, str] = {}
    for number, line in enumerate(read_lines(run / NAME), 1):
        try:
            place, split = (line["content"], line["start"], line["end"]), line["split"]
            names[place] = str(line["audio"])
        except (KeyError, TypeError) as error:
            raise DataError(f"{run / NAME}:{number}: is not what a run writes ({error!r}). Train again.") from error
        if split not in SPLITS:
            raise DataError(f"{run / NAME}:{number}: {split!r} is no split. Train again.")
        if splits.get(place) != "test":
            splits[place] = split
    return splits, names
