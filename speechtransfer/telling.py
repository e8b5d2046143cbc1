"""What people are told of a training: the data it learns from, what its outputs stand for, and what it reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from speechtransfer.corpora.prose import Prose
from speechtransfer.recipe import Recipe
from speechtransfer.recognition import ALL, vocabularies
from speechtransfer.rundata import THIS_RUN, read_run
from speechtransfer.score import Estimate, called
from speechtransfer.tasks import Corpus, fold_task
from speechtransfer.text import remarks
from speechtransfer.trial import Outcome

#: Seconds of speech of which a fifth is a small test.
_LITTLE = 7200.0


def tell_data(console: Console, corpus: Corpus, recipe: Recipe) -> None:
    """How much speech and text there is, what is left out of it, and whose rules its transcripts pass."""
    seconds = sum(corpus.recordings.seconds(row) for row in corpus.manifest)
    dropped = sum(row.action == "dropped" for row in corpus.manifest.ledger)
    console.print(f"{len(corpus.manifest)} utterances, {seconds / 60:.1f} minutes; {dropped} dropped into the ledger")
    if recipe.keep_splits is not None:
        kept = fold_task(recipe, corpus, 0).cut or ()
        tested, left = sum(row.split == "test" for row in kept), len(corpus.manifest) - len(kept)
        console.print(f"the test is kept: {tested} utterances; {left} near dev or test are in the ledger")
    elif len(recipe.data) > 1 and corpus.manifest.splits and (new := sum(row.split is None for row in corpus.manifest)):
        console.print(
            f"{new} utterances name no split: those near dev or test are in the ledger, the others are learnt"
        )
    elif not corpus.manifest.splits and recipe.run_folds == (0,) and seconds < _LITTLE:
        console.print("under two hours, of which one part in five is the test; --cross-validate tests on all of it")
    if (rules := corpus.contract.rules) is not None:
        language, version = corpus.contract.language, corpus.contract.version
        console.print(f"text: rules of {language} (version {version}): {rules.told()}")
    if corpus.contract.remarks == "keep" and (held := sum(bool(remarks(row.text or "")) for row in corpus.manifest)):
        console.print(
            f"{held} transcripts have words in brackets, learnt as said; contract.remarks=drop leaves them out"
        )
    if recipe.texts:
        _tell_prose(console, corpus.prose)


def tell_units(console: Console, recipe: Recipe, corpus: Corpus) -> None:
    """What the outputs of a recogniser stand for, and why, by the training rows of its first fold."""
    if recipe.task == "ctc":
        train = fold_task(recipe, corpus, recipe.first_fold).manifest.split("train")
        for name, (vocabulary, why) in vocabularies(train.rows, recipe, corpus.phones).items():
            whose = "" if name == ALL else f" of {name}"
            console.print(f"units{whose}: {len(vocabulary.symbols)} {vocabulary.units.called}: {why}")


def _tell_prose(console: Console, prose: Prose) -> None:
    """How much text there is for the language model, and what is not read of it."""
    count = f"{len(prose.sentences)} sentences of text, {sum(map(len, prose.sentences))} characters"
    console.print(f"{count}; {prose.left_out} left out (digits, no letter), {prose.beyond} beyond what is counted")


def tell_outcomes(console: Console, outcomes: Mapping[Path, Outcome]) -> None:
    """The table of error rates, the verdicts, three decoded examples, and where the reports lie."""
    runs = {out: read_run(out).results for out in outcomes}
    systems = dict.fromkeys(one.system for results in runs.values() for one in results)
    # A figure a line: a spotter has nine of them, which no terminal holds side by side.
    names = (Column(name, overflow="fold") for name in ("run", "test", "figure"))
    table = Table(*names, *("transfer" if system == THIS_RUN else system for system in systems))
    for out, results in runs.items():
        for test in dict.fromkeys(one.test for one in results):
            found = {one.system: one.figures for one in results if one.test == test}
            for metric in dict.fromkeys(metric for figures in found.values() for metric in figures):
                # A test without other words, say, has no figure of how they are refused.
                cells = (str(found.get(system, {}).get(metric, "")) for system in systems)
                table.add_row(out.name, test, called(metric), *cells)
    console.print(table)
    for out, outcome in outcomes.items():
        if outcome.metrics["verdict"]:
            console.print(f"{out.name}: {outcome.metrics['verdict']['text']}")
    out, outcome = list(outcomes.items())[-1]
    rows = sorted(outcome.scores["test"].rows, key=lambda row: (row.errors / row.count, row.id))
    for row in (rows[len(rows) // 4], rows[len(rows) // 2], rows[3 * len(rows) // 4]):
        console.print(f"  said:  {row.reference}\n  heard: {row.hypothesis}\n")
    for out, outcome in outcomes.items():
        facts, metric = outcome.metrics, next(iter(outcome.scores["test"].metrics))
        if facts.get("unseen_floor", {}).get("value"):
            least = _figure(metric, facts["unseen_floor"])
            console.print(f"{out.name}: no {called(metric)} can be under {least}, unseen in training")
        console.print(
            f"{out / 'report.html'}  ({facts['seconds']:.0f} s of training, {facts['whole_seconds']:.0f} s with tests "
            f"and all else, on {facts['device']}, padding {facts['padding_waste']:.1%}, peak memory "
            f"{facts['peak_memory_mb']} MiB)"
        )


def _figure(metric: str, estimate: Mapping[str, Any]) -> str:
    return str(Estimate.read(metric, estimate))
