"""The page of a check: what a data set is made of in pictures, and the most doubtful utterances to look at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechtransfer.audio import read
from speechtransfer.doctor import Examined
from speechtransfer.files import write_atomically
from speechtransfer.manifest import Utterance, ledger_counts
from speechtransfer.measure import Measured
from speechtransfer.pictures import INK, LINES, SAMPLE_RATE, Html, canvas, page, spectrogram, svg, table, wrapped
from speechtransfer.symptoms import Symptom, by_kind, by_utterance

#: Utterances shown, of each kind of doubt, and speakers with a bar of their own.
_MOST, _OF_A_KIND, _SPEAKERS = 24, 3, 20
#: Seconds shown of one.
_SHOWN = 15.0
_BINS = 40


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        data: what was checked.
        examined: what can be used, what cannot, and errors.
        measured: the sound of every usable utterance, by id.
        doubts: about usable utterances.
        notes: about splits.
    """

    data: str
    examined: Examined
    measured: Mapping[str, Measured]
    doubts: tuple[Symptom, ...]
    notes: tuple[str, ...]


def write_findings(path: Path, findings: Findings) -> None:
    """Write an HTML page that needs nothing from outside.

    Raises:
        AudioError: a recording cannot be read any more.
        DataError: the file cannot be written.
    """
    sections = {
        "Verdict": _verdict(findings),
        "Doubts": _doubts(findings.doubts),
        "Dropped": _dropped(findings),
        "Sound and text": _histograms(findings),
        "Who speaks": _speakers(findings),
        "Most doubtful": _examples(findings),
    }
    write_atomically(path, page(f"Check of {findings.data}", sections))


def _verdict(findings: Findings) -> str:
    rows, examined = findings.examined.manifest.rows, findings.examined
    doubtful = len({one.id for one in findings.doubts})
    dropped = sum(row.action == "dropped" for row in examined.manifest.ledger)
    told = f"{len(rows) - doubtful} utterances are in order, {doubtful} doubtful, {dropped} cannot be used."
    sizes = ((name, count, f"{minutes:.1f}") for name, count, minutes in examined.sizes)
    errors = "".join(wrapped("p", f"error: {error}", "note") for error in examined.errors[:_MOST])
    if len(examined.errors) > _MOST:
        errors += wrapped("p", f"... and {len(examined.errors) - _MOST} errors more", "note")
    notes = "".join(wrapped("p", note) for note in findings.notes)
    return wrapped("p", told, "verdict") + errors + table(("split", "utterances", "minutes"), sizes) + notes


def _doubts(doubts: Sequence[Symptom]) -> str:
    rows = [(first.kind, count, f"{first.detail} ({Path(first.id).name})") for first, count in by_kind(doubts)]
    return table(("what", "utterances", "such as"), rows) if rows else ""


def _dropped(findings: Findings) -> str:
    rows = ledger_counts(findings.examined.manifest.ledger).items()
    return table(("why", "utterances"), rows) if rows else ""


def _histograms(findings: Findings) -> str:
    rows = findings.examined.manifest.rows
    if not rows:
        return ""
    heard = [findings.measured[row.id] for row in rows]
    paces = [sum(map(str.isalpha, row.text)) / one.seconds for row, one in zip(rows, heard, strict=True) if row.text]
    pictures = [
        _histogram([one.seconds for one in heard], "Length", "seconds"),
        _histogram(paces, "Pace", "letters a second") if paces else "",
        _histogram([one.peak for one in heard], "Peak", "dB of full scale"),
        _histogram([one.level for one in heard], "Level (root mean square)", "dB of full scale"),
        _histogram([one.bandwidth / 1000 for one in heard], "Bandwidth", "kHz"),
        _histogram([one.sample_rate / 1000 for one in heard], "Sample rate", "kHz"),
    ]
    return f'<div class="side">{"".join(pictures)}</div>'


def _histogram(values: Sequence[float], title: str, unit: str) -> str:
    figure, axes = canvas(3.0, 2.2)
    axes.hist(values, bins=_BINS, color=LINES[0][0])
    axes.set_yscale("symlog")  # the few that are unlike the others are what one looks for
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.set_ylabel("utterances")
    return svg(figure, f"Histogram of {title.lower()} in {unit}")


def _speakers(findings: Findings) -> str:
    """Minutes of each speaker by split, those with most first."""
    minutes: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in findings.examined.manifest:
        minutes[row.speaker or "not named"][row.split or "all"] += findings.measured[row.id].seconds / 60
    splits = list(findings.examined.seconds)
    ordered = sorted(minutes, key=lambda name: -sum(minutes[name].values()))
    shown, others = ordered[:_SPEAKERS], ordered[_SPEAKERS:]
    if others:
        name = f"{len(others)} others"
        for split in splits:
            minutes[name][split] = sum(minutes[other][split] for other in others)
        shown.append(name)
    if not shown:
        return ""
    figure, axes = canvas(7.6, 0.9 + 0.24 * len(shown))
    left = np.zeros(len(shown))
    for place, split in enumerate(splits):
        width = np.array([minutes[name][split] for name in shown])
        colour, hatch = LINES[place % len(LINES)][0], ("", "//", "..", "xx")[place % 4]
        axes.barh(range(len(shown)), width, left=left, color=colour, hatch=hatch, edgecolor=INK, lw=0.3, label=split)
        left += width
    axes.set_yticks(range(len(shown)), shown, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("minutes")
    for text in axes.legend(frameon=False).get_texts():
        text.set_color(INK)
        text.set_parse_math(False)
    return svg(figure, f"Minutes by speaker and split: {', '.join(splits)}")


def _examples(findings: Findings) -> str:
    rows = {row.id: row for row in findings.examined.manifest}
    chosen = worst(findings.doubts)
    return "".join(_example(rows[name], findings.measured[name], doubts) for name, doubts in chosen.items())


def worst(doubts: Iterable[Symptom], most: int = _MOST, of_a_kind: int = _OF_A_KIND) -> dict[str, list[Symptom]]:
    """Doubts by utterance: first those with most kinds of them, and of each kind a few."""
    by_row = by_utterance(doubts)
    shown: Counter[str] = Counter()
    chosen: dict[str, list[Symptom]] = {}
    for name in sorted(by_row, key=lambda name: -len({one.kind for one in by_row[name]})):
        kinds = {one.kind for one in by_row[name]}
        if len(chosen) < most and min(shown[kind] for kind in kinds) < of_a_kind:
            chosen[name] = by_row[name]
            shown.update(kinds)
    return chosen


def _example(row: Utterance, heard: Measured, doubts: Sequence[Symptom]) -> str:
    """One utterance: its name and figures, what it says, what is doubted, and its sound."""
    place = ", ".join(filter(None, (row.split, row.speaker, f"{heard.seconds:.2f} s", f"peak {heard.peak:.0f} dB")))
    told = "".join(wrapped("li", f"{one.kind}: {one.detail}") for one in doubts)
    start = row.start or 0.0
    wave = read(row.audio, SAMPLE_RATE, start, start + min(heard.seconds, _SHOWN))
    wave = np.pad(wave, (0, max(0, 1024 - len(wave))))  # a window of the spectrogram
    return (
        f'<div class="one">{wrapped("div", f"{Path(row.id).name} ({place})", "dim")}'
        f"{wrapped('div', Html(wrapped('strong', row.text or row.label or '')))}<ul>{told}</ul>"
        f"{_waveform(wave)}{spectrogram(wave)}</div>"
    )


def _waveform(wave: np.ndarray) -> str:
    """SVG of the envelope of samples (S,) at full scale."""
    figure, axes = canvas(7.6, 1.3)
    step = max(1, len(wave) // 800)
    columns = wave[: len(wave) // step * step].reshape(-1, step)
    seconds = np.arange(len(columns)) * step / SAMPLE_RATE
    axes.fill_between(seconds, columns.min(1), columns.max(1), color=LINES[0][0], lw=0.4)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xlim(0, len(wave) / SAMPLE_RATE)
    return svg(figure, "Waveform")
