"""What check and sources do: say what of a data set can be trained on, and what there is to start from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speechtransfer.audio import Recordings
from speechtransfer.corpora import detect
from speechtransfer.corpora import load as load_corpus
from speechtransfer.doctor import examine
from speechtransfer.encoders import support_rows
from speechtransfer.files import write_lines
from speechtransfer.manifest import Manifest, Utterance, ledger_counts
from speechtransfer.offers import offers
from speechtransfer.sources import DEFAULT_SOURCE
from speechtransfer.symptoms import Symptom, paired, written
from speechtransfer.textsettings import usual_contract

#: What ``check`` reads at; any rate would do, since no encoder is chosen yet.
_CHECK_RATE = 16_000


def check(
    console: Console,
    data: str,
    format: str | None,
    audio_roots: Sequence[Path],
    out: Path | None,
    language: str | None = None,
) -> int:
    """Examine a data set; exit status 1 where training is forbidden."""
    console.print(f"{data}: read as {format or detect(data)}")
    manifest, recordings = load_corpus(data, format, audio_roots, language), Recordings(_CHECK_RATE)
    contract = usual_contract(language).contract(language)
    examined = examine(manifest, recordings, contract, "text" if _has_text(manifest) else "label")
    table = Table("split", "utterances", "minutes")
    for name, seconds in examined.seconds.items():
        count = sum((row.split or "all") == name for row in examined.manifest)
        table.add_row(name, str(count), f"{seconds / 60:.1f}")
    console.print(table)
    for reason, count in ledger_counts(examined.manifest.ledger).items():
        console.print(f"{count:6d}  {escape(reason)}")
    usable = examined.manifest.rows
    symptoms = [*written(usable), *paired(usable, [recordings.seconds(row) for row in usable])]
    for kind, count in Counter(one.kind for one in symptoms).most_common():
        first = next(one for one in symptoms if one.kind == kind)
        console.print(f"{count:6d}  doubtful: {escape(f'{kind}, such as {first.detail} ({Path(first.id).name})')}")
    if out is not None:
        doubts: dict[str, list[Symptom]] = defaultdict(list)
        for one in symptoms:
            doubts[one.id].append(one)
        verdicts = [_verdict(row, doubts[row.id]) for row in usable]
        verdicts += [
            {"verdict": "drop" if row.action == "dropped" else "warn", **_plain(row)}
            for row in examined.manifest.ledger
        ]
        write_lines(out, verdicts)
    for error in examined.errors:
        console.print(f"error: {escape(error)}", style="bold red")
    return 1 if examined.errors else 0


def _verdict(row: Utterance, symptoms: Sequence[Symptom]) -> dict[str, Any]:
    told = [{"kind": one.kind, "detail": one.detail} for one in symptoms]
    verdict = {"verdict": "warn" if told else "ok", "audio": row.id, "split": row.split}
    return verdict | ({"doubts": told} if told else {})


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("audio", "split", "action", "reason", "where")}


def _has_text(manifest: Manifest) -> bool:
    return any(row.text is not None for row in manifest) or not any(row.label is not None for row in manifest)


def sources(console: Console) -> int:
    """List what lies here and what can be loaded from elsewhere."""
    table = Table("--source", "family", "trained on", "licence", "MB")
    for one in offers():
        name = f"{one.name} (default)" if one.name == DEFAULT_SOURCE else one.name
        family = one.family or f"cannot be loaded: {one.fault}"
        cells = name, family, " ".join(one.languages) or "not said", one.licence or "not said", f"{one.megabytes:.1f}"
        table.add_row(*map(escape, cells))
    console.print(table)
    header, *rows = support_rows()
    families = Table(*header)
    for row in rows:
        families.add_row(*(cell.replace("`", "") for cell in row))
    console.print(families)
    console.print(
        "Any run folder is a source, and so are random:FAMILY (random weights) and logmel:80 (plain log-mel)."
    )
    return 0
