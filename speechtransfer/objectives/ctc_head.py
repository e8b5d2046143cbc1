"""Ctc: a linear output layer over a vocabulary, trained with the CTC loss, decoded with or without its texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from torch import Tensor, nn

from speechtransfer.ctc import ctc_loss, required_frames
from speechtransfer.decode import Fusion, Span, align, beam_search, greedy
from speechtransfer.errors import PlanError, TextError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.ngram import CharacterNgram, LanguageModel, Mixture
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.pronunciation import Phones
from speechtransfer.score import (
    Scores,
    Transcription,
    character_errors,
    score_phones,
    score_transcriptions,
    word_errors,
)
from speechtransfer.vocabulary import Vocabulary
from speechtransfer.weights import Head

#: Beyond this, ordinary speech has more characters than frames.
LONGEST_PERIOD = 0.08
#: What ``finish`` tries: on Italian and Russian prompts dev was as good from 0.3 to 0.5, and worse at 0.8.
_WEIGHTS, _BONUSES = (0.2, 0.35, 0.5), (0.0, 1.0)
#: And with other texts of the language, where more of the weight is theirs (weight, bonus): on Russian prompts and
#: sayings dev was best from 0.7 to 1.3 with a bonus of 2, and a share of 0.9 a little better than of 0.8.
_SHARES, _COUNTS = (0.5, 0.9), ((0.5, 1.0), (0.7, 2.0), (1.0, 2.0))
#: Utterances of dev that it tries them on; more would only cost time.
_TRIED = 200


class Ctc(Objective):
    """Recognition of characters or other units. The vocabulary comes from training text alone.

    Args:
        vocabulary: the output symbols.
        dropout: before the output layer.
        language_model: of the training texts; ``finish`` finds out on dev how much it should count.
        fusion: the language model in use; None decodes greedily.
        only: field values of the items that it is for, such as ``{"language": "spa"}``; the others are another's.
        wider: a language model of other texts beside that of the training texts, which ``finish`` tries with it.
    """

    kind = "ctc"
    field = "text"
    select = ("cer", "min")

    def __init__(
        self,
        vocabulary: Vocabulary,
        dropout: float = 0.1,
        language_model: CharacterNgram | None = None,
        fusion: Fusion | None = None,
        only: Mapping[str, str] | None = None,
        wider: CharacterNgram | None = None,
    ) -> None:
        super().__init__()
        self.vocabulary, self.contract, self.only = vocabulary, vocabulary.contract, dict(only or {})
        if not vocabulary.writes:
            self.select = ("per", "min")
        self.language_model, self.fusion, self.wider = language_model, fusion, wider
        self.dropout = nn.Dropout(dropout)
        self.output: nn.Linear | None = None

    def attach(self, width: int, period: float) -> None:
        """Build the output layer (vocabulary, width).

        Raises:
            PlanError: frames are too far apart for characters.
        """
        if period > LONGEST_PERIOD:
            raise PlanError(
                f"ctc: frames every {1000 * period:g} ms are too coarse for characters (at most "
                f"{1000 * LONGEST_PERIOD:g} ms). Choose a source with finer frames."
            )
        self.output = nn.Linear(width, len(self.vocabulary))

    def _layer(self) -> nn.Linear:
        if self.output is None:
            raise PlanError("ctc: the head has no width yet. Transfer.apply gives it the encoder's.")
        return self.output

    @property
    def heads(self) -> dict[str, Head]:
        """The output layer with the vocabulary's labels; the contract is of text, which phones are not."""
        layer, contract = self._layer(), self.vocabulary.contract if self.vocabulary.writes else None
        return {"output": Head(layer.weight, layer.bias, self.vocabulary.labels, contract)}

    def settings(self) -> dict[str, Any]:
        """Vocabulary, contract, dropout, and the language model in use with the texts that it was counted on."""
        fusion = self.fusion and {
            **_saved(self.fusion.model),
            "weight": self.fusion.weight,
            "bonus": self.fusion.bonus,
        }
        return {
            "vocabulary": self.vocabulary.as_dict(),
            "dropout": self.dropout.p,
            "language_model": fusion,
            "only": dict(self.only),
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Ctc:
        """The inverse of ``settings``; the head is built by ``attach``."""
        vocabulary, saved = Vocabulary.from_dict(values["vocabulary"]), values.get("language_model")
        only = values.get("only")
        if saved is None:
            return cls(vocabulary, values["dropout"], only=only)
        own, wider = CharacterNgram.from_texts(saved["texts"], saved["order"]), None
        model: LanguageModel = own
        if saved.get("wider"):
            wider = CharacterNgram.from_texts(saved["wider"], saved["order"])
            model = Mixture(own, wider, saved["share"])
        return cls(vocabulary, values["dropout"], own, Fusion(model, saved["weight"], saved["bonus"]), only, wider)

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """A text that is missing, breaks the contract, holds unknown units, or outruns its frames."""
        if utterance.text is None:
            return "no transcript"
        try:
            target = self.vocabulary.encode(utterance.text)
        except TextError as error:
            return str(error)
        needed = required_frames(target)
        if frames < needed:
            return f"label longer than its audio: {needed} frames needed, {frames} there"
        return None

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Weighted mean over the items with text of the CTC loss a unit."""
        logits = self._layer()(self.dropout(frames.values))
        texts = batch.fields["text"]
        chosen = [index for index, text in enumerate(texts) if text is not None]
        if not chosen:
            return {"ctc": logits.sum() * 0.0}
        targets = [self.vocabulary.encode(text) for text in texts if text is not None]
        losses = ctc_loss(logits[chosen], frames.lengths[chosen], targets, Vocabulary.blank)
        weight = batch.weight[chosen]
        return {"ctc": (losses * weight).sum() / weight.sum()}

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Nothing: gradients teach all of it."""

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Choose how much the language model counts by the errors on dev; none at all, where that is as good.

        Returns:
            ``language_model``: what was chosen, and the character errors on dev of every trial beside the
            characters there (the same of phones, which it then says under ``of``); nothing without one.
        """
        if self.language_model is None:
            return {}
        heard = []
        for frames, batch in dev:
            heard.append((self._layer()(frames.values).cpu(), frames.lengths.cpu(), batch.fields["text"]))
            if sum(len(texts) for _, _, texts in heard) >= _TRIED:
                break
        if not heard:  # of several languages, dev may lack one
            return {}
        said = [self.vocabulary.normal(text or "") for _, _, texts in heard for text in texts]
        counted = character_errors if self.vocabulary.writes else word_errors
        trials = [None, *self._trials(self.language_model)]
        errors = []
        for trial in trials:
            found = [one.value for logits, lengths, _ in heard for one in self._decoded(logits, lengths, trial)]
            edits = counted(list(zip(said, found, strict=True)))
            errors.append(int(edits.errors.sum()))
        self.fusion = trials[errors.index(min(errors))]
        told: dict[str, Any] = {
            "order": self.language_model.order,
            "chosen": self.fusion and _told(self.fusion),
            "errors": min(errors),
            "errors_without": errors[0],
            "characters": int(edits.counts.sum()),
            "dev": [
                {**(_told(trial) if trial else {"weight": 0.0, "bonus": 0.0}), "errors": count}
                for trial, count in zip(trials, errors, strict=True)
            ],
        }
        if not self.vocabulary.writes:
            told["of"] = "phones"
        if self.wider is not None:
            alone = min(count for trial, count in zip(trials, errors, strict=True) if not _share(trial))
            told["wider"] = {"characters": sum(map(len, self.wider.texts)), "errors_without": alone}
        return {"language_model": told}

    def _trials(self, own: CharacterNgram) -> list[Fusion]:
        trials = [Fusion(own, *values) for values in product(_WEIGHTS, _BONUSES)]
        if self.wider is not None:
            mixed = [Mixture(own, self.wider, share) for share in _SHARES]
            trials += [Fusion(model, *counts) for model, counts in product(mixed, _COUNTS)]
        return trials

    def decode(self, log_posteriors: Tensor, lengths: Tensor) -> list[Prediction]:
        """As ``predict``, of what ``log_posteriors`` gave (B, T, V), with the valid frames (B,) of each."""
        return self._decoded(log_posteriors, lengths, self.fusion)

    def _decoded(self, logits: Tensor, lengths: Tensor, fusion: Fusion | None) -> list[Prediction]:
        paths = greedy(logits, lengths, Vocabulary.blank)
        if fusion is None:
            texts = [self.vocabulary.decode(path.labels) for path in paths]
        else:
            found = beam_search(logits, lengths, self.vocabulary.spellings, fusion, blank=Vocabulary.blank)
            texts = [" ".join(text.split()) for text in found]
        return [Prediction(text, path.confidence) for text, path in zip(texts, paths, strict=True)]

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """Transcripts, by beam search where there is a language model in use; confidence is that of greedy paths."""
        return self._decoded(self._layer()(frames.values), frames.lengths, self.fusion)

    def log_posteriors(self, frames: Frames) -> Tensor:
        """(B, T, V) natural logarithms of what each frame says of each label, the blank first."""
        logits: Tensor = self._layer()(frames.values)
        return logits.float().log_softmax(-1)

    def align(self, frames: Frames, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """Where each unit of a known text lies, word boundaries among them: one span a unit of each item.

        Raises:
            TextError: a unit that the vocabulary lacks.
            DataError: fewer frames than the text requires.
        """
        targets = [self.vocabulary.encode(text) for text in texts]
        return align(self._layer()(frames.values), frames.lengths, targets, Vocabulary.blank)

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """CER, and WER where spaces separate words, after the text contract; intervals resample prompts.

        Whatever the units, what is written is compared. Of phones, which write nothing, it is the phone error rate.

        Raises:
            TextError: a reference breaks the contract, or holds words that the lexicon lacks. Nothing is dropped from
                a test.
        """
        if isinstance(self.vocabulary.units, Phones):
            texts = [self.vocabulary.contract.apply(row.text) for row in rows if row.text is not None]
            self.vocabulary.units.require(word for text in texts for word in text.split(" "))
        transcriptions = []
        for row, prediction in zip(rows, predictions, strict=True):
            if row.text is None:
                raise TextError(f"{row.id}: has no transcript, so nothing can be scored on it.")
            reference = self.vocabulary.normal(row.text)
            transcriptions.append(Transcription(row.id, reference, prediction.value, reference))
        if not self.vocabulary.writes:
            return score_phones(transcriptions)
        return score_transcriptions(transcriptions, words=self.vocabulary.contract.has_words)


def _share(fusion: Fusion | None) -> float:
    """How much of a language model in use is one of other texts."""
    return fusion.model.share if fusion is not None and isinstance(fusion.model, Mixture) else 0.0


def _told(fusion: Fusion) -> dict[str, float]:
    counts = {"weight": fusion.weight, "bonus": fusion.bonus}
    return counts | ({"share": _share(fusion)} if _share(fusion) else {})


def _saved(model: LanguageModel) -> dict[str, Any]:
    """What makes a model again: its texts."""
    if isinstance(model, Mixture):
        return {**_saved(model.own), "wider": list(model.wider.texts), "share": model.share}
    if isinstance(model, CharacterNgram):
        return {"texts": list(model.texts), "order": model.order}
    raise TypeError(f"{type(model).__name__} has no texts to save")
