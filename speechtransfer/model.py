"""Model: an encoder with an objective on top, trained and saved as one module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from speechtransfer.encoders.contract import Augment, Encoder
from speechtransfer.errors import PlanError
from speechtransfer.frames import OUTPUT, Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.objectives.contract import Objective, Prediction


class Model(nn.Module):
    """Encoder and objective; parameters are named ``encoder.*`` and ``objective.*``."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective

    def frames(self, batch: Batch) -> Frames:
        """The encoder's output for a batch of sound, or of cached activations.

        Raises:
            PlanError: the objective reads a block that cached activations are past.
        """
        if batch.start == OUTPUT:
            names, width = self.kept, self.encoder.width
            if batch.wave.shape[-1] != len(names) * width:
                raise PlanError(f"{names[0]} is tapped, but the activations are cached after it.")
            outputs = dict(zip(names, batch.wave.split(width, -1), strict=True))
            values = outputs[self.encoder.blocks[-1]]
            taps = {name: outputs[name] for name in self.objective.taps}
            return Frames(values, batch.lengths, self.encoder.period, taps)
        return self.encoder.run(batch.wave, batch.lengths, start=batch.start, taps=self.objective.taps)

    @property
    def kept(self) -> tuple[str, ...]:
        """The blocks whose outputs stand side by side where those of the whole encoder are cached."""
        return tuple(dict.fromkeys((*self.objective.taps, self.encoder.blocks[-1])))

    def forward(self, batch: Batch, progress: float = 0.0, augment: Augment | None = None) -> dict[str, Tensor]:
        """Losses by name for one training batch; ``augment`` changes the front end's features."""
        with self.encoder.augmented(augment):
            frames = self.frames(batch)
        return self.objective.loss(frames, batch, progress)

    def predict(self, batch: Batch) -> list[Prediction]:
        """One prediction an item."""
        return self.objective.predict(self.frames(batch), batch)

    def fits(self, utterance: Utterance, samples: int) -> bool:
        """Whether an utterance of so many samples can be learnt from, by the encoder's real stride."""
        frames = int(self.encoder.frame_lengths(torch.tensor([samples]))[0])
        return self.objective.unfit(utterance, frames) is None
