"""Tests of distillation: a student's frames meet its teacher's at the same place of the same utterance."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from speechtransfer.audio import Recordings, write_wav
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.errors import PlanError, SettingsError
from speechtransfer.frames import Batch, Frames, Piece
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.objectives import KINDS, Distil
from speechtransfer.recipe import Distillation, Recipe

torch.set_num_threads(1)
RATE = 16_000


class Ramp:
    """Synthetic: at every moment of an utterance the seconds since its start, and their square."""

    width = 2
    period = 0.02

    def heard(self, name: str) -> tuple[Tensor, float] | None:
        if name == "unheard":
            return None
        seconds = {"a": 1.0, "b": 0.5}[name]
        times = torch.arange(round(seconds / self.period) + 1) * self.period
        return torch.stack([times, times.square()], 1), seconds


def distil(bias: float = 0.0) -> Distil:
    objective = Distil(2, Ramp())
    objective.attach(3, 0.04)
    with torch.no_grad():
        for value in objective.parameters():
            value.fill_(bias)
    return objective


def batch(*pieces: tuple[Piece, ...], weight: tuple[float, ...] | None = None) -> Batch:
    count = len(pieces)
    lengths = torch.ones(count, dtype=torch.int64)
    ids = tuple(f"i{number}" for number in range(count))
    return Batch(torch.zeros(count, 1), lengths, ids, torch.tensor(weight or (1.0,) * count), {}, None, pieces)


def frames(*lengths: int) -> Frames:
    values = torch.randn(len(lengths), max(lengths), 3, generator=torch.Generator().manual_seed(0))
    return Frames(values.requires_grad_(), torch.tensor(lengths), 0.04)


def expected(piece: Piece, last: int, faster: float) -> float:
    """The naive sum: outputs are zero, so the error is what the ramp's own values are."""
    found = []
    for number in range(last):
        moment = number * 0.04
        if piece.start <= moment < piece.stop:
            whole = (moment - piece.start) * faster
            low = math.floor(whole / 0.02 + 1e-9) * 0.02
            share = (whole - low) / 0.02
            found += [whole**2, ((1 - share) * low**2 + share * (low + 0.02) ** 2) ** 2]
    return sum(found) / len(found)


@pytest.mark.parametrize("faster", [0.9, 1.0, 1.1])
def test_the_error_is_of_the_same_moment_whatever_the_speed_and_the_neighbours(faster: float) -> None:
    one = Piece("a", 0.0, 1.0 / faster)
    two = Piece("b", one.stop + 0.1, one.stop + 0.1 + 0.5 / faster)
    last = math.ceil(two.stop / 0.04)
    (loss,) = distil().loss(frames(last), batch((one, two)), 0.0).values()
    wanted = [expected(one, last, faster), expected(two, last, faster)]
    assert loss.item() == pytest.approx(sum(wanted) / 2, rel=1e-3)


def test_a_students_frame_counts_only_inside_the_utterances_that_were_heard() -> None:
    given = frames(40, 40)
    pieces = (Piece("a", 0.2, 1.2), Piece("unheard", 1.3, 1.6)), (Piece("unheard", 0.0, 1.6),)
    (loss,) = distil(0.1).loss(given, batch(*pieces), 0.0).values()
    (gradient,) = torch.autograd.grad(loss, given.values)
    moved = gradient.abs().sum(-1) > 0
    assert moved[0].nonzero().flatten().tolist() == list(range(5, 30))
    assert not moved[1].any()


def test_nothing_heard_is_a_zero_that_still_has_a_gradient() -> None:
    for pieces in ((Piece("unheard", 0.0, 0.4),), (), (Piece("a", 0.41, 0.42),)):
        given = frames(10)
        (loss,) = distil(0.1).loss(given, batch(pieces), 0.0).values()
        loss.backward()
        assert loss.item() == 0
        assert given.values.grad is not None


def test_items_weigh_what_their_batch_says() -> None:
    pieces = (Piece("a", 0.0, 1.0),), (Piece("b", 0.0, 0.5),)

    def loss(*weight: float) -> Tensor:
        return distil().loss(frames(26, 26), batch(*pieces, weight=weight), 0.0)["distil"]

    one, two, both = loss(1.0, 0.0), loss(0.0, 1.0), loss(3.0, 1.0)
    assert both.item() == pytest.approx((3 * one.item() + two.item()) / 4)
    assert one.item() != pytest.approx(two.item())


def test_a_student_learns_what_its_teacher_says() -> None:
    torch.manual_seed(0)
    objective = Distil(2, Ramp())
    objective.attach(3, 0.04)
    values = torch.stack([torch.arange(26) * 0.04, (torch.arange(26) * 0.04).square(), torch.ones(26)], 1)[None]
    given = Frames(values, torch.tensor([26]), 0.04)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(300):
        loss = objective.loss(given, batch((Piece("a", 0.0, 1.0),)), 0.0)["distil"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


def test_without_a_teacher_it_says_so_and_it_answers_nothing() -> None:
    saved = {"kind": "distil", **distil().settings()}
    loaded = KINDS["distil"].from_settings(saved)
    loaded.attach(3, 0.04)
    loaded.load_state_dict(distil(0.3).state_dict(), strict=True)
    with pytest.raises(PlanError, match="has no teacher"):
        loaded.loss(frames(5), batch((Piece("a", 0.0, 0.2),)), 0.0)
    with pytest.raises(PlanError, match="predicts nothing by itself"):
        loaded.predict(frames(5))
    with pytest.raises(PlanError, match="no figure of its own"):
        loaded.score([], [])
    with pytest.raises(PlanError, match="no width"):
        Distil(2, Ramp()).loss(frames(5), batch((Piece("a", 0.0, 0.2),)), 0.0)
    assert loaded.heads == {}
    assert loaded.finish(iter(())) == {}
    assert loaded.unfit(Utterance(Path("a.wav")), 1) is None


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Utterance, ...]:
    """Synthetic noise: two recordings, and a span of the second."""
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, seconds in (("one.wav", 0.61), ("two.wav", 1.3)):
        write_wav(tmp_path / name, 0.1 * rng.standard_normal(int(seconds * RATE)), RATE)
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    return Utterance(one), Utterance(two), Utterance(two, 0.2, 0.9)


@pytest.mark.parametrize("task", ["keywords", "grades"])
def test_a_spotter_takes_no_teacher(task: Literal["keywords", "grades"]) -> None:
    with pytest.raises(SettingsError, match="a teacher is learnt from beside transcripts"):
        Recipe("spotter", ("words",), task=task, distillation=Distillation("random:conformer"))


def test_training_batches_say_where_each_utterance_is_heard(rows: tuple[Utterance, ...]) -> None:
    settings = BatchSettings(seconds=20, speeds=(0.9, 1.1), join=8)
    batches = TrainingBatches(Manifest(rows), Recordings(RATE), settings, 1)
    for epoch in range(6):
        plan = batches.plan(epoch)
        for given in batches.epoch(epoch):
            assert len(given.pieces) == len(given.ids)
            for pieces, length in zip(given.pieces, given.lengths.tolist(), strict=True):
                assert pieces[0].start == 0
                assert pieces[-1].stop == pytest.approx(length / RATE)
                assert all(b.start - a.stop == pytest.approx(0.1) for a, b in itertools.pairwise(pieces))
                for piece in pieces:
                    number = next(number for number, row in enumerate(rows) if row.id == piece.id)
                    seconds = batches.recordings.seconds(rows[number]) / plan.speeds[number]
                    assert piece.stop - piece.start == pytest.approx(seconds, abs=2e-3)
