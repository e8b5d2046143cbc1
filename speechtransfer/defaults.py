"""What ``adapt`` does where nothing else is said: settings by task and family, chosen on dev where measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from speechtransfer.batches import BatchSettings
from speechtransfer.recipe import Recipe
from speechtransfer.schedule import FitSettings, MaskSettings
from speechtransfer.spotting import Keywords
from speechtransfer.textsettings import usual_contract
from speechtransfer.transfer import Rule, Transfer
from speechtransfer.unitsettings import UnitSettings

TaskName = Literal["ctc", "keywords", "grades"]
#: Order of the character n-gram that ``adapt`` decodes with, as far as dev says that it helps.
_NGRAM = 6
#: Windows of made-up streams around each recording of a word.
_WINDOWS = 3
#: Speeds of recordings that few people made: formants move with them.
_VOICES = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.175, 1.25)


def defaults(data: str, source: str, family: str, language: str | None, task: TaskName = "ctc") -> Recipe:
    """The recipe of a command that names no settings."""
    # The old output layer of a plain state dict has no labels to graft by, and plain log-mel has nothing to freeze.
    whole = Transfer(graft="fresh") if family in ("dnn", "cnn", "vision") else Transfer()
    if task in ("keywords", "grades"):
        # A label is no letter: rows of the source's output layer mean nothing here.
        frozen = Transfer((Rule(r"encoder\..*", scale=0.0), Rule(r"objective\..*")), graft="fresh")
        # Random weights frozen are no source, and a dnn is quick to train whole.
        head = whole if family == "dnn" or source.startswith("random:") else frozen
        settings = FitSettings(epochs=60, lr=3e-3, batches=BatchSettings(seconds=20))
        if head is frozen:  # what it makes of a clip is the same in every epoch, as long as the clip is
            plain = replace(settings.batches, speeds=(1.0,))
            settings = replace(settings, batches=plain, masks=MaskSettings(freq_masks=0, time_masks=0), cache=True)
        elif family == "compact":
            # Speeds and masks as in recipes/digits_en_to_uk_keywords, compact-planes-voices.
            voices = replace(settings.batches, speeds=_VOICES)
            settings = replace(settings, batches=voices, masks=MaskSettings(freq_width=8))
        # A spotter that never heard half a word takes it for one.
        usual = Recipe("adapt", (data,), source, family, task, language, head, settings)
        return usual if task == "grades" else replace(usual, keywords=Keywords(windows=_WINDOWS))
    if family == "whisper":
        # As recipes/whisper_tiny_en_to_it_ctc: rates chosen on French, joining on Russian.
        gentle = Transfer((Rule(r"encoder\..*", scale=0.04), Rule(r"objective\..*")))
        settings = FitSettings(epochs=24, lr=4e-3, batches=BatchSettings(seconds=24, join=24))
        usual = Recipe("adapt", (data,), source, family, language=language, transfer=gentle, settings=settings)
    elif family in ("waveform", "parakeet"):
        # As is usual for them (Baevski et al. 2020, arXiv:2006.11477, appendix B): what hears the wave stays as it is.
        heard = (Rule(r"encoder\.frontend\..*", scale=0.0),) if family == "waveform" else ()
        gentle = Transfer((*heard, Rule(r"encoder\..*", scale=0.05), Rule(r"objective\..*")))
        settings = FitSettings(epochs=24, lr=1e-3, batches=BatchSettings(seconds=24, join=24))
        usual = Recipe("adapt", (data,), source, family, language=language, transfer=gentle, settings=settings)
    else:
        settings = FitSettings(epochs=30, lr=1e-3)
        usual = Recipe("adapt", (data,), source, family, language=language, transfer=whole, settings=settings)
    return replace(usual, language_model=_NGRAM, contract=usual_contract(language), units=UnitSettings("auto"))
