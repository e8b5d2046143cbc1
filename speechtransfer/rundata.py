"""A run folder as its readers need it: figures, predictions, ledger; damage is named, never passed on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from speechtransfer.checkpoint import blaming, read_json
from speechtransfer.manifest import LedgerRow
from speechtransfer.pictures import told
from speechtransfer.score import Estimate, called

#: The system of a run's own figures, beside its baselines.
THIS_RUN = "this run"
_NOT_TESTS = frozenset({"baselines", "verdict", "source", "unseen_floor", "manifest"})
_TASKS = {"ctc": "speech recognition", "keywords": "keyword spotting", "grades": "graded labels"}
_MEANING = {
    "speaker-dependent": "training and test share their speakers. One voice is one voice: nothing here says "
    "how well other people are recognised.",
    "recording-dependent": "training and test share recordings: of another day or microphone nothing is known.",
    "prompt-dependent": "one in twenty of the test's utterances, or more, say what one of training says: of other "
    "sentences less is known.",
    "contaminated": "Such figures are worth nothing; test on other recordings.",
}
_Kind = TypeVar("_Kind", "Heard", LedgerRow)
Values = dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """A row of ``predictions/<split>.jsonl``."""

    id: str
    reference: str
    hypothesis: str
    errors: float
    count: float
    audio: str | None = None
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    group: str | None = None
    scores: dict[str, float] | None = None
    accepted: list[str] | None = None
    speaker: str | None = None

    def __post_init__(self) -> None:
        """Refuse values of the wrong kind while it is known which file they are from."""
        texts, numbers = (self.id, self.reference, self.hypothesis), (self.errors, self.count)
        if not all(isinstance(one, str) for one in texts) or not all(one >= 0 for one in numbers):
            raise TypeError("id, reference and hypothesis are text, errors and count are numbers")

    @property
    def rate(self) -> float:
        """Errors over reference units."""
        return self.errors / max(self.count, 1)


@dataclass(frozen=True)
class Result:
    """The figures of one system on one test set, and the notes of their scoring."""

    test: str
    system: str
    figures: dict[str, Estimate]
    notes: list[str]


@dataclass(frozen=True)
class Run:
    """What stands behind a page or a card."""

    folder: Path
    metrics: Values
    results: list[Result]
    limits: list[str]  # what the reader of the figures must be told

    @property
    def title(self) -> str:
        """What was adapted to what."""
        source, language = self.part("source").get("id"), self.metrics.get("language")
        task = _TASKS.get(str(self.metrics.get("task")), self.metrics.get("task") or "task not recorded")
        return f"{source or 'unknown source'} adapted to {language or 'a language not recorded'}: {task}"

    @property
    def verdict(self) -> str:
        """The sentence on what transfer bought, or that there is none."""
        said = self.part("verdict").get("text") or self.metrics.get("verdict")
        return str(said or "No verdict: nothing is claimed about what transfer bought.")

    def part(self, name: str) -> Values:
        """An object within the metrics; empty where there is none."""
        found = self.metrics.get(name)
        return found if isinstance(found, dict) else {}


def read_run(folder: Path) -> Run:
    """The figures of a run folder; SourceError where there are none."""
    path = folder / "metrics.json"
    metrics = read_json(path)
    with blaming(path):
        systems = {**(metrics.get("baselines") or {}), THIS_RUN: metrics}
        results = [one for name in (THIS_RUN, *systems) for one in _results(systems.pop(name, {}), name)]
        tests = sorted({one.test for one in results}, key=lambda name: (name != "test", name))
        results.sort(key=lambda one: tests.index(one.test))  # the systems of a test set under one another
        if not results:
            raise ValueError("no figure of any test set")
        return Run(folder, metrics, results, _limits(metrics, results))


def _limits(metrics: Values, results: Sequence[Result]) -> list[str]:
    notes = dict.fromkeys(note for one in results for note in one.notes)
    limits = [": ".join(filter(None, (note, _MEANING.get(note.split(":")[0])))) for note in notes]
    if (metrics.get("unseen_floor") or {}).get("value"):
        metric = "per" if results and "per" in results[0].figures else "cer"
        floor = told(metric, Estimate.read(metric, metrics["unseen_floor"]))
        what = "Phones" if metric == "per" else "Letters"
        limits.append(f"{what} that training never saw make up {floor}; no {called(metric)} can be lower.")
    if metrics.get("units", {}).get("kind") == "phones":
        limits.append("What is recognised are phones: words cannot be written, and no word error rate is known.")
    return limits


def _results(values: Values, system: str) -> list[Result]:
    tests = {name: one for name, one in values.items() if name not in _NOT_TESTS and isinstance(one, dict)}
    results = []
    for test, entry in tests.items():
        named = {name: one for name, one in entry.items() if isinstance(one, dict) and "value" in one}
        figures = {name: Estimate.read(name, one) for name, one in named.items()}
        results += [Result(test, system, figures, list(entry.get("notes") or ()))] if figures else []
    return results


def optional(path: Path) -> Any:
    """What a JSON file holds; an empty object where there is no file."""
    return read_json(path) if path.exists() else {}


def lines_of(path: Path) -> list[Values]:
    """The objects of a JSON Lines file; none where there is no file."""
    # Not splitlines: a transcript may hold one of Unicode's further line ends.
    with blaming(path):
        lines = path.read_text("utf-8", "replace").split("\n") if path.exists() else []
        return [{**json.loads(line)} for line in lines if line.strip()]


def rows_of(kind: type[_Kind], path: Path) -> list[_Kind]:
    """The file's rows, without the fields that a later version may have added."""
    names = {field.name for field in fields(kind)}
    rows = [{name: one for name, one in row.items() if name in names} for row in lines_of(path)]
    with blaming(path):
        return [kind(**row) for row in rows]
