"""The source `many` to Russian: two minutes, four, and all of one voice's training split.

Command: speechtransfer run recipes/many_to_ru_ctc
Expected: CER 22.6% [20.8, 24.7] on four minutes (20.2 to 26.1% a fold), against 24.1 and 37.9% from scratch on two;
13.4% [12.0, 15.2] on all, against 14.0 and 24.2%; 31.1% [29.3, 32.9] on two minutes, against 31.6 and 48.8%.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.recipe import Distillation, Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer

ALL = Recipe(
    name="many_to_ru_ctc",
    data=("debian:asterisk-ru",),
    source="many",
    language="rus",
    transfer=Transfer((Rule(r"encoder\..*"), Rule(r"objective\..*"))),
    settings=FitSettings(epochs=20, lr=1e-3, evaluations=5),
    tests={"tuxpaint": "debian:tuxpaint-ru"},
    scratch=Scratch(rates=(2.5e-4, 5e-4, 1e-3), search=0.5, factor=3.0, folds=2),
    language_model=6,
)
FOUR = replace(ALL, train_minutes=4.0, settings=replace(ALL.settings, epochs=32))
TWO = replace(FOUR, train_minutes=2.0, settings=replace(ALL.settings, epochs=48))
#: Beside the transcripts the clean features themselves are learnt, of which masks hide a part: what was worth most to a
#: source (`recipes/source_ablation`).
MASKED = replace(FOUR, distillation=Distillation("logmel:80"), run_folds=(0, 1), scratch=Scratch(folds=0))
#: And by the optimiser that was worth more still to it.
MUON = replace(FOUR, settings=replace(FOUR.settings, optimizer="muon"), run_folds=(0, 1), scratch=Scratch(folds=0))
RECIPES = {"2min": TWO, "4min": FOUR, "4min-masked": MASKED, "4min-muon": MUON, "all": ALL}
