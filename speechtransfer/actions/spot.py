"""What spot does: listen to files, a corpus, standard input or the microphone, and say which words are heard."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from speechtransfer.audio import Recordings
from speechtransfer.checkpoint import load as load_model
from speechtransfer.console import plain_console
from speechtransfer.corpora import detect
from speechtransfer.corpora import load as load_corpus
from speechtransfer.corpora.contract import is_sound
from speechtransfer.errors import DataError, SettingsError
from speechtransfer.events import Event
from speechtransfer.lexicon import parted
from speechtransfer.listening import from_file, from_microphone, from_stream
from speechtransfer.model import Model
from speechtransfer.objectives.contract import Spots
from speechtransfer.score import false_accepts_per_hour, hours_for
from speechtransfer.stream import SpotSettings, Spotter

if TYPE_CHECKING:
    from speechtransfer.keyword_verbs import Spot

#: Thresholds of which `--absent` says what they would have given.
_THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
#: A name and its sound, block by block.
Sound = tuple[str, Iterable[np.ndarray]]


def spot(request: Spot) -> int:
    """Print events as they happen; with ``absent``, how many false accepts there are an hour."""
    if request.claim is not None and not request.absent:
        raise SettingsError("--claim is about false accepts: say with --absent that no word is said in the sound.")
    if request.claim is not None and not request.claim > 0:
        raise SettingsError(f"--claim {request.claim:g}: no number of hours shows that. Claim a rate above 0.")
    settings = SpotSettings(request.hop, request.smooth, request.refractory, request.threshold)
    model = load_model(request.run)
    asked = _asked(request, model)
    began, seconds, count = time.perf_counter(), 0.0, 0
    beside = dict.fromkeys(_THRESHOLDS if request.absent else (), 0)
    interrupted = False
    for name, blocks in _sounds(request, model.encoder.sample_rate):
        spotter = Spotter(model, settings, [*beside])
        try:
            for event in spotter.listen(blocks):
                count += _tell(name, event, asked, request.json)
        except KeyboardInterrupt:  # a microphone has no other end; what was heard until then is told all the same
            interrupted = True
            for event in spotter.flush():
                count += _tell(name, event, asked, request.json)
        seconds += spotter.windows.seconds
        for threshold, counts in spotter.counts.items():
            beside[threshold] += sum(counts[word] for word in asked)
        if interrupted:
            break
    if not seconds:
        raise DataError("there was no sound to listen to. Check what is given, or what is written to standard input.")
    took = time.perf_counter() - began
    # What people read besides the events must not stand among them.
    words = plain_console(stderr=True)
    words.print(f"{count} events in {seconds:.1f} s of sound, heard in {took:.1f} s ({took / seconds:.1%})")
    if request.absent:
        _compare(words, beside, seconds / 3600)
        _judge(words, count, seconds / 3600, request.claim)
    return 0


def _asked(request: Spot, model: Model) -> frozenset[str]:
    """The words to tell of: all of the run's where none is named.

    Raises:
        SettingsError: one that the run does not know.
    """
    known = model.objective.words if isinstance(model.objective, Spots) else ()
    asked = [unicodedata.normalize("NFC", word) for word in parted(request.words)]  # as the labels of a folder are
    if strange := [word for word in asked if word not in known]:
        raise SettingsError(f"--words {', '.join(strange)}: {request.run} spots {', '.join(known) or 'no words'}.")
    return frozenset(asked or known)


def _sounds(request: Spot, rate: int) -> Iterator[Sound]:
    given = request.audio
    if request.microphone + bool(given) != 1:
        raise SettingsError("give sound files, a corpus, - for standard input, or --microphone: one of them.")
    if request.raw is not None and given != ("-",):
        raise SettingsError("--raw is about standard input: give - in place of files.")
    if request.microphone:
        yield "microphone", from_microphone(rate)
    elif given == ("-",):
        yield "-", from_stream(sys.stdin.buffer, rate, request.raw)
    elif len(given) == 1 and not is_sound(Path(given[0])):
        print(f"{given[0]}: read as {detect(given[0])}", file=sys.stderr)
        recordings = Recordings(rate, budget_bytes=0)
        for row in load_corpus(given[0], None, request.audio_root):
            yield row.id, (recordings(row),)
    else:
        for name in given:
            yield name, from_file(Path(name), rate)


def _tell(name: str, event: Event, asked: frozenset[str], as_json: bool) -> bool:
    """Print an event, as it happens, where its word is asked for; whether it was."""
    if event.word not in asked:
        return False
    line = {"audio": name, "time": round(event.time, 3), "word": event.word, "score": round(event.score, 4)}
    text = json.dumps(line, ensure_ascii=False) if as_json else "\t".join(map(str, line.values()))
    print(text, flush=True)
    return True


def _compare(words: Console, counts: Mapping[float, int], hours: float) -> None:
    """Say what one threshold for all words would have given: which to choose, and to count anew on other speech."""
    words.print("one threshold for all words would have given here (count the one that you choose on other speech):")
    for threshold, events in counts.items():
        rate = false_accepts_per_hour(events, hours)
        words.print(f"  --threshold {threshold:<5g} {events:>6} events, {rate.value:.2f} an hour")


def _judge(words: Console, events: int, hours: float, claim: float | None) -> None:
    """Say the rate with its bound, and refuse a claim that the hours cannot support."""
    rate = false_accepts_per_hour(events, hours)
    words.print(
        f"false accepts: {events} in {hours:.3f} hours, {rate.value:.2f} an hour; with 95% certainty "
        f"fewer than {rate.high:.2f}"
    )
    if claim is not None and rate.high > claim:
        raise DataError(
            f"{events} false accepts in {hours:.3f} hours support fewer than {rate.high:.2f} an hour, not {claim:g}. "
            f"With as many, that needs {hours_for(events, claim):.1f} hours: listen to more, or raise the thresholds."
        )
