"""Tests of sums of objectives: items go where they belong, losses and grafts to each head its own."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.errors import PlanError
from speechtransfer.features import MelSettings
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.objectives import KINDS, Classify, Ctc, Distil, Sum
from speechtransfer.transfer import Rule, Transfer
from speechtransfer.vocabulary import Vocabulary
from speechtransfer.weights import Head, join_heads

torch.set_num_threads(1)
SPANISH, CZECH = Vocabulary.from_texts(["ab ñ"]), Vocabulary.from_texts(["ab ř"])
LANGUAGES = ("spa", "ces", "spa", "ces")
TEXTS = ("ñab", "řa", "ba", "bř")


def by_language() -> Sum:
    return Sum(
        spa=(1.0, Ctc(SPANISH, 0.0, only={"language": "spa"})), ces=(0.5, Ctc(CZECH, 0.0, only={"language": "ces"}))
    )


def attached(objective: Sum) -> Sum:
    torch.manual_seed(0)
    objective.attach(6, 0.04)
    return objective.eval()


def frames(count: int = 4) -> Frames:
    values = torch.randn(count, 12, 6, generator=torch.Generator().manual_seed(1))
    return Frames(values.requires_grad_(), torch.tensor([12, 11, 9, 10][:count]), 0.04)


def batch(languages: tuple[str | None, ...] = LANGUAGES, texts: tuple[str | None, ...] = TEXTS) -> Batch:
    ids = tuple(f"u{number}" for number in range(len(texts)))
    fields = {"text": texts, "language": languages}
    return Batch(torch.zeros(len(ids), 1), torch.ones(len(ids), dtype=torch.int64), ids, torch.ones(len(ids)), fields)


def test_each_head_learns_from_its_own_items_by_its_weight() -> None:
    objective, heard = attached(by_language()), frames()
    losses = objective.loss(heard, batch(), 0.0)
    assert list(losses) == ["spa/ctc", "ces/ctc"]
    for name, places, weight in (("spa", [0, 2], 1.0), ("ces", [1, 3], 0.5)):
        part = objective.parts[name]
        assert isinstance(part, Ctc)
        alone = part.loss(heard.select(places), batch().select(places), 0.0)["ctc"]
        assert losses[f"{name}/ctc"].item() == pytest.approx(weight * alone.item())
        (gradient,) = torch.autograd.grad(losses[f"{name}/ctc"], heard.values, retain_graph=True)
        assert [bool(item.abs().sum()) for item in gradient] == [place in places for place in range(4)]


def test_a_head_without_items_still_gets_a_gradient_of_zero() -> None:
    objective = attached(by_language())
    losses = objective.loss(frames(), batch(("spa",) * 4, ("a", "b", "ab", "ñ")), 0.0)
    assert losses["ces"].item() == 0
    torch.stack(list(losses.values())).sum().backward()
    assert all(value.grad is not None for value in objective.parameters())
    assert not any(value.grad.any() for value in objective.parts["ces"].parameters() if value.grad is not None)


def test_predictions_come_from_the_head_of_each_items_language() -> None:
    objective, heard = attached(by_language()), frames()
    with torch.no_grad():
        for name, label in (("spa", "ñ"), ("ces", "ř")):
            part = objective.parts[name]
            assert isinstance(part, Ctc)
            part.heads["output"].bias[part.vocabulary.labels.index(label)] = 50.0
        assert [one.value for one in objective.predict(heard, batch())] == ["ñ", "ř", "ñ", "ř"]
        assert [one.value for one in objective.predict(heard)] == ["ñ"] * 4
    with pytest.raises(PlanError, match=r"u1: none of the output layers is for it\. They are for language spa"):
        objective.predict(heard, batch(("spa", None, "spa", "ces")))


def test_an_utterance_is_judged_by_the_head_that_would_predict_it() -> None:
    objective = attached(by_language())

    def told(text: str, language: str | None) -> str | None:
        return objective.unfit(Utterance(Path("a.wav"), text=text, language=language), 20)

    assert told("ñab", "spa") is None
    assert "ñ" in str(told("ñab", "ces"))
    assert told("ab", "rus") == "none of the objectives is for it"


def test_finish_gives_every_head_its_own_items(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[tuple[str, ...], ...]] = []

    def finish(self: Ctc, dev: Any) -> dict[str, Any]:
        seen.append(tuple(one.ids for _, one in dev))
        return {"items": len(seen[-1])}

    monkeypatch.setattr(Ctc, "finish", finish)
    spanish = batch(("spa",) * 4, ("a",) * 4)
    found = attached(by_language()).finish(iter([(frames(), batch()), (frames(), spanish)]))
    assert seen == [(("u0", "u2"), ("u0", "u1", "u2", "u3")), (("u1", "u3"),)]
    assert found == {"heads": {"spa": {"items": 2}, "ces": {"items": 1}}}


def test_with_a_single_answer_a_sum_is_told_as_that_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ctc, "finish", lambda self, dev: {"items": len(list(dev))})
    objective = attached(Sum(asr=(1.0, Ctc(SPANISH)), teacher=(2.0, Distil(5))))
    assert objective.finish(iter([(frames(), batch())])) == {"items": 1}
    assert list(objective.heads) == ["parts.asr.output"]
    assert objective.contract == SPANISH.contract
    assert len(objective.predict(frames(), batch())) == 4


def test_a_sum_round_trips_through_its_settings() -> None:
    objective = attached(Sum(**{**dict.fromkeys([]), "asr": (1.0, by_language()), "teacher": (0.25, Distil(5))}))
    saved = {"kind": objective.kind, **objective.settings()}
    again = KINDS[saved["kind"]].from_settings(saved)
    assert isinstance(again, Sum)
    again.attach(6, 0.04)
    again.load_state_dict(objective.state_dict(), strict=True)
    assert again.settings() == objective.settings()
    assert again.weights == {"asr": 1.0, "teacher": 0.25}
    assert again.eval().predict(frames(), batch()) == objective.predict(frames(), batch())


def test_sums_of_nothing_are_refused() -> None:
    for parts in ({}, {"asr": (0.0, Ctc(SPANISH))}, {"asr": (-1.0, Ctc(SPANISH))}):
        with pytest.raises(PlanError, match="one objective or more, each with a weight above zero"):
            Sum(**parts)


def encoder() -> Conformer:
    torch.manual_seed(1)
    return Conformer(ConformerSettings(MelSettings(n_mels=24), width=6, layers=1, heads=1, kernel=3, expansion=1))


def test_every_head_of_a_sum_is_grafted_from_the_donor() -> None:
    donor = Head(torch.arange(18.0).reshape(3, 6), torch.arange(3.0), ("", "a", "ř"), SPANISH.contract)
    model, plan = Transfer().apply(encoder(), by_language(), donor)
    heads = model.objective.heads
    for name, vocabulary, labels in (("spa", SPANISH, {"": 0, "a": 1}), ("ces", CZECH, {"": 0, "a": 1, "ř": 2})):
        for label, row in labels.items():
            place = vocabulary.labels.index(label)
            assert torch.equal(heads[f"parts.{name}.output"].weight[place], donor.weight[row])
            assert heads[f"parts.{name}.output"].bias[place] == donor.bias[row]
    assert plan.shared_labels == ("", "a", "ř")
    assert {item.name for item in plan.parameters if item.origin == "grafted"} == {
        f"objective.parts.{name}.output.{part}" for name in ("spa", "ces") for part in ("weight", "bias")
    }
    with pytest.raises(PlanError, match="a map of labels, but the objective has 2 output layers"):
        Transfer(graft={"a": "a"}).apply(encoder(), by_language(), donor)


def test_a_part_that_answers_nothing_is_never_grafted() -> None:
    donor = Head(torch.ones(2, 6), torch.ones(2), ("", "a"), SPANISH.contract)
    rules = (Rule(r"encoder\..*"), Rule(r"objective\.parts\.teacher\..*", scale=2.0), Rule(r"objective\..*"))
    _, plan = Transfer(rules).apply(encoder(), Sum(asr=(1.0, Ctc(SPANISH)), teacher=(1.0, Distil(5))), donor)
    origins = {item.name: (item.origin, item.scale) for item in plan.parameters if item.name.startswith("objective.")}
    assert origins["objective.parts.asr.output.weight"] == ("grafted", 1.0)
    assert origins["objective.parts.teacher.output.weight"] == ("fresh", 2.0)


def test_joined_heads_average_the_rows_of_a_label() -> None:
    one = Head(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 2.0]), ("", "a"), SPANISH.contract)
    two = Head(torch.tensor([[5.0, 6.0], [7.0, 8.0]]), torch.tensor([3.0, 4.0]), ("a", "ř"), CZECH.contract)
    joined = join_heads([one, two])
    assert joined is not None
    assert joined.labels == ("", "a", "ř")
    assert joined.weight.tolist() == [[1.0, 2.0], [4.0, 5.0], [7.0, 8.0]]
    assert joined.bias.tolist() == [1.0, 2.5, 4.0]
    assert join_heads([one]) is one
    assert join_heads([]) is None
    bare = Head(torch.ones(2, 2), torch.ones(2), None, None)
    assert join_heads([one, bare]) is None
    assert join_heads([bare]) is bare


def test_transfer_leaves_a_sum_untouched() -> None:
    objective = by_language()
    before = copy.deepcopy(objective.settings())
    Transfer().apply(encoder(), objective)
    assert objective.settings() == before
    assert not list(objective.parameters())


def test_a_classifier_beside_a_recogniser_learns_its_own_field() -> None:
    objective = attached(Sum(asr=(1.0, Ctc(SPANISH, 0.0)), who=(1.0, Classify(["x", "y"], field="speaker"))))
    given = batch(("spa",) * 4, ("a", "b", "ab", "ñ"))
    given = replace(given, fields={**given.fields, "speaker": ("x", "y", "x", None)})
    losses = objective.loss(frames(), given, 0.0)
    assert {name.split("/")[0] for name in losses} == {"asr", "who"}
    assert all(loss.item() > 0 for loss in losses.values())
