"""Sources that differ in their languages alone: thirteen minutes of English, of Romance, or of both.

Command: speechtransfer run recipes/source_donor --out runs/source_donor
Expected: CER 48.3% (english), 40.0% (romance) and 47.3% (all) of their own languages' held-out prompts; one cut.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch, scratch_transfer
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings

ENGLISH = Recipe(
    name="source_donor",
    data=("debian:asterisk-en",),
    source="random:conformer",
    transfer=scratch_transfer(),
    settings=FitSettings(epochs=80, lr=1e-3, warmup=0.05, evaluations=8, batches=BatchSettings(seconds=30, join=10)),
    train_minutes=13.0,
    folds=16,
    run_folds=(0,),
    split_by="prompt",
    scratch=Scratch(folds=0),
)
ROMANCE = replace(ENGLISH, data=("debian:asterisk-es", "debian:asterisk-fr", "debian:asterisk-it"))
ALL = replace(ENGLISH, data=(*ENGLISH.data, *ROMANCE.data))
RECIPES = {"english": ENGLISH, "romance": ROMANCE, "all": ALL}
