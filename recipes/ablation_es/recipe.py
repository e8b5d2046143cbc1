"""The sources of `source_ablation` to four minutes of Spanish picture names, which none of them heard.

Command: speechtransfer run recipes/ablation_es
Expected: CER 47.0% [44.1, 49.6] of 5,934 characters (plain), 46.2 longer, 40.2 muon, 57.3 noisy, 49.7 distilled, 42.4
masked, 40.2 muon-masked, 70.2 deeper, 51.8 heads.
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
