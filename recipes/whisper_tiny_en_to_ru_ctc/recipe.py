"""Whisper tiny.en's encoder to Russian: telephone prompts of one voice, and picture names of another.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_ru_ctc
Expected: CER 17.9% [16.4, 19.6] of 12,037 characters on four minutes (five folds), 33.7% from scratch: 46.9% relative.
On the first fold, of 2,773 characters, 20.3%, 18.2% [14.2, 21.5] by way of eight languages, with texts 15.2 and 13.0%,
37.5% from scratch with texts; 10.7% [7.3, 13.7] on all, 24.5% from scratch: 56.1%. Another voice, in another band: 55.4
and 50.3%; the other way round (tuxpaint) 17.2% [14.9, 19.3] of 2,153 of its own voice and 45.0% of the prompts'.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch
from speechtransfer.catalogue import find, on_folds
from speechtransfer.recipe import Recipe

ITALIAN = find("whisper_tiny_en_to_it_ctc")[1]["default"]
ALL = replace(
    ITALIAN,
    name="whisper_tiny_en_to_ru_ctc",
    data=("debian:asterisk-ru",),
    language="rus",
    tests={"tuxpaint": "debian:tuxpaint-ru"},
    # With the baseline beside it a fold is half an hour of a processor.
    run_folds=(0,),
    # A network a third as large is the fairer rival on so little speech.
    scratch=Scratch(rates=(2.5e-4, 5e-4, 1e-3), search=0.5, factor=2.0, folds=1, network="random:conformer"),
)
# Four minutes are fewer steps an epoch: twice the epochs.
FIRST = replace(ALL, train_minutes=4.0, settings=replace(ALL.settings, epochs=48))
FOUR = on_folds(FIRST, *range(FIRST.folds))
# By way of eight other languages (`source_whisper_many`): the encoder has learnt to write before it hears this one.
BRIDGED = replace(FIRST, source="runs/source_whisper_many/default")
# The other way round: learnt from the one voice, tested on the other as well.
TUXPAINT = replace(
    ALL,
    data=("debian:tuxpaint-ru",),
    tests={"asterisk": "debian:asterisk-ru"},
    scratch=Scratch(folds=0),
)


def with_texts(run: str, texts: tuple[str, ...], family: str = "whisper") -> Recipe:
    """What a run of four minutes, on the first fold, gives with text that came later: nothing is trained again."""
    return replace(
        FIRST,
        source=f"runs/{FIRST.name}/{run}",
        family=family,
        texts=texts,
        language_model=8,  # the order that sayings had where they were tried first (whisper_base_to_ru_ctc)
        settings=replace(FIRST.settings, epochs=None, steps=0),
        scratch=Scratch(folds=0),
    )


PROSE = ("debian:fortunes-ru", "debian:libreoffice-help-ru")
RECIPES = {
    "4min": FOUR,
    "all": ALL,
    "4min-bridged": BRIDGED,
    "tuxpaint": TUXPAINT,
    "4min-texts": with_texts("4min/folds/0", PROSE),
    "4min-bridged-texts": with_texts("4min-bridged", PROSE),
    "4min-scratch-texts": with_texts("4min/baselines/scratch-conformer/folds/0", PROSE, "conformer"),
}
