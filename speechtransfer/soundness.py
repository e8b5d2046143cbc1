"""What is odd in usable sound: faults of microphone, level, file or copying, most of them judged by the corpus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from speechtransfer.manifest import Utterance
from speechtransfer.measure import Measured
from speechtransfer.symptoms import Symptom

#: Share of the samples at full scale beyond which one hears it: of 3,349 clips by other people's microphones and
#: mixing desks (Ukrainian digits, Tux Paint, Fish Fillets) 47 have more, of 4,485 of the telephone's none.
_CLIPPED = 1e-4
#: The offset, of the sound's own root mean square: beyond a quarter one sixteenth of the power is no sound. Less than
#: ten steps of 16 bits are not worth a word.
_OFFSET, _STEPS = 0.25, 10 / 32768
#: dB below the corpus's middle peak: a thousandth of its power, where readers and distances differ by ten or twenty.
_QUIET = 30.0
#: dB of an edge over the loud parts of its own clip: within 6 the sound is in full course. It is a doubt only where
#: three quarters of the corpus lie 20 below, so that others' clips that are cut to the word are not doubted.
_IN_COURSE, _AT_REST = -6.0, -20.0
#: Hz that count for speech at most (wide-band telephony ends at 7,000), and the share of the usual that is narrow.
_WIDE, _NARROW = 8000.0, 0.8
#: Seconds that two spans may share: how exactly borders are drawn by hand.
_SHARED = 0.1
#: So many clips at least are a corpus to judge one by.
FEWEST = 20


def sounded(rows: Sequence[Utterance], measured: Mapping[str, Measured]) -> list[Symptom]:
    """What is odd in the sound of utterances, in their order.

    Args:
        rows: the utterances.
        measured: of each by its id.
    """
    heard = [(row, measured[row.id]) for row in rows]
    found = [*_by_themselves(heard), *_repeated(heard), *_overlapping(heard)]
    if len(heard) >= FEWEST:
        found += [*_by_the_corpus([one for _, one in heard], heard)]
    order = {row.id: place for place, row in enumerate(rows)}
    return sorted(found, key=lambda one: (order[one.id], one.kind))


_Heard = Sequence[tuple[Utterance, Measured]]


def _by_themselves(heard: _Heard) -> Iterator[Symptom]:
    for row, one in heard:
        if one.clipped > _CLIPPED:
            told = f"{one.clipped:.2%} of its samples lie at full scale: it was recorded, or amplified, too loud"
            yield Symptom(row.id, "clipped", told)
        if abs(one.offset) > max(_OFFSET * 10 ** (one.level / 20), _STEPS):
            told = f"its mean is {one.offset:+.4f} of full scale, its sound {10 ** (one.level / 20):.4f} about it"
            yield Symptom(row.id, "an offset", told)


def _by_the_corpus(all_of_them: Sequence[Measured], heard: _Heard) -> Iterator[Symptom]:
    """What the other utterances are not."""
    rates = Counter(one.sample_rate for one in all_of_them)
    usual, times = rates.most_common(1)[0]
    peak = median(one.peak for one in all_of_them)
    wide = median(min(one.bandwidth, _WIDE) for one in all_of_them)
    rests = {name: quantiles([getattr(one, name) for one in all_of_them])[2] for name in ("begins", "ends")}
    for row, one in heard:
        if one.sample_rate != usual and 2 * times > len(heard):
            told = f"{one.sample_rate} Hz, where {times} of {len(heard)} have {usual}"
            yield Symptom(row.id, "another sample rate", told)
        if one.bandwidth < _NARROW * min(wide, one.sample_rate / 2):
            told = (
                f"nothing above {one.bandwidth:.0f} Hz of the {one.sample_rate / 2:.0f} that it is stored with, where "
                f"half of the corpus reaches {wide:.0f} or more: a telephone's sound, or a coder's"
            )
            yield Symptom(row.id, "a narrow band", told)
        if one.peak < peak - _QUIET:
            told = f"its loudest sample is {one.peak:.0f} dB of full scale, half of the corpus has over {peak:.0f}"
            yield Symptom(row.id, "hardly any sound", told)
        for edge, rest in rests.items():
            level = getattr(one, edge)
            if level > _IN_COURSE and rest < _AT_REST:
                told = f"{level:+.0f} dB of its loud parts there, three quarters of the corpus have under {rest:.0f}"
                yield Symptom(row.id, f"it {edge} in the middle of a sound", told)


def _repeated(heard: _Heard) -> Iterator[Symptom]:
    """The same samples under several names: each is doubted, since nobody can know which belongs there."""
    for group in _alike(heard).values():
        texts = {row.text or row.label for row in group}
        kind = "the same sound under another name" if len(texts) == 1 else "the same sound with another text"
        for row in group:
            other = next(one for one in group if one is not row)
            said = f", which says {other.text or other.label!r}" if len(texts) > 1 else ""
            more = f" and {len(group) - 2} more" if len(group) > 2 else ""
            yield Symptom(row.id, kind, f"{Path(other.id).name}{said}{more}")


def _overlapping(heard: _Heard) -> Iterator[Symptom]:
    """Transcribed spans that share sound with another of their recording, told of the one that shares most.

    Those of the very same sound are `_repeated`'s; a clip of a word may lie within another's on purpose.
    """
    recordings: dict[Path, list[tuple[float, float, Utterance]]] = defaultdict(list)
    for row, one in heard:
        if row.text is not None:
            start = row.start or 0.0
            recordings[row.audio].append((start, start + one.seconds, row))
    most: dict[str, tuple[float, Utterance]] = {}
    for spans in recordings.values():
        under_way: list[tuple[float, float, Utterance]] = []
        for start, end, row in sorted(spans, key=lambda one: one[:2]):
            under_way = [one for one in under_way if one[1] - start > _SHARED]
            for before, until, other in under_way:
                both = min(end, until) - start
                if both > _SHARED and (before, until) != (start, end):
                    for mine, its in ((row, other), (other, row)):
                        most[mine.id] = max(most.get(mine.id, (0.0, its)), (both, its), key=lambda one: one[0])
            under_way.append((start, end, row))
    for name, (both, other) in most.items():
        told = f"{both:.1f} s of it are in {Path(other.id).name} too: two voices at once, or a border out of place?"
        yield Symptom(name, "it overlaps another utterance", told)


def crossing(rows: Sequence[Utterance], measured: Mapping[str, Measured]) -> list[str]:
    """What forbids training: the same samples, under several names, in more than one split."""
    errors = []
    for group in _alike([(row, measured[row.id]) for row in rows if row.split is not None]).values():
        splits = sorted({row.split for row in group if row.split is not None})
        if len(splits) > 1 and len({row.audio for row in group}) > 1:
            names = ", ".join(f"{row.id} ({row.split})" for row in group[:3])
            more = f" and {len(group) - 3} more" if len(group) > 3 else ""
            errors.append(f"the same sound is in the splits {', '.join(splits)} at once: {names}{more}.")
    return errors


def _alike(heard: _Heard) -> dict[str, list[Utterance]]:
    """Utterances with the very same samples, where there are two or more."""
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for row, one in heard:
        groups[one.content].append(row)
    return {content: group for content, group in groups.items() if len(group) > 1}
