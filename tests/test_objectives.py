"""Tests of the objectives: a loss that any batch can have, honest scores, and a head that learns eight items."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.errors import PlanError, SpeechTransferError, TextError
from speechtransfer.features import MelSettings
from speechtransfer.frames import Batch, Frames, pad
from speechtransfer.manifest import Utterance
from speechtransfer.objectives import KINDS, Ctc, Objective, Prediction
from speechtransfer.text import TextContract
from speechtransfer.transfer import Transfer, set_live
from speechtransfer.vocabulary import Vocabulary

torch.set_num_threads(1)
VOCABULARY = Vocabulary.from_texts(["abc d'é"])


def attached(dropout: float = 0.0) -> Ctc:
    torch.manual_seed(0)
    objective = Ctc(VOCABULARY, dropout)
    objective.attach(6, 0.04)
    return objective.eval()


def frames(batch: int = 3, time: int = 12) -> Frames:
    values = torch.randn(batch, time, 6, generator=torch.Generator().manual_seed(1))
    return Frames(values.requires_grad_(), torch.tensor([time, time - 3, time - 5][:batch]), 0.04)


def batch(*texts: str | None, weight: tuple[float, ...] | None = None) -> Batch:
    count = len(texts)
    ids = tuple(f"u{index}" for index in range(count))
    weights = torch.tensor(weight or (1.0,) * count)
    return Batch(torch.zeros(count, 1), torch.ones(count, dtype=torch.int64), ids, weights, {"text": texts})


def row(text: str | None, name: str = "a.wav") -> Utterance:
    return Utterance(Path("/sound") / name, text=text)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_objective_is_found_by_the_name_it_saves(kind: str) -> None:
    assert issubclass(KINDS[kind], Objective)
    assert KINDS[kind].kind == kind
    assert kind == "sum" or KINDS[kind].select[1] in ("min", "max")  # a sum selects as its first does


def test_ctc_refuses_frames_too_coarse_for_characters() -> None:
    for period in (0.01, 0.04, 0.08, 8 * 0.01, 4 * 0.02):
        Ctc(VOCABULARY).attach(6, period)
    for period, told in ((0.0801, "80.1"), (0.1, "100"), (1.0, "1000")):
        with pytest.raises(PlanError, match=rf"every {told} ms .*\(at most 80 ms\)"):
            Ctc(VOCABULARY).attach(6, period)
    with pytest.raises(PlanError, match="no width"):
        _ = Ctc(VOCABULARY).heads


def test_the_head_is_the_output_layer_under_its_own_names() -> None:
    objective = attached()
    parameters = dict(objective.named_parameters())
    weight, bias = "output.weight", "output.bias"
    assert parameters.keys() == {weight, bias}
    assert objective.heads["output"].weight is parameters[weight]
    assert objective.heads["output"].bias is parameters[bias]
    assert objective.heads["output"].labels == VOCABULARY.labels
    assert tuple(objective.heads["output"].weight.shape) == (len(VOCABULARY), 6)


def test_loss_is_the_weighted_mean_over_the_items_with_text() -> None:
    objective, given = attached(), frames()
    singles = []
    for item, text in enumerate(("ab", "d' c", "é")):
        length = int(given.lengths[item])
        one = Frames(given.values[item : item + 1, :length], given.lengths[item : item + 1], 0.04)
        singles.append(float(objective.loss(one, batch(text), 0.5)["ctc"].detach()))

    def loss(*texts: str | None, weight: tuple[float, ...] | None = None) -> float:
        return float(objective.loss(given, batch(*texts, weight=weight), 0.0)["ctc"].detach())

    assert loss("ab", "d' c", "é") == pytest.approx(sum(singles) / 3, rel=1e-5)
    assert loss("AB!", "D\u2019 C", "e\u0301") == pytest.approx(sum(singles) / 3, rel=1e-5)
    assert loss("ab", None, "é") == pytest.approx((singles[0] + singles[2]) / 2, rel=1e-5)
    assert loss("ab", None, None) == pytest.approx(singles[0], rel=1e-5)
    expected = (3 * singles[0] + singles[1]) / 4
    assert loss("ab", "d' c", "é", weight=(3.0, 1.0, 0.0)) == pytest.approx(expected, rel=1e-5)


def test_a_batch_without_text_gives_a_zero_attached_to_the_graph() -> None:
    objective, given = attached(), frames()
    (loss,) = objective.loss(given, batch(None, None, None), 0.0).values()
    assert loss.shape == ()
    assert loss.item() == 0.0
    loss.backward()
    for value in (given.values, *objective.parameters()):
        assert value.grad is not None
        assert not value.grad.any()


def test_an_unknown_character_is_never_deleted_from_a_target() -> None:
    with pytest.raises(TextError, match="z"):
        attached().loss(frames(1), batch("abz"), 0.0)
    with pytest.raises(SpeechTransferError):
        attached().loss(frames(1), batch(""), 0.0)


@pytest.mark.parametrize(
    ("text", "count", "reason"),
    [
        ("abc", 3, None),
        ("aab", 4, None),
        ("abc", 2, "longer than its audio: 3 frames needed, 2 there"),
        ("aab", 3, "longer than its audio: 4 frames needed, 3 there"),
        ("A, b!", 3, None),
        ("a", 0, "longer than its audio"),
        (None, 99, "no transcript"),
        ("ab 7", 99, "digits"),
        ("abz", 99, "outside the vocabulary: z"),
        ("...", 99, "no letter"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_why(text: str | None, count: int, reason: str | None) -> None:
    found = attached().unfit(row(text), count)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_predictions_are_read_off_the_frames_without_dropout() -> None:
    objective = attached(dropout=0.9).train()
    with torch.no_grad():
        objective.heads["output"].weight.zero_()[:6] = 10 * torch.eye(6)[: len(VOCABULARY)]
        objective.heads["output"].bias.zero_()
    labels = VOCABULARY.labels[:6]
    values = torch.zeros(2, 7, 6)
    for item, word in enumerate((" ab  b", "'a")):
        for frame in range(7):
            symbol = word[frame] if frame < len(word) else ""
            values[item, frame, labels.index(symbol)] = 1.0
    found = objective.predict(Frames(values, torch.tensor([7, 2]), 0.04))
    assert [one.value for one in found] == ["ab b", "'a"]
    assert all(0.9 < one.confidence <= 1 for one in found)


def test_scores_count_every_character_and_word_after_the_contract() -> None:
    said = ["Ab, c!", "D\u2019e\u0301", "abc", "ab'c"]
    heard = ["ab c", "d'é", "", "ab c d"]
    rows = [row(text, f"{index}.wav") for index, text in enumerate(said)]
    scores = attached().score(rows, [Prediction(text, 0.5) for text in heard])
    # References: "ab c" 4, "d'é" 3, "abc" 3, "ab'c" 4; errors 0, 0, 3 deletions, 1 substitution + 2 insertions.
    assert scores["cer"].count == 14
    assert scores["cer"].value == pytest.approx(6 / 14)
    # Words: 2, 1, 1, 1; errors 0, 0, 1 and 3 (one substituted, two inserted).
    assert scores["wer"].count == 5
    assert scores["wer"].value == pytest.approx(4 / 5)
    assert [one.id for one in scores.rows] == [one.id for one in rows]
    assert scores["cer"].low <= scores["cer"].value <= scores["cer"].high


def test_a_test_row_is_scored_or_refused_but_never_dropped() -> None:
    objective = attached()
    unseen = objective.score([row("xyz zz")], [Prediction("", 1.0)])
    assert (unseen["cer"].value, unseen["cer"].count) == (1.0, 6)
    perfect = objective.score([row("Abc")], [Prediction("abc", 1.0)])
    assert (perfect["cer"].value, perfect["wer"].value) == (0.0, 0.0)
    for text, reason in ((None, "a.wav"), ("room 7", "digits"), ("...", "no letter")):
        with pytest.raises(TextError, match=reason):
            objective.score([row("abc", "b.wav"), row(text)], [Prediction("abc", 1.0)] * 2)
    with pytest.raises(ValueError, match="shorter"):
        objective.score([row("abc"), row("ab", "b.wav")], [Prediction("abc", 1.0)])


@pytest.mark.parametrize("contract", [TextContract(), TextContract(case="keep", digits="keep")])
def test_settings_round_trip(contract: TextContract) -> None:
    objective = Ctc(Vocabulary.from_texts(["Größe नमस्ते"], contract), dropout=0.25)
    saved: dict[str, Any] = json.loads(json.dumps({"kind": objective.kind, **objective.settings()}))
    again = KINDS[saved["kind"]].from_settings(saved)
    assert isinstance(again, Ctc)
    assert again.vocabulary == objective.vocabulary
    assert again.settings() == objective.settings()
    objective.attach(6, 0.02)
    again.attach(6, 0.02)
    again.load_state_dict(objective.state_dict(), strict=True)


def tones(text: str) -> Tensor:
    """Each character a tone of its own for 0.16 s, with a gap between."""
    time = torch.arange(2560) / 16000
    gap = torch.zeros(640)
    pieces = [(0.3 * torch.sin(2 * math.pi * (300 + 450 * VOCABULARY.labels.index(one)) * time), gap) for one in text]
    return torch.cat([part for piece in pieces for part in piece])


def test_ctc_on_a_tiny_conformer_overfits_eight_items() -> None:
    texts = ("ab", "ba", "cab", "d a", "é'é", "bb", "c'd", "dé")
    wave, lengths = pad([tones(text) for text in texts])
    eight = Batch(wave, lengths, texts, torch.ones(8), {"text": texts})
    torch.manual_seed(3)
    encoder = Conformer(ConformerSettings(MelSettings(n_mels=24), width=32, layers=1, heads=2, kernel=5, dropout=0.0))
    model, plan = Transfer().apply(encoder, Ctc(VOCABULARY, dropout=0.0))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    set_live(model, plan, 0)
    losses = []
    for step in range(120):
        (loss,) = model(eight, step / 120).values()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if losses[-1] < 0.05:
            break
    assert losses[-1] < 0.1 < losses[0]
    with torch.inference_mode():
        predictions = model.eval().predict(eight)
    assert [one.value for one in predictions] == list(texts)
    scores = model.objective.score([row(text, f"{text}.wav") for text in texts], predictions)
    assert scores["cer"].value == 0.0
    assert scores["cer"].count == sum(map(len, texts))
