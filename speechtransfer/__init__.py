"""speechtransfer: a pretrained speech encoder and a folder of recordings in, a working recogniser out."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechtransfer import objectives
    from speechtransfer.checkpoint import load
    from speechtransfer.evaluate import evaluate
    from speechtransfer.fit import fit
    from speechtransfer.manifest import read_manifest
    from speechtransfer.recipe import Recipe
    from speechtransfer.schedule import FitSettings
    from speechtransfer.sources import load_encoder
    from speechtransfer.transfer import Rule, Transfer
    from speechtransfer.vocabulary import Vocabulary

#: Where each public name lives; torch and transformers take seconds to import, so none is loaded before use.
_HOMES = {
    "FitSettings": "schedule",
    "Recipe": "recipe",
    "Rule": "transfer",
    "Transfer": "transfer",
    "Vocabulary": "vocabulary",
    "evaluate": "evaluate",
    "fit": "fit",
    "load": "checkpoint",
    "load_encoder": "sources",
    "read_manifest": "manifest",
}

__all__ = [
    "FitSettings",
    "Recipe",
    "Rule",
    "Transfer",
    "Vocabulary",
    "evaluate",
    "fit",
    "load",
    "load_encoder",
    "objectives",
    "read_manifest",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name == "objectives":
        return import_module("speechtransfer.objectives")
    if name not in _HOMES:
        raise AttributeError(f"module 'speechtransfer' has no attribute {name!r}")
    return getattr(import_module(f"speechtransfer.{_HOMES[name]}"), name)


class _Package(ModuleType):
    """This package, where ``fit`` and ``evaluate`` stay the functions although modules have these names."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Ignore the import system when it would bind a submodule over a public function."""
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
