"""Recordings against the stretch of a clip that fits best: against every path there is, and wherever the word lies."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from speechtransfer.frames import pad
from speechtransfer.objectives.warping import nearest_stretches


def drawn(frames: int, seed: int, width: int = 5) -> Tensor:
    return functional.normalize(torch.randn(frames, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


def by_every_path(recording: Tensor, clip: Tensor) -> float:
    """The least mean over all ways to go on by none, one or two frames of the clip for each of the recording."""
    best = float("inf")
    for start in range(len(clip)):
        for steps in itertools.product((0, 1, 2), repeat=len(recording) - 1):
            places = [start, *(start + sum(steps[: k + 1]) for k in range(len(steps)))]
            if places[-1] < len(clip):
                squares = [float((recording[k] - clip[place]).square().sum()) for k, place in enumerate(places)]
                best = min(best, sum(squares) / len(squares))
    return best


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (1, 6), (5, 1), (4, 3), (5, 9)])
def test_it_is_the_least_over_every_path(ours: int, theirs: int) -> None:
    recording, clip = drawn(ours, 1), drawn(theirs, 2)
    found = nearest_stretches(recording[None], torch.tensor([ours]), clip[None], torch.tensor([theirs]))
    assert float(found) == pytest.approx(by_every_path(recording, clip), abs=1e-5)


def test_padding_and_company_change_nothing() -> None:
    recordings, clips = [drawn(n, n) for n in (3, 7, 5)], [drawn(n, 20 + n) for n in (8, 2, 11, 6)]
    (ours, frames), (theirs, lengths) = pad(recordings), pad(clips)
    together = nearest_stretches(ours, frames, theirs, lengths)
    for i, clip in enumerate(clips):
        for k, recording in enumerate(recordings):
            alone = nearest_stretches(recording[None], frames[k : k + 1], clip[None], lengths[i : i + 1])
            assert float(together[i, k]) == pytest.approx(float(alone), abs=1e-6)


def test_a_word_is_found_wherever_it_is_and_however_fast() -> None:
    word, other = drawn(6, 3), drawn(6, 4)
    before, behind = drawn(9, 5), drawn(4, 6)
    slow = torch.cat([before, word.repeat_interleave(2, 0), behind])
    fast = torch.cat([before, word[::2], behind])
    words, frames = torch.stack([word, other]), torch.tensor([6, 6])
    for clip in (word, slow):
        found = nearest_stretches(words, frames, clip[None], torch.tensor([len(clip)]))[0]
        assert float(found[0]) == pytest.approx(0.0, abs=1e-5)
        assert float(found[1]) > 0.2
    assert float(nearest_stretches(words[:1, ::2], torch.tensor([3]), slow[None], torch.tensor([len(slow)]))) > 0.0
    whole = nearest_stretches(words, frames, fast[None], torch.tensor([len(fast)]))[0]
    assert float(whole[0]) < float(whole[1])
