"""Many folds as one: pooled figures, further tests averaged over models, the verdict on the same folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from speechtransfer.files import read_lines, write_lines
from speechtransfer.score import Scores, false_accepts_per_hour, pool
from speechtransfer.trial import NEGATIVES, Outcome
from speechtransfer.verdict import judge


def pooled(outcomes: list[Outcome], draws: int = 1) -> Outcome:
    """Figures over all folds, recomputed from every utterance; over several draws of the folds, their means.

    Each fold tests other utterances of the corpus, but all of a further test set that is given: there the rate is
    the mean over the folds' models, its interval resamples prompts, and the count is that of one fold. One fold
    alone is returned as it is.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    folds = len(outcomes) // draws
    scores = {}
    for name in outcomes[0].scores:
        found = [one.scores[name] for one in outcomes if name in one.scores]
        each = [_of_folds(found[start : start + folds]) for start in range(0, len(found), folds)]
        scores[name] = each[0] if len(each) == 1 else _averaged(each)
    first = outcomes[0].metrics
    summed = ("seconds", "whole_seconds", "not_learnable")
    metrics = {**first, **{key: round(sum(one.metrics[key] for one in outcomes), 1) for key in summed}}
    metrics["audio_seconds"] = round(sum(one.metrics["audio_seconds"] for one in outcomes) / len(outcomes), 1)
    metrics["manifest"] = {
        f"{number}/{name}": value
        for number, one in enumerate(outcomes)
        for name, value in one.metrics["manifest"].items()
    }
    if "language_model" in first:
        chosen = [one.metrics["language_model"] for one in outcomes]
        counts = {key: sum(one[key] for one in chosen) for key in ("errors", "errors_without", "characters")}
        metrics["language_model"] = {name: chosen[0][name] for name in ("order", "of") if name in chosen[0]} | counts
        if "wider" in chosen[0]:
            characters = max(one["wider"]["characters"] for one in chosen)
            alone = sum(one["wider"]["errors_without"] for one in chosen)
            metrics["language_model"]["wider"] = {"characters": characters, "errors_without": alone}
    if NEGATIVES in first:
        # Every draw hears the same hours again, and so does every fold where the corpus names its own test.
        heard = list({one.metrics[NEGATIVES]["manifest"]: one.metrics[NEGATIVES] for one in outcomes}.values())
        hours = sum(one["hours"] for one in heard)
        rate = false_accepts_per_hour(sum(one["false_accepts_per_hour"]["count"] for one in heard), hours)
        notes = list(dict.fromkeys(note for one in heard for note in one.get("notes", ())))
        metrics[NEGATIVES] = {"false_accepts_per_hour": rate.as_dict(), "hours": hours, "notes": notes}
    # Units and a floor are those of one fold's vocabulary, thresholds of one fold's model: its own folder has them.
    for own in ("units", "unseen_floor", "acceptance", "heads"):
        metrics.pop(own, None)
    metrics |= {name: one.as_dict() for name, one in scores.items()}
    metrics["folds"] = folds
    metrics |= {"draws": draws} if draws > 1 else {}
    metrics["peak_memory_mb"] = max(one.metrics["peak_memory_mb"] for one in outcomes)
    metrics["padding_waste"] = max(one.metrics["padding_waste"] for one in outcomes)
    return Outcome(scores, metrics)


def _of_folds(scores: list[Scores]) -> Scores:
    """One figure where each fold tested utterances of its own; the mean where all tested the same."""
    found = of_parts(scores)
    return found[0] if len(found) == 1 else _averaged(found)


def of_parts(scores: list[Scores]) -> list[Scores]:
    """The folds' scores on one test: pooled where each tested a part of its own; as they are where all tested it."""
    names = [row.id for one in scores for row in one.rows]
    return [pool(scores)] if len(scores) > 1 and len(set(names)) == len(names) else scores


def _averaged(scores: list[Scores]) -> Scores:
    """One test set scored by several models; the rows are the first model's."""
    told_apart = [
        replace(one, rows=tuple(replace(row, id=f"{row.id} {number}") for row in one.rows))
        for number, one in enumerate(scores)
    ]
    pooled = pool(told_apart)
    counted = {name: one.count for name, one in scores[0].metrics.items()}
    metrics = {name: replace(one, count=counted.get(name, one.count)) for name, one in pooled.metrics.items()}
    return Scores(metrics, scores[0].rows, pooled.notes)


def with_verdict(outcome: Outcome, outcomes: list[Outcome], baselines: list[Outcome], name: str) -> Outcome:
    """Baselines, by that name, and the paired verdict, on the folds that both systems were tested on."""
    if not baselines:
        return outcome
    scratch, transfer = pooled(baselines), pooled(outcomes[: len(baselines)])
    metric = next(iter(outcome.scores["test"].metrics))  # the first is the one that a model is chosen by
    verdict = judge(transfer.scores["test"], scratch.scores["test"], metric, f"from {name}")
    kept = ("test", NEGATIVES, "seconds", "steps", "folds", *outcome.scores)
    figures = {key: value for key, value in scratch.metrics.items() if key in kept}
    return Outcome(outcome.scores, {**outcome.metrics, "baselines": {name: figures}, "verdict": verdict.as_dict()})


def pool_predictions(out: Path, folders: Mapping[int, Path]) -> None:
    """``predictions/test.jsonl`` of a run of several folds: every utterance once, with its fold."""
    lines = []
    for fold, folder in folders.items():
        lines += [{**line, "fold": fold} for line in read_lines(folder / "predictions" / "test.jsonl")]
    write_lines(out / "predictions" / "test.jsonl", lines)
