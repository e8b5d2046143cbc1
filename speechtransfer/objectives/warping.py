"""How far recordings are from the nearest stretch of a clip, frame by frame in time with each other."""

from __future__ import annotations

import torch
from torch import Tensor

from speechtransfer.frames import length_mask


def nearest_stretches(recordings: Tensor, frames: Tensor, clips: Tensor, lengths: Tensor) -> Tensor:
    """(B, K) mean squared distances of the frames of K recordings to those of the stretch of each clip that fits best.

    Dynamic time warping with free ends (query by example: Hazen, Shen and White 2009, "Query-by-example spoken term
    detection using phonetic posteriorgram templates"): each frame of a recording meets one frame of the clip, which is
    the one that the frame before it met, the next, or the next but one (Sakoe and Chiba 1978, asymmetric with a slope
    of at most two). What lies before and behind the stretch costs nothing, so a word may be anywhere in a window.

    Args:
        recordings: (K, N, E) of length 1 each, padded.
        frames: (K,) how many are there of each recording, one at least.
        clips: (B, T, E) of length 1 each, padded.
        lengths: (B,) frames of the clips, one at least.
    """
    # Of things of length 1 a squared distance is between 0 and 4. Each clip is multiplied by itself, so that no
    # score depends on what it shares a batch with.
    costs = torch.stack([2 - 2 * recordings @ clip.T for clip in clips]).clamp(min=0)
    beyond = ~length_mask(lengths, clips.shape[1])[:, None]
    before = clips.new_full((len(clips), len(recordings), 2), torch.inf)
    reached = costs.new_zeros(())
    found = costs.new_full((len(clips), len(recordings)), torch.inf)
    for step in range(recordings.shape[1]):
        reached = (costs[:, :, step] + reached).masked_fill(beyond, torch.inf)
        found = torch.where(frames == step + 1, reached.amin(-1) / frames, found)
        shifted = torch.cat([before, reached], -1)
        reached = torch.minimum(reached, torch.minimum(shifted[..., 1:-1], shifted[..., :-2]))
    return found
