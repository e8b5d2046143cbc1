"""What enrol does: a new word from a few clips, in a run folder that is the old or the new one at any moment."""

from __future__ import annotations

import math
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from speechtransfer.audio import Recordings, content_hash
from speechtransfer.checkpoint import load, save_objective
from speechtransfer.doctor import unusable_audio
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.evaluate import embed
from speechtransfer.manifest import RESERVED, Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Nearest
from speechtransfer.trimming import speech_span

if TYPE_CHECKING:
    from speechtransfer.keyword_verbs import Enrol

MOST_CLIPS = 20


def enrol(console: Console, request: Enrol) -> int:
    """Add a word to a run, or to a copy of it, and say how near its clips are to each other and to other words.

    Raises:
        SettingsError: a run that cannot learn a word alone, a word that cannot be added, too few or too many clips.
        DataError, AudioError: a clip that is unusable, or given twice; a folder that cannot be written.
    """
    model = load(request.run)
    old = model.objective
    if not isinstance(old, Nearest):
        raise SettingsError(
            f"{request.run}: is a run of kind {old.kind}, in which what one word scores depends on all others, so "
            "that none can be added without training. To enrol words, adapt with --set keywords.loss=prototypes or "
            "keywords.loss=match."
        )
    word = _allowed(request.word, old.labels, request.replace)
    if not 1 <= len(request.audio) <= MOST_CLIPS:
        raise SettingsError(f"{word}: {len(request.audio)} recordings; give 1 to {MOST_CLIPS}.")
    if request.out is not None and request.out.exists():
        raise SettingsError(f"{request.out}: is there already. Choose another --out; nothing was changed.")
    if request.out is not None and request.out.resolve().is_relative_to(request.run.resolve()):
        raise SettingsError(f"{request.out}: lies in the run that is copied. Choose another --out.")
    recordings = Recordings(model.encoder.sample_rate)
    embedded = _embedded(model, request.audio, recordings)
    new = old.enrolled(word, embedded)
    model.objective = new
    card = model.encoder.card
    model.encoder.card = replace(card, audio=card.audio.union(map(content_hash, request.audio)))
    _write(model, request.run, request.out)
    _tell(console, request.audio, word, new, embedded)
    _warn_of_length(console, word, new.acceptance.window, request.audio, recordings)
    console.print(f"{request.out or request.run}: {len(new.labels)} words, {word} from {len(embedded)} clips")
    return 0


def _allowed(word: str, known: Sequence[str], again: bool) -> str:
    name = unicodedata.normalize("NFC", word.strip())  # as the labels of a folder are
    if not name or name in RESERVED:
        raise SettingsError(f"{word!r} cannot be a word: {', '.join(RESERVED)} and nothing are kept for other sound.")
    if not name.isprintable():  # events and transcripts are lines, their parts between tabs
        raise SettingsError(f"{name!r} cannot be a word: it holds a line break, a tab or another unseen character.")
    if name in known and not again:
        raise SettingsError(f"{name}: is one of the run's words already. Give --replace to make it anew.")
    if name not in known and again:
        raise SettingsError(f"{name}: is none of the run's words ({', '.join(known)}), so leave out --replace.")
    return name


def _embedded(model: Model, audio: Sequence[Path], recordings: Recordings) -> list[Tensor]:
    """What is compared of each of N sound files, in order.

    Raises:
        DataError: one is unusable, or the same sound is there twice.
    """
    rows = [Utterance(path.resolve()) for path in audio]
    sounds: dict[str, Path] = {}
    for path, row in zip(audio, rows, strict=True):
        if path.is_dir():
            raise DataError(f"{path}: is a folder. Name the sound files in it; nothing was changed.")
        samples = torch.tensor([0 if (why := unusable_audio(recordings, row)) else len(recordings(row))])
        if why is None and not int(model.encoder.frame_lengths(samples)[0]):
            why = "shorter than one frame"
        if why is not None:
            raise DataError(f"{path}: {why.rstrip('.')}. Record it again, or leave it out; nothing was changed.")
        twin = sounds.setdefault(content_hash(path), path)
        if twin is not path:
            raise DataError(f"{path}: is the same sound as {twin}. Give each recording once; nothing was changed.")
    return embed(model, Manifest(tuple(rows)), recordings)


def _write(model: Model, run: Path, out: Path | None) -> None:
    """Into the run, or a copy of it that is there whole or not at all."""
    if out is None:
        save_objective(model, run)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as work:
            copy = shutil.copytree(run, Path(work) / "run")
            save_objective(model, copy)
            copy.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}). Choose another --out.") from error


def _tell(console: Console, audio: Sequence[Path], word: str, objective: Nearest, embedded: list[Tensor]) -> None:
    """Each clip's distance to the word and to the nearest other, with a warning where that is nearer."""
    distances = objective.distances(embedded).sqrt()
    own = objective.labels.index(word)
    near, places = distances.index_fill(1, torch.tensor([own]), torch.inf).min(1)
    for path, mine, other, place in zip(audio, distances[:, own].tolist(), near.tolist(), places.tolist(), strict=True):
        name = objective.labels[place]
        warning = f"  warning: nearer to {name}; is it {word} that is said there?" if other < mine else ""
        console.print(f"{path}: {mine:.2f} from {word}, {other:.2f} from {name}{warning}")


def _warn_of_length(
    console: Console, word: str, window: float | None, audio: Sequence[Path], recordings: Recordings
) -> None:
    """A stream is scored by windows that hold the words of training; what is longer is never whole in one."""
    rate = recordings.sample_rate
    spans = [speech_span(recordings(Utterance(path.resolve())), rate) for path in audio]
    usual = float(np.median([last - first for first, last in spans])) / rate
    if window is not None and usual > window:
        enough = math.ceil(10 * usual) / 10
        console.print(
            f"warning: {word} lasts {usual:.1f} s, and this run hears a stream by windows of {window:g} s: spot "
            f"will hardly find it. Adapt with --set keywords.window={enough:g} to spot it."
        )
