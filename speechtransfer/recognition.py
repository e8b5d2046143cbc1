"""The output layers of a recogniser: units, vocabulary and language model, of training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechtransfer.errors import DataError
from speechtransfer.manifest import Utterance
from speechtransfer.ngram import CharacterNgram
from speechtransfer.objectives import Ctc
from speechtransfer.pronunciation import Phones
from speechtransfer.vocabulary import Vocabulary

if TYPE_CHECKING:
    from speechtransfer.recipe import Recipe

#: The one output layer of all rows.
ALL = "asr"


def vocabularies(rows: Sequence[Utterance], recipe: Recipe, phones: Phones | None) -> dict[str, tuple[Vocabulary, str]]:
    """A vocabulary for all rows, or one for each language by its code, and why it has these units.

    Raises:
        DataError: rows without a language where each is to have its own.
        SettingsError: units that the texts do not support.
    """
    languages = sorted({row.language for row in rows if row.language}) if recipe.heads == "language" else []
    if recipe.heads == "language" and (len(languages) < 2 or any(row.language is None for row in rows)):
        raise DataError("heads=language needs two languages or more, and every row to name its own.")
    contract = recipe.contract.contract(recipe.language)
    found = {}
    for name in languages or [ALL]:
        texts = [contract.apply(row.text) for row in rows if row.text and name in (ALL, row.language)]
        units, why = recipe.units.choose(texts, contract, phones)
        found[name] = Vocabulary.from_texts(texts, contract, units), why
    return found


def output_layers(
    rows: Sequence[Utterance], recipe: Recipe, prose: Sequence[str], phones: Phones | None
) -> dict[str, Ctc]:
    """An output layer for all rows, ``asr``, or one for each language by its code.

    Raises:
        DataError: as ``vocabularies``, or prose in other letters.
        SettingsError: as ``vocabularies``.
    """

    def layer(name: str, vocabulary: Vocabulary) -> Ctc:
        own = [vocabulary.contract.apply(row.text) for row in rows if row.text and name in (ALL, row.language)]
        order = recipe.language_model
        model = CharacterNgram.from_texts(_written(own, vocabulary), order) if order else None
        legible = [text for text in prose if not vocabulary.unseen([text])]
        if prose and not legible:
            raise DataError(
                f"{', '.join(recipe.texts)}: none of the {len(prose)} sentences is written in the "
                "letters of the training transcripts alone. Is it another language?"
            )
        wider = CharacterNgram.from_texts(_written(legible, vocabulary), order) if legible else None
        return Ctc(vocabulary, language_model=model, only=None if name == ALL else {"language": name}, wider=wider)

    return {name: layer(name, vocabulary) for name, (vocabulary, _) in vocabularies(rows, recipe, phones).items()}


def _written(texts: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """Texts that passed the contract as outputs write them: of phones their names, a space behind the last one too."""
    return list(texts) if vocabulary.writes else [vocabulary.normal(text) + vocabulary.units.after for text in texts]
