"""The character n-gram against its definition: a distribution over characters, backed off as the paper says."""

from __future__ import annotations

import math
import random

import pytest

from speechtransfer.ngram import END, CharacterNgram, LanguageModel, Mixture

TEXTS = ("abba", "abc", "b a")
ALPHABET = ("a", "b", "c", " ", END)


def probability(model: LanguageModel, history: str, character: str) -> float:
    return math.exp(model.log_probability(history, character))


@pytest.mark.parametrize("order", [1, 2, 4, 9])
@pytest.mark.parametrize("history", [END, END + "a", END + "abb", END + "zzz", END + "abbaabc", "c"])
def test_it_is_a_distribution_after_any_history(order: int, history: str) -> None:
    model = CharacterNgram.from_texts(TEXTS, order)
    assert sum(probability(model, history, one) for one in ALPHABET) == pytest.approx(1.0)


def test_worked_example() -> None:
    model = CharacterNgram.from_texts(["ab", "ab", "b"], 2)
    # Each text once: "ab" and "b" hold a 1, b 2, END 2: five places, three kinds, an alphabet of three.
    alone = {one: (seen + 3 * (1 / 3)) / (5 + 3) for one, seen in (("a", 1), ("b", 2), (END, 2))}
    # After "a" came b alone, once: 1 place, 1 kind.
    assert probability(model, END + "a", "b") == pytest.approx((1 + 1 * alone["b"]) / (1 + 1))
    assert probability(model, END + "a", "a") == pytest.approx((0 + 1 * alone["a"]) / (1 + 1))
    # At the start came a and b, once each.
    assert probability(model, END, "a") == pytest.approx((1 + 2 * alone["a"]) / (2 + 2))
    # No more than one character of history counts, and an unseen history is no history.
    assert probability(model, END + "ba", "b") == probability(model, END + "a", "b")
    assert probability(model, END + "x", "b") == pytest.approx(alone["b"])


def test_a_longer_history_is_surer_of_what_training_said() -> None:
    told = [
        probability(CharacterNgram.from_texts(["die katze", "die kanne"], n), END + "die kat", "z") for n in (1, 3, 5)
    ]
    assert told == sorted(told)
    assert told[-1] > 0.8 > told[0]


def test_a_model_without_texts_knows_nothing() -> None:
    assert CharacterNgram.from_texts([], 3).log_probability(END, "a") == pytest.approx(0.0)


def test_texts_are_counted_once_and_kept() -> None:
    one, two = CharacterNgram.from_texts(["b", "a", "b"], 3), CharacterNgram.from_texts(["a", "b"], 3)
    assert one == two
    assert one.texts == ("a", "b")


def counted(texts: tuple[str, ...], order: int, history: str, character: str) -> float:
    """The definition, read off the texts anew for every probability."""
    bounded = [END + text + END for text in sorted(set(texts))]
    value = 1 / len({one for text in bounded for one in text[1:]})
    for length in range(min(order, len(history) + 1)):
        context = history[len(history) - length :]
        following = [text[place] for text in bounded for place in range(1, len(text)) if text[:place].endswith(context)]
        if not following:
            break
        kinds = len(set(following))
        value = (following.count(character) + kinds * value) / (len(following) + kinds)
    return value


@pytest.mark.parametrize("seed", range(20))
def test_it_counts_what_a_naive_reader_counts(seed: int) -> None:
    source = random.Random(seed)
    texts = tuple("".join(source.choices("ab c", k=source.randint(1, 9))) for _ in range(source.randint(1, 6)))
    model = CharacterNgram.from_texts(texts, source.randint(1, 6))
    for _ in range(40):
        # Histories begin at a text, and hold what no text held.
        history = END + "".join(source.choices("ab cz", weights=(5, 5, 2, 5, 1), k=source.randint(0, 8)))
        character = source.choice(sorted({END, *"".join(texts)}))
        assert probability(model, history, character) == pytest.approx(counted(texts, model.order, history, character))


def test_a_mixture_is_between_its_two_models() -> None:
    own, wider = CharacterNgram.from_texts(TEXTS, 3), CharacterNgram.from_texts(["cab", "bac", "a b c"], 3)
    mixed = Mixture(own, wider, 0.75)
    for history in (END, END + "ab", END + "cab"):
        assert sum(probability(mixed, history, one) for one in ALPHABET) == pytest.approx(1.0)
        for one in ALPHABET:
            expected = 0.25 * probability(own, history, one) + 0.75 * probability(wider, history, one)
            assert probability(mixed, history, one) == pytest.approx(expected)
