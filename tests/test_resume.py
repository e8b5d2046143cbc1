"""A resumed training equals an uninterrupted one bit for bit; damage and full disks lose no checkpoint."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training import ALL, LIVELY, PLAIN, Joined, OutageError, equal, interrupt, weights, without_seconds

from speechtransfer.errors import DataError, SourceError
from speechtransfer.fit import History
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest
from speechtransfer.objectives import Ctc
from speechtransfer.resume import Progressed, State, read_state, write_state
from speechtransfer.schedule import make_optimizer
from speechtransfer.transfer import Rule


@pytest.mark.parametrize(
    ("optimizer", "interrupted"), [("adamw", (5,)), ("adamw", (7, 2)), ("adamw", (2,)), ("sgd", (8,)), ("muon", (5,))]
)
def test_a_resumed_training_equals_an_uninterrupted_one(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: Any,
    interrupted: tuple[int, ...],
) -> None:
    """Over a thaw, an epoch's end, and checkpoints at evaluations (4, 8) and between them (3, 6)."""
    settings = replace(LIVELY, optimizer=optimizer, checkpoint_every=3)
    rules = (Rule(r"encoder\.layers\..*", scale=0.5, after=5), *ALL)
    whole = join(rules)
    expected = train(whole, settings, tmp_path / "whole")
    folder = tmp_path / "resumed"
    for at in interrupted:
        broken = join(rules)
        torch.manual_seed(1234 + at)
        with monkeypatch.context() as patch:
            interrupt(patch, at)
            with pytest.raises(OutageError):
                train(broken, settings, folder, resume=True)
    again = join(rules)
    torch.manual_seed(99)
    found = train(again, settings, folder, resume=True)
    assert equal(weights(again[0]), weights(whole[0]))
    assert without_seconds(found) == without_seconds(expected)
    lines = [(tmp_path / name / "history.jsonl").read_text().splitlines() for name in ("whole", "resumed")]
    assert [len(rows) for rows in lines] == [2, 2]
    assert [path.name for path in (folder / "checkpoints").glob("step-*")] == ["step-8"]
    # And once more: a finished training is left as it is.
    third = join(rules)
    assert without_seconds(train(third, settings, folder, resume=True)) == without_seconds(expected)
    assert equal(weights(third[0]), weights(whole[0]))


def test_resume_starts_where_there_is_nothing_and_no_folder_is_no_checkpoint(
    join: Callable[..., Joined], train: Callable[..., History], tmp_path: Path
) -> None:
    runs = [join(), join(), join()]
    histories = [
        train(runs[0], LIVELY),
        train(runs[1], LIVELY, tmp_path / "a", resume=True),
        train(runs[2], LIVELY, tmp_path / "b"),
    ]
    assert equal(weights(runs[0][0]), weights(runs[1][0]))
    assert equal(weights(runs[0][0]), weights(runs[2][0]))
    assert len({json.dumps(without_seconds(history)) for history in histories}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_new_training_never_resumes_from_an_older_one(
    join: Callable[..., Joined], train: Callable[..., History], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(join(), replace(PLAIN, seed=7), tmp_path)
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        with pytest.raises(OutageError):
            train(join(), PLAIN, tmp_path)
    whole, again = join(), join()
    train(whole, PLAIN)
    train(again, PLAIN, tmp_path, resume=True)
    assert equal(weights(again[0]), weights(whole[0]))


class Broken(Ctc):
    """Its loss is not a number from the middle of the training on."""

    def loss(self, frames: Any, batch: Batch, progress: float) -> dict[str, Tensor]:
        return {
            name: value * (math.nan if progress >= 0.5 else 1.0)
            for name, value in super().loss(frames, batch, progress).items()
        }


def test_a_loss_that_is_no_number_names_its_recordings_and_loses_nothing(
    join: Callable[..., Joined], train: Callable[..., History], tones: Manifest, tmp_path: Path
) -> None:
    settings = replace(LIVELY, checkpoint_every=2)
    broken = join(kind=Broken)
    with pytest.raises(DataError, match=r"the loss is nan on .*check these recordings, or lower lr") as caught:
        train(broken, settings, tmp_path)
    assert any(row.id in str(caught.value) for row in tones.split("train"))
    assert all(value.isfinite().all() for value in broken[0].state_dict().values())
    whole, again = join(), join()
    train(whole, settings)
    train(again, settings, tmp_path, resume=True)
    assert equal(weights(again[0]), weights(whole[0]))


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5, 6])
def test_a_full_disk_leaves_the_last_checkpoint(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writes: int,
) -> None:
    """The disk fills at each of the files of the second checkpoint in turn."""
    settings = replace(LIVELY, steps=4, evaluations=2)
    synced, calls, first = os.fsync, itertools.count(1), 6  # five files and the history

    def full(handle: int) -> None:
        if next(calls) >= first + writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)") as caught:
            train(join(), settings, tmp_path)
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).count("\n") == 0
    last = json.loads((tmp_path / "checkpoints" / "last.json").read_text())
    assert last == ("step-2" if writes < 6 else "step-4")
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
    assert not list(tmp_path.rglob(".*"))
    whole, again = join(), join()
    expected = train(whole, settings)
    assert without_seconds(train(again, settings, tmp_path, resume=True)) == without_seconds(expected)
    assert equal(weights(again[0]), weights(whole[0]))


@pytest.fixture
def checkpoint(join: Callable[..., Joined], tmp_path: Path) -> Path:
    """A folder with one checkpoint, at step 3."""
    model, plan = join()
    optimizer = make_optimizer(model, plan, PLAIN)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    write_state(tmp_path, State(Progressed(9, 3), [{"step": 2}], [0.5], weights(model)), model, optimizer)
    return tmp_path


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *((name, half) for name in ("model.safetensors", "best.safetensors", "optimizer.pt", "progress.json")),
        ("optimizer.pt", lambda _: b""),
        ("optimizer.pt", lambda _: b"garbage, no pickle"),
        ("model.safetensors", lambda _: b""),
        ("progress.json", lambda _: b'{"done": {}}'),
        ("progress.json", lambda _: b'{"done": {"step": 1, "leap": 2}, "rows": []}'),
        ("progress.json", lambda _: b"[]"),
        ("../last.json", lambda _: b"{"),
        ("../last.json", lambda _: b'"step-99"'),
        ("model.safetensors", None),
        ("optimizer.pt", None),
        ("progress.json", None),
    ],
)
def test_a_damaged_checkpoint_is_named(
    join: Callable[..., Joined],
    train: Callable[..., History],
    checkpoint: Path,
    file: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    path = checkpoint / "checkpoints" / "step-3" / file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match="checkpoints"):
        train(join(), PLAIN, checkpoint, resume=True)


def test_a_checkpoint_reads_back_and_belongs_to_its_model(join: Callable[..., Joined], checkpoint: Path) -> None:
    model, plan = join()
    optimizer = make_optimizer(model, plan, PLAIN)
    state = read_state(checkpoint, model, optimizer)
    assert state is not None
    assert state.done == Progressed(9, 3)
    assert state.rows == [{"step": 2}]
    assert state.losses == [0.5]
    assert state.best is not None
    assert equal(state.best, weights(model))
    assert all(moments["step"] == 1 for moments in optimizer.state.values())
    for other in (join(width=32), join(layers=2), join((Rule(r"encoder\..*", scale=0), *ALL))):
        with pytest.raises(SourceError, match=r"cannot be resumed .*Remove .*checkpoints to start again") as caught:
            read_state(checkpoint, other[0], make_optimizer(*other, PLAIN))
        assert "\n" not in str(caught.value)
    assert read_state(checkpoint / "elsewhere", model, optimizer) is None
