"""Write a finished run of dnn or cnn as a plain state dict, old output layer included, under its checkpoint's names.

Command: python recipes/source_digits_en/publish.py RUN FOLDER
"""

import io
import sys
from pathlib import Path

import torch

from speechtransfer.checkpoint import load
from speechtransfer.files import write_atomically


def publish(run: Path, target: Path) -> None:
    """Save the encoder of ``run`` and its one output layer as ``pretrained_weights.pth``."""
    model = load(run)
    encoder = model.encoder
    (head,) = model.objective.heads.values()
    tensors = {encoder.key(name): value for name, value in encoder.named_parameters()}
    tensors |= {f"{encoder.head}.weight": head.weight, f"{encoder.head}.bias": head.bias}
    buffer = io.BytesIO()
    torch.save({name: value.detach().clone() for name, value in sorted(tensors.items())}, buffer)
    write_atomically(target / "pretrained_weights.pth", buffer.getvalue())


if __name__ == "__main__":
    publish(Path(sys.argv[1]), Path(sys.argv[2]))
