"""Encoders by the family name that ``encoder.json`` keeps, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from speechtransfer.encoders.contract import Encoder, PlainEncoder, SourceCard
from speechtransfer.errors import SourceError

#: Family name to module and class; transformers takes seconds to import, so nothing is loaded here.
_FAMILIES = {
    "conformer": ("conformer", "Conformer"),
    "whisper": ("whisper", "Whisper"),
    "dnn": ("dnn", "Dnn"),
    "cnn": ("cnn", "Cnn"),
    "compact": ("compact", "Compact"),
    "vision": ("vision", "Vision"),
    "waveform": ("waveform", "Waveform"),
    "parakeet": ("parakeet", "Parakeet"),
}
#: ``model_type`` of a ``config.json`` in Hugging Face's format to the family that loads it, and its name for people.
_MODEL_TYPES = {
    "whisper": ("whisper", "Whisper"),
    "wav2vec2": ("waveform", "wav2vec2 (XLS-R, MMS)"),
    "hubert": ("waveform", "HuBERT"),
    "wavlm": ("waveform", "WavLM"),
    "data2vec-audio": ("waveform", "data2vec-audio"),
    "unispeech": ("waveform", "UniSpeech"),
    "unispeech-sat": ("waveform", "UniSpeech-SAT"),
    "sew": ("waveform", "SEW"),
    "sew-d": ("waveform", "SEW-D"),
    "wav2vec2-conformer": ("waveform", "wav2vec2-conformer"),
    "wav2vec2-bert": ("waveform", "w2v-BERT"),
    "parakeet_ctc": ("parakeet", "Parakeet"),
    "parakeet_encoder": ("parakeet", "Parakeet"),
    "parakeet_rnnt": ("parakeet", "Parakeet"),
    "parakeet_tdt": ("parakeet", "Parakeet"),
}

#: Types of settings that can be written in a source's name.
_PLAIN = (int, float, str)
#: Keys of a plain state dict that only this family's has, any of them.
_KEYS = {
    "dnn": ("0.weight", "2.weight", "4.weight"),
    "cnn": ("fc1.weight", "fc2.weight"),
    "vision": ("bn1.weight", "layer1.0.conv1.weight", "features.0.0.weight", "features.1.conv.0.0.weight"),
}


def family(name: str) -> type[Encoder]:
    """The encoder class of a family.

    Raises:
        SourceError: no such family; the message lists them.
    """
    if name not in _FAMILIES:
        raise SourceError(f"{name!r} is no encoder family; the families are {', '.join(_FAMILIES)}.")
    module, attribute = _FAMILIES[name]
    found: type[Encoder] = getattr(import_module(f"speechtransfer.encoders.{module}"), attribute)
    return found


def family_of(model_type: object) -> str:
    """The family that loads checkpoints of a ``model_type`` in Hugging Face's format.

    Raises:
        SourceError: none does; the message lists the known.
    """
    if not isinstance(model_type, str) or model_type not in _MODEL_TYPES:
        raise SourceError(f"model_type {model_type!r} is not among the known: {', '.join(_MODEL_TYPES)}.")
    return _MODEL_TYPES[model_type][0]


def family_of_keys(keys: Iterable[str]) -> type[PlainEncoder]:
    """The encoder class that loads a plain state dict with these keys.

    Raises:
        SourceError: none does; the message lists what it would have to hold.
    """
    held = set(keys)
    for name, own in _KEYS.items():
        if not held.isdisjoint(own):
            found: type[PlainEncoder] = family(name)  # type: ignore[assignment]
            return found
    known = "; ".join(f"{name}, {', '.join(own)}" for name, own in _KEYS.items())
    raise SourceError(f"is no state dict of a family that is told by its keys ({known}).")


def support_rows() -> list[tuple[str, ...]]:
    """What each family supports, for the README: a header, then a row a family.

    Columns: family, checkpoints, frames, old output layer, padded batches, long sound. It imports transformers.
    """
    header = ("family", "checkpoints", "frames", "old output layer", "padded batches", "long sound")
    rows: list[tuple[str, ...]] = [header]
    for name in _FAMILIES:
        known = dict.fromkeys(title for owner, title in _MODEL_TYPES.values() if owner == name)
        support = family(name).support
        checkpoints = f"{', '.join(known)}: {support.checkpoints}" if len(known) > 1 else support.checkpoints
        rows.append((f"`{name}`", checkpoints, support.frames, support.donor, support.padding, support.long_sound))
    return rows


def random_encoder(described: str) -> Encoder:
    """An encoder with random weights: ``conformer``, or with sizes other than its family's ``conformer,layers=8``.

    Args:
        described: a family and what of its plain settings is not the default, as ``encoder.json`` names them.

    Raises:
        SourceError: no such family or size, or a value that is none or with which nothing can be built.
    """
    kind, *sizes = described.split(",")
    made, card = family(kind), SourceCard(f"random:{described} (random weights)")
    plain, values = made.from_settings({}, card), dict[str, Any]()
    if not sizes:
        return plain
    usual = {name: value for name, value in plain.settings().items() if type(value) in _PLAIN}
    for size in sizes:
        name, _, text = size.partition("=")
        if name in values:
            raise SourceError(f"random:{described}: {name} is given twice.")
        if name not in usual:
            raise SourceError(f"random:{described}: {name!r} is no size of {kind}. There are {', '.join(usual)}.")
        try:
            values[name] = type(usual[name])(text)
        except ValueError as error:
            raise SourceError(f"random:{described}: {text!r} is no value of {name}, as {usual[name]!r} is.") from error
    try:
        return made.from_settings(values, card)
    except Exception as error:  # whatever an architecture, transformers' too, has against odd sizes
        raise SourceError(f"random:{described}: cannot be built ({error}).") from error


__all__ = ["Encoder", "SourceCard", "family", "family_of", "family_of_keys", "random_encoder", "support_rows"]
