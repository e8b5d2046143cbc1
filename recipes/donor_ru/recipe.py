"""Does the donor matter? English, Romance and mixed sources of thirteen minutes each, to four minutes of Russian.

Command: speechtransfer run recipes/source_donor --out runs/source_donor && speechtransfer run recipes/donor_ru
Expected: CER 33.9% from English, 33.8% from Romance, 32.9% from all four, of 12,037 characters.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer

ENGLISH = Recipe(
    name="donor_ru",
    data=("debian:asterisk-ru",),
    source="runs/source_donor/english",
    language="rus",
    transfer=Transfer((Rule(r"encoder\..*"), Rule(r"objective\..*"))),
    settings=FitSettings(epochs=32, lr=1e-3, evaluations=5),
    train_minutes=4.0,
    # The donors are compared with one another; what scratch gives is in the default source's recipe.
    scratch=Scratch(folds=0),
    language_model=6,
)
RECIPES = {name: replace(ENGLISH, source=f"runs/source_donor/{name}") for name in ("english", "romance", "all")}
