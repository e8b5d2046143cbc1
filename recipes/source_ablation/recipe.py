"""Sources that differ in one thing each, on twelve minutes of seven corpora: optimiser, noise, teacher, depth, heads.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/source_ablation --out runs/source_ablation
Expected: CER 75.4% [73.4, 78.2] of 6,225 characters of its own languages (plain), 54.8% by muon; what each is worth to
another language says recipes/ablation_es.
"""

from dataclasses import replace

from speechtransfer.augmentation import Surroundings
from speechtransfer.batches import BatchSettings
from speechtransfer.catalogue import find
from speechtransfer.recipe import Distillation

DONOR = find("source_donor")[1]["english"]
PLAIN = replace(
    DONOR,
    name="source_ablation",
    data=(
        *(f"debian:asterisk-{language}" for language in ("en", "fr", "it")),
        *(f"debian:tuxpaint-{language}" for language in ("be", "bg", "fr", "ro")),
    ),
    settings=replace(DONOR.settings, epochs=40, evaluations=4, batches=BatchSettings(seconds=40, join=12)),
    train_minutes=12.0,
)
MUON = replace(PLAIN, settings=replace(PLAIN.settings, optimizer="muon"))
# What is learnt beside the transcripts are the clean features themselves, of which masks hide a part.
MASKED = Distillation("logmel:80")
NOISY = replace(PLAIN.settings.batches, surroundings=Surroundings(noise=0.2, room=0.1, telephone=0.3))
RECIPES = {
    "plain": PLAIN,
    "longer": replace(PLAIN, settings=replace(PLAIN.settings, epochs=80)),
    "muon": MUON,
    "noisy": replace(PLAIN, settings=replace(PLAIN.settings, batches=NOISY)),
    "distilled": replace(PLAIN, distillation=Distillation("openai/whisper-base")),
    "masked": replace(PLAIN, distillation=MASKED),
    "muon-masked": replace(MUON, distillation=MASKED),
    "deeper": replace(PLAIN, source="random:conformer,layers=8,width=112"),
    "heads": replace(PLAIN, heads="language"),
}
