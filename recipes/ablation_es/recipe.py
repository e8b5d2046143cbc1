"""The sources of `source_ablation` to four minutes of Spanish picture names, which none of them heard.

Command: speechtransfer run recipes/ablation_es
Expected: not yet run.
"""

from dataclasses import replace

from speechtransfer.catalogue import find

DONOR = find("donor_ru")[1]["english"]
PLAIN = replace(
    DONOR,
    name="ablation_es",
    data=("debian:tuxpaint-es",),
    language="spa",
    settings=replace(DONOR.settings, evaluations=4),
    run_folds=(0, 1),
    language_model=0,
)
RECIPES = {variant: replace(PLAIN, source=f"runs/source_ablation/{variant}") for variant in find("source_ablation")[1]}
