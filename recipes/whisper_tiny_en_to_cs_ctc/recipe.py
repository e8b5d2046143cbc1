"""Whisper tiny.en's encoder to Czech: 95 minutes of acted dialogues.

Command: SPEECHTRANSFER_SOURCES=... speechtransfer run recipes/whisper_tiny_en_to_cs_ctc
Expected: CER 36.9% [36.3, 37.5] of 64,469 characters on four minutes (five folds), 69.2% from scratch: 46.7% relative;
of the first fold's 24,363 37.0% [35.9, 38.1] by way of eight languages; 34.3% [33.2, 35.4] with texts, 68.8% from
scratch with texts; 15.6% [14.5, 16.7] on all, 37.2% from scratch for four times as many passes.
"""

from dataclasses import replace

from speechtransfer.baseline import Scratch, scratch_transfer
from speechtransfer.batches import BatchSettings
from speechtransfer.catalogue import find, of_language

TEXTS = ("debian:fortunes-cs", "debian:libreoffice-help-cs")
CZECH = {
    variant: of_language(recipe, "whisper_tiny_en_to_cs_ctc", "debian:fillets-cs", "ces", TEXTS)
    for variant, recipe in find("whisper_tiny_en_to_ru_ctc")[1].items()
    if variant != "tuxpaint"
}
# An epoch is five times as long as the others': fewer of them are as many steps.
ALL = replace(CZECH["all"], settings=replace(CZECH["all"].settings, epochs=8))
#: Its scratch network, at twice as many steps, was still at the loss with which all of them begin. From nothing for
#: four times as many passes, at the rate and in the batches of `source_many`, in which so small a network learnt.
ALONE = replace(
    ALL,
    source="random:conformer",
    family="conformer",
    transfer=scratch_transfer(),
    settings=replace(ALL.settings, epochs=32, lr=1e-3, batches=BatchSettings(seconds=40, join=12)),
    scratch=Scratch(folds=0),
)
RECIPES = {**CZECH, "all": ALL, "all-scratch": ALONE}
