"""Results: appended from a clean tree alone, read back as today's, and shown between a README's markers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from speechtransfer import record
from speechtransfer.errors import DataError
from speechtransfer.record import BEGIN, END, Result, append, clean_commit, config_hash, current, read_results


def figure(value: float, count: int = 100) -> dict[str, Any]:
    return {"value": value, "low": value / 2, "high": min(1.0, 2 * value), "count": count}


METRICS: dict[str, Any] = {
    "test": {"cer": figure(0.12), "wer": figure(0.3, 40), "notes": ["speaker-dependent"]},
    "phone": {"cer": figure(0.2), "wer": figure(0.4, 40)},
    "seconds": 61.4,
    "folds": 5,
    "unseen_floor": figure(0.0),
    "baselines": {"scratch": {"test": {"cer": figure(0.25), "wer": figure(0.5, 40)}, "seconds": 180.0, "folds": 2}},
    "verdict": {
        "text": "Transfer lowered the CER by 13.0 points.",
        "difference": {"value": -0.13, "low": -0.16, "high": -0.1, "significant": True},
    },
}
RESULT = Result(
    recipe="a_to_b_ctc",
    variant="default",
    fold="pooled",
    seed=1,
    config={"lr": 0.1, "inner": {"steps": 5}},
    config_hash=config_hash({"lr": 0.1, "inner": {"steps": 5}}),
    commit="0123456789abcdef",
    manifest={"train": "ab"},
    source={"id": "many", "sha256": None},
    hardware="x86_64 CPU, 1 threads",
    seconds=61.4,
    trainable_parameters=1234,
    metrics=METRICS,
)


def test_results_are_appended_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "recipe" / "results.jsonl"
    assert read_results(path) == []
    given = [replace(RESULT, seed=seed, variant=f"ё\u2028{seed}") for seed in range(3)]
    seen = b""
    for result in given:
        append(path, result)
        content = path.read_bytes()
        assert content.startswith(seen)
        assert content.count(b"\n") == seen.count(b"\n") + 1
        seen = content
    assert read_results(path) == given
    assert json.loads(seen.splitlines()[0])["metrics"]["test"]["cer"]["value"] == 0.12


def test_appending_never_joins_lines_nor_loses_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    append(path, RESULT)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # an editor took the last line feed away
    append(path, replace(RESULT, seed=2))
    assert [one.seed for one in read_results(path)] == [1, 2]
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        append(path, RESULT)
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", ["{", '{"recipe": "a"}', json.dumps({**asdict(RESULT), "more": 1}), "[]"])
def test_a_line_that_is_no_result_is_refused(tmp_path: Path, line: str) -> None:
    append(tmp_path / "results.jsonl", RESULT)
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"results\.jsonl"):
        read_results(tmp_path / "results.jsonl")


def test_a_configuration_has_one_hash() -> None:
    assert config_hash({"a": 1, "b": {"c": [1, 2]}}) == config_hash({"b": {"c": [1, 2]}, "a": 1})
    hashes = {config_hash(one) for one in ({"a": 1}, {"a": 2}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": None}, {})}
    assert len(hashes) == 7
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in hashes)


def known(results: list[Result], **configs: dict[str, Any]) -> list[Result]:
    return current(results, configs or {"default": dict(RESULT.config)}, {"lr": 0.1, "inner": {"steps": 9}, "new": 0})


def test_the_last_result_of_todays_settings_counts() -> None:
    first, other, last = RESULT, replace(RESULT, seed=2), replace(RESULT, commit="later")
    pooled = replace(RESULT, fold=0)
    assert known([first, other, pooled, last]) == [last, other, pooled]
    assert known([]) == []
    old = {"lr": 0.2, "inner": {"steps": 5}}
    assert known([replace(RESULT, config=old, config_hash=config_hash(old))]) == []
    assert known([replace(RESULT, variant="gone")]) == []
    assert known([replace(RESULT, config_hash="0" * 16)]) == []


@pytest.mark.parametrize(
    ("config", "counts"),
    [
        ({"lr": 0.1, "inner": {"steps": 5}}, True),
        ({"lr": 0.1, "inner": {"steps": 6}}, False),
        ({"lr": 0.1, "inner": {"steps": 5}, "new": 0}, True),  # a field that came later, at its default
        ({"lr": 0.1, "inner": {"steps": 5}, "new": 1}, False),
        ({"lr": 0.1, "inner": {"steps": 5}, "unknown": 1}, False),
        ({"lr": 0.1}, False),
        ({"inner": {"steps": 5}}, False),
    ],
)
def test_a_later_field_at_its_default_changes_nothing(config: dict[str, Any], counts: bool) -> None:
    assert known([RESULT], default=config) == ([RESULT] if counts else [])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_holds_every_figure_of_pooled_results() -> None:
    shown = record.table([RESULT, replace(RESULT, fold=0, variant="hidden")]).splitlines()
    assert len({line.count("|") for line in shown[:5]}) == 1
    assert cells(shown[2]) == [
        "default",
        "test",
        "transfer",
        "12.0% [6.0, 24.0] of 100",
        "30.0% [15.0, 60.0] of 40",
        "61",
        "0123456789",
    ]
    assert [cells(line)[1:3] for line in shown[2:5]] == [
        ["test", "transfer"],
        ["phone", "transfer"],
        ["test", "scratch, 2 of 5 folds"],
    ]
    assert cells(shown[4])[3:6] == ["25.0% [12.5, 50.0] of 100", "50.0% [25.0, 100.0] of 40", "180"]
    assert shown[-1] == "- `default`: Transfer lowered the CER by 13.0 points."
    assert "hidden" not in "\n".join(shown)
    assert "- `" not in record.table([replace(RESULT, metrics={**METRICS, "verdict": None})])


def test_the_summary_pairs_transfer_with_scratch() -> None:
    shown = record.summary(
        [RESULT, replace(RESULT, variant="4min"), replace(RESULT, metrics={**METRICS, "verdict": None})]
    )
    lines = shown.splitlines()
    assert [cells(line)[1] for line in lines[2:]] == ["test", "phone"] * 3
    assert "a_to_b_ctc" in lines[2]
    assert "`4min`" in lines[4]
    assert cells(lines[2])[4] == "-13.0 points [-16.0, -10.0]"
    assert cells(lines[3])[3:5] == ["not run", ""]
    assert cells(lines[6])[4] == ""
    assert "12.0% [6.0, 24.0] of 100" in lines[2]
    assert "25.0% [12.5, 50.0] of 100 (2 of 5 folds)" in lines[2]
    other = replace(RESULT, metrics={**METRICS, "baselines": {"scratch-conformer": METRICS["baselines"]["scratch"]}})
    assert "25.0% [12.5, 50.0] of 100 (conformer, 2 of 5 folds)" in record.summary([other])
    assert ["test", "scratch-conformer, 2 of 5 folds"] in [
        cells(line)[1:3] for line in record.table([other]).splitlines() if line.startswith("|")
    ]
    assert record.summary([]).count("\n") == 1


def test_a_readme_keeps_all_but_its_table(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Ёлка\n\nWhy.\n\n{BEGIN}\nold | table\n{END}\n\nAfter.\n", encoding="utf-8")
    content = record.table([RESULT])
    for _ in range(2):  # again gives the same
        record.update_readme(readme, content)
        assert readme.read_text(encoding="utf-8") == f"# Ёлка\n\nWhy.\n\n{BEGIN}\n{content}\n{END}\n\nAfter.\n"
    for broken in ("no markers", f"{END} then {BEGIN}", BEGIN):
        readme.write_text(broken)
        with pytest.raises(DataError, match="the README has no"):
            record.update_readme(readme, content)
        assert readme.read_text() == broken
    readme.unlink()
    with pytest.raises(DataError, match="is missing"):
        record.update_readme(readme, content)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


README = f"# Recipe\n{BEGIN}\n{END}\nAfter.\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a recipe, all committed."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "checkout"
    (root / "recipes" / "a").mkdir(parents=True)
    for name, content in (
        ("code.py", "x = 1\n"),
        ("CHANGELOG.md", "-\n"),
        ("README.md", README),
        (".gitignore", "runs/\n"),
    ):
        (root / name).write_text(content)
    for name, content in (("recipe.py", "R = 1\n"), ("README.md", README), ("results.jsonl", "")):
        (root / "recipes" / "a" / name).write_text(content)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_a_clean_checkout_has_its_commit(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert clean_commit(checkout) == clean_commit(checkout / "recipes" / "a") == head
    # What recording itself writes, prose about it, and what git ignores.
    append(checkout / "recipes" / "a" / "results.jsonl", RESULT)
    for readme in (checkout / "README.md", checkout / "recipes" / "a" / "README.md"):
        record.update_readme(readme, record.table([RESULT]))
    (checkout / "CHANGELOG.md").write_text("- more\n")
    (checkout / "recipes" / "a" / "amounts.svg").write_text("<svg/>")
    (checkout / "recipes" / "b.results").mkdir()
    (checkout / "runs").mkdir()
    (checkout / "runs" / "model").write_text("x")
    assert clean_commit(checkout) == head
    git(checkout, "add", "-A")
    assert clean_commit(checkout) == head
    (checkout / "recipes" / "a" / "results.jsonl").unlink()
    git(checkout, "reset", "-q", "--hard")
    assert clean_commit(checkout) == head


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "code.py").write_text("x = 2\n"),
        lambda root: (root / "code.py").unlink(),
        lambda root: (root / "new.py").write_text("x = 2\n"),
        lambda root: (root / "my_results.jsonl").write_text(""),
        lambda root: (root / "NOT_CHANGELOG.md").write_text(""),
        lambda root: (root / "код с пробелом.py").write_text(""),
        lambda root: (root / "recipes" / "a" / "recipe.py").write_text("R = 2\n"),
        lambda root: (root / "recipes" / "a" / "README.md").write_text(README + "more"),
        lambda root: (root / "recipes" / "a" / "README.md").write_text("no markers"),
        lambda root: (root / "recipes" / "a" / "README.md").unlink(),
        lambda root: (root / "recipes" / "a" / "README.md").write_bytes(b"\xff"),
        lambda root: git(root, "mv", "code.py", "recipes/results.jsonl"),
        lambda root: ((root / "code.py").write_text("x = 2\n"), git(root, "add", "-A")),
        lambda root: ((root / "sub").mkdir(), (root / "sub" / "README.md").write_text(README)),
    ],
)
def test_a_dirty_checkout_has_none(checkout: Path, change: Any) -> None:
    change(checkout)
    assert clean_commit(checkout / "recipes" / "a") is None


def test_outside_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert clean_commit(tmp_path) is None
    assert clean_commit(tmp_path / "nowhere") is None
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    assert clean_commit(tmp_path / "empty") is None  # no commit yet
    monkeypatch.setenv("PATH", str(tmp_path))
    assert clean_commit(tmp_path) is None  # no git
