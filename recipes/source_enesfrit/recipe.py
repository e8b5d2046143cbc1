"""The first stage of the default source: our conformer on an hour of English, Spanish, French and Italian prompts.

Command: speechtransfer run recipes/source_enesfrit --out runs/source_enesfrit
Expected: CER 21.5% [15.8, 28.0] on held-out prompts of these three voices; one seed, one cut.
"""

from speechtransfer.baseline import Scratch, scratch_transfer
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings

RECIPE = Recipe(
    name="source_enesfrit",
    data=("debian:asterisk-en", "debian:asterisk-es", "debian:asterisk-fr", "debian:asterisk-it"),
    source="random:conformer",
    transfer=scratch_transfer(),
    settings=FitSettings(epochs=80, lr=1e-3, warmup=0.05, evaluations=16, batches=BatchSettings(seconds=30, join=10)),
    folds=16,
    run_folds=(0,),
    # Two of the four languages have one voice, so splitting by speaker would leave languages out of training.
    split_by="prompt",
    scratch=Scratch(folds=0),
)
