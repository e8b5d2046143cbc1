"""results.jsonl of a recipe: appended by the machine from a clean tree, and shown as the README's table."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechtransfer.errors import DataError
from speechtransfer.files import read_lines, write_atomically
from speechtransfer.score import Estimate, called

BEGIN, END = "<!-- results: generated from results.jsonl -->", "<!-- /results -->"
#: Changes to these do not make a tree dirty: they are what recording itself writes, or prose about it.
_IGNORED = ("results.jsonl", "amounts.svg", "CHANGELOG.md")


@dataclass(frozen=True)
class Result:
    """One line of ``results.jsonl``; ``fold`` is a number, or ``pooled`` over all of them."""

    recipe: str
    variant: str
    fold: int | str
    seed: int
    config: Mapping[str, Any]
    config_hash: str
    commit: str
    manifest: Mapping[str, str]
    source: Mapping[str, Any]
    hardware: str
    seconds: float
    trainable_parameters: int
    metrics: Mapping[str, Any]


def config_hash(config: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of a configuration in canonical JSON."""
    canonical = json.dumps(config, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def clean_commit(folder: Path) -> str | None:
    """The commit of a clean checkout around ``folder``; None where it is dirty, or no checkout at all."""
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        changed = _git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal").split("\0")
    except (OSError, subprocess.CalledProcessError):
        return None
    for path in (line[3:] for line in changed if line):
        generated = path.endswith("README.md") and _only_table_changed(folder, path)
        if Path(path).name not in _IGNORED and not generated:
            return None
    return commit


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace").stdout


def _only_table_changed(folder: Path, path: str) -> bool:
    try:
        root = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
        before, after = _git(root, "show", f"HEAD:{path}"), (root / path).read_text(encoding="utf-8")
        return _around_table(before) == _around_table(after)
    except (OSError, UnicodeDecodeError, subprocess.CalledProcessError, DataError):
        return False


def append(path: Path, result: Result) -> None:
    """Add one line; the file only ever grows.

    Raises:
        DataError: the disk is full; what was there is intact.
    """
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    write_atomically(path, before + json.dumps(asdict(result), ensure_ascii=False) + "\n")


def read_results(path: Path) -> list[Result]:
    """Every line, in order; an absent file has none.

    Raises:
        DataError: a line that is no result.
    """
    if not path.is_file():
        return []
    results = []
    for values in read_lines(path):
        try:
            results.append(Result(**values))
        except TypeError as error:
            raise DataError(f"{path}: holds what is no result ({error}). It is written by the machine.") from error
    return results


def current(
    results: Iterable[Result], configs: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]
) -> list[Result]:
    """The last result of each (variant, fold, seed) whose configuration is the recipe's own today.

    Args:
        results: lines of ``results.jsonl``, oldest first.
        configs: today's configuration of each variant.
        defaults: the configuration that a recipe has where it says nothing. A field that a result's
            version did not know yet counts as its default, since a new field's default changes nothing.
    """
    latest: dict[tuple[str, str, int], Result] = {}
    for result in results:
        config = configs.get(result.variant)
        if config is not None and config_hash(as_known(config, result.config, defaults)) == result.config_hash:
            latest[result.variant, str(result.fold), result.seed] = result
    return list(latest.values())


def as_known(now: Mapping[str, Any], then: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``now`` without the fields that ``then`` lacks, as far as they have their defaults."""
    known: dict[str, Any] = {}
    for name, value in now.items():
        before, default = then.get(name), defaults.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and isinstance(default, Mapping):
            known[name] = as_known(value, before, default)
        elif name in then or value != default:
            known[name] = value
    return known


def table(results: Sequence[Result]) -> str:
    """A Markdown table of pooled results: every test set, the baselines and the verdict."""
    pooled = [one for one in results if one.fold == "pooled"]
    tested = [scores for one in pooled for scores in tests_of(one.metrics).values()]
    names = list(dict.fromkeys(name for scores in tested for name in _metrics(scores)))
    header = ["variant", "test", "system", *map(called, names), "seconds", "commit"]
    rows = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    verdicts = []
    for result in pooled:
        metrics = result.metrics
        folds = metrics.get("folds", 1)
        baselines = metrics["baselines"].items()
        systems = [
            ("transfer", metrics),
            *((f"{name}, {one.get('folds', 1)} of {folds} folds", one) for name, one in baselines),
        ]
        for system, figures in systems:
            for test, scores in tests_of(figures).items():
                seconds = f"{figures['seconds']:.0f}" if "seconds" in figures else ""
                cells = (_figure(name, scores[name]) if name in scores else "" for name in names)
                rows.append(
                    "| " + " | ".join([result.variant, test, system, *cells, seconds, result.commit[:10]]) + " |"
                )
        if metrics.get("verdict"):
            verdicts.append(f"- `{result.variant}`: {metrics['verdict']['text']}")
    return "\n".join([*rows, "", *verdicts]).rstrip()


def summary(results: Sequence[Result]) -> str:
    """A short Markdown table over many recipes: what transfer reached, and scratch beside it.

    Scratch may be trained on fewer folds than the transfer; the difference is that of the same folds.
    """
    rows = ["| recipe | test | transfer | from scratch | difference on the same folds |", "|---|---|---|---|---|"]
    for result in (one for one in results if one.fold == "pooled"):
        metrics, verdict = result.metrics, result.metrics.get("verdict")
        name = result.recipe if result.variant == "default" else f"{result.recipe} `{result.variant}`"
        baselines: Mapping[str, Mapping[str, Any]] = metrics["baselines"]
        system, scratch = next(iter(baselines.items()), ("scratch", {}))
        for test, scores in tests_of(metrics).items():
            main = _metrics(scores)[0]
            beside = "not run" if result.config.get("scratch", {}).get("folds", 1) else ""
            if test in scratch:
                kind = system.removeprefix("scratch").removeprefix("-")
                folds = f"{kind}{', ' * bool(kind)}{scratch.get('folds', 1)} of {metrics.get('folds', 1)} folds"
                beside = f"{_figure(main, scratch[test][main])} ({folds})"
            difference = _points(verdict["difference"]) if verdict and test == "test" else ""
            figure = f"{called(main)} {_figure(main, scores[main])}"
            rows.append(f"| [{name}](recipes/{result.recipe}) | {test} | {figure} | {beside} | {difference} |")
    return "\n".join(rows)


def _metrics(scores: Mapping[str, Any]) -> list[str]:
    """The names of a test set's figures, the first of them the one that a model is chosen by."""
    return [name for name, one in scores.items() if isinstance(one, Mapping) and "value" in one]


def tests_of(figures: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The test sets among a run's or a baseline's values; a verdict's difference is a figure, but of no test set."""
    named = {name: one for name, one in figures.items() if isinstance(one, Mapping) and name != "verdict"}
    return {name: one for name, one in named.items() if _metrics(one)}


def _points(difference: Mapping[str, Any]) -> str:
    value, low, high = (100 * difference[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def _figure(metric: str, values: Mapping[str, Any]) -> str:
    return str(Estimate.read(metric, values))


def _around_table(text: str, markers: tuple[str, str] = (BEGIN, END)) -> tuple[str, str]:
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        raise DataError(f"the README has no {markers[0]} ... {markers[1]} for its table.")
    return before, after


def update_readme(readme: Path, content: str, markers: tuple[str, str] = (BEGIN, END)) -> None:
    """Put a table between the README's markers; those of the results, unless others are named.

    Raises:
        DataError: the README or its markers are missing.
    """
    if not readme.is_file():
        raise DataError(f"{readme}: is missing; every recipe has one.")
    before, after = _around_table(readme.read_text(encoding="utf-8"), markers)
    write_atomically(readme, f"{before}{markers[0]}\n{content}\n{markers[1]}{after}")
