"""``--set key=value``: every type of field, every wrong value, and the source left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import pytest

from speechtransfer.errors import SettingsError
from speechtransfer.overrides import gathered, keys, override
from speechtransfer.recipe import Recipe


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise SettingsError(f"rate={self.rate} must not be negative.")


@dataclass(frozen=True)
class Outer:
    count: int = 3
    name: str = "x"
    flag: bool = False
    kind: Literal["one", "two"] = "one"
    limit: float | None = None
    words: tuple[str, ...] = ()
    some: tuple[int, ...] | None = None
    graft: Literal["shared", "fresh"] | Mapping[str, int] = "shared"
    table: Mapping[str, str] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("count=7", "count", 7),
        ("count=-7", "count", -7),
        ("name=a=b", "name", "a=b"),
        ("name=", "name", ""),
        ("name=7", "name", "7"),
        ("flag=true", "flag", True),
        ("flag=1", "flag", True),
        ("flag=False", "flag", False),
        ("kind=two", "kind", "two"),
        ("limit=1e-3", "limit", 1e-3),
        ("limit=3", "limit", 3.0),
        ("limit=none", "limit", None),
        ("limit=", "limit", None),
        ("words=a, b,c", "words", ("a", "b", "c")),
        ("words=", "words", ()),
        ("some=0,1", "some", (0, 1)),
        ("some=None", "some", None),
        ("graft=fresh", "graft", "fresh"),
    ],
)
def test_values_take_the_type_of_their_field(assignment: str, name: str, value: object) -> None:
    given = Outer(limit=9.0, words=("z",))
    found = override(given, [assignment])
    assert getattr(found, name) == value
    assert type(getattr(found, name)) is type(value)
    assert {one.name for one in fields(Outer) if getattr(found, one.name) != getattr(given, one.name)} <= {name}
    assert given == Outer(limit=9.0, words=("z",))


def test_assignments_apply_in_order_and_reach_inside() -> None:
    found = override(Outer(), ["count=1", "inner.rate=2", "inner.sizes=5", "count=2"])
    assert found == Outer(count=2, inner=Inner(2.0, (5,)))
    assert override(Outer(), []) == Outer()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("count=many", r"--set count: 'many' is not int\."),
        ("count=1.5", r"'1.5' is not int\."),
        ("flag=yes", r"'yes' is not bool\."),
        ("kind=three", r"'three' is not one of one, two\."),
        ("limit=soon", r"'soon' is not float \| None\."),
        ("some=0,x", r"'0,x' is not tuple\[int, ...\] \| None"),
        ("table=a", "--set table: 'a' is not "),
        ("inner=5", r"--set inner: '5' is not Inner\."),
        ("graft=old", "--set graft: 'old' is not "),
        ("count", r"--set count: write key=value\."),
        ("inner.rate=-1", r"rate=-1.0 must not be negative\."),
    ],
)
def test_wrong_values_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        override(Outer(), [assignment])


@pytest.mark.parametrize(
    "key", ["counts", "", "inner.rates", "inner.rate.more", "count.more", "Inner.rate", "__class__", ".count"]
)
def test_an_unknown_key_lists_those_that_can_be_set(key: str) -> None:
    with pytest.raises(SettingsError, match="there is no such field") as caught:
        override(Outer(), [f"{key}=1"])
    listed = str(caught.value).split("The fields are ")[1].removesuffix(".").split(", ")
    offered = [name for name in keys(Outer()) if not key.startswith("inner.") or name.startswith("inner.")]
    assert listed == offered


def test_what_is_listed_can_be_set() -> None:
    """Every listed name of a recipe reaches a field: setting it to its own value changes nothing."""
    recipe = Recipe("name", ("data",))
    names = keys(recipe)
    assert {"settings.lr", "settings.batches.seconds", "scratch.folds", "folds"} <= set(names)
    for name in names:
        value: Any = recipe
        for part in name.split("."):
            value = getattr(value, part)
        assert not is_dataclass(value)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if isinstance(value, str | int | float | bool | None) or name in ("data", "settings.batches.speeds"):
            assert override(recipe, [f"{name}={text}"]) == recipe, name


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("adapt DATA --set a=1 --seed 3 --set b=2", "adapt DATA --set a=1 b=2 --seed 3"),
        ("check --audio-root=A --audio-root B DATA", "check --audio-root A B DATA"),
        ("spot RUN - --raw 16000", "spot RUN - --raw 16000"),
        ("adapt DATA --seed 1 --seed 2", "adapt DATA --seed 1 2"),  # which the parser refuses
    ],
)
def test_an_option_given_twice_has_all_its_values(given: str, wanted: str) -> None:
    assert gathered(given.split()) == wanted.split()
