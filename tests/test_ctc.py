"""Tests of the CTC loss against the sum over all paths, and of its feasibility against all paths there are."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.ctc import ctc_loss, required_frames
from speechtransfer.errors import DataError

torch.set_num_threads(1)


def collapse(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def over_all_paths(logits: torch.Tensor, target: tuple[int, ...], blank: int) -> float:
    """Minus the logarithm of the probability of every path (T of V labels) that collapses to the target."""
    frames, labels = logits.shape
    posteriors = logits.double().softmax(-1).tolist()
    total = 0.0
    for path in itertools.product(range(labels), repeat=frames):
        if collapse(path, blank) == target:
            total += math.prod(posteriors[frame][label] for frame, label in enumerate(path))
    return -math.log(total)


TARGETS = [target for size in (1, 2, 3) for target in itertools.product((1, 2), repeat=size)]


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_loss_is_the_sum_over_all_paths(target: tuple[int, ...], blank: int) -> None:
    if blank == 2:
        target = tuple(label % 2 for label in target)
    generator = torch.Generator().manual_seed(len(target))
    for frames in range(required_frames(target), 6):
        logits = 2 * torch.randn(1, frames, 3, generator=generator)
        loss = ctc_loss(logits, torch.tensor([frames]), [target], blank)
        expected = over_all_paths(logits[0], target, blank) / len(target)
        assert loss.shape == (1,)
        assert loss.dtype == torch.float32
        assert float(loss[0]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_one_frame_and_one_label_is_the_cross_entropy() -> None:
    logits = torch.tensor([[[0.3, -1.0, 2.0, 0.1]]])
    expected = torch.nn.functional.cross_entropy(logits[0], torch.tensor([3]))
    torch.testing.assert_close(ctc_loss(logits, torch.tensor([1]), [[3]])[0], expected)


def test_uniform_posteriors_count_the_paths() -> None:
    # "aab" needs the 4 frames 1 _ 1 2; a fifth doubles one of them, or is a blank before, behind or between 1 and 2.
    paths = [path for path in itertools.product(range(3), repeat=5) if collapse(path, 0) == (1, 1, 2)]
    loss = ctc_loss(torch.zeros(1, 5, 3), torch.tensor([5]), [[1, 1, 2]])
    assert len(paths) == 7
    assert float(loss[0]) == pytest.approx((5 * math.log(3) - math.log(7)) / 3, rel=1e-5)


def test_a_batch_gives_what_single_items_give_whatever_stands_in_the_padding() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, 9, 5, generator=generator)
    targets = [[1], [2, 2, 3], [4, 1, 4, 1], [3, 3]]
    lengths = torch.tensor([2, 5, 9, 3])
    dirty = logits.clone()
    for item, length in enumerate(lengths.tolist()):
        dirty[item, length:] = 1e4 * torch.randn(9 - length, 5, generator=generator)
    dirty.requires_grad_()
    losses = ctc_loss(dirty, lengths, targets)
    losses.sum().backward()
    assert dirty.grad is not None
    assert torch.isfinite(dirty.grad).all()
    for item, (length, target) in enumerate(zip(lengths.tolist(), targets, strict=True)):
        single = logits[item : item + 1, :length].clone().requires_grad_()
        loss = ctc_loss(single, torch.tensor([length]), [target])
        loss.sum().backward()
        assert float(loss[0].detach()) == pytest.approx(float(losses[item].detach()), rel=1e-5)
        assert single.grad is not None
        torch.testing.assert_close(dirty.grad[item, :length], single.grad[0], rtol=1e-4, atol=1e-6)
        assert not dirty.grad[item, length:].any()


def test_gradient_agrees_with_the_oracle_by_finite_differences() -> None:
    logits = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(5)).requires_grad_()
    ctc_loss(logits, torch.tensor([4]), [[1, 1]]).sum().backward()
    assert logits.grad is not None
    step = 1e-4
    for frame, label in itertools.product(range(4), range(3)):
        ends = []
        for sign in (1, -1):
            moved = logits.detach().double().clone()
            moved[0, frame, label] += sign * step
            ends.append(over_all_paths(moved[0], (1, 1), 0) / 2)
        assert float(logits.grad[0, frame, label]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_gradient_is_finite_where_the_model_is_sure_and_wrong(dtype: torch.dtype) -> None:
    logits = torch.zeros(2, 6, 4, dtype=dtype)
    logits[..., 0] = 3e4
    logits.requires_grad_()
    losses = ctc_loss(logits, torch.tensor([6, 4]), [[1, 2, 3], [2, 2]])
    losses.sum().backward()
    assert losses.dtype == torch.float32
    assert torch.isfinite(losses).all()
    assert (losses > 1e4).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.any()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 3), min_size=0, max_size=4))
def test_required_frames_is_exact(target: list[int]) -> None:
    for frames in range(7):
        paths = itertools.product(sorted({0, *target}), repeat=frames)
        feasible = any(collapse(path, 0) == tuple(target) for path in paths)
        assert feasible == (frames >= required_frames(target)), frames


@pytest.mark.parametrize("target", [[1], [1, 1], [2, 1, 1, 1], [3, 3, 2, 2]])
def test_too_few_frames_are_refused_and_just_enough_are_not(target: list[int]) -> None:
    needed = required_frames(target)
    logits = torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(ctc_loss(logits, torch.tensor([12, needed]), [[1], target])).all()
    with pytest.raises(DataError, match=rf"item 1: {needed - 1} frames .*\(at least {needed} are needed"):
        ctc_loss(logits, torch.tensor([12, needed - 1]), [[1], target])


def test_an_empty_target_is_refused() -> None:
    with pytest.raises(DataError, match="item 0"):
        ctc_loss(torch.zeros(1, 3, 2), torch.tensor([3]), [[]])
