"""Tests of surgery: rules, cut, fresh, graft and what then learns, on both encoders and one with BatchNorm."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.whisper.configuration_whisper import WhisperConfig

from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.encoders.whisper import Whisper
from speechtransfer.errors import PlanError
from speechtransfer.features import MelSettings
from speechtransfer.frames import Batch
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.transfer import Plan, Rule, Transfer, set_live
from speechtransfer.vocabulary import Vocabulary
from speechtransfer.weights import Head

torch.set_num_threads(1)


class Toy(Encoder):
    """Frames of 400 samples through BatchNorm and dropout; ``scale`` is a constant."""

    family, causal, pads_exactly, constants = "toy", True, False, (r"scale",)

    def __init__(self, card: SourceCard | None = None) -> None:
        super().__init__(card or SourceCard("toy"))
        self.width, self.sample_rate, self.period = 8, 16000, 0.025
        self.blocks: tuple[str, ...] = ("frontend", "body", "top")
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.frontend = nn.Linear(400, 8)
        self.body = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Conv1d(8, 8, 1))
        self.top: nn.Module = nn.Linear(8, 8)

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Toy:
        return cls(card)

    def settings(self) -> dict[str, Any]:
        return {}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        return samples // 400

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            framed = x[:, : x.shape[1] // 400 * 400].unflatten(1, (-1, 400))
            return self.frontend(framed * self.scale), lengths // 400
        return (self.body(x.mT).mT if name == "body" else self.top(x)), lengths

    def _drop_after(self, name: str) -> None:
        self.top = nn.Identity()


MEL = MelSettings(n_mels=24)
SIZES = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}
FAMILIES: dict[str, Callable[[], Encoder]] = {
    "conformer": lambda: Conformer(ConformerSettings(MEL, width=16, layers=2, heads=2, kernel=3)),
    "whisper": lambda: Whisper(WhisperConfig(**SIZES, max_source_positions=60, dropout=0.1)),
    "toy": Toy,
}
each = pytest.mark.parametrize("name", sorted(FAMILIES))
VOCABULARY = Vocabulary.from_texts(["ab'c d"])


def donor(width: int = 8) -> Head:
    return Head(torch.ones(3, width), torch.ones(3), ("<pad>", "A", "B"), None)


def batch() -> Batch:
    wave = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    return Batch(wave, torch.tensor([16000, 14000]), ("a", "b"), torch.ones(2), {"text": ("ab d", "c a'b")})


def apply(transfer: Transfer, name: str = "toy", **more: Any) -> tuple[Model, Plan]:
    torch.manual_seed(5)
    return transfer.apply(FAMILIES[name](), Ctc(VOCABULARY), **more)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


RULES = (
    Rule(r"encoder\.body\.0\..*", 0.0),
    Rule(r"encoder\.body\..*", 0.1, 5),
    Rule(r"encoder\.(scale|frontend)\..*", 0.0),
    Rule(r".*\.weight", 0.5),
    Rule(r".*", 2.0),
)


@each
def test_the_first_rule_that_matches_wins_and_every_parameter_is_planned_once(name: str) -> None:
    rules = RULES if name == "toy" else (Rule(r".*norm\..*", 0.0), Rule(r"encoder\..*", 0.5, 9), *RULES[4:])
    model, plan = apply(Transfer(rules), name)
    parameters = dict(model.named_parameters())
    assert [item.name for item in plan.parameters] == list(parameters)
    constants = {"toy": {"encoder.scale"}, "whisper": {"encoder.embed_positions.weight"}}.get(name, set())
    for item in plan.parameters:
        assert item.shape == tuple(parameters[item.name].shape)
        assert item.size == parameters[item.name].numel()
        if item.name in constants:
            assert (item.origin, item.rule, item.scale) == ("constant", None, 0.0)
            continue
        first = next(index for index, rule in enumerate(rules) if re.fullmatch(rule.pattern, item.name))
        assert (item.rule, item.scale, item.after) == (first, rules[first].scale, rules[first].after)
        assert item.origin == ("fresh" if item.name.startswith("objective.") else "kept")
    frozen = {item.name for item in plan.parameters if item.scale == 0}
    assert plan.trainable == sum(value.numel() for key, value in parameters.items() if key not in frozen)
    for step in (0, 4, 5, 8, 9):
        late = {item.name for item in plan.parameters if item.after > step}
        assert plan.live(step) == parameters.keys() - frozen - late


def test_plan_prints_and_serialises_every_parameter() -> None:
    _, plan = apply(Transfer(RULES), donor=donor())
    saved = json.loads(json.dumps(plan.as_dict()))
    assert [row["name"] for row in saved["parameters"]] == [item.name for item in plan.parameters]
    assert saved["rules"][1] == {"pattern": r"encoder\.body\..*", "scale": 0.1, "after": 5}
    assert saved["shared_labels"] == ["<blank>", "a", "b"]
    text = str(plan)
    assert "3 labels grafted from the source: <blank> a b" in text
    assert "x 0.1 from step 5" in text
    assert sum(int(row[1]) for row in plan.rows()) == len(plan.parameters)
    total = sum(item.size for item in plan.parameters)
    assert sum(int(row[2].replace(",", "")) for row in plan.rows()) == total
    assert f"{total:,} values, {plan.trainable:,} of them learn" in text
    assert {"constant", "kept", "grafted"} == {row[3] for row in plan.rows()}
    assert "frozen" in text


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((Rule(r"encoder\..*"),), r"no rule covers objective\.output\.weight, objective\.output\.bias"),
        ((), r"no rule covers encoder\.frontend\.weight, .* \.\.\."),
        ((Rule("encoder"), Rule(".*")), "rule 'encoder' matches no parameter"),
        ((Rule(r"encoder\.bdoy\..*", 0), Rule(".*")), r"bdoy.* matches no parameter. Names look like encoder\."),
        ((Rule(r"encoder\.scale", 0), Rule(".*")), r"'encoder\\\\.scale' matches no parameter"),
        ((Rule(r".*"), Rule(r"objective\..*")), r"objective.*wholly shadowed"),
        ((Rule(r".*bias"), Rule(r".*weight"), Rule(".*s")), r"'\.\*s' is wholly shadowed"),
    ],
)
def test_rules_that_do_not_fit_are_refused_by_name(rules: tuple[Rule, ...], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        apply(Transfer(rules))


def test_what_cannot_be_a_rule_or_a_graft_is_refused() -> None:
    for wrong in ({"pattern": "("}, {"pattern": ".*", "scale": -1.0}, {"pattern": ".*", "after": -1}):
        with pytest.raises(PlanError, match="rule"):
            Rule(**wrong)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="'none'"):
        Transfer(graft="none")  # type: ignore[arg-type]


def test_cut_drops_blocks_and_voids_the_donor() -> None:
    encoder = Toy()
    encoder.donor = donor()
    model, plan = Transfer(cut="body").apply(encoder, Ctc(VOCABULARY))
    assert model.encoder.blocks == ("frontend", "body")
    assert not plan.shared_labels
    assert "cut after body" in str(plan)
    assert not any("top" in item.name for item in plan.parameters)
    assert {item.origin for item in plan.parameters if "objective" in item.name} == {"fresh"}
    assert encoder.donor is not None
    assert encoder.blocks == ("frontend", "body", "top")
    with pytest.raises(PlanError, match="no output layer"):
        Transfer(cut="body", graft={"a": "A"}).apply(encoder, Ctc(VOCABULARY))
    with pytest.raises(PlanError, match="'bodies'"):
        Transfer(cut="bodies").apply(encoder, Ctc(VOCABULARY))


@each
@pytest.mark.parametrize("patterns", [(r"encoder\..*",), (r"encoder\.(body|layers\.1)\..*weight",)])
def test_fresh_renews_exactly_what_matches(name: str, patterns: tuple[str, ...]) -> None:
    encoder = FAMILIES[name]()
    with torch.no_grad():
        for value in (*encoder.parameters(), *encoder.buffers()):
            value.add_(7)  # norms and counts too are then unlike fresh ones
    before = state(encoder)
    model, plan = Transfer(fresh=patterns).apply(encoder, Ctc(VOCABULARY))
    fresh = {key.removeprefix("encoder.") for key in (item.name for item in plan.parameters if item.origin == "fresh")}
    constants = {key for key in before if any(re.fullmatch(one, key) for one in encoder.constants)}
    names = {key for key, _ in encoder.named_parameters()} - constants
    matched = {key for key in names if re.fullmatch(patterns[0], f"encoder.{key}")}
    assert matched
    assert matched == fresh - {"objective.output.weight", "objective.output.bias"}
    counts = {key for key, _ in encoder.named_buffers() if key in before and len(matched) == len(names)}
    assert changed(model.encoder, before) == matched | counts
    if name == "toy" and counts:
        assert not model.encoder.body[0].running_mean.any()
        assert model.encoder.body[0].num_batches_tracked == 0
    assert not changed(encoder, before)
    with pytest.raises(PlanError, match="nowhere"):
        Transfer(fresh=("encoder.nowhere",)).apply(encoder, Ctc(VOCABULARY))
    with pytest.raises(PlanError, match="objective"):
        Transfer(fresh=(r"objective\..*",)).apply(encoder, Ctc(VOCABULARY))


@each
def test_surgery_and_training_leave_the_inputs_untouched(name: str) -> None:
    encoder, objective = FAMILIES[name](), Ctc(VOCABULARY)
    encoder.donor = given = donor(width=encoder.width)
    weight, before = given.weight.clone(), state(encoder)
    model, _ = Transfer().apply(encoder, objective)
    assert objective.output is None
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            value.add_(1)
    assert not changed(encoder, before)
    assert encoder.donor is given
    assert torch.equal(given.weight, weight)


LOW = r"encoder\.(scale|frontend|body|subsampling|conv\d|layers\.0)\..*"


@each
@pytest.mark.parametrize("low", [(Rule(LOW, 0.0),), (Rule(LOW, after=4),), ()], ids=["frozen", "late", "live"])
def test_what_the_plan_lets_learn_moves_and_nothing_else_does(name: str, low: tuple[Rule, ...]) -> None:
    model, plan = apply(Transfer((*low, Rule(r"encoder\..*", 0.1, after=2), Rule(r".*"))), name)
    # Weight decay moves whatever has a gradient, even one of zero; the frozen must have none at all.
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    counts = {f"encoder.{key}" for key, _ in model.encoder.named_buffers() if key.startswith("body")}
    for step in (0, 1, 2, 4):
        set_live(model, plan, step)
        live, before = plan.live(step), state(model)
        for path, module in model.named_modules():
            inside = {f"{path}.{key}".lstrip(".") for key, _ in module.named_parameters()}
            assert not inside or module.training == bool(inside & live), path
            above = (path[:at] for at in range(len(path)) if path[at] == ".")
            assert module.training or inside or not all(model.get_submodule(one).training for one in above), path
        sum(model(batch()).values(), torch.zeros(())).backward()
        for key, parameter in model.named_parameters():
            assert parameter.requires_grad == (key in live) == (parameter.grad is not None)
            assert parameter.grad is None or (torch.isfinite(parameter.grad).all() and parameter.grad.any()), key
        optimizer.step()
        optimizer.zero_grad()
        counted = counts if "encoder.body.0.weight" in live else set()
        assert changed(model, before) == live | counted
    assert len(plan.live(4)) > len(plan.live(2)) > len(plan.live(0)) or low[:1] != (Rule(LOW, after=4),)


def test_frozen_dropout_is_off() -> None:
    model, plan = apply(Transfer((Rule(r"encoder\..*", 0.0), Rule(r".*"))))
    set_live(model, plan, 0)
    assert not any(module.training for module in model.encoder.modules())
    assert model.objective.dropout.training
    one, two = model.frames(batch()).values, model.frames(batch()).values
    assert torch.equal(one, two)
    assert not one.requires_grad
