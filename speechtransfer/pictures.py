"""How a report looks: its page, tables, pictures as inline SVG, and errors aligned letter by letter.

Pictures have no background and draw text and axes in the page's own colour, so that they suit light and dark;
their text stays text, so that the reader's fonts, which know more scripts than ours, draw it. What colour
says, a shape says too: a dash, a marker, a border, a sign.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from speechtransfer.features import LogMel, MelSettings
from speechtransfer.score import GRADED, Estimate, aligned

SAMPLE_RATE = 16000  # Hz of the wave that `spectrogram` draws
INK = "#010203"  # stands for the page's text colour until the SVG is written
# Bright enough on black, dark enough on white, and apart for the colour-blind (after Okabe and Ito).
LINES = (("#2f81d6", "-", "o"), ("#d97f00", "--", "s"), ("#12a07a", ":", "^"), ("#c8649b", "-.", "D"))
_RANGE_DB = 60.0  # of a spectrogram below its loudest point: what lies under it is the room
_MEL = MelSettings(kind="htk", sample_rate=SAMPLE_RATE, n_mels=64, n_fft=1024, win_length=400)
SPELT = ("text", "phones")  # of what kinds of tests the parts are compared
_NOTHING, _SPACE = "∅", "␣"
_UNITS = {"cer": "characters", "wer": "words", "per": "phones", "accuracy": "items", "macro_f1": "items"}
#: The policy forbids the page to load anything, should a later change forget that it must not.
_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>$title</title><style>$style</style></head><body><nav>$links</nav><h1>$title</h1>
$body
</body></html>
""")
_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1d2125; --dim: #5c6670; --line: #d5dae0;
  --box: #f4f6f8; --sub: #9a4a00; --del: #a3123f; --ins: #00603f; --link: #0b57b0 }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --ink: #e4e8ec; --dim: #9aa5b1;
  --line: #363d45; --box: #1f2428; --sub: #ffb066; --del: #ff8fae; --ins: #5fd6a8; --link: #7db8ff } }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25 } h3 { font-size: 1rem }
h2 { font-size: 1.2rem; margin-top: 2rem; padding-top: .8rem; border-top: 1px solid var(--line) }
a { color: var(--link); margin-right: .9rem; display: inline-block } summary { cursor: pointer }
.dim { color: var(--dim); font-size: .9rem }
.verdict { padding: .8rem 1rem; border-left: .3rem solid var(--link); background: var(--box) }
.note { padding: .5rem 1rem; border: 1px solid var(--sub); border-radius: .3rem }
.scroll, pre { overflow-x: auto } pre { padding: .6rem; background: var(--box); font-size: .85rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal }
th, td { padding: .3rem 1rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line) }
.side { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start }
svg { max-width: 100%; height: auto; display: block } .one { margin: .9rem 0 }
.pair { display: flex; flex-wrap: wrap; row-gap: .4rem; font-size: 1.1rem }
.pair > span { display: inline-flex; flex-direction: column; white-space: pre; text-align: center;
  border: 2px solid transparent; border-radius: .25rem }
.pair > span > * { min-width: .6em; min-height: 1.5em; text-decoration-thickness: 2px }
.pair .equal { text-align: start; border-width: 2px 0 } .pair .equal > :last-child { color: var(--dim) }
.pair .substitute { color: var(--sub); border: 2px solid } .pair ins { text-decoration: none }
.pair .delete { color: var(--del); border-bottom: 2px dashed }
.pair .insert { color: var(--ins); border-top: 2px dotted }
"""


@dataclass(frozen=True)
class Curve:
    """A line over training steps; lines of one name (the folds of a run) share a colour and a legend."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


class Html(str):
    """Markup whose content is escaped already; any other string is escaped where it enters a page."""


def markup(value: object) -> Html:
    """A value as markup: itself, or escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def page(title: str, sections: Mapping[str, str]) -> bytes:
    """An HTML page of named sections; those without content are left out."""
    held = [(name, name.lower().replace(" ", "-"), content) for name, content in sections.items() if content]
    links = " ".join(f'<a href="#{anchor}">{name}</a>' for name, anchor, _ in held)
    body = "\n".join(f'<section id="{at}"><h2>{name}</h2>\n{content}</section>' for name, at, content in held)
    whole = _PAGE.substitute(title=escape(title), style=_STYLE, links=links, body=body)
    return whole.encode("utf-8", "replace")  # JSON may hold half a surrogate pair, which UTF-8 cannot


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table that scrolls sideways by itself where a screen is narrow."""
    head = "".join(f'<th scope="col">{markup(one)}</th>' for one in header)
    lines = "\n".join("<tr>" + "".join(f'<td dir="auto">{markup(one)}</td>' for one in row) + "</tr>" for row in rows)
    return Html(f'<div class="scroll"><table><tr>{head}</tr>\n{lines}</table></div>')


def wrapped(tag: str, content: object, style: str = "") -> Html:
    """Content, escaped, as an element that finds its own writing direction."""
    return Html(f'<{tag} dir="auto"' + (f' class="{style}"' if style else "") + f">{markup(content)}</{tag}>")


def plain(text: object) -> str:
    """Text for Markdown on one line, its signs without their powers."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", " ".join(str(text).split()))


def told(metric: str, estimate: Estimate) -> str:
    """A figure with its interval and count, in words."""
    hourly = metric == "false_accepts_per_hour"
    form = ".2f" if hourly else ".3g" if metric in GRADED else ".1%"
    value, low, high = (format(one, form) for one in (estimate.value, estimate.low, estimate.high))
    counted = f"{estimate.count} events" if hourly else f"of {estimate.count} {_UNITS.get(metric, 'trials')}"
    return f"{value} ({low} to {high}) {counted}"


def folded(summary: object, content: str) -> Html:
    """Content that unfolds when its summary is pressed."""
    return Html(f"<details><summary>{markup(summary)}</summary>{content}</details>")


def shown(character: str) -> str:
    """A character so that it can be seen: nothing, spaces, lone accents and controls get a stand-in."""
    if not character.strip():
        return _SPACE if character else _NOTHING
    if len(character) > 1:
        return character
    if unicodedata.combining(character) or unicodedata.category(character).startswith("M"):
        return f"◌{character}"
    return f"U+{ord(character):04X}" if unicodedata.category(character).startswith("C") else character


def alignment(reference: str, hypothesis: str, of: str = SPELT[0]) -> str:
    """HTML of what was said over what was heard, a column a difference; whole labels unless of a kind that is spelt."""
    columns: list[tuple[str, str, str]] = []
    if of not in SPELT or not reference.strip():
        kind = "equal" if reference == hypothesis else "substitute"
        columns = [(kind if reference.strip() else "insert", reference, hypothesis)]
    else:
        for kind, said, heard in aligned(reference, hypothesis, of == "phones"):
            if kind == "equal":  # cut after spaces, so that the line can break there
                columns += [(kind, piece, piece) for piece in re.findall(r"\S{0,14}\s?", "".join(said)) if piece]
            else:
                width = max(len(said), len(heard))
                columns += [(kind, "".join(said[i : i + 1]), "".join(heard[i : i + 1])) for i in range(width)]
    return '<div class="pair" dir="auto">' + "".join(_column(*column) for column in columns) + "</div>"


def _column(kind: str, said: str, heard: str) -> str:
    if kind == "equal":
        accent = "◌" if unicodedata.category(said[0]).startswith("M") else ""
        cell = f"<span>{accent}{escape(said)}</span>"
        return f'<span class="equal">{cell}{cell}</span>'
    above, below = escape(shown(said)), escape(shown(heard))
    title = f"{kind}: {above} → {below}"
    if kind == "delete":
        above, below = f"<del>{above}</del>", "<span>−</span>"
    elif kind == "insert":
        above, below = "<span>+</span>", f"<ins>{below}</ins>"
    else:
        above, below = f"<span>{above}</span>", f"<span>{below}</span>"
    return f'<span class="{kind}" title="{title}">{above}{below}</span>'


def curves(lines: Sequence[Curve], title: str, percent: bool = False) -> str:
    """SVG of lines over training steps."""
    figure, axes = canvas(4.6, 3.0)
    names = list(dict.fromkeys(line.name for line in lines))
    for line in lines:
        colour, dash, marker = LINES[names.index(line.name) % len(LINES)]
        label = None if line.name in axes.get_legend_handles_labels()[1] else line.name
        every = max(1, len(line.steps) // 12)
        axes.plot(line.steps, line.values, dash + marker, color=colour, ms=3.5, markevery=every, label=label)
    axes.set_title(title)
    axes.set_xlabel("step")
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    finite = [value for line in lines for value in line.values if np.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > 30 * min(finite):
        axes.set_yscale("log")
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
        axes.yaxis.set_minor_formatter(lambda value, _: "")
    if len(names) > 1:
        for text in axes.legend(frameon=False).get_texts():
            text.set_color(INK)
            text.set_parse_math(False)
    return svg(figure, f"{title} over training steps: {', '.join(names)}")


def confusions(counted: Counter[tuple[str, str]], most: int = 10) -> str:
    """A heat map and a table of what was most often taken for what."""
    total = sum(counted.values())
    rows = [(*map(shown, pair), times, f"{times / total:.1%}") for pair, times in counted.most_common(most)]
    listed = table(("said", "heard", "times", "of all errors"), rows)
    stands = wrapped("p", f"{_NOTHING}, nothing: said, it marks an insertion; heard, a deletion.", "dim")
    return f'<div class="side">{listed}{_confusion_map(counted, most)}</div>{stands}'


def _confusion_map(counted: Counter[tuple[str, str]], most: int) -> str:
    """SVG of how often each of the most confused characters (down) was taken for which (across)."""
    said, heard = (Counter[str]() for _ in range(2))
    for (a, b), times in counted.items():
        said[a] += times
        heard[b] += times
    down, across = ([name for name, _ in one.most_common(most)] for one in (said, heard))
    counts = np.array([[counted[a, b] for b in across] for a in down], dtype=float)
    figure, axes = canvas(1.2 + 0.36 * len(across), 1.0 + 0.36 * len(down))
    strength = counts / max(counts.max(), 1.0)
    # One colour, the more opaque the oftener: readable on any page.
    blue = matplotlib.colors.to_rgb(LINES[0][0])
    axes.imshow(np.dstack([np.broadcast_to(blue, (*counts.shape, 3)), np.sqrt(strength)]), aspect="equal")
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(column, row, f"{counts[row, column]:.0f}", color=INK, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(across)), [shown(name) for name in across], parse_math=False)
    axes.set_yticks(range(len(down)), [shown(name) for name in down], parse_math=False)
    axes.set_xlabel("heard")
    axes.set_ylabel("said")
    return svg(figure, "Heat map of confusions, said down and heard across")


@dataclass(frozen=True)
class Marks:
    """What a spectrogram shows beside its sound, in seconds: a cut's borders, and letters where they were heard."""

    start: float
    end: float
    letters: tuple[tuple[float, str], ...]


def spectrogram(wave: np.ndarray, begin: float = 0.0, marks: Marks | None = None) -> str:
    """SVG of the log-mel spectrogram of samples (S,) float32 at `SAMPLE_RATE`, the first of them at second `begin`."""
    samples = torch.from_numpy(np.array(wave, dtype=np.float32))[None]
    values, _ = LogMel(_MEL)(samples, torch.tensor([samples.shape[1]]))
    decibels = values[0].numpy().T * (10 / np.log(10))
    figure, axes = canvas(7.6, 2.6)
    extent = (begin, begin + len(wave) / SAMPLE_RATE, 0.0, float(_MEL.n_mels))
    top = float(decibels.max())
    axes.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="magma",
        vmin=top - _RANGE_DB,
        vmax=top,
        interpolation="nearest",
    )
    hertz = np.array([250, 500, 1000, 2000, 4000, 8000])
    bands = np.log1p(hertz / 700) / np.log1p(SAMPLE_RATE / 2 / 700) * _MEL.n_mels
    axes.set_yticks(bands, [f"{one:g}" for one in hertz / 1000])
    axes.set_ylabel("kHz (mel scale)")
    axes.set_xlabel("seconds")
    if marks is not None:
        for outside in ((extent[0], marks.start), (marks.end, extent[1])):
            axes.axvspan(*outside, color="black", alpha=0.5, linewidth=0)
        axes.vlines((marks.start, marks.end), 0, _MEL.n_mels, color="white", linewidth=1.5)
        for second, letter in marks.letters:
            axes.text(second, _MEL.n_mels + 1, letter, color=INK, ha="center", fontsize=9, parse_math=False)
        axes.set_xlim(extent[:2])
    return svg(figure, "Log-mel spectrogram")


def canvas(width: float, height: float) -> tuple[Figure, matplotlib.axes.Axes]:
    """A figure of so many inches with one pair of axes in the page's ink."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(colors=INK, labelsize=9)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set(color=INK, fontsize=10)
    for name, spine in axes.spines.items():
        spine.set(color=INK, alpha=0.5, visible=name in ("left", "bottom"))
    return figure, axes


def written(figure: Figure, salt: str, description: str | None = None, transparent: bool = False) -> str:
    """A figure as the text of an SVG file; the same figure and salt give the same bytes."""
    buffer = io.StringIO()
    described = {**dict.fromkeys(("Creator", "Date", "Format", "Type")), "Description": description}  # no date
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}), warnings.catch_warnings():
        # matplotlib only measures the text, with a font that lacks many scripts; the browser draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(buffer, format="svg", transparent=transparent, dpi=144, metadata=described)
    return buffer.getvalue()


def svg(figure: Figure, label: str) -> str:
    """A figure as an SVG element that needs nothing from outside and shares no id with its neighbours."""
    svg = written(figure, label, transparent=True)
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows them
    used = set(re.findall(r"#(\w+)", svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
