"""Whether sound can hold its transcript: at an encoder's stride, and by the ear of a recogniser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import median

import torch

from speechtransfer.align import Alignment, align
from speechtransfer.audio import Recordings
from speechtransfer.encoders.contract import Encoder
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.symptoms import Symptom
from speechtransfer.text import TextContract
from speechtransfer.unitsettings import UnitSettings
from speechtransfer.vocabulary import Vocabulary

#: A transcript is doubted whose letters get less of the posterior than the middle one's: so many deviations, and so
#: many times. Of 395 prompts that four recognisers (Russian, Italian; error rates of 6% to 31%) had not learnt from,
#: each tenth swapped with one of its length, that finds all 38 that were swapped and doubts 11 of the others.
_DEVIATIONS, _TIMES = 4.0, 10.0
#: So many transcripts at least have a middle.
_FEWEST = 20


def unspellable(
    manifest: Manifest, seconds: Callable[[Utterance], float], encoder: Encoder, contract: TextContract
) -> dict[str, str]:
    """Transcripts with more letters, and blanks between equal ones, than the encoder has frames for; why, by id.

    A recogniser cannot learn from such a row, nor ever write it right. Letters are the units that ``adapt`` would take.

    Args:
        manifest: rows whose texts pass the contract.
        seconds: of their sound.
        encoder: gives the frames of so much sound.
        contract: what transcripts pass.

    Raises:
        PlanError: the encoder's frames are too coarse for letters.
    """
    if not len(manifest):
        return {}
    texts = [contract.apply(row.text or "") for row in manifest]
    units, _ = UnitSettings("auto").choose(texts, contract, None)
    objective = Ctc(Vocabulary.from_texts(texts, contract, units))
    objective.attach(encoder.width, encoder.period)
    samples = [round(seconds(row) * encoder.sample_rate) for row in manifest]
    frames = encoder.frame_lengths(torch.tensor(samples, dtype=torch.int64)).tolist()
    reasons = ((row.id, objective.unfit(row, count)) for row, count in zip(manifest, frames, strict=True))
    return {name: reason for name, reason in reasons if reason is not None}


def unheard(model: Model, manifest: Manifest) -> list[Symptom]:
    """Transcripts that a recogniser hardly hears in their sound, though it hears most others; the least heard first.

    Each transcript is aligned with its sound. What counts is the mean over its letters of their log posterior there,
    against the corpus's median, in median absolute deviations (Hampel 1974). Where the recogniser learnt from
    these very transcripts, wrong ones among them may have become plausible to it.

    Args:
        model: a recogniser of the language.
        manifest: rows whose texts pass its contract.

    Raises:
        SettingsError: the model is no recogniser.
        AudioError: a recording cannot be read any more.
    """
    alignments, unfit = align(model, manifest, Recordings(model.encoder.sample_rate, budget_bytes=0))
    found = [Symptom(row.audio, "a transcript that the recogniser cannot write", row.reason) for row in unfit]
    return [*found, *_improbable(alignments)]


def _improbable(alignments: Mapping[str, Alignment]) -> list[Symptom]:
    sure = {name: math.log(max(_confidence(one), 1e-300)) for name, one in alignments.items()}
    if len(sure) < _FEWEST:
        return []
    middle = median(sure.values())
    spread = 1.4826 * median(abs(one - middle) for one in sure.values())
    least = middle - max(_DEVIATIONS * spread, math.log(_TIMES))
    found = []
    for name in sorted(sure, key=lambda name: sure[name]):
        if sure[name] >= least:
            break
        words = alignments[name].words
        worst = min(range(len(words)), key=lambda place: alignments[name].confidence(place, place))
        told = (
            f"its letters have {math.exp(sure[name]):.1g} of the posterior, where half of the corpus has over "
            f"{math.exp(middle):.1g}; least heard is {words[worst].text!r}"
        )
        found.append(Symptom(name, "a transcript that is hardly heard in its sound", told))
    return found


def _confidence(one: Alignment) -> float:
    return one.confidence(0, len(one.words) - 1)
