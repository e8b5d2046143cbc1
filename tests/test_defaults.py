"""What adapt does unasked: every family's transfer fits its encoders, and what it freezes is frozen."""

from __future__ import annotations

import pytest
from families import FAMILIES, build

from speechtransfer.defaults import defaults
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import PlanError
from speechtransfer.objectives import Classify, Ctc, Objective
from speechtransfer.sources import load_encoder
from speechtransfer.vocabulary import Vocabulary

OBJECTIVES: dict[str, Objective] = {
    "ctc": Ctc(Vocabulary.from_texts(["abc"])),
    "keywords": Classify(("no", "yes")),
}


def encoder(name: str) -> Encoder:
    return load_encoder(name) if ":" in name else build(name)


@pytest.mark.parametrize("task", OBJECTIVES)
@pytest.mark.parametrize("name", [*FAMILIES, "logmel:80"])
def test_the_transfer_fits_every_family(name: str, task: str) -> None:
    source = encoder(name)
    recipe = defaults("data", "source", source.family, "eng", task)
    if task == "ctc" and source.family == "vision":
        with pytest.raises(PlanError, match="frames every 320 ms are too coarse for characters"):
            recipe.transfer.apply(source, OBJECTIVES[task])
        return
    _, plan = recipe.transfer.apply(source, OBJECTIVES[task])
    live = plan.live(0)
    assert any(one.startswith("objective.") for one in live)
    heard = {one.name for one in plan.parameters if one.name.startswith("encoder.")}
    if task == "keywords" and source.family != "dnn":
        assert not live & heard
    if task == "ctc" and heard:
        assert live & heard
        front = {one for one in heard if one.startswith("encoder.frontend.")}
        assert source.family != "waveform" or (front and not live & front)


def test_random_weights_are_no_source_to_freeze() -> None:
    """From nothing a spotter learns all of its network, from changed sound, as its baseline from scratch does."""
    _, plan = defaults("data", "random:compact", "compact", None, "keywords").transfer.apply(
        load_encoder("random:compact"), OBJECTIVES["keywords"]
    )
    assert {one.name for one in plan.parameters} == plan.live(0)
    settings = defaults("data", "random:compact", "compact", None, "keywords").settings
    assert settings.batches.changes
    assert not settings.cache
    # Two masks of eighteen bands would hide most of its forty; frozen, it hears each recording as it is.
    assert 2 * settings.masks.freq_width < 20
    assert not defaults("data", "run", "compact", None, "keywords").settings.batches.changes


def test_a_recogniser_decodes_with_its_texts_and_a_spotter_has_none() -> None:
    assert defaults("data", "s", "conformer", None).language_model == 6
    assert defaults("data", "s", "conformer", None, "keywords").language_model == 0
