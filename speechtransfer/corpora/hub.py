"""Data sets of the Hugging Face hub -> Manifest: by name, saved to disk, or as parquet files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechtransfer.console import progress_bar
from speechtransfer.corpora.contract import SPLIT_NAMES, Importer, UnusableError, walk
from speechtransfer.corpora.hub_rows import Part, Place, called, records, told, utterance
from speechtransfer.corpora.media import Media
from speechtransfer.corpora.spans import without_rivals
from speechtransfer.errors import DataError
from speechtransfer.files import cache_folder, read_text
from speechtransfer.manifest import LedgerRow, Manifest, Utterance

PREFIX = "hub:"
_NAME = re.compile(r"(?:\w[\w.-]*/)?\w[\w.-]*")
_NO_CONFIG = re.compile(r"[<>:/\\|?*]")
_SPLIT = re.compile(r"(train|dev|validation|valid|val|test)(?=$|[._-])", re.IGNORECASE)
_SHARD = re.compile(r"-\d+-of-\d+$")
_BATCH = 16  # rows of a parquet file that are in memory at once, sound and all


def recognises(data: str) -> bool:
    """Whether DATA is ``hub:NAME``, a folder that ``save_to_disk`` wrote, or parquet files."""
    return data.startswith(PREFIX) or _is_saved(Path(data)) or _is_parquet(Path(data))


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read a data set with the library ``datasets``; no code of the data set is ever run.

    Sound that lies in the rows is written to the user's cache, once, each file named by its content. A set of the
    hub is streamed: nothing but its rows comes down. The splits are train, validation (dev) and test, and what
    begins so (``train.clean``); rows of other splits, such as Common Voice's ``invalidated``, are dropped. A set
    with one split, or none of those names, is taken as undivided. A language counts where it is given in ISO
    639-3; ``sw``, ``sw_ke`` or ``Swahili`` is for ``language`` to say.

    Args:
        data: ``hub:NAME`` or ``hub:NAME:CONFIG``, a folder, or a .parquet file.
        audio_roots: folders besides DATA that may hold sound that rows name.
        language: ISO 639-3 code of rows that state none.

    Raises:
        DataError: no such data set or no network, damaged files, columns that do not fit, or no row to use.
    """
    path = Path(data)
    if data.startswith(PREFIX):
        parts, name = _fetched(data), data.removeprefix(PREFIX)
        media = Media(Path(audio_roots[0]), audio_roots) if audio_roots else None
    else:
        parts, name = (_saved if _is_saved(path) else _parquet)(path), path.resolve().name
        media = Media(path if path.is_dir() else path.parent, audio_roots)
    divided = len({part.split for part in parts}) > 1 and any(_split(part.split) for part in parts)
    store = cache_folder() / "hub" / (re.sub(r"[^\w.-]+", "--", name).strip(".") or "data")
    place = Place(store, media, data.startswith(PREFIX))
    rows: list[tuple[Utterance, str]] = []
    ledger: list[LedgerRow] = []
    with progress_bar() as progress:
        for part in parts:
            if divided and not _split(part.split):
                ledger += _unread(part)
                continue
            task = progress.add_task(f"Reading {part.where}", total=part.count)
            for number, (values, sound) in enumerate(records(part), 1):
                where = f"{part.where}: row {number}"
                split = _split(part.split) if divided else _split(values.get("split") or "")
                try:
                    row = utterance(values, sound, where, place)
                    rows.append((replace(row, language=row.language or language, split=split), where))
                except UnusableError as error:
                    ledger.append(LedgerRow(called(sound) or where, str(error), split=split, where=where))
                progress.advance(task)
    manifest = without_rivals(rows, ledger)
    if not manifest.rows:
        first = next(iter(manifest.ledger), None)
        why = f" The first of {len(manifest.ledger)}: {first.where}: {first.reason}." if first else ""
        raise DataError(f"{data}: holds no row that can be used.{why}")
    return manifest


def _is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or all(
        (path / name).is_file() for name in ("dataset_info.json", "state.json")
    )


def _is_parquet(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() == ".parquet"
    return any(next(path.glob(pattern), None) for pattern in ("*.parquet", "*/*.parquet"))


def _fetched(data: str) -> list[Part]:
    """The splits of a data set of the hub, of which no row has come yet."""
    name, _, config = data.removeprefix(PREFIX).partition(":")
    if not _NAME.fullmatch(name) or _NO_CONFIG.search(config):
        raise DataError(f"{data}: is no name of a data set; write it like {PREFIX}google/fleurs:sw_ke.")
    import datasets  # slow to import, and of use here alone

    try:
        found = dict(datasets.load_dataset(name, config or None, streaming=True))
    except Exception as error:  # whatever the network, the hub or the data set's own files lead to
        raise DataError(
            f"{data}: cannot be had from the hub ({told(error)}). Check the name, the configuration and the network; "
            "where the set asks for consent, give it on its page and log in with: hf auth login"
        ) from error
    sizes = {split: _size(dataset) for split, dataset in found.items()}
    return [_part(f"{data} {split}", str(split), dataset, sizes[split]) for split, dataset in found.items()]


def _size(dataset: Any) -> int | None:
    """How many rows a streamed split says that it has."""
    split = (dataset.info.splits or {}).get(dataset.split)
    return split.num_examples if split else None


def _saved(folder: Path) -> list[Part]:
    """The splits of what ``save_to_disk`` wrote."""
    import datasets

    try:
        _refuse_other_places(folder)
        found = datasets.load_from_disk(str(folder.resolve()))
        named = dict(found) if isinstance(found, datasets.DatasetDict) else {"": found}
        for dataset in named.values():
            dataset.data.validate(full=True)  # Arrow trusts the offsets of a mapped file, and would crash on wrong ones
        return [
            _part(f"{folder} {split}".strip(), split, dataset.with_format(None), len(dataset))
            for split, dataset in named.items()
        ]
    except DataError:
        raise
    except Exception as error:  # it raises whatever a damaged file leads to
        raise DataError(f"{folder}: cannot be read ({told(error)}). Save the data set again.") from error


def _refuse_other_places(folder: Path) -> None:
    """Raise where a saved data set would be read from a pipe, or from files that do not lie in it."""
    files = walk(folder)
    if (folder / "dataset_dict.json").is_file():
        splits = json.loads(read_text(folder / "dataset_dict.json"))["splits"]
        files += [folder / split / "state.json" for split in splits]
    for state in [file for file in files if file.name == "state.json" and file.is_file()]:
        files += [state.parent / one["filename"] for one in json.loads(read_text(state))["_data_files"]]
    for file in files:
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{file}: is no plain file in {folder}. Save the data set again.")


def _part(where: str, split: str, dataset: Any, count: int | None) -> Part:
    import datasets

    def rows(columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        chosen = dataset.select_columns(list(columns))
        for column in columns:
            if isinstance(dataset.features[column], datasets.Audio):
                chosen = chosen.cast_column(column, datasets.Audio(decode=False))
        yield from chosen

    return Part(where, split, dataset.features or {}, rows, count)


def _parquet(path: Path) -> list[Part]:
    """Parquet files as parts; read one by one, since ``datasets`` would first copy all of them to its own cache."""
    import datasets
    from pyarrow import parquet

    def part(file: Path) -> Part:
        if not file.is_file():
            raise DataError(f"{file}: is no plain file. Get it again.")
        try:
            with parquet.ParquetFile(file) as opened:
                features = datasets.Features.from_arrow_schema(opened.schema_arrow)
                count = opened.metadata.num_rows
        except Exception as error:
            raise DataError(f"{file}: is no parquet file, or damaged ({told(error)}). Get it again.") from error

        def rows(columns: Sequence[str]) -> Iterator[dict[str, Any]]:
            with parquet.ParquetFile(file) as opened:
                for batch in opened.iter_batches(_BATCH, columns=list(columns)):
                    yield from batch.to_pylist()

        return Part(str(file), _split_of(file, path), features, rows, count)

    files = [file for file in walk(path) if file.suffix.lower() == ".parquet"] if path.is_dir() else [path]
    return [part(file) for file in files]


def _split_of(file: Path, base: Path) -> str:
    """The split that a file's name begins with, as in ``train-00000-of-00003.parquet``, or else one of its folders'."""
    stem = _SHARD.sub("", file.stem)
    folders = file.relative_to(base).parts[-2::-1] if file != base else ()
    names = [*([stem] if stem != file.stem else []), *folders, ""]
    return next((name for name in (stem, *folders) if _split(name)), names[0])


def _split(name: str) -> str | None:
    """``train``, ``dev`` or ``test`` where a split's name begins so."""
    found = _SPLIT.match(name)
    return SPLIT_NAMES[found[1].lower()] if found else None


def _unread(part: Part) -> list[LedgerRow]:
    """Ledger rows for a split that is no part of the three; one for all where the rows would have to be fetched."""
    reason = f"in a split other than train, validation and test: {part.split or 'a file that names none'}"
    if part.where.startswith(PREFIX) or part.count is None:
        size = "of unknown size" if part.count is None else f"of {part.count} rows"
        return [LedgerRow(part.where, f"{reason}, {size}", where=part.where)]
    return [LedgerRow(f"{part.where}: row {number + 1}", reason, where=part.where) for number in range(part.count)]


IMPORTER = Importer(
    looks_like=f"{PREFIX}NAME[:CONFIG] of the Hugging Face hub, a folder of save_to_disk, or .parquet files",
    recognises=recognises,
    load=load,
)
