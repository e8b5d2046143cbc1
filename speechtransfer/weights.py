"""Tensors on disk, read and written safely; strict matching to an architecture; old output layers."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from speechtransfer.errors import SourceError
from speechtransfer.files import write_atomically
from speechtransfer.text import TextContract


@dataclass(frozen=True)
class Head:
    """An old output layer: weight (V, D), bias (V,), one label an output, and the contract of its labels."""

    weight: Tensor
    bias: Tensor
    labels: tuple[str, ...] | None
    contract: TextContract | None


def join_heads(heads: Sequence[Head]) -> Head | None:
    """One output layer of several over the same frames: a label's row is the mean of its rows; None of none.

    Heads without labels cannot be joined: of them only a single one is an answer.
    """
    if len(heads) < 2 or any(head.labels is None for head in heads):
        return heads[0] if len(heads) == 1 else None
    rows: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for head in heads:
        for label, weight, bias in zip(head.labels or (), head.weight.detach(), head.bias.detach(), strict=True):
            rows.setdefault(label, []).append((weight, bias))
    labels = tuple(sorted(rows))
    weights, biases = (
        torch.stack([torch.stack([row[part] for row in rows[label]]).mean(0) for label in labels]) for part in (0, 1)
    )
    return Head(weights, biases, labels, heads[0].contract)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors``, ``.pth``, ``.pt`` or ``.bin`` file, never unpickling objects.

    Raises:
        SourceError: no such file, damaged, or holding anything but tensors.
    """
    if not path.is_file():
        raise SourceError(f"{path}: there is no such weights file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its broken opcodes lead to
        raise SourceError(
            f"{path}: is damaged or holds more than tensors ({error}). Fetch it again, or save it as safetensors."
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()
    ):
        raise SourceError(f"{path}: is not a plain state dict of tensors. Save model.state_dict() alone.")
    return dict(state)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> None:
    """Write tensors atomically as safetensors; ``dtype`` narrows floating tensors, others keep theirs."""
    values = {
        name: (value.to(dtype) if dtype is not None and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        for name, value in tensors.items()
    }
    # safetensors refuses tensors that share memory (tied weights, overlapping views): each gets its own.
    owners = Counter(value.untyped_storage().data_ptr() for value in values.values())
    values = {
        name: value.clone() if owners[value.untyped_storage().data_ptr()] > 1 else value
        for name, value in values.items()
    }
    write_atomically(path, save(values, metadata={"format": "pt"}))


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_weights(folder: Path) -> Path:
    """The weights file of a checkpoint folder in Hugging Face's layout.

    Raises:
        SourceError: none there, or sharded (which encoders of our sizes are not).
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return folder / name
    found = sorted(os.listdir(folder)) if folder.is_dir() else []
    raise SourceError(
        f"{folder}: holds neither model.safetensors nor pytorch_model.bin (found: {', '.join(found) or 'nothing'})."
    )


def match_strictly(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    prefixes: Sequence[str],
    discards: Sequence[str],
    where: str,
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Match a checkpoint's tensors to an architecture's, every one accounted for.

    Args:
        tensors: of the checkpoint, by key.
        expected: of the architecture, by name; gives shapes and dtypes.
        prefixes: what may stand before a name in the checkpoint; the longest that fits is removed.
        discards: patterns (fullmatch on the checkpoint's key) of what lies outside the architecture.
        where: the checkpoint, for messages.

    Returns:
        The matched tensors in the architecture's dtypes, and the keys discarded.

    Raises:
        SourceError: names every missing, unexpected and misshapen key. Never a warning.
    """
    matched, discarded, unexpected = {}, [], []
    for key, value in tensors.items():
        stripped = (
            key.removeprefix(prefix) for prefix in sorted(prefixes, key=len, reverse=True) if key.startswith(prefix)
        )
        name = next((name for name in stripped if name in expected), key)
        if name in matched:
            unexpected.append(f"{key} (a second {name})")
        elif name in expected:
            matched[name] = value
        elif any(re.fullmatch(pattern, key) for pattern in discards):
            discarded.append(key)
        else:
            unexpected.append(key)
    missing = sorted(set(expected) - set(matched))
    misshapen = [
        f"{name} is {tuple(value.shape)}, expected {tuple(expected[name].shape)}"
        for name, value in matched.items()
        if value.shape != expected[name].shape
    ]
    faults = [
        f"{title}: {', '.join(names)}"
        for title, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if faults:
        raise SourceError(f"{where}: the checkpoint does not fit this encoder. " + "; ".join(faults))
    return {name: value.to(expected[name].dtype) for name, value in matched.items()}, tuple(discarded)
