"""The default source: our conformer on five hours of nine languages, after recipes/source_enesfrit.

Command: speechtransfer run recipes/source_many --variant grown
Expected: CER on held-out prompts of four of the languages 21.4% [15.9, 27.9]; one seed, one cut. An earlier attempt
from random weights, first under Whisper base (`default`), then without (`alone`), ended at 46.9% of all nine.
"""

from dataclasses import replace

from speechtransfer.augmentation import Surroundings
from speechtransfer.baseline import Scratch, scratch_transfer
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Distillation, Recipe
from speechtransfer.schedule import FitSettings
from speechtransfer.transfer import Transfer

#: Narrow and wide band, dry and in rooms, quiet and noisy: what a user's recordings may be like.
HEARD = Surroundings(noise=0.2, room=0.15, telephone=0.3)
TAUGHT = Recipe(
    name="source_many",
    data=(
        *(f"debian:asterisk-{language}" for language in ("en", "es", "fr", "it")),
        *(f"debian:tuxpaint-{language}" for language in ("be", "bg", "es", "fr", "ro")),
        *(f"debian:fillets-{language}" for language in ("cs", "nl")),
    ),
    source="random:conformer",
    transfer=scratch_transfer(),
    settings=FitSettings(
        epochs=14,
        lr=1e-3,
        warmup=0.05,
        evaluations=7,
        batches=BatchSettings(seconds=40, join=12, surroundings=HEARD),
        checkpoint_every=200,
    ),
    folds=16,
    # Scenes of the dialogues hang together by their common prompts; half of them would be the first fold's test.
    run_folds=(4,),
    # Five of the nine languages have one voice, so splitting by speaker would leave languages out of training.
    split_by="prompt",
    scratch=Scratch(folds=0),
    distillation=Distillation("openai/whisper-base"),
)
#: What the first stage made, trained further on the transcripts alone, in less noise: its first figure was no better
#: a source for Russian than a network of four languages.
ALONE = replace(
    TAUGHT,
    source="runs/source_many/default",
    transfer=Transfer(),
    settings=replace(
        TAUGHT.settings,
        epochs=9,
        evaluations=9,
        batches=replace(TAUGHT.settings.batches, surroundings=Surroundings(noise=0.1, telephone=0.3)),
    ),
    distillation=Distillation(),
)
#: The network of four languages (`source_enesfrit`), which knows their prompts well, taught the other five beside them,
#: with another optimiser; what the first network was tested on is no training here either.
GROWN = replace(
    ALONE,
    source="runs/source_enesfrit/default",
    keep_splits="runs/source_enesfrit/default",
    settings=replace(
        ALONE.settings,
        epochs=16,
        evaluations=8,
        optimizer="muon",
        batches=replace(ALONE.settings.batches, surroundings=Surroundings(noise=0.1, room=0.05, telephone=0.3)),
    ),
    tests={"menardi": "debian:asterisk-it-menardi", "armelle": "debian:asterisk-fr-armelle"},
)
RECIPES = {"default": TAUGHT, "alone": ALONE, "grown": GROWN}
