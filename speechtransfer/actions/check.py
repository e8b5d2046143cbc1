"""What check does: say what of a data set can be trained on, and what of it is doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from speechtransfer.corpora import detect
from speechtransfer.corpora import load as load_corpus
from speechtransfer.doctor import Examined, judge, listen, seconds_by_split
from speechtransfer.errors import SettingsError
from speechtransfer.files import write_lines
from speechtransfer.manifest import Manifest, Utterance, ledger_counts
from speechtransfer.measure import Measured
from speechtransfer.separation import shared, told
from speechtransfer.soundness import FEWEST, crossing, sounded
from speechtransfer.symptoms import Symptom, by_kind, by_utterance, paired, written
from speechtransfer.text import TextContract
from speechtransfer.textsettings import usual_contract

# Whatever needs torch is imported where it is asked for: without it a corpus of any size fits in a small memory.
if TYPE_CHECKING:
    from speechtransfer.cli import Check
    from speechtransfer.model import Model


def check(console: Console, request: Check) -> int:
    """Examine a data set; exit status 1 where training is forbidden."""
    console.print(f"{request.data}: read as {request.format or detect(request.data)}")
    manifest = load_corpus(request.data, request.format, request.audio_root, request.language)
    field = "text" if _has_text(manifest) else "label"
    if field == "label" and (request.source or request.recogniser):
        raise SettingsError(f"{request.data}: has labels alone; --source and --recogniser are for transcripts.")
    model, contract = _recogniser(request)
    measured, faults = listen(manifest.rows)
    examined = judge(manifest, faults, lambda row: measured[row.id].seconds, contract, field)
    examined = replace(examined, errors=(*examined.errors, *crossing(examined.manifest.rows, measured)))
    doubts: list[Symptom] = []
    if request.source:
        examined, doubts = _at_stride(examined, measured, request.source, contract)
    usable = examined.manifest.rows
    doubts += [*written(usable, contract), *paired(usable, [measured[row.id].seconds for row in usable])]
    doubts += [*sounded(usable, measured), *shared(usable, examined.said)]
    if model is not None:
        from speechtransfer.plausible import unheard

        doubts += unheard(model, examined.manifest)
    notes = told(usable, examined.said)
    if len(usable) < FEWEST:
        notes.append(f"fewer than {FEWEST} utterances: too few to find one odd by the others")
    _tell(console, examined, doubts, notes)
    if request.out is not None:
        write_lines(request.out, _verdicts(examined.manifest, doubts))
    if request.report is not None:
        from speechtransfer.findings import Findings, write_findings

        write_findings(request.report, Findings(request.data, examined, measured, tuple(doubts), tuple(notes)))
        console.print(str(request.report))
    return 1 if examined.errors else 0


def _recogniser(request: Check) -> tuple[Model | None, TextContract]:
    """The recogniser that is to hear the transcripts, if any, and the text contract that they pass: its own then."""
    if request.recogniser is None:
        return None, usual_contract(request.language).contract(request.language)
    from speechtransfer.align import recognisers
    from speechtransfer.checkpoint import load as load_model
    from speechtransfer.offers import find_run

    model = load_model(find_run(request.recogniser))
    return model, recognisers(model.objective)[0].vocabulary.contract


def _at_stride(
    examined: Examined, measured: Mapping[str, Measured], source: str, contract: TextContract
) -> tuple[Examined, list[Symptom]]:
    """What is left at a source's stride: training leaves out what cannot be spelled, a test has it all the same."""
    from speechtransfer.plausible import unspellable
    from speechtransfer.sources import load_encoder

    encoder, before = load_encoder(source), examined.manifest
    reasons = unspellable(before, lambda row: measured[row.id].seconds, encoder, contract)
    kept = before.keep(lambda row: reasons.get(row.id) if row.split in (None, "train") else None)
    lost = set(before.splits) - set(kept.splits) if len(kept) else {"train"}
    errors = [f"{source}: has frames enough for no utterance of {name}." for name in sorted(lost) if len(before)]
    doubts = [Symptom(row.id, "more letters than frames", reasons[row.id]) for row in kept if row.id in reasons]
    seconds = dict.fromkeys(examined.seconds, 0.0) | seconds_by_split(kept, lambda row: measured[row.id].seconds)
    return replace(examined, manifest=kept, seconds=seconds, errors=(*examined.errors, *errors)), doubts


def _tell(console: Console, examined: Examined, doubts: Sequence[Symptom], notes: Sequence[str]) -> None:
    table = Table("split", "utterances", "minutes")
    for name, count, minutes in examined.sizes:
        table.add_row(name, str(count), f"{minutes:.1f}")
    console.print(table)
    for note in notes:
        console.print(note)
    for reason, count in ledger_counts(examined.manifest.ledger).items():
        console.print(f"{count:6d}  {reason}")
    for first, count in by_kind(doubts):
        told = f"{first.kind}, such as {first.detail} ({Path(first.id).name})"
        console.print(f"{count:6d}  doubtful: {told}")
    for error in examined.errors:
        console.print(f"error: {error}", style="bold red")


def _verdicts(manifest: Manifest, doubts: Sequence[Symptom]) -> list[dict[str, Any]]:
    """One for each utterance that the corpus holds, used or not."""
    by_row = by_utterance(doubts)
    verdicts = [_verdict(row, by_row.get(row.id, [])) for row in manifest]
    return verdicts + [
        {"verdict": "drop" if row.action == "dropped" else "warn", **_plain(row)} for row in manifest.ledger
    ]


def _verdict(row: Utterance, symptoms: Sequence[Symptom]) -> dict[str, Any]:
    told = [{"kind": one.kind, "detail": one.detail} for one in symptoms]
    verdict = {"verdict": "warn" if told else "ok", "audio": row.id, "split": row.split}
    return verdict | ({"doubts": told} if told else {})


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("audio", "split", "action", "reason", "where")}


def _has_text(manifest: Manifest) -> bool:
    return any(row.text is not None for row in manifest) or not any(row.label is not None for row in manifest)
