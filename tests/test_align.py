"""Alignment of words on tones whose borders are known, and what becomes of utterances that cannot be aligned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speechtransfer.align import Alignment, Letter, Word, align, recognisers
from speechtransfer.audio import Recordings, write_wav
from speechtransfer.errors import SettingsError
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Classify, Ctc, Sum
from speechtransfer.pronunciation import Phones
from speechtransfer.segment import Line, segment
from speechtransfer.text import TextContract
from speechtransfer.units import Multigraphs, Pieces, Units
from speechtransfer.vocabulary import Vocabulary

RATE = 16_000


@pytest.fixture
def row(tmp_path: Path, spoken: Callable[[str], np.ndarray]) -> Callable[..., Utterance]:
    """Makes an utterance that says a text, whatever its transcript claims."""

    def make(said: str, **fields: str) -> Utterance:
        path = tmp_path / f"{said}.wav"
        write_wav(path, spoken(said), RATE)
        return Utterance(path, **{"text": said, **fields})

    return make


def test_words_lie_where_their_tones_are(listener: Model, row: Callable[..., Utterance]) -> None:
    texts = ["ab cd", "abc", "a b c", "dad ab"]
    rows = Manifest(tuple(map(row, texts)))
    found, ledger = align(listener, rows, Recordings(RATE))
    assert not ledger
    for one in rows:
        at, alignment = 0.0, found[one.id]
        assert [word.text for word in alignment.words] == one.text.split()
        for word in alignment.words:
            for letter in word.letters:
                assert letter.start == pytest.approx(at, abs=0.021)
                assert letter.end == pytest.approx(at + 0.12, abs=0.021)
                at += 0.12
            at += 0.3
        assert alignment.seconds == pytest.approx(at - 0.3, abs=1e-3)
        assert alignment.confidence(0, len(alignment.words) - 1) > 0.9


def test_a_word_that_was_not_said_is_not_believed(listener: Model, row: Callable[..., Utterance]) -> None:
    rows = Manifest((row("ab cd", text="ab dc"),))
    found, _ = align(listener, rows, Recordings(RATE))
    alignment = found[rows[0].id]
    assert alignment.confidence(0, 0) > 0.9
    assert alignment.confidence(1, 1) < 0.1
    both = [letter.log_posterior for word in alignment.words for letter in word.letters]
    assert alignment.confidence(0, 1) == pytest.approx(np.exp(np.mean(both)))


def test_what_cannot_be_aligned_is_in_the_ledger(listener: Model, row: Callable[..., Utterance]) -> None:
    rows = Manifest((row("ab"), row("cd", text="cx é"), row("a", text="abcd " * 9), row("d", text="d")))
    found, ledger = align(listener, rows, Recordings(RATE))
    assert set(found) == {rows[0].id, rows[3].id}
    assert [(line.audio, line.reason) for line in ledger] == [
        (rows[1].id, "unknown characters: x é"),
        (rows[2].id, "too few frames: 44 needed, 6 there"),
    ]


@pytest.mark.parametrize(
    ("units", "letters"),
    [
        (Multigraphs(("ab",)), [["ab", "c"], ["d"]]),
        (Pieces((("b", "c"), ("a", "bc"))), [["abc"], ["d"]]),
        (Phones({"abc": ("A", "BC"), "d": ("D",)}), [["A", "BC"], ["D"]]),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_units_lie_in_their_words(
    listener: Model, row: Callable[..., Utterance], units: Units, letters: list[list[str]]
) -> None:
    """Each unit is heard by its first letter's tone."""
    objective, old = Ctc(Vocabulary.from_texts(["abc d"], units=units)), listener.objective
    assert isinstance(old, Ctc)
    objective.attach(listener.encoder.width, listener.encoder.period)
    head, own = objective.heads["output"], old.heads["output"]
    with torch.no_grad():
        for index, label in enumerate(objective.vocabulary.labels):
            tone = old.vocabulary.labels.index(label[:1].lower())
            head.weight[index], head.bias[index] = own.weight[tone], own.bias[tone]
    rows = Manifest((row("abc d"), row("d", text="d x")))
    model = Model(listener.encoder, objective)
    found, ledger = align(model, rows, Recordings(RATE))
    alignment = found[rows[0].id]
    assert [[letter.character for letter in word.letters] for word in alignment.words] == letters
    assert alignment.words[0].letters[0].start == pytest.approx(0.0, abs=0.03)
    assert alignment.words[1].letters[0].start == pytest.approx(0.66, abs=0.03)
    assert [line.reason.split(":")[0] for line in ledger] == [f"unknown {units.unknown}"]
    (whole,) = segment(model, rows[0].audio, [Line(Path("story.txt"), 1, "abc d")]).segments
    assert [unit for _, unit in whole.letters if unit != " "] == [unit for word in letters for unit in word]


def test_each_language_is_aligned_by_its_own_layer(listener: Model, row: Callable[..., Utterance]) -> None:
    own = listener.objective
    assert isinstance(own, Ctc)
    mute = Ctc(Vocabulary(("a",)), only={"language": "eng"})
    mute.attach(listener.encoder.width, listener.encoder.period)
    tuned = Ctc(own.vocabulary, only={"language": "spa"})
    tuned.attach(listener.encoder.width, listener.encoder.period)
    tuned.load_state_dict(own.state_dict())
    model = Model(listener.encoder, Sum(eng=(1.0, mute), spa=(1.0, tuned)))
    rows = Manifest((row("ab", language="spa"), row("cd", language="eng"), row("c", language="fra")))
    found, ledger = align(model, rows, Recordings(RATE))
    assert found[rows[0].id].confidence(0, 0) > 0.9
    assert [line.reason for line in ledger] == [
        "unknown characters: c d",
        "no output layer is for it: language fra",
    ]


def test_a_classifier_aligns_nothing() -> None:
    with pytest.raises(SettingsError, match=r"adapt --task ctc"):
        recognisers(Classify(("yes", "no")))


def test_layers_that_read_transcripts_differently_are_refused() -> None:
    parts = {case: (1.0, Ctc(Vocabulary(("a",), TextContract(case=case)))) for case in ("lower", "keep")}
    with pytest.raises(SettingsError, match="different text contracts"):
        recognisers(Sum(**parts))


def test_a_padded_batch_aligns_as_single_utterances_do(listener: Model, row: Callable[..., Utterance]) -> None:
    rows = [row(text) for text in ("abcd", "abc", "ab d")]
    together, _ = align(listener, Manifest(tuple(rows)), Recordings(RATE))
    for one in rows:
        alone, _ = align(listener, Manifest((one,)), Recordings(RATE))
        assert alone[one.id] == together[one.id]


def words(*spans: tuple[float, float], seconds: float) -> Alignment:
    return Alignment(tuple(Word((Letter("a", start, end, 0.0),)) for start, end in spans), seconds)


def test_borders_by_hand() -> None:
    alignment = words((0.3, 0.5), (0.6, 0.8), (1.6, 1.8), seconds=1.85)
    assert alignment.cut(0, 0, 0.2) == pytest.approx((0.1, 0.55))  # margin; half the gap
    assert alignment.cut(1, 1, 0.2) == pytest.approx((0.55, 1.0))  # half the gap; margin, in a pause
    assert alignment.cut(2, 2, 0.2) == pytest.approx((1.4, 1.85))  # margin; the utterance's end
    assert alignment.cut(0, 1, 0.0) == pytest.approx((0.3, 0.8))
    assert alignment.cut(0, 2, 9.0) == pytest.approx((0.0, 1.85))


@pytest.mark.parametrize("seed", range(20))
def test_cuts_stay_inside_and_neighbours_never_overlap(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    times = torch.rand(12, generator=draw).sort().values.tolist()
    alignment = words(*zip(times[::2], times[1::2], strict=True), seconds=1.0)
    for margin in (0.0, 0.05, 5.0):
        cuts = [alignment.cut(n, n, margin) for n in range(6)]
        for n, (start, end) in enumerate(cuts):
            assert 0 <= start <= times[2 * n] and times[2 * n + 1] <= end <= 1
            assert n == 0 or cuts[n - 1][1] <= start + 1e-9


def test_a_span_of_a_file_is_timed_from_its_own_start(listener: Model, row: Callable[..., Utterance]) -> None:
    whole = row("ab cd")
    rows = Manifest((replace(whole, start=0.5, end=0.78, text="cd"),))
    found, _ = align(listener, rows, Recordings(RATE))
    (word,) = found[rows[0].id].words
    assert word.letters[0].start == pytest.approx(0.04, abs=0.021)
    assert found[rows[0].id].seconds == pytest.approx(0.28, abs=1e-3)
