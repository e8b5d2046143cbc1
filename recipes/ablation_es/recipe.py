"""The sources of `source_ablation` to four minutes of Spanish picture names, which none of them heard.

Command: speechtransfer run recipes/ablation_es
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.catalogue import find
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Rule, Transfer

PLAIN = Recipe(
    name="ablation_es",
    data=("debian:tuxpaint-es",),
    source="runs/source_ablation/plain",
    language="spa",
    transfer=Transfer((Rule(r"encoder\..*"), Rule(r"objective\..*"))),
    settings=FitSettings(epochs=32, lr=1e-3, evaluations=4),
    train_minutes=4.0,
    run_folds=(0, 1),
    scratch=Scratch(folds=0),
)
RECIPES = {variant: replace(PLAIN, source=f"runs/source_ablation/{variant}") for variant in find("source_ablation")[1]}
