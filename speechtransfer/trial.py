"""One training with all that belongs to it: from a split manifest to a finished run folder."""

from __future__ import annotations

import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from speechtransfer.activations import Heard, of_frozen
from speechtransfer.align import recognisers
from speechtransfer.audio import Recordings, content_hash
from speechtransfer.batches import Sound
from speechtransfer.checkpoint import blaming, read_json, save, write_json
from speechtransfer.doctor import learnable
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import DataError
from speechtransfer.evaluate import evaluate, finish, predict, refuse_contamination
from speechtransfer.files import read_lines, write_lines
from speechtransfer.fit import History, fit
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, write_ledger
from speechtransfer.model import Model
from speechtransfer.objectives import Objective
from speechtransfer.objectives.contract import Prediction
from speechtransfer.objectives.distil import Distil
from speechtransfer.schedule import FitSettings
from speechtransfer.score import (
    Scores,
    Transcription,
    score_grades,
    score_labels,
    score_phones,
    score_transcriptions,
    unseen_floor,
)
from speechtransfer.stream import false_accepts
from speechtransfer.transfer import Plan, Transfer

#: Where the figures of speech without keywords stand among a run's, and their notes among a task's.
NEGATIVES = "negatives"
_TEXTS = ("id", "reference", "hypothesis", "group")
#: What recomputes the scores of each kind of task from its predictions.
_SCORERS: Mapping[str, Callable[[Sequence[Transcription]], Scores]] = {
    "ctc": score_transcriptions,
    "wordless": partial(score_transcriptions, words=False),
    "phones": score_phones,
    "keywords": score_labels,
    "grades": score_grades,
}


@dataclass(frozen=True)
class Task:
    """What is learnt, and on what it is judged.

    Attributes:
        manifest: rows with the splits train, dev and test.
        recordings: the reader, at the encoder's sample rate.
        kind: ``ctc``, ``keywords`` or ``grades``.
        build: an objective from training rows; it may look at nothing else.
        tests: every test set by name; ``test`` is the manifest's own.
        language: ISO 639-3, several joined by ``+``.
        notes: what the reader of a test's figures must be told (``speaker-dependent``), by its name, and of the
            negatives' by ``NEGATIVES``.
        negatives: recordings in which no keyword is said; events there are false accepts.
        cut: the data's own rows, where their splits were cut here; None where the data name them.
        shared: whether other trials, of other folds or draws, are of the same rows.
    """

    manifest: Manifest
    recordings: Recordings
    kind: str
    build: Callable[[Sequence[Utterance]], Objective]
    tests: Mapping[str, Manifest]
    language: str | None
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    negatives: Manifest | None = None
    cut: Manifest | None = None
    shared: bool = False

    def objective(self) -> Objective:
        """A fresh objective whose vocabulary or labels come from the training rows alone."""
        return self.build(self.manifest.split("train"))


@dataclass(frozen=True)
class Outcome:
    """What a finished run folder says: figures by test set, and the values of ``metrics.json``."""

    scores: Mapping[str, Scores]
    metrics: Mapping[str, Any]


def run_trial(
    folder: Path,
    encoder: Encoder,
    task: Task,
    transfer: Transfer,
    settings: FitSettings,
    resume: bool = False,
) -> Outcome:
    """Transfer, train, test, and write the run folder; ``metrics.json`` comes last and marks it finished.

    A finished folder is read, not trained again, when ``resume`` is given.

    Raises:
        DataError, PlanError, SettingsError: as doctor, transfer and fit.
        ContaminationError: a teacher was trained on a recording of a test.
    """
    if resume and (folder / "metrics.json").is_file():
        return read_outcome(folder)
    began = time.perf_counter()
    torch.manual_seed(settings.seed)
    model, plan = transfer.apply(encoder, task.objective())
    train = learnable(task.manifest.split("train"), model.encoder, model.objective, task.recordings)
    dev = task.manifest.split("dev")
    source, teachers = model.encoder.card, _teachers(model.objective)
    for teacher in teachers:
        refuse_contamination(teacher, (row for rows in task.tests.values() for row in rows))
    write_json(folder / "plan.json", plan.as_dict())
    write_ledger(folder / "ledger.jsonl", (*task.manifest.ledger, *train.ledger))
    sound = _sound(model, plan, task, settings)
    history = fit(model, plan, train, dev, settings, folder, resume, sound)
    write_lines(folder / "history.jsonl", history.rows)
    chosen = finish(model, dev, sound)
    scores = _test(folder, model, task, sound)
    model.to("cpu")
    learnt = frozenset(map(content_hash, {row.audio for row in (*train, *dev)}))
    spoken = {row.language for row in train if row.language} or {*filter(None, [task.language])}
    # From scratch, nothing of the source is left but its architecture.
    fresh = all(item.origin in ("fresh", "constant") for item in plan.parameters)
    before = SourceCard(source.id) if fresh else source
    model.encoder.card = before.learnt(folder.name, spoken, learnt, teachers)
    save(model, folder)
    metrics = {
        **{name: one.as_dict() for name, one in scores.items()},
        **_facts(task, train.ledger, plan, history),
        **_written(task, model.objective),
        "source": {key: value for key, value in source.as_dict().items() if key != "audio"},
        **chosen,
        **_negatives(model, task),
        "seconds": round(history.seconds, 1),
        "whole_seconds": round(time.perf_counter() - began, 1),
    }
    write_json(folder / "metrics.json", metrics)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Outcome(scores, metrics)


def _teachers(objective: Objective) -> list[SourceCard]:
    """Cards of the encoders that an objective learns to predict."""
    teachers = (part.teacher for part in objective.modules() if isinstance(part, Distil))
    return [teacher.card for teacher in teachers if isinstance(teacher, Heard)]


def _negatives(model: Model, task: Task) -> dict[str, Any]:
    if task.negatives is None:
        return {}
    found = false_accepts(model, task.negatives, task.recordings)
    notes = list(task.notes.get(NEGATIVES, ()))
    return {NEGATIVES: {**found, "manifest": task.negatives.fingerprint(), "notes": notes}}


def _sound(model: Model, plan: Plan, task: Task, settings: FitSettings) -> Sound:
    """The recordings; or what a wholly frozen encoder makes of all rows, where other trials cut the same otherwise.

    Rows that were made for one of them, such as windows, are no other's: then each keeps its own.
    """
    if plan.learns_encoder or not settings.cache or task.cut is None or not task.shared:
        return task.recordings
    rows = {row.id: row for rows in (task.cut, task.manifest, *task.tests.values()) for row in rows}
    return of_frozen(model, plan, tuple(rows.values()), task.recordings)


def _test(folder: Path, model: Model, task: Task, sound: Sound) -> dict[str, Scores]:
    scores = {}
    for name, rows in task.tests.items():
        predictions = predict(model, rows, sound)
        found = evaluate(model, rows, sound, predictions)
        scores[name] = replace(found, notes=(*task.notes.get(name, ()), *found.notes))
        write_predictions(folder, name, rows, scores[name], predictions)
    return scores


def write_predictions(folder: Path, name: str, rows: Manifest, scores: Scores, predictions: list[Prediction]) -> None:
    """``predictions/<name>.jsonl``: every utterance with its reference, hypothesis and errors."""
    lines = []
    for row, scored, prediction in zip(rows, scores.rows, predictions, strict=True):
        spans = {"audio": str(row.audio), "content": content_hash(row.audio), "start": row.start, "end": row.end}
        values = {name: value for name, value in asdict(scored).items() if value is not None}
        values |= {"speaker": row.speaker} if row.speaker else {}
        lines.append({**values, **spans, "confidence": rounded(prediction.confidence)})
    write_lines(folder / "predictions" / f"{name}.jsonl", lines)


def rounded(confidence: float | None) -> float | None:
    """A confidence as files hold it."""
    return None if confidence is None else round(confidence, 4)


def _facts(task: Task, ledger: tuple[LedgerRow, ...], plan: Plan, history: History) -> dict[str, Any]:
    return {
        "task": task.kind,
        "manifest": {name: task.manifest.split(name).fingerprint() for name in task.manifest.splits},
        "language": task.language,
        "audio_seconds": round(history.audio_seconds, 1),
        "steps": history.steps,
        "best_step": history.best_step,
        "padding_waste": round(history.waste, 4),
        "not_learnable": len(ledger),
        "trainable_parameters": plan.trainable,
        "device": device_name(),
        "peak_memory_mb": peak_memory_mb(),
        "baselines": {},
        "verdict": None,
    }


def _written(task: Task, objective: Objective) -> dict[str, Any]:
    """A recogniser's units, and the share of the test's characters (or phones) that training never saw."""
    if task.kind != "ctc":
        return {}
    vocabularies = [part.vocabulary for part in recognisers(objective)]
    first = vocabularies[0]

    def counted(split: str) -> list[Sequence[str]]:
        texts = [first.normal(row.text) for row in task.manifest.split(split) if row.text]
        return [text if first.writes else text.split(" ") for text in texts]

    known = {one for text in counted("train") for one in text}
    told = "; ".join(f"{len(one.symbols)} {one.units.called}" for one in vocabularies)
    return {
        "units": {"kind": first.units.kind, "told": told, "sha256": [one.hash for one in vocabularies]},
        "unseen_floor": unseen_floor(counted("test"), known).as_dict(),
    }


def device_name() -> str:
    """The GPU's name, or the processor with the threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def peak_memory_mb() -> int:
    """The largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20 if sys.platform == "darwin" else 1 << 10)


def read_outcome(folder: Path) -> Outcome:
    """What a finished run folder holds, its scores recomputed from its predictions.

    Raises:
        SourceError: no finished run is there, or what it holds is damaged.
        DataError: so are its predictions.
    """
    path = folder / "metrics.json"
    metrics, scores = read_json(path), {}
    for predictions in sorted((folder / "predictions").glob("*.jsonl")):
        with blaming(path):
            before = metrics.get(predictions.stem, {})
            wordless = "cer" in before and "wer" not in before  # a language without spaces between words
            scorer = _SCORERS["phones" if "per" in before else "wordless" if wordless else metrics["task"]]
            notes = tuple(before.get("notes", ()))
        with blaming(predictions):
            scores[predictions.stem] = replace(scorer(read_predictions(predictions)), notes=notes)
    return Outcome(scores, metrics)


def read_predictions(path: Path) -> list[Transcription]:
    """The utterances of a predictions file.

    Raises:
        DataError: a line is damaged, an utterance stands there twice, or there is none.
    """
    rows: dict[str, Transcription] = {}
    for number, line in enumerate(read_lines(path), 1):
        if wrong := [name for name in _TEXTS if not isinstance(line.get(name), str)]:
            raise DataError(f"{path}:{number}: its {wrong[0]} is no text. Test the run again.")
        if line["id"] in rows:
            raise DataError(f"{path}:{number}: {line['id']} stands there twice. Test the run again.")
        accepted = line.get("accepted")
        words = None if accepted is None else tuple(accepted)
        rows[line["id"]] = Transcription(*(line[name] for name in _TEXTS), scores=line.get("scores"), accepted=words)
    if not rows:
        raise DataError(f"{path}: holds no utterance. Test the run again.")
    return [*rows.values()]
