"""What transcribe does: a finished run, or a packaged source, writes down what is said in sound files."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechtransfer.align import writes
from speechtransfer.audio import Recordings, probe
from speechtransfer.checkpoint import load as load_model
from speechtransfer.corpora.elan import require_nameable, write_eaf
from speechtransfer.corpora.praat import write_textgrid
from speechtransfer.corpora.subtitles import write_srt
from speechtransfer.drafts import LONGEST, Draft, draft
from speechtransfer.errors import AudioError, SettingsError
from speechtransfer.evaluate import predict
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives.contract import Prediction, Spots
from speechtransfer.offers import find_run
from speechtransfer.trial import rounded

if TYPE_CHECKING:
    from speechtransfer.cli import Transcribe

#: Files that are heard before the first of them is printed: enough for a batch, few enough to be waited for.
_TOGETHER = 16
#: Seconds; what is longer is heard utterance by utterance: few training utterances are, and memory would not do.
_WHOLE = 30.0
#: Seconds from the first letter of a subtitle to its last, at most: there is no room for more.
_SHOWN = 7.0
_SUFFIXES = {"eaf": ".eaf", "textgrid": ".TextGrid", "srt": ".srt"}

_UNTIMED = "gives a recording a number, and writes nothing that could be corrected. Leave --out out."

_Found = Prediction | Draft | AudioError


def transcribe(request: Transcribe) -> int:
    """Print one line a file, as files are heard; one that cannot be read is named, and the others are heard.

    What is written already is not heard again, so that the same command goes on where it was interrupted.

    Raises:
        AudioError: at the end, where there was such a file; at once, where it is the only one.
        SettingsError: no file is given; or one would be written twice, or nowhere.
    """
    if not request.audio:
        raise SettingsError("there is nothing to transcribe. Give sound files.")
    targets = _targets(request)
    wanted = [path for path in request.audio if path not in targets or not targets[path].exists()]
    for path in (one for one in request.audio if one not in wanted):
        print(f"{targets[path]}: is there already, and may be corrected: it stays", file=sys.stderr)
    model = load_model(find_run(request.run))
    if targets and not writes(model.objective):
        why = (
            "knows words, not sentences. `spot` finds their times." if isinstance(model.objective, Spots) else _UNTIMED
        )
        raise SettingsError(f"{request.run}: {why}")
    lost = written = 0
    for path, found in _heard(model, wanted, request):
        if isinstance(found, AudioError):
            if len(request.audio) == 1:
                raise found
            print(found, file=sys.stderr, flush=True)
            lost += 1
            continue
        target = targets.get(path)
        if isinstance(found, Draft) and target is not None:
            _write(target, path, found)
            written += len(found.rows)
        print(_line(request, path, found, target), flush=True)
    if written:
        print(f"correct what is there, then: {_again(request, targets)}", file=sys.stderr)
    if lost:
        raise AudioError(f"{lost} of {len(request.audio)} files could not be read; they are named above.")
    return 0


def _again(request: Transcribe, targets: Mapping[Path, Path]) -> str:
    """The command that learns from corrected drafts; of one recording the utterances have to be split."""
    folders = " ".join(dict.fromkeys(shlex.quote(str(path.parent)) for path in targets))
    again = f"speechtransfer adapt {shlex.quote(str(request.out))} --audio-root {folders}"
    again += f" --language {request.language}" if request.language else ""
    written = {path for target in targets.values() for path in target.parent.glob(f"*{target.suffix}")}
    return f"{again}{' --set split_by=span' if len(written) == 1 else ''} --out runs/corrected"


def _targets(request: Transcribe) -> dict[Path, Path]:
    """The file to write for each recording; none without ``--out``.

    Raises:
        SettingsError: no folder for them, or two would be one file.
        DataError: a name that no .eaf file can hold.
    """
    if request.out is None:
        if request.to is not None:
            raise SettingsError(f"--to {request.to}: where? Name a folder with --out.")
        return {}
    if request.out.exists() and not request.out.is_dir():
        raise SettingsError(f"{request.out}: is a file. Name a folder with --out.")
    suffix = _SUFFIXES[request.to or "eaf"]
    targets = {path: request.out / f"{path.stem}{suffix}" for path in request.audio}
    taken: dict[Path, Path] = {}
    for path, target in targets.items():
        if suffix == _SUFFIXES["eaf"]:
            require_nameable(path)
        if target in taken:
            raise SettingsError(f"{path} and {taken[target]} would both be {target}: transcribe them apart.")
        taken[target] = path
    return targets


def _heard(model: Model, paths: Sequence[Path], request: Transcribe) -> Iterator[tuple[Path, _Found]]:
    """What is heard in each file, in order: short ones together, others utterance by utterance, told one by one."""
    recordings, short = Recordings(model.encoder.sample_rate), list[Path]()
    for number, path in enumerate(paths, 1):
        whole = _is_whole(model, path, request)
        if whole:
            short.append(path)
        if not whole or len(short) == _TOGETHER or number == len(paths):
            yield from zip(short, _together(model, short, recordings, request.language), strict=True)
            short = []
        if not whole:
            yield path, _draft(model, path, request)


def _is_whole(model: Model, path: Path, request: Transcribe) -> bool:
    """Whether a file is heard as one utterance; so is what cannot be read, which then says why."""
    if not writes(model.objective):
        return True
    try:
        return request.out is None and probe(path).seconds <= _WHOLE
    except AudioError:
        return True


def _draft(model: Model, path: Path, request: Transcribe) -> Draft | AudioError:
    try:
        return draft(model, path, request.language, _SHOWN if request.to == "srt" else LONGEST)
    except AudioError as error:
        return error


def _together(
    model: Model, paths: Sequence[Path], recordings: Recordings, language: str | None
) -> list[Prediction | AudioError]:
    """What is heard in each file, together where all can be read, otherwise one by one."""
    if not paths:
        return []
    rows = [Utterance(path.resolve(), language=language) for path in paths]
    try:
        return [*predict(model, Manifest(tuple(rows)), recordings)]
    except AudioError as error:
        if len(paths) == 1:
            return [error]
        return [found for path in paths for found in _together(model, [path], recordings, language)]


def _write(target: Path, audio: Path, found: Draft) -> None:
    if target.suffix == ".eaf":
        write_eaf(target, audio, found.seconds, found.rows)
    elif target.suffix == ".srt":
        write_srt(target, found.seconds, found.rows)
    else:
        write_textgrid(target, found.seconds, found.rows)


def _line(request: Transcribe, path: Path, found: Prediction | Draft, target: Path | None) -> str:
    """What is printed of a file: its text, or what was written of it."""
    text = found.text if isinstance(found, Draft) else found.value
    if isinstance(found, Draft) and target is not None and not request.json:
        spoken = sum((row.end or 0.0) - (row.start or 0.0) for row in found.rows)
        return f"{target}: {len(found.rows)} utterances, {spoken:.0f} of {found.seconds:.0f} seconds"
    if not request.json:
        return f"{path}\t{text}"
    line: dict[str, Any] = {"audio": str(path), "text": text, "confidence": rounded(found.confidence)}
    if isinstance(found, Draft):
        line["utterances"] = [
            {"start": row.start, "end": row.end, "text": row.text, "confidence": rounded(row.confidence)}
            for row in found.rows
        ]
    return json.dumps(line, ensure_ascii=False)
