"""Our default source to Russian: four minutes of one voice, and all that its training split has.

Command: speechtransfer run recipes/enesfrit_to_ru_ctc
Expected: CER 26.5% (22.8 to 31.4% a fold) on four minutes, 15.6% [13.8, 17.8] on all; one training a fold.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer

ALL = Recipe(
    name="enesfrit_to_ru_ctc",
    data=("debian:asterisk-ru",),
    source="enesfrit",
    language="rus",
    transfer=Transfer((Rule(r"encoder\..*"), Rule(r"objective\..*"))),
    settings=FitSettings(epochs=20, lr=1e-3, evaluations=5),
    scratch=Scratch(rates=(2.5e-4, 5e-4, 1e-3), search=0.5, factor=2.0, folds=1),
    language_model=6,
)
FOUR = replace(
    ALL,
    train_minutes=4.0,
    settings=replace(ALL.settings, epochs=32),
    scratch=replace(ALL.scratch, folds=2),
)
RECIPES = {"4min": FOUR, "all": ALL}
