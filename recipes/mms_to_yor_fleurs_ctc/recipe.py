"""MMS (300M, 1,400 languages) to Yoruba on FLEURS, in its own splits; and MMS with Yoruba's adapter, which can read it.

Command: speechtransfer run recipes/mms_to_yor_fleurs_ctc
Expected: not yet run on the full data; shown on rows of the same columns alone.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.defaults import defaults
from speechtransfer.recipe import Recipe
from speechtransfer.textsettings import ContractSettings
from speechtransfer.transfer import Rule, Transfer

#: What was heard before, but never with a transcript.
HEARD = replace(
    defaults("hub:google/fleurs:yo_ng", "facebook/mms-300m", "waveform", "yor"),
    name="mms_to_yor_fleurs_ctc",
    scratch=Scratch(folds=0),
    contract=ContractSettings(digits="keep"),  # FLEURS has years and amounts in figures, in its tests too
)


def adapted(recipe: Recipe) -> Recipe:
    """From the checkpoint that was fine-tuned on 1,107 languages: a thousandth of its values, the adapters, differ."""
    rules = (Rule(r"encoder\..*adapter_layer.*"), Rule(r"encoder\..*", scale=0.0), Rule(r"objective\..*"))
    return replace(recipe, source="facebook/mms-1b-all", source_language=recipe.language, transfer=Transfer(rules))


RECIPES = {"default": HEARD, "adapted": adapted(HEARD)}
