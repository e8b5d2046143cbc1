"""Whisper tiny.en's encoder to Italian: it was trained on English alone, so this is a true transfer.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_it_ctc
Expected: CER 7.0% [6.0, 8.2] over five prompt-disjoint folds (4.0 to 9.0% a fold, one training each); scratch 22.7%
against 9.0% on the first fold.
"""

from speechtransfer.baseline import Scratch
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer

RECIPE = Recipe(
    name="whisper_tiny_en_to_it_ctc",
    data=("debian:asterisk-it",),
    source="openai/whisper-tiny.en",
    family="whisper",
    language="ita",
    transfer=Transfer((Rule(r"encoder\..*", scale=0.04), Rule(r"objective\..*"))),
    settings=FitSettings(epochs=24, lr=4e-3, evaluations=6, batches=BatchSettings(seconds=24, join=24)),
    tests={"menardi": "debian:asterisk-it-menardi"},
    scratch=Scratch(rates=(2e-4, 5e-4, 1e-3), search=0.5, factor=2.0, folds=1),
    language_model=6,
)
