"""Transfer: rules, cut, fresh and graft, applied purely; they yield a model and its printable Plan."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import PlanError
from speechtransfer.graft import copy_rows, match_by_sound, match_labels, told
from speechtransfer.model import Model
from speechtransfer.objectives.contract import Objective
from speechtransfer.weights import Head

Origin = Literal["kept", "grafted", "fresh", "constant"]


@dataclass(frozen=True)
class Rule:
    """How parameters whose whole name matches ``pattern`` learn; the first rule that matches wins.

    Attributes:
        pattern: regular expression, fullmatch on names such as ``encoder.layers.0.norm.weight``.
        scale: factor on the learning rate; 0 is frozen for good.
        after: the step at which the parameters thaw; before it they are frozen.
    """

    pattern: str
    scale: float = 1.0
    after: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be a rule.

        Raises:
            PlanError: a broken pattern, a negative scale or step.
        """
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise PlanError(f"rule {self.pattern!r} is not a regular expression: {error}.") from error
        if self.scale < 0 or self.after < 0:
            raise PlanError(f"rule {self.pattern!r}: scale and after must not be negative.")


@dataclass(frozen=True)
class PlannedParameter:
    """One parameter of a plan; ``rule`` is the index of its rule, None for a constant."""

    name: str
    shape: tuple[int, ...]
    origin: Origin
    rule: int | None
    scale: float
    after: int

    @property
    def size(self) -> int:
        """Number of values."""
        return int(torch.Size(self.shape).numel())


@dataclass(frozen=True)
class Plan:
    """What a transfer does to every parameter.

    Attributes:
        parameters: in the model's order.
        rules: as given.
        shared_labels: labels whose output rows come from the donor.
        notes: what was cut, which donor was used or void.
    """

    parameters: tuple[PlannedParameter, ...]
    rules: tuple[Rule, ...]
    shared_labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def trainable(self) -> int:
        """Number of values that ever learn."""
        return sum(item.size for item in self.parameters if item.scale > 0)

    @property
    def learns_encoder(self) -> bool:
        """Whether anything of the encoder ever learns; otherwise it is wholly frozen."""
        return any(item.scale > 0 and item.name.startswith("encoder.") for item in self.parameters)

    def live(self, step: int) -> frozenset[str]:
        """Names of the parameters that learn at ``step``."""
        return frozenset(item.name for item in self.parameters if item.scale > 0 and item.after <= step)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``plan.json``."""
        rules = [vars(rule) for rule in self.rules]
        rows = [{**vars(item), "shape": list(item.shape)} for item in self.parameters]
        labels = [label or "<blank>" for label in self.shared_labels]
        return {"rules": rules, "shared_labels": labels, "notes": list(self.notes), "parameters": rows}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Neighbouring parameters with one fate folded: name, tensors, values, origin, learning rate."""
        rows: list[tuple[str, str, str, str, str]] = []
        group: list[PlannedParameter] = []

        def fate(item: PlannedParameter) -> tuple[object, ...]:
            return ".".join(item.name.split(".")[:3]), item.origin, item.scale, item.after

        for item in (*self.parameters, None):
            if group and (item is None or fate(item) != fate(group[0])):
                first = group[0]
                name = first.name if len(group) == 1 else ".".join(first.name.split(".")[:3]) + ".*"
                rate = "frozen" if first.scale == 0 else f"x {first.scale:g}"
                rate += f" from step {first.after}" if first.after and first.scale else ""
                size = sum(member.size for member in group)
                rows.append((name, str(len(group)), f"{size:,}", first.origin, rate))
                group = []
            if item is not None:
                group.append(item)
        return rows

    def __str__(self) -> str:
        """The plan as a table."""
        header = ("parameters", "tensors", "values", "origin", "learning rate")
        rows = [header, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        total = sum(item.size for item in self.parameters)
        lines.append(f"{total:,} values, {self.trainable:,} of them learn")
        if self.shared_labels:
            labels = " ".join({"": "<blank>", " ": "<space>"}.get(label, label) for label in self.shared_labels)
            lines.append(f"{len(self.shared_labels)} labels grafted from the source: {labels}")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True)
class Transfer:
    r"""A recipe for surgery. ``apply`` is pure: encoder, objective and donor are untouched.

    Attributes:
        rules: freeze and learning rates, ordered; together they must cover every parameter.
        cut: drop the blocks after this one; voids the donor.
        fresh: patterns of encoder parameters to re-initialise; ``(r"encoder\..*",)`` is training from scratch.
        graft: ``shared`` takes the donor's row for every label both heads have, ``transliterated`` besides for a letter
            that the donor lacks the row of the letter that is written alike in Latin ones, ``fresh`` takes none, and
            a mapping of new label to old label takes those (or to an index, for a donor without labels).
    """

    rules: tuple[Rule, ...] = (Rule(r".*"),)
    cut: str | None = None
    fresh: tuple[str, ...] = ()
    graft: Literal["shared", "transliterated", "fresh"] | Mapping[str, str | int] = "shared"

    def __post_init__(self) -> None:
        """Refuse a graft that is none of the four.

        Raises:
            PlanError: another word than ``shared``, ``transliterated`` and ``fresh``.
        """
        if not isinstance(self.graft, Mapping) and self.graft not in ("shared", "transliterated", "fresh"):
            known = "'shared' nor 'transliterated' nor 'fresh'"
            raise PlanError(f"graft={self.graft!r} is neither {known} nor a map of labels.")

    def apply(self, encoder: Encoder, objective: Objective, donor: Head | None = None) -> tuple[Model, Plan]:
        """Join encoder and objective.

        Args:
            encoder: the source.
            objective: what to learn; its head is built for this encoder.
            donor: an old output layer to graft from, in the place of the encoder's own.

        Raises:
            PlanError: a parameter that no rule covers, a rule that matches nothing or is wholly
                shadowed, a ``fresh`` pattern without a match, a graft that does not fit.
        """
        notes = []
        surgeon = copy.deepcopy(encoder) if self.cut is None else encoder.cut(self.cut)
        if self.cut is not None:
            notes.append(f"cut after {self.cut}; the source's output layer is void")
        head = copy.deepcopy(objective)
        head.attach(surgeon.width, surgeon.period)
        model = Model(surgeon, head)
        renewed = self._renew(model)
        donor = donor or surgeon.donor
        shared: set[str] = set()
        grafted: set[str] = set()
        heads = head.heads
        if isinstance(self.graft, Mapping) and len(heads) > 1:
            raise PlanError(f"the graft is a map of labels, but the objective has {len(heads)} output layers.")
        if self.graft != "fresh":
            if donor is None and isinstance(self.graft, Mapping):
                raise PlanError("the graft names labels, but the source has no output layer to take them from.")
            if donor is None:
                notes.append("the source has no output layer: the head is fresh")
            else:
                for name, own in heads.items():
                    rows = match_labels(own, donor, self.graft)
                    if self.graft == "transliterated":
                        alike = match_by_sound(own, donor, rows)
                        notes += told(own, donor, alike)
                        rows |= alike
                    copy_rows(own, donor, rows)
                    shared |= {(own.labels or ())[index] for index in rows}
                    grafted |= {f"objective.{name}.{part}" for part in ("weight", "bias") if rows}
        planned = self._plan(model, renewed, grafted)
        return model, Plan(planned, self.rules, tuple(sorted(shared)), tuple(notes))

    def _renew(self, model: Model) -> set[str]:
        """Re-initialise what ``fresh`` matches; gives the names."""
        renewed: set[str] = set()
        if not self.fresh:
            return renewed
        names = [name for name, _ in model.named_parameters() if name.startswith("encoder.")]
        constants = _constants(model.encoder)
        for pattern in self.fresh:
            matched = {name for name in names if re.fullmatch(pattern, name)} - constants
            if not matched:
                raise PlanError(f"fresh: {pattern!r} matches no parameter of the encoder. {_examples(names)}")
            renewed |= matched
        random = model.encoder.from_settings(model.encoder.settings())
        values = {**dict(random.named_parameters()), **dict(random.named_buffers())}
        with torch.no_grad():
            for path, module in model.encoder.named_modules():
                prefix = f"{path}." if path else ""
                own = {prefix + name: value for name, value in module.named_parameters(recurse=False)}
                again = {name for name in own if f"encoder.{name}" in renewed}
                if own and again == set(own):  # what such a module counted (BatchNorm) is the source's too
                    own |= {prefix + name: value for name, value in module.named_buffers(recurse=False)}
                    again = set(own)
                for name in again:
                    own[name].copy_(values[name])
        return renewed

    def _plan(self, model: Model, renewed: set[str], grafted: set[str]) -> tuple[PlannedParameter, ...]:
        constants = _constants(model.encoder)
        matches: list[int] = [0] * len(self.rules)
        wins: list[int] = [0] * len(self.rules)
        planned, uncovered = [], []
        for name, parameter in model.named_parameters():
            shape = tuple(parameter.shape)
            if name in constants:
                planned.append(PlannedParameter(name, shape, "constant", None, 0.0, 0))
                continue
            hits = [index for index, rule in enumerate(self.rules) if re.fullmatch(rule.pattern, name)]
            for index in hits:
                matches[index] += 1
            if not hits:
                uncovered.append(name)
                continue
            wins[hits[0]] += 1
            rule = self.rules[hits[0]]
            fresh = name in renewed or (name.startswith("objective.") and name not in grafted)
            origin: Origin = "grafted" if name in grafted else "fresh" if fresh else "kept"
            planned.append(PlannedParameter(name, shape, origin, hits[0], rule.scale, rule.after))
        self._refuse(matches, wins, uncovered, [name for name, _ in model.named_parameters()])
        return tuple(planned)

    def _refuse(self, matches: list[int], wins: list[int], uncovered: list[str], names: list[str]) -> None:
        if uncovered:
            raise PlanError(
                f"no rule covers {', '.join(uncovered[:5])}{' ...' if len(uncovered) > 5 else ''}. "
                "Add a rule for them, for example Rule(r'.*') as the last."
            )
        for rule, matched, won in zip(self.rules, matches, wins, strict=True):
            if not matched:
                raise PlanError(f"rule {rule.pattern!r} matches no parameter. {_examples(names)}")
            if not won:
                raise PlanError(f"rule {rule.pattern!r} is wholly shadowed by the rules before it. Move it up.")


def _constants(encoder: Encoder) -> set[str]:
    return {
        f"encoder.{name}"
        for name, _ in encoder.named_parameters()
        if any(re.fullmatch(pattern, name) for pattern in encoder.constants)
    }


def _examples(names: list[str]) -> str:
    return f"Names look like {names[0]} and {names[len(names) // 2]}." if names else "It has none at all."


def set_live(model: nn.Module, plan: Plan, step: int) -> None:
    """Give gradients to what the plan lets learn at ``step``; wholly frozen modules go to eval.

    A frozen module in training mode would still move BatchNorm statistics and drop activations.
    """
    live = plan.live(step)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in live)
    model.train()
    for module in model.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()
