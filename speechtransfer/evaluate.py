"""A model and a manifest give Scores: every figure with its interval, nothing dropped, contamination marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from speechtransfer.audio import Recordings, content_hash
from speechtransfer.batches import Sound, scoring_batches
from speechtransfer.encoders.contract import SourceCard
from speechtransfer.errors import ContaminationError, DataError, PlanError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Nearest
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
    found: dict[str, Prediction] = {}
    with _listening(model):
        for frames, batch in _heard(model, manifest, recordings):
            found.update(zip(batch.ids, model.objective.predict(frames, batch), strict=True))
    return [found[row.id] for row in manifest]


def embed(model: Model, rows: Manifest, recordings: Sound) -> list[Tensor]:
    """What the objective compares of each utterance, on the CPU, in order.

    Raises:
        PlanError: the objective does not.
        AudioError: a recording cannot be read.
    """
    objective = model.objective
    if not isinstance(objective, Nearest):
        raise PlanError(f"{objective.kind}: does not compare utterances, so it has no embedding of them.")
    found: dict[str, Tensor] = {}
    with _listening(model):
        for frames, batch in _heard(model, rows, recordings):
            found.update(zip(batch.ids, (one.cpu() for one in objective.embed(frames)), strict=True))
    return [found[row.id] for row in rows]


def settle(model: Model, train: Manifest, recordings: Sound) -> None:
    """Let the objective hear the training rows clean, as far as it asks for them; modes stay as they were.

    Raises:
        AudioError: a recording cannot be read.
    """
    with _listening(model):
        model.objective.settle(_heard(model, train, recordings))


def finish(model: Model, dev: Manifest, recordings: Sound) -> dict[str, Any]:
    """Let a trained model's objective choose on dev what gradients do not teach; the model is left in eval mode.

    Raises:
        AudioError: a recording cannot be read.
    """
    model.eval()
    with torch.inference_mode():
        return model.objective.finish(_heard(model, dev, recordings))


def _heard(model: Model, rows: Manifest, recordings: Sound) -> Iterator[tuple[Frames, Batch]]:
    device = next(model.parameters()).device
    for batch in scoring_batches(rows, recordings, BATCH_SECONDS, model.encoder.pads_exactly):
        moved = batch.to(device)
        yield model.frames(moved), moved


@contextmanager
def _listening(model: Model) -> Iterator[None]:
    """In eval, and without gradients; afterwards each module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


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


def refuse_repeats(learnt: Iterable[Utterance], tested: Iterable[Utterance]) -> None:
    """What recipes call before training: no sound of a test is one of training under another name.

    Spans of one recording may be of several splits; figures then say so.

    Raises:
        ContaminationError: such a pair.
    """
    known = {content_hash(row.audio): row for row in learnt if row.whole}
    for row in tested:
        twin = known.get(content_hash(row.audio)) if row.whole else None
        if twin is not None:
            raise ContaminationError(
                f"{row.id}, a test recording, is the same sound as {twin.id} of {twin.split}: a figure on it would be "
                "worthless. Take one of them out; speechtransfer check names all such pairs."
            )
