"""A run folder in and out: model, encoder, objective and what they were made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from speechtransfer.encoders import family
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import SourceError, SpeechTransferError
from speechtransfer.files import write_atomically
from speechtransfer.model import Model
from speechtransfer.objectives import KINDS
from speechtransfer.weights import match_strictly, read_tensors, write_tensors


def write_json(path: Path, values: Any) -> None:
    """Write JSON atomically, indented, non-Latin text readable."""
    write_atomically(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder.

    Raises:
        SourceError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceError(f"{path}: is not there, so {path.parent} is no run folder.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}).") from error


def save(model: Model, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write ``model.safetensors``, ``encoder.json`` and ``objective.json``, each atomically."""
    encoder, objective = model.encoder, model.objective
    described = {"family": encoder.family, "settings": encoder.settings(), "card": encoder.card.as_dict()}
    write_json(folder / "encoder.json", described)
    write_json(folder / "objective.json", {"kind": objective.kind, **objective.settings()})
    write_tensors(folder / "model.safetensors", model.state_dict(), dtype)


def load(folder: str | Path) -> Model:
    """The model of a run folder, in eval mode on the CPU.

    Raises:
        SourceError: the folder is no run folder, or its files do not belong together.
    """
    folder = Path(folder)
    encoder = build_encoder(read_json(folder / "encoder.json"), str(folder))
    described = read_json(folder / "objective.json")
    if not isinstance(described, dict) or str(described.get("kind")) not in KINDS:
        raise SourceError(f"{folder / 'objective.json'}: names no objective of {', '.join(KINDS)}.")
    try:
        objective = KINDS[str(described["kind"])].from_settings(described)
        objective.attach(encoder.width, encoder.period)
    except (AttributeError, KeyError, TypeError, ValueError, SpeechTransferError) as error:
        raise SourceError(f"{folder / 'objective.json'}: does not describe an objective ({error}).") from error
    model = Model(encoder, objective)
    path = folder / "model.safetensors"
    state, _ = match_strictly(read_tensors(path), model.state_dict(), (), (), str(path))
    model.load_state_dict(state)
    return model.eval()


def build_encoder(described: Any, where: str) -> Encoder:
    """An encoder with random weights from the values of ``encoder.json``.

    Raises:
        SourceError: the values describe no encoder.
    """
    try:
        card = SourceCard.from_dict(described["card"])
        return family(described["family"]).from_settings(described["settings"], card)
    except SourceError:
        raise
    except Exception as error:  # whatever an architecture, transformers' too, has against broken values
        raise SourceError(f"{where}: encoder.json does not describe an encoder ({error!r}).") from error
