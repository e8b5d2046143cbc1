"""What can be a source: a run folder, a checkpoint in Hugging Face's layout, a hub name, or our default."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from speechtransfer.checkpoint import load, read_json
from speechtransfer.encoders import family
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import SourceError
from speechtransfer.weights import find_weights, match_strictly, read_tensors, sha256

DEFAULT_SOURCE = "enesfrit"
_RANDOM = "random:"
#: What is fetched from the hub; the second only where the first has no weights, for it holds them once more.
_CONTENTS = ("config.json", "encoder.json", "objective.json", "model.safetensors", "README.md")
_OLD_WEIGHTS = "pytorch_model.bin"


def packaged_sources() -> Path:
    """The folder of the sources that this project trained: in the wheel, or in the checkout's ``data/``."""
    inside = Path(__file__).parent / "data" / "sources"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "data" / "sources"


def find_source(name: str) -> Path:
    """The folder of a source; a hub name is fetched into the hub's own cache.

    ``name`` is tried as a folder, under ``$SPEECHTRANSFER_SOURCES``, as a packaged source, on the hub.

    Raises:
        SourceError: found nowhere; the message lists where it was looked for.
    """
    candidates = [Path(os.path.expanduser(name))]
    if os.environ.get("SPEECHTRANSFER_SOURCES"):
        roots = os.environ["SPEECHTRANSFER_SOURCES"].split(os.pathsep)
        candidates += [Path(root) / part for root in roots for part in (name, f"{Path(name).name}-encoder")]
    candidates.append(packaged_sources() / name)
    for folder in candidates:
        if folder.is_dir() and any((folder / file).is_file() for file in ("config.json", "encoder.json")):
            return folder
    if candidates[0].exists():
        raise SourceError(f"{name}: holds neither config.json nor encoder.json, so it is no source.")
    if name.startswith((".", "/", "~")):
        raise SourceError(f"{name}: there is no such folder. Correct the path, or give a hub name.")
    return _fetch(name, candidates)


def _fetch(name: str, tried: list[Path]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(_CONTENTS)))
        if not (folder / "model.safetensors").is_file():
            folder = Path(snapshot_download(name, allow_patterns=[*_CONTENTS, _OLD_WEIGHTS]))
        return folder
    except (OSError, HFValidationError, ValueError) as error:
        looked = ", ".join(map(str, tried))
        raise SourceError(
            f"source {name!r} was found neither in {looked} nor on the hub ({type(error).__name__}). Give a folder "
            "with config.json and model.safetensors, or set SPEECHTRANSFER_SOURCES to the folder that holds it."
        ) from error


def load_encoder(name: str | Path = DEFAULT_SOURCE) -> Encoder:
    """A pretrained encoder with its card and, where the checkpoint has one, its old output layer as donor.

    Args:
        name: a folder (one of our run folders, or a checkpoint in Hugging Face's layout), a name under
            ``$SPEECHTRANSFER_SOURCES``, a packaged source, or a hub name; ``random:FAMILY`` is an
            encoder of that family's default sizes with random weights.

    Raises:
        SourceError: not found, damaged, of an unknown family, or a key missing or unexpected.
    """
    if str(name).startswith(_RANDOM):
        return family(str(name).removeprefix(_RANDOM)).from_settings({}, SourceCard(f"{name} (random weights)"))
    folder = find_source(str(name))
    if (folder / "encoder.json").is_file():
        return _from_run(folder, str(name))
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("model_type") != "whisper":
        found = config.get("model_type") if isinstance(config, dict) else None
        raise SourceError(f"{folder / 'config.json'}: model_type {found!r} is not among the known: whisper.")
    return _from_checkpoint(folder, str(name), config)


def _from_run(folder: Path, name: str) -> Encoder:
    model = load(folder)
    digest = sha256(folder / "model.safetensors")
    model.encoder.card = replace(model.encoder.card, id=name, sha256=digest)
    model.encoder.donor = model.objective.head
    return model.encoder


def _from_checkpoint(folder: Path, name: str, config: dict[str, object]) -> Encoder:
    path = find_weights(folder)
    card = SourceCard(name, licence=_licence(folder), sha256=sha256(path))
    try:
        encoder = family("whisper").from_settings(config, card)
    except Exception as error:  # whatever transformers has against broken values
        raise SourceError(f"{folder / 'config.json'}: does not describe a Whisper model ({error!r}).") from error
    state, _ = match_strictly(
        read_tensors(path),
        encoder.state_dict(),
        ("model.encoder.", "encoder.", ""),
        encoder.discards,
        str(path),
    )
    encoder.load_state_dict(state)
    return encoder


def _licence(folder: Path) -> str | None:
    """The licence that a hub model card states in its front matter."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
        if line.startswith("license:"):
            return line.removeprefix("license:").strip()
    return None
