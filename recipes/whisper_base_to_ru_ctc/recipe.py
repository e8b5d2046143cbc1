"""Whisper base's encoder to Russian, one of the 99 languages that it was trained on.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_base_to_ru_ctc
Expected: CER 7.6% [6.6, 8.8] over five prompt-disjoint folds (6.3 to 8.8% a fold), with sayings beside the transcripts
(variant texts) 6.2% [5.3, 7.1] (4.9 to 7.5%), with help pages too (help) 5.3% [4.6, 6.1] (4.0 to 6.0%).
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer

SHORT = Recipe(
    name="whisper_base_to_ru_ctc",
    data=("debian:asterisk-ru",),
    source="openai/whisper-base",
    family="whisper",
    language="rus",
    transfer=Transfer((Rule(r"encoder\..*", scale=0.025), Rule(r"objective\..*"))),
    settings=FitSettings(epochs=14, lr=4e-3, evaluations=4, batches=BatchSettings(seconds=24, join=24)),
    scratch=Scratch(folds=0),
    language_model=6,
)
#: The n-gram gets 1.4 million characters of sayings beside the transcripts; its order was chosen on Italian.
TEXTS = replace(SHORT, texts=("debian:fortunes-ru",), language_model=8)
#: An office's help pages ask one to press and to enter, as the prompts do.
HELP = replace(TEXTS, texts=("debian:fortunes-ru", "debian:libreoffice-help-ru"))
RECIPES = {"default": SHORT, "texts": TEXTS, "help": HELP}
