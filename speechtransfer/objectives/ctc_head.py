"""Ctc: a linear output layer over a vocabulary, trained with the CTC loss and decoded greedily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from speechtransfer.ctc import ctc_loss, required_frames
from speechtransfer.decode import greedy
from speechtransfer.errors import PlanError, TextError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.score import Scores, Transcription, score_transcriptions
from speechtransfer.text import Vocabulary
from speechtransfer.weights import Head

#: Beyond this, ordinary speech has more characters than frames.
LONGEST_PERIOD = 0.08


class Ctc(Objective):
    """Character recognition. The vocabulary comes from training text alone.

    Args:
        vocabulary: the output symbols.
        dropout: before the output layer.
    """

    kind = "ctc"
    field = "text"
    select = ("cer", "min")

    def __init__(self, vocabulary: Vocabulary, dropout: float = 0.1) -> None:
        super().__init__()
        self.vocabulary = vocabulary
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
    def head(self) -> Head:
        """The output layer with the vocabulary's labels."""
        layer = self._layer()
        return Head(layer.weight, layer.bias, self.vocabulary.labels, self.vocabulary.contract)

    @property
    def head_names(self) -> tuple[str, str]:
        """Names of the output layer's parameters."""
        return "output.weight", "output.bias"

    def settings(self) -> dict[str, Any]:
        """Vocabulary, contract and dropout."""
        return {"vocabulary": self.vocabulary.as_dict(), "dropout": self.dropout.p}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Ctc:
        """The inverse of ``settings``; the head is built by ``attach``."""
        return cls(Vocabulary.from_dict(values["vocabulary"]), values["dropout"])

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """A text that is missing, breaks the contract, holds unknown characters, or outruns its frames."""
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
        """Weighted mean over the items with text of the CTC loss a character."""
        logits = self._layer()(self.dropout(frames.values))
        texts = batch.fields["text"]
        chosen = [index for index, text in enumerate(texts) if text is not None]
        if not chosen:
            return {"ctc": logits.sum() * 0.0}
        targets = [self.vocabulary.encode(text) for text in texts if text is not None]
        losses = ctc_loss(logits[chosen], frames.lengths[chosen], targets, Vocabulary.blank)
        weight = batch.weight[chosen]
        return {"ctc": (losses * weight).sum() / weight.sum()}

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """Greedy transcripts."""
        paths = greedy(self._layer()(frames.values), frames.lengths, Vocabulary.blank)
        return [Prediction(self.vocabulary.decode(path.labels), path.confidence) for path in paths]

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """CER and WER after the text contract; intervals resample prompts.

        Raises:
            TextError: a reference breaks the contract. Nothing is dropped from a test.
        """
        transcriptions = []
        for row, prediction in zip(rows, predictions, strict=True):
            if row.text is None:
                raise TextError(f"{row.id}: has no transcript, so nothing can be scored on it.")
            reference = self.vocabulary.contract.apply(row.text)
            transcriptions.append(Transcription(row.id, reference, prediction.value, reference))
        return score_transcriptions(transcriptions)
