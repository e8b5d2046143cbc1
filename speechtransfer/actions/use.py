"""What score and embed do: use a finished run, or a source, on further recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from speechtransfer.audio import Recordings
from speechtransfer.checkpoint import load as load_model
from speechtransfer.corpora import detect
from speechtransfer.corpora import load as load_corpus
from speechtransfer.corpora.contract import is_sound
from speechtransfer.doctor import examine, require
from speechtransfer.embedding import embed as write_features
from speechtransfer.errors import SettingsError
from speechtransfer.evaluate import evaluate, predict
from speechtransfer.files import write_lines
from speechtransfer.manifest import UNKNOWN, Manifest, Utterance
from speechtransfer.objectives.contract import Spots
from speechtransfer.offers import find_run
from speechtransfer.sources import load_encoder
from speechtransfer.spotting import others_unknown
from speechtransfer.text import TextContract

if TYPE_CHECKING:
    from speechtransfer.cli import Embed, Score


def score(console: Console, request: Score) -> int:
    """Score a run on any data: its test split where it has one, otherwise every row."""
    if request.out is not None and request.out.is_dir():
        raise SettingsError(f"{request.out}: is a folder. Name a file to write the predictions to.")
    model = load_model(find_run(request.run))
    recordings = Recordings(model.encoder.sample_rate)
    manifest = load_corpus(request.data, None, request.audio_root, request.language)
    if "test" in manifest.splits:
        lost = tuple(row for row in manifest.ledger if row.split == "test")
        manifest = Manifest(manifest.split("test").rows, lost)
    if isinstance(model.objective, Spots):
        manifest = _of_labels(console, manifest, model.objective.labels)
    contract = model.objective.contract or TextContract()
    rows = require(examine(manifest, recordings, contract, model.objective.field))
    predictions = predict(model, rows, recordings)
    scores = evaluate(model, rows, recordings, predictions)
    console.print(str(scores))
    dropped = sum(row.action == "dropped" for row in rows.ledger)
    console.print(f"{len(rows)} utterances scored, {dropped} of {request.data} are unusable")
    if request.out is not None:
        write_lines(
            request.out,
            ({**vars(row), "confidence": one.confidence} for row, one in zip(scores.rows, predictions, strict=True)),
        )
    return 0


def _of_labels(console: Console, manifest: Manifest, labels: Sequence[str]) -> Manifest:
    """Rows of other words as ``_unknown_``, where the spotter has learnt that; how many are so taken is said."""
    renamed = others_unknown(manifest, labels)
    strange = [row.label for row, now in zip(manifest, renamed, strict=True) if row.label != now.label]
    if strange:
        kinds = ", ".join(sorted({str(label) for label in strange}))
        console.print(f"{len(strange)} utterances are of no word of the run's and count as {UNKNOWN}: {kinds}")
    return renamed


def embed(console: Console, request: Embed) -> int:
    """Write frozen features of sound files or of a corpus."""
    encoder = load_encoder(request.source)
    manifest = _given(console, request.audio, request.audio_root)
    done = write_features(encoder, manifest, request.out, request.block)
    console.print(
        f"{request.out}: {done.files} files of {done.width} values a frame, {done.frames} frames in all; "
        "index.jsonl says which is which"
    )
    return 0


def _given(console: Console, audio: Sequence[str], audio_roots: Sequence[Path]) -> Manifest:
    """Sound files, or one corpus of any kind that adapt takes."""
    if len(audio) == 1 and not is_sound(Path(audio[0])):
        console.print(f"{audio[0]}: read as {detect(audio[0])}")
        return load_corpus(audio[0], None, audio_roots)
    return Manifest(tuple(Utterance(Path(path).resolve()) for path in audio))
