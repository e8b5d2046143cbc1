"""A run folder in and out: model, encoder, objective and what they were made from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
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

_ENCODER, _OBJECTIVE = "encoder.json", "objective.json"
#: A description whose tensors are being written; see ``save_objective``.
_NEXT = "objective.next.json"


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
        raise SourceError(_missing(path)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}).") from error


def _missing(path: Path) -> str:
    """What is amiss where a run folder's file is not there, and what to name in its place."""
    folder = path.parent
    runs = sorted({str(found.parent) for name in ("recipe.json", "metrics.json") for found in folder.glob(f"*/{name}")})
    if (folder / "metrics.json").exists():
        return f"{path}: is not there. Train again, or copy the whole of {folder}."
    if (folder / "recipe.json").exists() or (folder / "checkpoints").exists():
        return f"{folder}: its training is not finished. Give the same command with --resume to go on with it."
    if runs:
        return f"{folder}: holds several runs. Name one of them: {', '.join(runs)}."
    return f"{path}: is not there, so {folder} is no run folder."


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn what damaged values do to their reader into an error that names their file.

    Raises:
        SourceError: in the place of those errors.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise SourceError(f"{path}: is not what a run writes ({error!r}). Train or score again.") from error


def save(model: Model, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write ``model.safetensors``, ``encoder.json`` and ``objective.json``, each atomically."""
    encoder, objective = model.encoder, model.objective
    described = {"family": encoder.family, "settings": encoder.settings(), "card": encoder.card.as_dict()}
    write_json(folder / _ENCODER, described)
    write_json(folder / _OBJECTIVE, {"kind": objective.kind, **objective.settings()})
    write_tensors(folder / "model.safetensors", model.state_dict(), dtype)
    (folder / _NEXT).unlink(missing_ok=True)


def save_objective(model: Model, folder: Path) -> None:
    """Give a run folder a further objective over the same encoder; at any moment a whole one can be loaded.

    The new description waits beside the old until its tensors are there: where an interruption leaves both, ``load``
    takes the one that the tensors fit. One more recording on the encoder's card contradicts neither. A word made anew
    changes no shape: interrupted at the end, its threshold may still be the old one.
    """
    encoder, objective = model.encoder, model.objective
    described = {"family": encoder.family, "settings": encoder.settings(), "card": encoder.card.as_dict()}
    write_json(folder / _NEXT, {"kind": objective.kind, **objective.settings()})
    write_json(folder / _ENCODER, described)
    write_tensors(folder / "model.safetensors", model.state_dict())
    os.replace(folder / _NEXT, folder / _OBJECTIVE)


def of_fold(name: str, fold: int) -> str:
    """The source that a fold goes on from: of a run of several folds the model of its own, otherwise the same one.

    Raises:
        SourceError: a run of several folds, this one not among them.
    """
    place = Path(os.path.expanduser(name))
    models = _models(place)
    if models and fold not in models:
        known = ", ".join(map(str, models))
        raise SourceError(
            f"{name}: has no model of fold {fold}, but of {known}. Run the same folds, or name one model."
        )
    return str(place / "folds" / str(fold)) if models else name


def _models(folder: Path) -> list[int]:
    """The folds of a run of several; none of one that has a model itself."""
    if (folder / _ENCODER).is_file():
        return []
    return sorted(int(file.parent.name) for file in folder.glob(f"folds/*/{_ENCODER}") if file.parent.name.isdecimal())


def refuse_several(folder: Path) -> None:
    """Raise where a folder is a run of several folds, in the place of one model.

    Raises:
        SourceError: it is; the message names one of its models.
    """
    if models := _models(folder):
        one = folder / "folds" / str(models[0])
        raise SourceError(f"{folder}: holds a model for each fold. Name one of them: {one}.")


def load(folder: str | Path) -> Model:
    """The model of a run folder, in eval mode on the CPU.

    Raises:
        SourceError: the folder is no run folder, or its files do not belong together.
    """
    folder = Path(folder)
    refuse_several(folder)
    encoder = build_encoder(read_json(folder / _ENCODER), str(folder))
    try:
        return _joined(encoder, folder / _OBJECTIVE)
    except SourceError:
        if not (folder / _NEXT).is_file():
            raise
        return _joined(encoder, folder / _NEXT)


def _joined(encoder: Encoder, description: Path) -> Model:
    """An encoder with the objective of a description, and the tensors beside it."""
    described = read_json(description)
    if not isinstance(described, dict) or str(described.get("kind")) not in KINDS:
        raise SourceError(f"{description}: names no objective of {', '.join(KINDS)}.")
    try:
        objective = KINDS[str(described["kind"])].from_settings(described)
        objective.attach(encoder.width, encoder.period)
    except (AttributeError, KeyError, TypeError, ValueError, SpeechTransferError) as error:
        raise SourceError(f"{description}: does not describe an objective ({error}).") from error
    model = Model(encoder, objective)
    path = description.with_name("model.safetensors")
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
