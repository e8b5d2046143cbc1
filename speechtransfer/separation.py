"""Whether splits are apart: speakers and prompts that a test shares with training, and how fine its figures are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from speechtransfer.manifest import Utterance
from speechtransfer.score import exact_interval
from speechtransfer.symptoms import Symptom

#: What is trained on and chosen by, as ``tasks`` has it; any other split is a test.
_LEARNT = ("train", "dev")
#: How alike the characters of one prompt are in being right or wrong (the intraclass correlation): the median over 87
#: tests of our recognisers on Russian, Italian and five more languages, 90 to 470 prompts each; nine in ten lay between
#: 0.02 and 0.17.
_ALIKE = 0.06
#: The error rate for which an interval is foretold: one that is worth having.
_RATE = 0.1


def shared(rows: Sequence[Utterance], said: Mapping[str, str]) -> list[Symptom]:
    """Test utterances whose speaker, or whose words, train or dev has as well, in their order.

    They are doubts, since ``adapt`` trains all the same, and calls such a test's figures ``speaker-dependent``. Of a
    corpus of one voice it is said once (see ``told``), not of each utterance.

    Args:
        rows: the utterances.
        said: their transcripts after the text contract, by id; none where labels are learnt.
    """
    voices = {row.id: row.speaker for row in rows if row.speaker is not None}
    keys = {"prompt": said, "speaker": voices if len(set(voices.values())) > 1 else {}}
    learnt = {name: {key.get(row.id) for row in rows if row.split in _LEARNT} for name, key in keys.items()}
    return [
        Symptom(row.id, f"a {name} of a test that train or dev has too", f"{key[row.id]!r} in {row.split}")
        for row in rows
        if _of_a_test(row)
        for name, key in keys.items()
        if row.id in key and key[row.id] in learnt[name]
    ]


def told(rows: Sequence[Utterance], said: Mapping[str, str]) -> list[str]:
    """Of each test split a line on how finely it can tell, and one on whom, where that is only the voices of training.

    Args:
        rows: the utterances.
        said: as for ``shared``.
    """
    tests = dict.fromkeys(row.split for row in rows if _of_a_test(row))
    return [line for name in tests for line in _lines(name or "", rows, said)]


def foretold(lengths: Sequence[int], rate: float = _RATE) -> tuple[float, float]:
    """The 95% interval that an error rate measured on prompts of so many characters would have.

    Errors come in clusters, a prompt being heard well or badly as a whole, so n characters say as much as
    n / (1 + (m - 1) r) independent ones, where m is the mean length of a character's own prompt (Kish 1965, "Survey
    Sampling") and r is ``_ALIKE``. On as many the interval is the exact binomial one.

    Args:
        lengths: characters of each prompt, or one for each recording of a word.
        rate: the error rate.
    """
    count = sum(lengths)
    cluster = sum(length**2 for length in lengths) / count
    effective = count / (1 + (cluster - 1) * _ALIKE)
    return exact_interval(rate * effective, effective)


def _of_a_test(row: Utterance) -> bool:
    return row.split not in (None, *_LEARNT)


def _lines(name: str, rows: Sequence[Utterance], said: Mapping[str, str]) -> Iterator[str]:
    tested = [row for row in rows if row.split == name]
    lengths: Counter[str] = Counter()
    for row in tested:
        lengths[said.get(row.id, row.id)] += len(said.get(row.id, "?"))
    low, high = foretold([*lengths.values()])
    # Speakers err alike too, but how much differs more than can be foretold.
    size, sure = f"{len(tested)} recordings", "at best"
    if said:
        size, sure = f"{lengths.total()} characters in {len(lengths)} prompts", "of about"
    yield f"{name}: {size}: an error rate of {_RATE:.0%} would have a 95% interval {sure} {low:.1%} to {high:.1%}"
    if why := speaker_dependent((row for row in rows if row.split in _LEARNT), tested):
        yield f"{name}: speaker-dependent, since {why}"


def speaker_dependent(learnt: Iterable[Utterance], tested: Iterable[Utterance]) -> str | None:
    """Why a test's speakers may be those of training; None where every speaker is known and none is on both sides."""
    before, speakers = {row.speaker for row in learnt}, {row.speaker for row in tested}
    if None in before | speakers:
        return "some of its rows, or of train and dev, name no speaker"
    common = before & speakers
    return f"train or dev has {len(common)} of its {len(speakers)} speakers" if common else None
