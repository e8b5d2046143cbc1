"""Muon on the matrices of an encoder and AdamW on all else, as one optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

#: Coefficients of the quintic iteration, by Jordan et al.: singular values come near 1, between about 0.7 and 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95
#: The root mean square of an update over the learning rate, as AdamW's is about.
_RMS = 0.2


class MuonAdamW(torch.optim.Optimizer):
    """Two optimisers in one list of groups: ``muon=True`` in a group takes the first.

    Muon steps along the orthogonalised Nesterov momentum of a matrix (Jordan et al. 2024, "Muon: an optimizer for
    hidden layers in neural networks"), scaled by 0.2 sqrt(max(rows, columns)), so that AdamW's learning rates and
    weight decay hold (Liu et al. 2025, arXiv:2502.16982, equation 4). torch.optim.Muon iterates in bfloat16 always,
    which a processor without instructions for it does four times slower than in the matrix's own precision, as here.

    Args:
        groups: dictionaries of ``params``, ``lr``, ``weight_decay`` and ``muon``; a Muon group holds matrices alone.
        betas: of AdamW.

    Raises:
        ValueError: a Muon group with something else than a matrix, as torch's own optimisers raise.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(groups, {"muon": False})
        if any(value.ndim != 2 for group in self.param_groups if group["muon"] for value in group["params"]):
            raise ValueError("Muon steps matrices alone.")
        rest = [group for group in self.param_groups if not group["muon"]]
        self._adamw = torch.optim.AdamW(rest, betas=betas, fused=True) if rest else None
        self._share()

    def _share(self) -> None:
        """AdamW keeps its moments among the state of all, and follows the rates of these groups."""
        if self._adamw is not None:
            self._adamw.param_groups = [group for group in self.param_groups if not group["muon"]]
            self._adamw.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What ``state_dict`` gave."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both, after ``closure`` where one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for matrix in group["params"] if group["muon"] else ():
                if matrix.grad is not None:
                    self._turn(matrix, matrix.grad, group)
        if self._adamw is not None:
            self._adamw.step()
        return loss

    def _turn(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        update = orthogonalised(gradient.lerp(momentum, _MOMENTUM))
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-group["lr"] * _RMS * max(matrix.shape) ** 0.5)


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix (M, N) with its singular vectors and singular values near 1, by five Newton-Schulz iterations."""
    linear, cubic, quintic = _QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        square = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(square, square, square, beta=cubic, alpha=quintic), wide, beta=linear)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
