"""The labels of a checkpoint's old output layer, from the tokenizer files that lie beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from speechtransfer.errors import SourceError

#: A row that no label names; it is never grafted.
_NAMELESS = "<unk>"
#: What tokenizers call the roles that grafting knows, where a checkpoint has words of its own for them.
_ROLES = {"pad_token": "<pad>", "word_delimiter_token": "|"}


def read_labels(folder: Path, rows: int, language: str | None = None) -> tuple[str, ...] | None:
    """One label a row of a CTC output layer; None where the folder has no vocabulary.

    They come from ``vocab.json`` (of one language, where it holds several), or else from ``tokenizer.json``, with
    the tokens that ``tokenizer_config.json`` adds. The blank and the word boundary are given the names that
    wav2vec2 has for them, ``<pad>`` and ``|``, if the tokenizer says that others mean them.

    Args:
        folder: of the checkpoint.
        rows: of its output layer.
        language: whose vocabulary; None is the tokenizer's own.

    Raises:
        SourceError: a damaged file, or a vocabulary that does not fit the output layer.
    """
    tokenizer, pieces = _object(folder / "tokenizer_config.json"), _object(folder / "tokenizer.json")
    vocabulary = _object(folder / "vocab.json")
    if is_nested(vocabulary):
        vocabulary = vocabulary.get(language or str(tokenizer.get("target_lang")), {})
    try:
        vocabulary = vocabulary or _pieces(pieces)
        added = _added(tokenizer, pieces)
        roles = {_content(tokenizer[name]): role for name, role in _ROLES.items() if name in tokenizer}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{folder}: its tokenizer files do not describe a vocabulary ({error!r}).") from error
    if not vocabulary:
        return None
    labels = [_NAMELESS] * rows
    for label, index in vocabulary.items():
        if not isinstance(index, int) or not 0 <= index < rows:
            raise SourceError(
                f"{folder}: its vocabulary has {label!r} at {index!r}, its output layer {rows} rows. They do not "
                "belong together: correct or remove the vocabulary."
            )
        labels[index] = label
    for label, index in added:
        if 0 <= index < rows and labels[index] == _NAMELESS:
            labels[index] = label
    return tuple(roles.get(label, label) for label in labels)


def target_language(folder: Path) -> str | None:
    """The language that a checkpoint of several is set to, where it says so."""
    found = _object(folder / "tokenizer_config.json").get("target_lang")
    return str(found) if found is not None and is_nested(_object(folder / "vocab.json")) else None


def refuse_unknown_language(folder: Path, name: str, language: str) -> None:
    """Refuse a language that a checkpoint has no vocabulary for, or whose adapter it cannot have.

    Raises:
        SourceError: the checkpoint has no adapters by language, or none of this one; it lists the nearest.
    """
    vocabulary = _object(folder / "vocab.json")
    if _object(folder / "config.json").get("adapter_attn_dim") is None or not is_nested(vocabulary):
        raise SourceError(f"{name}: has no adapters by language. Leave out language={language!r}.")
    if language not in vocabulary:
        nearest = ", ".join(get_close_matches(language, vocabulary, n=8, cutoff=0.3) or list(vocabulary)[:8])
        raise SourceError(
            f"{name}: has no adapter for {language!r}; of its {len(vocabulary)} languages the nearest are: {nearest}."
        )


def is_nested(vocabulary: Mapping[str, Any]) -> bool:
    """Whether a ``vocab.json`` holds a vocabulary for each of several languages."""
    return bool(vocabulary) and all(isinstance(value, dict) for value in vocabulary.values())


def _pieces(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """Piece to index of a ``tokenizer.json``: a mapping, or for a unigram model a list in order."""
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):
        return {str(piece[0]): index for index, piece in enumerate(vocabulary)}
    return dict(vocabulary)


def _added(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Tokens and their indices that are in no vocabulary."""
    decoder = config.get("added_tokens_decoder", {})
    return [
        *((_content(token), int(index)) for index, token in decoder.items()),
        *((_content(token), int(token["id"])) for token in tokenizer.get("added_tokens", ())),
    ]


def _content(token: Any) -> str:
    """The text of a token, which is a string or a mapping with ``content``."""
    return str(token.get("content")) if isinstance(token, Mapping) else str(token)


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty where the file is not there."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}).") from error
    if not isinstance(found, dict):
        raise SourceError(f"{path}: is not a JSON object.")
    return found
