"""A model and a manifest give Scores: every figure with its interval, nothing dropped, contamination marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch

from speechtransfer.audio import Recordings, content_hash
from speechtransfer.batches import Sound, scoring_batches
from speechtransfer.encoders.contract import SourceCard
from speechtransfer.errors import ContaminationError, DataError
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives.contract import Prediction
from speechtransfer.score import Scores

#: Seconds of padded audio in a scoring batch: a few hundred megabytes of activations at most.
BATCH_SECONDS = 60.0


def predict(model: Model, manifest: Manifest, recordings: Sound | None = None) -> list[Prediction]:
    """One prediction an utterance, in the manifest's order; the model is left in the mode it was in.

    Raises:
        AudioError: a recording cannot be read.
    """
    recordings = recordings or Recordings(model.encoder.sample_rate)
    device = next(model.parameters()).device
    found: dict[str, Prediction] = {}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            for batch in scoring_batches(manifest, recordings, BATCH_SECONDS, model.encoder.pads_exactly):
                found.update(zip(batch.ids, model.predict(batch.to(device)), strict=True))
    finally:
        for module, mode in modes:
            module.training = mode
    return [found[row.id] for row in manifest]


def finish(model: Model, dev: Manifest, recordings: Sound) -> dict[str, Any]:
    """Let a trained model's objective choose on dev what gradients do not teach; the model is left in eval mode.

    Raises:
        AudioError: a recording cannot be read.
    """
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        batches = scoring_batches(dev, recordings, BATCH_SECONDS, model.encoder.pads_exactly)
        return model.objective.finish((model.frames(batch.to(device)), batch) for batch in batches)


def evaluate(
    model: Model,
    manifest: Manifest,
    recordings: Sound | None = None,
    predictions: Sequence[Prediction] | None = None,
) -> Scores:
    """Score a model on every utterance of a manifest.

    Args:
        model: encoder and objective.
        manifest: the test rows; each must have the field that the objective predicts.
        recordings: a reader to share, at the encoder's sample rate.
        predictions: of these rows, where they are already there.

    Raises:
        DataError: an empty manifest.
        AudioError, TextError: a test row is unusable. Nothing is dropped from a test.
    """
    if not len(manifest):
        raise DataError("the test split is empty: give more recordings, or name the split of each row.")
    scores = model.objective.score(manifest.rows, predictions or predict(model, manifest, recordings))
    overlap = contaminated(model.encoder.card, manifest)
    if overlap:
        note = f"contaminated: the source was trained on {len(overlap)} of these {len(manifest)} recordings"
        scores = replace(scores, notes=(*scores.notes, note))
    return scores


def contaminated(card: SourceCard, rows: Iterable[Utterance]) -> tuple[str, ...]:
    """Ids of the utterances whose sound the source's card says it was trained on."""
    if not card.audio:
        return ()
    given = tuple(rows)
    known = {audio: content_hash(audio) in card.audio for audio in dict.fromkeys(row.audio for row in given)}
    return tuple(row.id for row in given if known[row.audio])


def refuse_contamination(card: SourceCard, rows: Iterable[Utterance]) -> None:
    """What recipes call before training.

    Raises:
        ContaminationError: a recording is in the source's training data.
    """
    overlap = contaminated(card, rows)
    if overlap:
        raise ContaminationError(
            f"{len(overlap)} of these recordings, {overlap[0]} among them, were in the training data of "
            f"{card.id}. A figure on them would be worthless: choose other data or another source."
        )
