"""What a run folder was begun with, so that a run continues itself and never touches another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechtransfer.baseline import Scratch
from speechtransfer.checkpoint import read_json
from speechtransfer.errors import SettingsError
from speechtransfer.record import as_known

if TYPE_CHECKING:
    from speechtransfer.recipe import Recipe


def begun_at(out: Path, commit: str | None) -> str | None:
    """The commit at which the run in ``out`` was begun; ``commit`` where none is there yet."""
    begun = out / "recipe.json"
    return read_json(begun).get("commit") if begun.is_file() else commit


def refuse_other_run(recipe: Recipe, out: Path, resume: bool) -> None:
    """Leave alone a folder that holds anything but this very run.

    Raises:
        SettingsError: files that are no run, a run without ``resume``, or one of other settings. A
            baseline may be added to a run, and a budget in minutes is the steps that it became.
    """
    begun = out / "recipe.json"
    if not begun.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SettingsError(f"{out}: is not empty, and no run either. Choose another --out; nothing was changed.")
        return
    if not resume:
        raise SettingsError(f"{out}: holds a run already. Give --resume to go on with it, or another --out.")
    before = read_json(begun)
    usual = type(recipe)(name="", data=()).config()  # what a run of an earlier version, without a field, has there
    now = as_known(recipe.config(), before, usual)
    budget = {"steps", "minutes"} if recipe.settings.minutes is not None else set()
    changed = [
        f"{name} ({json.dumps(old, ensure_ascii=False)})"
        for name, old, new in (
            *((name, before.get(name, usual[name]), now[name]) for name in now if name not in ("settings", "scratch")),
            *(
                (
                    f"settings.{name}",
                    before.get("settings", {}).get(name, usual["settings"][name]),
                    now["settings"][name],
                )
                for name in now["settings"]
                if name not in budget
            ),
        )
        if old != new
    ]
    changed += _other_baseline(recipe.scratch, before.get("scratch") or {})
    if changed:
        raise SettingsError(f"{out}: was begun with another {', '.join(changed)}. Give those, or another --out.")


def _other_baseline(scratch: Scratch, before: Mapping[str, Any]) -> list[str]:
    """What of a baseline that was asked for before would be trained otherwise now; of another network, nothing."""
    if not scratch.folds or not before.get("folds") or before.get("network") != scratch.network:
        return []
    now = {"rates": [*scratch.rates], "search": scratch.search, "factor": scratch.factor}
    return [f"scratch.{name} ({json.dumps(before[name])})" for name in now if before.get(name, now[name]) != now[name]]


def with_its_baseline(recipe: Recipe, out: Path, resume: bool) -> Recipe:
    """A recipe that asks for no baseline, with that of the run which it goes on with: what was judged stays judged."""
    begun = out / "recipe.json"
    before = read_json(begun).get("scratch") or {} if resume and begun.is_file() else {}
    if recipe.scratch.folds or not before.get("folds"):
        return recipe
    return replace(recipe, scratch=Scratch(**{**before, "rates": tuple(before["rates"])}))
