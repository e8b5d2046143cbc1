"""Write a finished run as a packaged source: half precision, with its card and nothing else.

Command: python recipes/source_many/publish.py runs/source_many/grown data/sources/many
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from speechtransfer.checkpoint import load, save


def publish(run: Path, target: Path) -> None:
    """Save the model of ``run`` as fp16 under ``target``, its card named after the target."""
    model = load(run)
    model.encoder.card = replace(model.encoder.card, id=target.name, licence="Apache-2.0")
    save(model, target, torch.float16)


if __name__ == "__main__":
    publish(Path(sys.argv[1]), Path(sys.argv[2]))
