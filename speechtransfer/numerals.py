"""Plain whole numbers in a text -> words, where nothing has to be guessed; all other digits stay as they are."""

from __future__ import annotations

import regex

from speechtransfer.errors import TextError

#: A number of its own between spaces: no sign, separator, unit, ordinal's full stop or currency; and no part of one
#: that is written in groups of three (12 345).
_ALONE = regex.compile(
    r"(?<!\S)(?<!\p{Sc}\s*)\p{Nd}{1,12}(?=[,;!?]?(?:\s|$))(?!,?\s+(?:[%‰]|\p{Sc}|\p{So}|\p{Sm}|\p{Nd}{3}(?!\p{Nd})))"
)


def spell(text: str, name: str) -> str:
    """The text with its plain numbers as words.

    A year is read as any other number, and no case or gender is chosen: what num2words gives stands.

    Args:
        text: any text.
        name: of the language, as num2words knows it.

    Raises:
        TextError: num2words has no words for a number.
    """
    return str(_ALONE.sub(lambda found: _words(found[0], name), text))


def _words(digits: str, name: str) -> str:
    number = int(digits)
    if len(str(number)) != len(digits):  # a leading zero is read out digit by digit
        return digits
    from num2words import num2words

    try:
        return str(num2words(number, lang=name))
    except Exception as error:  # its converters fail beyond their range in ways of their own
        raise TextError(f"num2words has no words for {digits} ({name}): {error!r}. Write it out in words.") from error
