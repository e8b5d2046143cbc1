"""A run folder as people read it: `report.html`, one page that needs nothing else, and its model card."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import prod
from pathlib import Path
from statistics import median
from typing import Any, Literal

from speechtransfer import pictures
from speechtransfer.audio import probe, read
from speechtransfer.checkpoint import blaming
from speechtransfer.detections import detections
from speechtransfer.errors import AudioError
from speechtransfer.files import write_atomically
from speechtransfer.grading import grades
from speechtransfer.manifest import LedgerRow, ledger_counts
from speechtransfer.pictures import Curve, folded, plain, table, told, wrapped
from speechtransfer.rundata import THIS_RUN, Heard, Run, Values, lines_of, optional, read_run, rows_of
from speechtransfer.score import GRADED, called, substitutions

Kind = Literal["text", "phones", "labels", "grades"]  # of what was tested
EXAMPLES = 6  # utterances of a kind, enough to see a pattern
LISTED = 100  # rows of a table that unfolds; the run folder's file holds the rest
DRAWN_SECONDS = 12.0  # of an utterance in a spectrogram; more is too fine to see
SUSPECT_RATE = 0.3  # error rate from which a confident transcript casts doubt on its reference


def write_report(folder: Path) -> Path:
    """Write ``report.html`` of a run folder: one file that loads nothing from anywhere.

    A missing file leaves its section out, or the section says so; ``metrics.json`` alone is needed.

    Raises:
        SourceError: a file of the folder is damaged, or ``metrics.json`` is missing.
        DataError: the page cannot be written.
    """
    run = read_run(Path(folder))
    paths = sorted((run.folder / "predictions").glob("*.jsonl"))
    splits = {path.stem: rows_of(Heard, path) for path in paths}
    tests = sorted(splits.keys() - {"train", "dev"}, key=lambda name: (name != "test", name))
    tested = splits[tests[0]] if tests else []
    named = {name for one in run.results for name in one.figures}
    kind: Kind = "text" if "cer" in named else "phones" if "per" in named else "grades" if "mae" in named else "labels"
    wrong = sorted((row for row in tested if row.errors), key=lambda row: row.rate)
    sections = {
        "Figures": _headline(run),
        "Learning curves": _learning(run.folder),
        **({"Grades": grades(tested, run.folder / "predictions")} if kind == "grades" else {}),
        "Examples": _examples(wrong, len(tested), kind),
        "Confusions": "" if kind == "grades" else _confusions(wrong, kind),
        **{"Detection" if name == "test" else f"Detection: {name}": detections(splits[name]) for name in tests},
        "One utterance": _utterance(run.folder, wrong or tested, kind),
        "Suspicious references": _suspicious(splits, kind),
        "Plan": _plan(run.folder / "plan.json"),
        "Ledger": _ledger(rows_of(LedgerRow, run.folder / "ledger.jsonl")),
        "How to reproduce": _reproduce(run),
    }
    path = run.folder / "report.html"
    write_atomically(path, pictures.page(run.title, sections))
    return path


def write_card(folder: Path) -> Path:
    """Write the model card of a run folder, ``README.md``: what it is, how good, its limits, how to use it.

    Raises:
        SourceError: a file of the folder is damaged, or ``metrics.json`` is missing.
        DataError: the card cannot be written.
    """
    run = read_run(Path(folder))
    header, rows = _table(run)
    limits = [
        *run.limits,
        "Only the figures above were measured: expect less of other voices, rooms and microphones.",
    ]
    parts = [
        f"# {plain(run.title)}",
        plain(run.verdict),
        "\n".join(f"- {name}: {plain(value)}" for name, value in _facts(run)),
        "## Figures",
        "\n".join("| " + " | ".join(map(plain, row)) + " |" for row in (header, ["---"] * len(header), *rows)),
        "## Limits",
        "\n".join(f"- {plain(limit)}" for limit in limits),
        "## How to use",
        f"    speechtransfer transcribe {shlex.quote(_usable(run.folder))} AUDIO",
    ]
    path = run.folder / "README.md"
    write_atomically(path, ("\n\n".join(parts) + "\n").encode("utf-8", "replace"))
    return path


def _usable(folder: Path) -> str:
    """The folder that holds a model: this one, or the first fold's where a run has several."""
    name, model = folder.resolve().name, "model.safetensors"
    folds = sorted(path.parent.name for path in folder.glob(f"folds/*/{model}"))
    return name if (folder / model).is_file() or not folds else f"{name}/folds/{folds[0]}"


def _table(run: Run) -> tuple[list[str], list[list[str]]]:
    """Header and rows of every figure of every system on every test set."""
    names = list(dict.fromkeys(name for one in run.results for name in one.figures))
    header = ["test", "system", *(called(name) for name in names)]
    cells = [[told(n, one.figures[n]) if n in one.figures else "" for n in names] for one in run.results]
    return header, [[one.test, one.system, *row] for one, row in zip(run.results, cells, strict=True)]


def _facts(run: Run) -> list[tuple[str, str]]:
    """What the run was made from and what it cost; what was not recorded says so."""
    values, source, recipe = run.metrics, run.part("source"), optional(run.folder / "recipe.json")

    def number(name: str, form: str, unit: str = "", scale: float = 1.0) -> str | None:
        return None if values.get(name) is None else f"{format(float(values[name]) / scale, form)}{unit}"

    prints = run.part("manifest") or (recipe.get("manifest") if isinstance(recipe, dict) else None)
    prints = prints if isinstance(prints, dict) else {}
    with blaming(run.folder / "metrics.json"):
        facts = [
            ("Source", source.get("id")),
            ("Source's licence", source.get("licence") or "it states none"),
            ("Source's languages", ", ".join(source.get("languages") or ())),
            ("SHA-256 of the source", source.get("sha256")),
            ("Language", values.get("language")),
            ("Training audio", number("audio_seconds", ".2f", " hours", 3600)),
            ("Fingerprint of the data", ", ".join(f"{name} {one}" for name, one in prints.items())),
            ("Training took", number("seconds", ".0f", " s")),
            ("Device", values.get("device")),
            ("Peak memory", number("peak_memory_mb", ".0f", " MB")),
            ("Padding", number("padding_waste", ".1%", " of the batches")),
            *(("Units", run.part(name).get("told")) for name in run.metrics if name == "units"),
            *(("Language model", _decoded(run.part(name))) for name in run.metrics if name == "language_model"),
        ]
    return [(name, str(value or "not recorded")) for name, value in facts]


def _decoded(chosen: Values) -> str:
    """What a language model of the training texts was worth on dev, where it was chosen."""
    without, counted = chosen["errors_without"], f"{chosen['characters']} {chosen.get('of', 'characters')} of dev"
    text = f"a character {chosen['order']}-gram of the training texts"
    if chosen["errors"] == without:
        return f"none: with {text} the errors in {counted} were no fewer than {without}"
    if "wider" in chosen:
        wider = chosen["wider"]
        text += f" and of {wider['characters']} characters of other texts"
        counted += f" ({wider['errors_without']} without the other texts)"
    return f"{text}: {chosen['errors']} errors in {counted}, where its weight was chosen, in place of {without}"


def _headline(run: Run) -> str:
    header, rows = _table(run)
    caption = '<p class="dim">Each figure with its 95% interval and what it counts.</p>'
    notes = "".join(wrapped("p", f"⚠ {limit}", "note") for limit in run.limits)
    folds, draws = run.metrics.get("folds"), run.metrics.get("draws", 1)
    often = "once" if draws == 1 else f"once for each of {draws} draws of the training recordings"
    pooled = wrapped("p", f"Pooled over {folds} folds; every utterance was tested {often}.", "dim") if folds else ""
    return wrapped("p", run.verdict, "verdict") + notes + table(header, rows) + caption + pooled


def _learning(folder: Path) -> str:
    """Loss and dev metric over steps, of this run and each baseline, of their folds where they have some."""
    homes = {THIS_RUN: folder} | {path.name: path for path in sorted(folder.glob("baselines/*")) if path.is_dir()}
    drawn: dict[str, list[Curve]] = {}
    for name, home in homes.items():
        for path in [home / "history.jsonl", *sorted(home.glob("folds/*/history.jsonl"))]:
            points: dict[str, list[tuple[float, float]]] = {}
            rows = lines_of(path)
            with blaming(path):
                for row in rows:
                    if row["loss"] is not None:  # a training of no steps has none
                        points.setdefault("training loss", []).append((row["step"], row["loss"]))
                    for metric, estimate in (row.get("dev") or {}).items():
                        points.setdefault(f"dev {called(metric)}", []).append((row["step"], estimate["value"]))
            for title, line in points.items():
                drawn.setdefault(title, []).append(Curve(name, *map(tuple, zip(*line, strict=True))))
    plain = {"training loss", *(f"dev {called(metric)}" for metric in GRADED)}
    held = [pictures.curves(lines, title, title not in plain) for title, lines in drawn.items()]
    return f'<div class="side">{"".join(held)}</div>' if held else ""


def _examples(wrong: Sequence[Heard], tested: int, kind: Kind) -> str:
    if not tested:
        return ""
    if not wrong:
        return wrapped("p", f"All {tested} utterances of the test were recognised without an error.")
    worst = wrong[-1 : -EXAMPLES - 1 : -1]
    rest = wrong[: len(wrong) - len(worst)]
    middle = median(row.rate for row in wrong)
    typical = sorted(rest, key=lambda row: abs(row.rate - middle))[:EXAMPLES]
    text = (
        f"{tested - len(wrong)} of {tested} utterances have no error. Above stands what was said, below what "
        "was heard. Boxed: taken for another. Struck out over −: missed. Under +: heard, though not said."
    )
    parts: list[str] = [wrapped("p", text, "dim")]
    for title, rows in (("Typical errors, around the median", typical), ("The worst", worst)):
        parts += [wrapped("h3", title), *(_example(row, kind) for row in rows)] if rows else []
    return "".join(parts)


def _example(row: Heard, kind: Kind) -> str:
    sure = "" if row.confidence is None else f", confidence {row.confidence:.0%}"
    wrong = (
        f"off by {row.errors:.3g}" if kind == "grades" else f"{row.errors:g} wrong of {row.count:g} ({row.rate:.0%})"
    )
    about = wrapped("div", f"{_short(row.id)}: {wrong}{sure}", "dim")
    return f'<div class="one">{about}{pictures.alignment(row.reference, row.hypothesis, kind)}</div>'


def _confusions(wrong: Sequence[Heard], kind: Kind) -> str:
    pairs = [(row.reference, row.hypothesis) for row in wrong if row.reference.strip()]
    counted = substitutions(pairs, kind == "phones") if kind in pictures.SPELT and pairs else Counter(pairs)
    return pictures.confusions(counted) if counted else ""


def _utterance(folder: Path, rows: Sequence[Heard], kind: Kind) -> str:
    """A picture of the median utterance's sound over its transcript and what was heard."""
    if not rows:
        return ""
    row = rows[len(rows) // 2]
    path = folder / (row.audio or row.id.split("#")[0])
    try:
        start, end = row.start or 0.0, row.end or probe(path).seconds
        drawn = min(end, start + DRAWN_SECONDS)
        picture = pictures.spectrogram(read(path, pictures.SAMPLE_RATE, start, drawn))
        if drawn < end:
            picture += wrapped("p", f"The first {DRAWN_SECONDS:g} of its {end - start:.1f} seconds.", "dim")
    except AudioError:
        fault = "cannot be read" if path.exists() else "is no longer where it was"
        picture = wrapped("p", f"Its recording, {_short(str(path))}, {fault}: there is no picture of the sound.")
    return picture + _example(row, kind)


def _suspicious(splits: dict[str, list[Heard]], kind: Kind) -> str:
    """Utterances of much error on which the model is surer than on half of its split.

    Surer than others, not than a fixed value: models differ in how much they trust themselves.
    """
    found = []
    for rows in splits.values():
        sure = [row.confidence for row in rows if row.confidence is not None]
        rate = sum(row.errors for row in rows) / max(1, sum(row.count for row in rows))
        least, middle = max(SUSPECT_RATE, min(1.0, 2 * rate)), median(sure or [0])
        found += [row for row in rows if row.rate >= least and (row.confidence or 0) >= middle and row.confidence]
    if not found:
        return ""
    found.sort(key=lambda row: -row.rate * (row.confidence or 0))
    text = "Much differs here although the model is confident: the reference may be wrong; listen to these."
    return wrapped("p", text) + "".join(_example(row, kind) for row in found[: 2 * EXAMPLES])


def _plan(path: Path) -> str:
    """The plan with neighbours of one fate folded."""

    def fate(item: Values) -> tuple[Any, ...]:
        return (
            ".".join(item["name"].split(".")[:3]),
            item["origin"],
            item["rule"],
            item["scale"],
            item["after"],
        )

    plan, rows = optional(path), []
    with blaming(path):
        for (name, origin, rule, scale, after), group in groupby(plan.get("parameters", []), fate):
            items = list(group)
            name = items[0]["name"] if len(items) == 1 else f"{name}.*"
            rate = "frozen" if not scale else f"× {scale:g}" + (f" from step {after}" if after else "")
            pattern = "" if rule is None else plan["rules"][rule]["pattern"]
            size = sum(prod(item["shape"]) for item in items)
            rows.append((name, len(items), f"{size:,}", origin, rate, pattern))
        labels = " ".join(map(pictures.shown, plan.get("shared_labels", [])))
        grafted = [f"Labels grafted from the source: {labels}"] if labels else []
        notes = "".join(wrapped("p", note) for note in (*plan.get("notes", []), *grafted))
    header = ("parameters", "tensors", "values", "origin", "learning rate", "rule")
    return notes + folded(f"{len(rows)} groups of parameters", table(header, rows)) if rows else ""


def _ledger(ledger: Sequence[LedgerRow]) -> str:
    parts = []
    for reason, count in ledger_counts(ledger).items():
        held = [row for row in ledger if row.reason.split(":")[0] == reason][:LISTED]
        rows = [(_short(row.audio), row.action, row.split or "", row.reason, row.where or "") for row in held]
        more = wrapped("p", f"{count - len(held)} more stand in ledger.jsonl.") if count > len(held) else ""
        parts.append(folded(f"{reason}: {count}", table(("audio", "action", "split", "reason", "where"), rows) + more))
    return "".join(parts)


def _reproduce(run: Run) -> str:
    recipe = optional(run.folder / "recipe.json")
    shown = wrapped("pre", json.dumps(recipe, indent=1, ensure_ascii=False))
    return table(("", ""), _facts(run)) + (folded("recipe.json", shown) if recipe else "")


def _short(path: str) -> str:
    """An audio path without the folders above its own, which are the user's business alone."""
    return "/".join(path.split("/")[-2:])
