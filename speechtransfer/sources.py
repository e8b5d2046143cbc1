"""What can be a source: a run folder, a checkpoint in Hugging Face's layout, a state dict, a hub name, our default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechtransfer.checkpoint import load, read_json, refuse_several
from speechtransfer.encoders import family, family_of, family_of_keys, random_encoder
from speechtransfer.encoders.contract import Encoder, PlainEncoder, SourceCard
from speechtransfer.encoders.dnn import Dnn
from speechtransfer.encoders.labels import read_labels, refuse_unknown_language, target_language
from speechtransfer.errors import SourceError
from speechtransfer.weights import Head, find_weights, join_heads, match_strictly, read_tensors, sha256

DEFAULT_SOURCE = "many"
_RANDOM, _LOGMEL = "random:", "logmel:"
_CONFIG, _RUN, _STATE_DICT = "config.json", "encoder.json", "pretrained_weights.pth"
#: What is fetched from the hub, by family; of the weights the second only where the first are not there.
_CONTENTS: Mapping[str, tuple[str, ...]] = {
    "run": (_RUN, "objective.json", "README.md"),
    "whisper": (_CONFIG, "README.md"),
    "waveform": (
        _CONFIG,
        "README.md",
        "preprocessor_config.json",
        "processor_config.json",
        "vocab.json",
        "tokenizer_config.json",
    ),
    "parakeet": (
        _CONFIG,
        "README.md",
        "preprocessor_config.json",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ),
}
_WEIGHTS, _OLD_WEIGHTS = "model.safetensors", "pytorch_model.bin"
#: What a language's adapter file holds.
_ADAPTED = r"lm_head\.|.*\.adapter_layer\."
_STATE_DICT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")


def packaged_sources() -> Path:
    """The folder of the sources that this project trained: in the wheel, or in the checkout's ``data/``."""
    inside = Path(__file__).parent / "data" / "sources"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "data" / "sources"


def find_source(name: str, language: str | None = None) -> Path:
    """The folder of a source, or the file of a plain state dict; a hub name is fetched into the hub's own cache.

    ``name`` is tried as a folder or file, under ``$SPEECHTRANSFER_SOURCES``, as a packaged source, on the hub.
    From the hub come only the files that loading reads, and of several languages' adapters that of ``language``.

    Raises:
        SourceError: found nowhere; the message lists where it was looked for. Or a hub's checkpoint that cannot
            be loaded, or has no such language: before its weights are fetched.
    """
    candidates = [Path(os.path.expanduser(name))]
    if os.environ.get("SPEECHTRANSFER_SOURCES"):
        roots = os.environ["SPEECHTRANSFER_SOURCES"].split(os.pathsep)
        candidates += [Path(root) / part for root in roots for part in (name, f"{Path(name).name}-encoder")]
    candidates.append(packaged_sources() / name)
    for place in candidates:
        if any((place / file).is_file() for file in (_CONFIG, _RUN, _STATE_DICT)):
            return place
        if place.is_file() and place.suffix in _STATE_DICT_SUFFIXES:
            return place
    if candidates[0].exists():
        refuse_several(candidates[0])
        raise SourceError(f"{name}: holds neither config.json nor encoder.json, so it is no source.")
    if name.startswith((".", "/", "~")):
        raise SourceError(f"{name}: there is no such folder. Correct the path, or give a hub name.")
    return _fetch(name, candidates, language)


def _fetch(name: str, tried: list[Path], language: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    def fetched(*files: str) -> Path:
        return Path(snapshot_download(name, allow_patterns=list(files)))

    try:
        folder = fetched(_CONFIG, _RUN, *(["vocab.json"] if language else []))
        adapters = []
        if language is not None:
            _refuse_language(folder, name, language)
            adapters = [_adapter(language)]
        if _plain(folder) is not None:
            return fetched(_STATE_DICT, "README.md")
        kind = kind_of(folder)
        folder = fetched(*_CONTENTS[kind], *adapters, _WEIGHTS)
        if not (folder / _WEIGHTS).is_file():
            folder = fetched(*_CONTENTS[kind], *adapters, _OLD_WEIGHTS)
        return folder
    except (OSError, HFValidationError, ValueError) as error:
        looked = ", ".join(map(str, tried))
        raise SourceError(
            f"source {name!r} was found neither in {looked} nor on the hub ({type(error).__name__}). Give a folder "
            "with config.json and model.safetensors, or set SPEECHTRANSFER_SOURCES to the folder that holds it."
        ) from error


def kind_of(folder: Path) -> str:
    """What a folder holds: ``run``, or the family of its checkpoint.

    Raises:
        SourceError: a checkpoint of no family, or a plain state dict that cannot be read.
    """
    if (folder / _RUN).is_file():
        return "run"
    path = _plain(folder)
    if path is not None:
        return _of_state_dict(path, read_tensors(path)).family
    try:
        return family_of(_config(folder).get("model_type"))
    except SourceError as error:
        raise SourceError(f"{folder / _CONFIG}: {error}") from error


def _plain(place: Path) -> Path | None:
    """The file of a plain state dict: the place itself, or that of a folder which says nothing of what it holds."""
    if place.is_file():
        return place
    return None if any((place / file).is_file() for file in (_CONFIG, _RUN)) else place / _STATE_DICT


def _config(folder: Path) -> dict[str, Any]:
    config = read_json(folder / _CONFIG)
    return config if isinstance(config, dict) else {}


def _adapter(language: str) -> str:
    return f"adapter.{language}.safetensors"


def _refuse_language(folder: Path, name: str, language: str) -> None:
    if _plain(folder) is not None or kind_of(folder) != "waveform" or not re.fullmatch(r"[\w-]+", language):
        raise SourceError(f"{name}: has no adapters by language. Leave out language={language!r}.")
    refuse_unknown_language(folder, name, language)


def load_encoder(name: str | Path = DEFAULT_SOURCE, language: str | None = None) -> Encoder:
    """A pretrained encoder with its card and, where the checkpoint has one, its old output layer as donor.

    Args:
        name: a folder (one of our run folders, a checkpoint in Hugging Face's layout, or one that holds
            ``pretrained_weights.pth``), the file of such a state dict, a name under
            ``$SPEECHTRANSFER_SOURCES``, a packaged source, or a hub name; ``random:FAMILY`` is an
            encoder of that family's default sizes with random weights (``random:conformer,layers=8`` of others),
            ``logmel:80`` plain log-mel of 80 bins.
        language: for a checkpoint with an adapter a language (MMS), whose adapter and output layer to take, as
            its ``vocab.json`` writes it: ``swh``. None takes what stands in the weights themselves.

    Raises:
        SourceError: not found, damaged, of an unknown family, a key missing or unexpected, or a language that
            the checkpoint does not have.
    """
    if str(name).startswith((_RANDOM, _LOGMEL)) and language is not None:
        raise SourceError(f"{name}: has no adapters by language. Leave out language={language!r}.")
    if str(name).startswith(_LOGMEL):
        return _logmel(str(name))
    if str(name).startswith(_RANDOM):
        return random_encoder(str(name).removeprefix(_RANDOM))
    place = find_source(str(name), language)
    if language is not None:
        _refuse_language(place, str(name), language)
    path = _plain(place)
    if path is not None:
        return _from_state_dict(path, str(name))
    kind = kind_of(place)
    if kind == "run":
        return _from_run(place, str(name))
    return _from_checkpoint(place, str(name), kind, language)


def _logmel(name: str) -> Encoder:
    bins = name.removeprefix(_LOGMEL)
    if not bins.isascii() or not bins.isdigit() or not 1 <= int(bins) <= 256:
        raise SourceError(f"{name}: give the number of bins, from 1 to 256, as in {_LOGMEL}80.")
    return Dnn(int(bins), (), SourceCard(name))


def _from_run(folder: Path, name: str) -> Encoder:
    model = load(folder)
    digest = sha256(folder / "model.safetensors")
    model.encoder.card = replace(model.encoder.card, id=name, sha256=digest)
    model.encoder.donor = join_heads(tuple(model.objective.heads.values()))
    return model.encoder


def _from_state_dict(path: Path, name: str) -> Encoder:
    tensors = read_tensors(path)
    encoder = _of_state_dict(path, tensors).from_tensors(tensors, SourceCard(name, sha256=sha256(path)))
    return _filled(encoder, tensors, str(path))


def _of_state_dict(path: Path, tensors: Mapping[str, Tensor]) -> type[PlainEncoder]:
    try:
        return family_of_keys(tensors)
    except SourceError as error:
        raise SourceError(f"{path}: {error} Of another checkpoint give the folder with its config.json.") from error


def _from_checkpoint(folder: Path, name: str, kind: str, language: str | None) -> Encoder:
    path = find_weights(folder)
    found = language or target_language(folder)
    card = SourceCard(name, licence_of(folder), (found,) if found else (), sha256(path))
    encoders = family(kind)
    try:
        encoder = encoders.from_settings({**_config(folder), "preprocessor": _preprocessor(folder)}, card)
    except Exception as error:  # whatever transformers has against broken values
        raise SourceError(f"{folder / _CONFIG}: does not describe a {encoders.__name__} model ({error!r}).") from error
    tensors, where = read_tensors(path), str(path)
    if language is not None:
        tensors = _adapted(tensors, folder / _adapter(language))
        where += f" with {_adapter(language)}"
    encoder = _filled(encoder, tensors, where)
    if encoder.donor is not None:
        labels = read_labels(folder, len(encoder.donor.weight), language)
        encoder.donor = replace(encoder.donor, labels=labels)
    return encoder


def _adapted(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors with one language's adapters and output layer in the place of its own."""
    adapter = read_tensors(path)
    foreign = [key for key in adapter if not re.match(_ADAPTED, key)]
    if foreign:
        raise SourceError(f"{path}: holds more than adapters and an output layer: {', '.join(foreign[:5])}.")
    return {key: value for key, value in tensors.items() if not re.match(_ADAPTED, key)} | adapter


def _filled(encoder: Encoder, tensors: Mapping[str, Tensor], where: str) -> Encoder:
    """The encoder with a checkpoint's tensors, every one accounted for, and the old output layer as its donor."""
    state = encoder.state_dict()
    names = {encoder.key(name): name for name in state}
    expected = {key: state[name] for key, name in names.items()}
    found, _ = match_strictly(_modern(tensors), expected, encoder.prefixes, encoder.discards, where)
    encoder.load_state_dict({names[key]: value for key, value in found.items()})
    weight = tensors.get(f"{encoder.head}.weight") if encoder.head is not None else None
    if weight is not None:
        weight = weight.flatten(1).float() if weight.ndim > 1 else weight
        bias = tensors.get(f"{encoder.head}.bias", torch.zeros(len(weight))).float()
        if weight.shape != (len(bias), encoder.width):
            raise SourceError(
                f"{where}: the output layer {encoder.head} is {tuple(weight.shape)} with {len(bias)} biases; an output "
                f"layer of this encoder has rows of {encoder.width}."
            )
        encoder.donor = Head(weight, bias, None, None)
    return encoder


def _modern(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys as torch has them today: the parts of a normalised weight, and BatchNorm's count, 0 where it is missing."""
    modern = {
        key: re.sub(r"\.weight_([gv])$", lambda part: f".parametrizations.weight.original{'gv'.index(part[1])}", key)
        for key in tensors
    }
    named = {key if modern[key] in tensors else modern[key]: value for key, value in tensors.items()}
    counts = (re.sub(r"running_var$", "num_batches_tracked", key) for key in named if key.endswith("running_var"))
    return {count: torch.tensor(0) for count in counts} | named


def _preprocessor(folder: Path) -> dict[str, Any]:
    """The settings of a checkpoint's feature extractor; empty where it states none."""
    for file in ("preprocessor_config.json", "processor_config.json"):
        if (folder / file).is_file():
            found = read_json(folder / file)
            found = found.get("feature_extractor", found) if isinstance(found, dict) else None
            if not isinstance(found, dict):
                raise SourceError(f"{folder / file}: is not a JSON object.")
            return found
    return {}


def licence_of(folder: Path) -> str | None:
    """The licence that a hub model card states in its front matter."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
        if line.startswith("license:"):
            return line.removeprefix("license:").strip()
    return None
