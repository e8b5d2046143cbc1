"""Encoders that hear sound as it comes: what they are beyond the contract, and the stream that runs them."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import AudioError, PlanError
from speechtransfer.frames import Frames

#: What a block keeps of all that it was given: its left context; nothing at the start.
State = tuple[Tensor, ...]


class CausalEncoder(Encoder):
    """An encoder of which no frame depends on later sound (beyond its own window)."""

    causal = True

    @abstractmethod
    def step(self, name: str, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run one block on what follows all that it was given before.

        Args:
            name: of the block.
            x: samples (B, S) for the front end, else frames (B, T, D); any number of them, none too.
            state: what it kept of what came before; empty at the start.

        Returns:
            The frames (B, T, D) that are whole now, and what it keeps: never more than its left context.
        """

    def stream(self) -> Stream:
        """A listener to one recording as it comes, through the blocks that are there now."""
        return Stream(self)


class Stream:
    """One recording heard as it comes: the frames of its pieces are those of the whole, however it is cut.

    It keeps the left context of each block and nothing more. The encoder is run as it is, so let it be in eval.

    Raises:
        PlanError: the encoder is not causal.
    """

    def __init__(self, encoder: Encoder) -> None:
        if not isinstance(encoder, CausalEncoder):
            raise PlanError(
                f"{encoder.family}: its frames depend on later sound, so it cannot hear sound as it comes. Choose a "
                "causal encoder, such as compact, or give it whole recordings."
            )
        self._encoder = encoder
        self._states: dict[str, State] = dict.fromkeys(encoder.blocks, ())

    @property
    def kept(self) -> int:
        """How many values it keeps."""
        return sum(value.numel() for state in self._states.values() for value in state)

    @torch.inference_mode()
    def push(self, samples: Tensor) -> Frames:
        """The frames (1, T, D) that are whole with these further samples (S,); S and T may be 0.

        Raises:
            AudioError: the samples are not one channel's.
        """
        if samples.ndim != 1:
            raise AudioError(f"a stream takes samples (S,) of one channel, not {tuple(samples.shape)}: mix them first.")
        x = samples[None]
        for name in self._encoder.blocks:
            x, self._states[name] = self._encoder.step(name, x, self._states[name])
        return Frames(x, torch.tensor([x.shape[1]], device=x.device), self._encoder.period)
