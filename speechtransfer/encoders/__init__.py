"""Encoders by the family name that ``encoder.json`` keeps, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import SourceError

#: Family name to module and class; transformers takes seconds to import, so nothing is loaded here.
_FAMILIES = {"conformer": ("conformer", "Conformer"), "whisper": ("whisper", "Whisper")}


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


__all__ = ["Encoder", "SourceCard", "family"]
