"""Which text contract a recipe asks for: the plain rules, or those of its language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from speechtransfer.errors import SettingsError
from speechtransfer.languages import RULES
from speechtransfer.text import LANGUAGE_VERSION, TextContract


@dataclass(frozen=True)
class ContractSettings:
    """What a recipe asks of the text contract.

    Attributes:
        rules: ``plain``, common to all languages, or those of the recipe's ``language``.
        marks: as the contract's; of a language's rules alone.
        digits: as the contract's; ``words`` is of a language's rules alone.
        remarks: as the contract's, of any rules.
    """

    rules: Literal["plain", "language"] = "plain"
    marks: Literal["keep", "strip"] = "keep"
    digits: Literal["refuse", "keep", "words"] = "refuse"
    remarks: Literal["keep", "drop", "refuse"] = "keep"

    def contract(self, language: str | None) -> TextContract:
        """The contract of training, scoring and use.

        Raises:
            SettingsError: rules of a language that is not named, or a choice that the plain rules have not.
            TextError: a language without rules, or rules that leave no such choice.
        """
        if self.rules == "plain":
            if self.marks != "keep" or self.digits == "words":
                raise SettingsError(
                    "contract.marks and contract.digits=words are choices of a language's rules: name the language, "
                    "and set contract.rules=language."
                )
            return TextContract(digits=self.digits, remarks=self.remarks)
        if language is None:
            raise SettingsError("contract.rules=language: whose? Name the language of the data.")
        return TextContract(
            LANGUAGE_VERSION, digits=self.digits, language=language, marks=self.marks, remarks=self.remarks
        )


def usual_contract(language: str | None) -> ContractSettings:
    """A language's own rules where the table has them, and otherwise the plain ones."""
    return ContractSettings(rules="language") if language in RULES else ContractSettings()
