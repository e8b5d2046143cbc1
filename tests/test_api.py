"""The public names: few, lazy, and functions even where a module has the same name."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import speechtransfer as st
from speechtransfer.files import write_lines

ROOT = Path(__file__).parents[1]


def test_every_public_name_is_there() -> None:
    for name in st.__all__:
        assert getattr(st, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        st.nothing_like_it  # noqa: B018 - the access itself is what is tested


@pytest.mark.parametrize("name", ["fit", "evaluate"])
def test_functions_stay_functions_after_their_modules_are_imported(name: str) -> None:
    module = importlib.import_module(f"speechtransfer.{name}")
    assert isinstance(module, ModuleType)
    assert getattr(st, name) is getattr(module, name)


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's own lines, on synthetic speech, with our packaged source and few steps."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    table = (ROOT / "data" / "synthetic" / "metadata.csv").read_text().splitlines()[1:]
    clips = ROOT / "data" / "synthetic"
    rows = [dict(zip(("audio", "text"), line.split(","), strict=False)) for line in table]
    for name, part in {"train": rows[:12], "dev": rows[12:14], "test": rows[14:16]}.items():
        located = [{**row, "audio": f"clips/{Path(row['audio']).name}"} for row in part]
        write_lines(tmp_path / "mine" / f"{name}.jsonl", located)
    (tmp_path / "mine" / "clips").mkdir()
    for clip in (clips / "clips").iterdir():
        (tmp_path / "mine" / "clips" / clip.name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    text = code[0].replace('"openai/whisper-tiny.en"', "").replace("steps=3000", "steps=2, evaluations=1")
    exec(compile(text.replace("after=500", "after=1"), "README.md", "exec"), {})
