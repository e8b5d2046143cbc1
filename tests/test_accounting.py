"""Every utterance that any importer is given is used or dropped with a reason: used + dropped = given."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from pieces import below, sound
from samples import SAMPLES, written

from speechtransfer import corpora
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest

#: A manifest says of each row that it is an utterance: what is wrong with one is an error, never a drop.
STRICT = ("manifest",)


def counted(manifest: Manifest) -> int:
    return len(manifest) + sum(row.action == "dropped" for row in manifest.ledger)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))


def test_every_importer_has_a_sample() -> None:
    assert {sample.format for sample in SAMPLES.values()} == set(corpora.IMPORTERS)


@pytest.mark.parametrize("name", SAMPLES)
def test_used_and_dropped_are_all_that_was_given(name: str, tmp_path: Path) -> None:
    folder, data = written(name, tmp_path)
    assert corpora.detect(data) == SAMPLES[name].format
    manifest = corpora.load(data)
    assert counted(manifest) == SAMPLES[name].given(folder)
    assert len(manifest) > 1
    assert bool(manifest.ledger) == (name not in STRICT)
    assert all(row.reason for row in manifest.ledger)
    assert max(Counter(row.id for row in manifest).values()) == 1
    assert all(row.audio.is_file() for row in manifest)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SAMPLES)
def test_the_sum_holds_whatever_sound_is_missing_or_not_asked_for(name: str, seed: int, tmp_path: Path) -> None:
    folder, data = written(name, tmp_path)
    draw = random.Random(seed)
    heard = below(folder, ".wav", ".mp3", ".ogg", ".opus")
    for gone in draw.sample(heard, min(len(heard), seed)):
        (folder / gone).unlink()
    if heard and seed % 2:
        known = folder / draw.choice(heard)
        sound(known.with_name(f"further_{known.name}"), 7.5)
    refusal = ""
    try:
        assert counted(corpora.load(data, SAMPLES[name].format)) == SAMPLES[name].given(folder)
    except DataError as error:
        refusal = str(error)
    # A table is refused where a file is missing, all others where nothing is left.
    assert (
        not refusal or SAMPLES[name].format == "table" or re.search("can be used|holds no|no line begins with", refusal)
    ), refusal
