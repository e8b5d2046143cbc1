"""Muon against torch's own, its orthogonal updates against the singular value decomposition, and AdamW beside it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from speechtransfer.muon import MuonAdamW, orthogonalised


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.LayerNorm(10), nn.Tanh(), nn.Linear(10, 4))


def groups(model: nn.Module) -> list[dict[str, Any]]:
    values = list(model.parameters())
    matrices, rest = [value for value in values if value.ndim == 2], [value for value in values if value.ndim != 2]
    return [
        {"params": matrices, "lr": 0.02, "weight_decay": 0.1, "muon": True},
        {"params": rest, "lr": 0.03, "weight_decay": 0.0, "muon": False},
    ]


def learn(model: nn.Module, optimizers: list[torch.optim.Optimizer], steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        sound = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        loss = (model(sound) - sound[:, :4].sin()).square().mean()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 100))
def test_an_update_keeps_the_singular_vectors_and_levels_the_values(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalised(matrix) @ right.T
    levelled = turned.diagonal()
    torch.testing.assert_close(turned, torch.diag(levelled), atol=1e-9, rtol=0)
    # Five iterations level what is above a hundredth of the largest.
    assert ((levelled > 0.6) & (levelled < 1.3))[values > 0.02 * values[0]].all()


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert not orthogonalised(torch.zeros(3, 5)).any()


def test_it_steps_as_torchs_own_two_do() -> None:
    ours, theirs = network(), network()
    matrices, rest = groups(theirs)
    learn(ours, [MuonAdamW(groups(ours), (0.9, 0.98))], 5)
    muon = torch.optim.Muon(matrices["params"], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest["params"], lr=0.03, weight_decay=0.0, betas=(0.9, 0.98))
    learn(theirs, [muon, adamw], 5)
    for (name, mine), other, before in zip(
        ours.named_parameters(), theirs.parameters(), network().parameters(), strict=True
    ):
        moved = (other - before).detach().norm()
        assert moved > 0, name
        # Theirs iterates in bfloat16.
        assert (mine - other).detach().norm() < 0.05 * moved, name


def test_a_resumed_course_is_the_same_and_the_rates_hold() -> None:
    whole, parted = network(), network()
    learn(whole, [MuonAdamW(groups(whole))], 6)
    optimizer = MuonAdamW(groups(parted))
    learn(parted, [optimizer], 3)
    saved, resumed = deepcopy(optimizer.state_dict()), MuonAdamW(groups(parted))
    resumed.load_state_dict(saved)
    learn(parted, [resumed], 3, first=3)
    for mine, other in zip(whole.parameters(), parted.parameters(), strict=True):
        assert torch.equal(mine, other)
    before: list[Tensor] = [value.detach().clone() for value in parted.parameters()]
    for group in resumed.param_groups:
        group["lr"] = 0.0
    learn(parted, [resumed], 1, first=6)
    for earlier, now in zip(before, parted.parameters(), strict=True):
        assert torch.equal(earlier, now)


def test_vectors_are_refused_where_matrices_belong() -> None:
    with pytest.raises(ValueError, match="matrices alone"):
        MuonAdamW([{"params": [nn.Parameter(torch.ones(3))], "lr": 0.1, "weight_decay": 0.0, "muon": True}])


def test_matrices_alone_are_stepped_too() -> None:
    layer = nn.Linear(4, 3, bias=False)
    optimizer = MuonAdamW([{"params": [layer.weight], "lr": 0.1, "weight_decay": 0.0, "muon": True}])
    before = layer.weight.detach().clone()

    def closure() -> float:
        optimizer.zero_grad()
        loss = layer(torch.ones(2, 4)).square().sum()
        loss.backward()
        return loss.item()

    loss = optimizer.step(closure)
    assert loss == pytest.approx((before.sum(1) ** 2).sum().item() * 2)
    assert not torch.equal(before, layer.weight)
