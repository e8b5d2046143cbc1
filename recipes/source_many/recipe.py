"""The default source: our conformer on five hours of nine languages, taught by Whisper base's encoder as well.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/source_many
Expected: not yet run.
"""

from speechtransfer.augmentation import Surroundings
from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Distillation, Recipe, Scratch, scratch_transfer
from speechtransfer.schedule import FitSettings

#: Narrow and wide band, dry and in rooms, quiet and noisy: what a user's recordings may be like.
HEARD = Surroundings(noise=0.2, room=0.15, telephone=0.3)
RECIPE = Recipe(
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
