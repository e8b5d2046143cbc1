"""Scores against hand-worked values, a naive edit distance, closed forms and second libraries."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest, chi2
from sklearn.metrics import f1_score

from speechtransfer.errors import DataError
from speechtransfer.score import (
    FEWEST_GROUPS,
    Estimate,
    Scores,
    Transcription,
    accuracy,
    aligned,
    character_errors,
    det_curve,
    detected_at,
    eer,
    error_rate,
    exact_interval,
    false_accepts_per_hour,
    hours_for,
    macro_f1,
    paired_difference,
    pool,
    score_labels,
    score_transcriptions,
    substitutions,
    unseen_floor,
    word_errors,
)


def levenshtein(reference, hypothesis):
    """The textbook table, cell by cell."""
    table = [[i + j if not i or not j else 0 for j in range(len(hypothesis) + 1)] for i in range(len(reference) + 1)]
    for i, said in enumerate(reference, 1):
        for j, heard in enumerate(hypothesis, 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (said != heard))
    return table[-1][-1]


def random_pairs(count, seed=0):
    draw = random.Random(seed)

    def text(fewest):
        words = ["".join(draw.choices("абвё", k=draw.randint(1, 4))) for _ in range(draw.randint(fewest, 5))]
        return " ".join(words)

    return [(text(1), text(0)) for _ in range(count)]


def width(one):
    return one.high - one.low


def test_errors_equal_a_naive_edit_distance():
    pairs = random_pairs(300)
    characters, words = character_errors(pairs), word_errors(pairs)
    assert characters.errors.tolist() == [levenshtein(*pair) for pair in pairs]
    assert characters.counts.tolist() == [len(said) for said, _ in pairs]
    assert words.errors.tolist() == [levenshtein(said.split(), heard.split()) for said, heard in pairs]
    assert words.counts.tolist() == [len(said.split()) for said, _ in pairs]


def test_known_values_by_hand():
    pairs = [("the cat sat", "the bat sat down"), ("on", "")]
    assert word_errors(pairs).errors.tolist() == [2, 1]  # one substitution and one insertion; one deletion
    assert word_errors(pairs).counts.tolist() == [3, 1]
    assert character_errors([("a b", "ab")]).errors.tolist() == [1]  # the space counts
    assert character_errors([("a b", "ab")]).counts.tolist() == [3]
    scores = score_transcriptions([Transcription(str(i), *pair, str(i)) for i, pair in enumerate(pairs)])
    assert scores["wer"].value == 3 / 4
    assert scores["wer"].count == 4
    assert scores["cer"].value == (1 + 5 + 2) / 13


def test_a_perfect_transcript_scores_zero_and_never_with_zero_width():
    rows = [Transcription(str(i), said, said, str(i)) for i, (said, _) in enumerate(random_pairs(20))]
    scores = score_transcriptions(rows)
    for metric in ("cer", "wer"):
        estimate = scores[metric]
        assert (estimate.value, estimate.low) == (0, 0)
        assert estimate.high == pytest.approx(1 - 0.025 ** (1 / estimate.count))  # Clopper and Pearson at zero
    right = score_labels([Transcription(str(i), "abc"[i % 3], "abc"[i % 3], str(i)) for i in range(30)])
    for estimate in right.metrics.values():
        assert estimate.high == 1
        assert estimate.low == pytest.approx(0.025 ** (1 / 30))


def test_all_wrong_or_one_utterance_has_width_too():
    assert width(accuracy(["a"] * 5, ["b"] * 5, range(5))) > 0
    assert width(error_rate([3], [10], ["one"])) > 0
    assert width(error_rate([1, 0, 1], [1, 1, 1], ["one"] * 3)) > 0
    beyond = error_rate([15], [10], ["one"])  # more insertions than words
    assert beyond.low < beyond.value == beyond.high == 1.5


@pytest.mark.parametrize("measure", [character_errors, word_errors])
def test_a_reference_with_nothing_left_is_refused(measure):
    with pytest.raises(DataError, match="reference 2 of 2"):
        measure([("a", "a"), (" ", "a")])
    with pytest.raises(DataError, match="no utterance"):
        measure([])


def test_alignment_rebuilds_both_sides_and_counts_the_errors():
    for reference, hypothesis in random_pairs(100, seed=1):
        pieces = aligned(reference, hypothesis)
        assert "".join("".join(said) for _, said, _ in pieces) == reference
        assert "".join("".join(heard) for _, _, heard in pieces) == hypothesis
        assert all((said == heard) == (kind == "equal") for kind, said, heard in pieces)
        confused = substitutions([(reference, hypothesis)])
        assert confused.total() == levenshtein(reference, hypothesis)


def test_substitutions_by_hand():
    pairs = [("рама", "лама"), ("рама", "рамы"), ("ам", "там"), ("дом ", "до"), ("рот", "лот")]
    assert substitutions(pairs) == Counter({("р", "л"): 2, ("а", "ы"): 1, ("", "т"): 1, ("м", ""): 1})


def test_the_bootstrap_agrees_with_the_binomial():
    wrong = np.random.default_rng(0).random(2000) < 0.2
    ours = error_rate(wrong, np.ones(2000), range(2000))
    theirs = binomtest(int(wrong.sum()), 2000).proportion_ci(method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=0.002)
    assert ours.high == pytest.approx(theirs.high, abs=0.002)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    draw = np.random.default_rng(1)
    truth, groups = 0.3, np.repeat(np.arange(60), 3)
    covered = 0
    for trial in range(200):
        # Prompts differ in difficulty, and a prompt's recordings share it.
        difficulty = np.repeat(draw.beta(3, 7, size=60), 3)
        estimate = error_rate(draw.binomial(10, difficulty), np.full(180, 10), groups, seed=trial, resamples=500)
        covered += estimate.low <= truth <= estimate.high
    assert 0.90 <= covered / 200 <= 0.99


def test_copies_within_a_group_add_no_certainty():
    wrong = np.repeat(np.random.default_rng(2).random(100) < 0.3, 9)
    by_group = error_rate(wrong, np.ones(900), np.repeat(np.arange(100), 9))
    by_item = error_rate(wrong, np.ones(900), range(900))
    assert by_group.value == by_item.value
    assert width(by_group) == pytest.approx(3 * width(by_item), rel=0.1)  # sqrt(9)


def test_an_estimate_is_a_function_of_its_seed():
    errors, counts = np.random.default_rng(3).integers(0, 20, size=50), np.arange(50) + 20
    first = error_rate(errors, counts, range(50), seed=4)
    assert error_rate(errors, counts, range(50), seed=4) == first
    assert error_rate(errors, counts, range(50), seed=5) != first


def test_exact_interval_equals_scipys():
    for events, trials in [(0, 10), (3, 10), (10, 10), (17, 412)]:
        theirs = binomtest(events, trials).proportion_ci(method="exact")
        assert exact_interval(events, trials) == pytest.approx((theirs.low, theirs.high))


def test_macro_f1_equals_sklearns():
    draw = random.Random(3)
    said = draw.choices(["да", "нет", "стоп"], k=80)
    heard = [word if draw.random() < 0.7 else draw.choice(["да", "нет", "иное"]) for word in said]
    estimate = macro_f1(said, heard, range(80))
    assert estimate.value == pytest.approx(f1_score(said, heard, average="macro"))
    assert estimate.low < estimate.value < estimate.high


def correlated_systems(seed=0):
    draw = np.random.default_rng(seed)
    difficulty = draw.beta(1, 3, size=150)
    before = draw.binomial(40, difficulty)
    return before, draw.binomial(before, 0.9), np.full(150, 40)


def test_pairing_narrows_the_difference_of_correlated_systems():
    before, after, counts = correlated_systems()
    paired = paired_difference(before, after, counts, range(150))
    a, b = (error_rate(one, counts, range(150)) for one in (before, after))
    unpaired = np.hypot(width(a), width(b))
    assert paired.value == pytest.approx(b.value - a.value)
    assert paired.relative.value == pytest.approx((a.value - b.value) / a.value)
    assert paired.relative.low < paired.relative.value < paired.relative.high
    assert width(paired) < unpaired / 3
    assert paired.significant
    assert a.low < b.high  # the intervals overlap; the difference is clear all the same


def test_the_paired_interval_is_the_normal_one_on_many_groups():
    before, after, counts = correlated_systems(seed=1)
    paired = paired_difference(before, after, counts, range(150))
    spread = 1.96 * np.std((after - before) / 40) / np.sqrt(150)
    assert paired.high - paired.value == pytest.approx(spread, rel=0.15)


def test_swapping_the_systems_mirrors_the_difference():
    before, after, counts = correlated_systems()
    one = paired_difference(before, after, counts, range(150))
    other = paired_difference(after, before, counts, range(150))
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_runs_are_averaged():
    runs = np.array([[2, 0, 4, 1, 0, 3], [0, 2, 2, 1, 2, 1]])
    baseline, counts = np.array([4, 3, 5, 2, 3, 4]), np.full(6, 10)
    assert paired_difference(baseline, runs, counts, range(6)) == paired_difference(
        baseline[None], runs.mean(0), counts, range(6)
    )


def test_too_few_groups_claim_nothing():
    for groups in (1, FEWEST_GROUPS - 1, FEWEST_GROUPS):
        codes = np.arange(60) % groups
        difference = paired_difference(np.arange(60) % 7 + 3, np.arange(60) % 2, np.full(60, 10), codes)
        assert difference.high < 0
        assert difference.significant == (groups >= FEWEST_GROUPS)


def test_a_difference_that_never_varies_has_width():
    same = paired_difference(np.zeros(20), np.zeros(20), np.ones(20), range(20))
    assert same.low < 0 < same.high
    assert not same.significant
    assert same.relative is None
    clear = paired_difference(np.ones(20), np.zeros(20), np.ones(20), range(20))
    assert clear.value == -1
    assert width(clear) > 0
    assert clear.significant
    json.dumps(clear.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("errors", "counts", "groups"),
    [
        ([1], [1, 1], "ab"),
        ([], [], ""),
        ([1], [0], "a"),
        ([-1], [1], "a"),
        ([float("nan")], [1], "a"),
        ([1], [1], "ab"),
    ],
)
def test_figures_that_do_not_belong_together_are_refused(errors, counts, groups):
    with pytest.raises(DataError):
        error_rate(errors, counts, groups)


def naive_eer(scores, labels):
    """Walk down the thresholds and interpolate where the two rates cross."""
    before = (0.0, 1.0)
    for threshold in sorted(set(scores), reverse=True):
        accept = np.mean([one >= threshold for one, label in zip(scores, labels, strict=True) if not label])
        reject = np.mean([one < threshold for one, label in zip(scores, labels, strict=True) if label])
        if accept >= reject:
            share = (before[1] - before[0]) / ((before[1] - before[0]) + (accept - reject))
            return before[0] + share * (accept - before[0])
        before = (accept, reject)
    return None


def test_eer_by_hand_and_by_walking_the_thresholds():
    assert eer([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]).value == 0
    assert eer([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]).value == 1
    assert eer([0.5] * 4, [0, 1, 0, 1]).value == 0.5  # nothing to tell them apart by
    assert eer([0.1, 0.6, 0.7, 0.4, 0.8, 0.9], [0, 0, 0, 1, 1, 1]).value == pytest.approx(1 / 3)
    draw = np.random.default_rng(4)
    labels = draw.random(200) < 0.3
    scores = np.round(draw.normal(size=200) + labels, 1)  # rounded: with ties
    estimate = eer(scores, labels)
    assert estimate.value == pytest.approx(naive_eer(scores, labels))
    assert estimate.low < estimate.value < estimate.high
    assert estimate.count == labels.sum()


def test_eer_of_a_perfect_detector_has_width_and_of_one_kind_none():
    assert width(eer([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])) > 0
    with pytest.raises(DataError, match="one kind"):
        eer([0.1, 0.2], [1, 1])


def test_det_curve_trades_one_error_for_the_other():
    accept, reject, thresholds = det_curve([0.1, 0.6, 0.4, 0.8], [0, 0, 1, 1])
    assert (np.diff(accept) <= 0).all()
    assert (np.diff(reject) >= 0).all()
    assert len(thresholds) == len(accept)


def test_false_accept_bounds_are_the_exact_poisson_ones():
    none = false_accepts_per_hour(0, 10)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(-np.log(0.05) / 10)
    assert none.high == pytest.approx(3 / 10, rel=0.002)
    some = false_accepts_per_hour(7, 2.5)
    assert some.value == 2.8
    assert some.low == pytest.approx(chi2.ppf(0.05, 14) / 2 / 2.5)
    assert some.high == pytest.approx(chi2.ppf(0.95, 16) / 2 / 2.5)
    assert str(none) == "0.00 [0.00, 0.30] an hour"
    with pytest.raises(DataError, match="0 hours"):
        false_accepts_per_hour(1, 0)


def test_hours_that_a_claim_needs():
    assert hours_for(0, 1) == pytest.approx(-np.log(0.05))
    for events, rate in ((0, 0.5), (3, 2.0), (12, 0.1)):
        assert false_accepts_per_hour(events, hours_for(events, rate)).high == pytest.approx(rate)
    with pytest.raises(DataError, match="never be shown"):
        hours_for(0, 0)


def detected(said, scores, accepted, group="g"):
    best = max(scores, key=scores.get)
    return Transcription(f"{said}{scores}{group}", said, best, group, scores=scores, accepted=accepted)


def test_detection_is_counted_word_by_word_and_recording_by_recording():
    rows = [
        detected("a", {"a": 0.9, "b": 0.1}, ("a",), "1"),
        detected("a", {"a": 0.4, "b": 0.3}, (), "2"),  # a false reject
        detected("b", {"a": 0.6, "b": 0.7}, ("a", "b"), "3"),  # heard, and a false accept besides
        detected("_unknown_", {"a": 0.2, "b": 0.1}, (), "4"),
        detected("_unknown_", {"a": 0.1, "b": 0.8}, ("b",), "5"),  # a false accept
    ]
    scores = score_labels(rows)
    assert (scores["false_rejects"].value, scores["false_rejects"].count) == (1 / 3, 3)
    assert (scores["false_accepts"].value, scores["false_accepts"].count) == (2 / 5, 5)
    trials = [(score, word == row.reference) for row in rows for word, score in row.scores.items()]
    assert scores["eer"].value == eer(*zip(*trials, strict=True)).value
    assert pool([scores]).metrics == scores.metrics
    best, known = [0.9, 0.4, 0.7, 0.2, 0.8], [True, True, True, False, False]
    assert (
        scores["detected_at_5"].value == detected_at(0.05, best, known, [True, True, True, False, False]).value == 1 / 3
    )


def test_without_scores_or_thresholds_nothing_is_detected():
    plain = Transcription("1", "a", "a", "1"), Transcription("2", "b", "a", "2")
    assert set(score_labels(plain).metrics) == {"accuracy", "macro_f1"}
    rows = [detected("a", {"a": 0.9, "b": 0.1}, None, "1"), detected("b", {"a": 0.2, "b": 0.7}, None, "2")]
    assert set(score_labels(rows).metrics) == {"accuracy", "macro_f1", "eer"}


def test_detection_in_an_open_set_by_hand():
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    known = [True, True, False, True, False, True, False, False]
    right = [True, False, False, True, False, True, False, False]
    # Of four others none may pass: the threshold is above 0.7, one of four known is detected as itself.
    assert detected_at(0.0, scores, known, right).value == 1 / 4
    assert detected_at(0.25, scores, known, right).value == 2 / 4
    assert detected_at(0.5, scores, known, right).value == 3 / 4
    assert detected_at(0.49, scores, known, right).value == 2 / 4
    assert detected_at(0.0, [1, 1], [True, False], [True, False]).value == 0  # equal scores pass together
    found = detected_at(0.25, scores, known, right)
    assert found.count == 4
    assert found.low <= found.value <= found.high
    for one in ([True] * 8, [False] * 8):
        with pytest.raises(DataError, match="open set"):
            detected_at(0.05, scores, one, right)


def test_detection_in_an_open_set_against_a_loop():
    draw = np.random.default_rng(4)
    scores, known, right = draw.random(300).round(2), draw.random(300) < 0.4, draw.random(300) < 0.8
    for rate in (0.01, 0.05, 0.3):
        fine = [t for t in np.append(scores, 2) if (scores[~known] >= t).mean() <= rate]
        best = max((known & right & (scores >= t)).sum() / known.sum() for t in fine)
        assert detected_at(rate, scores, known, right).value == pytest.approx(best)


def test_unseen_characters_bound_the_error_rate_from_below():
    floor = unseen_floor(["мышь ё", "кот"], {"м", "ы", "ш", "к", "о", "т", " "})
    assert floor.value == 2 / 9
    assert floor.count == 9
    assert width(unseen_floor(["кот"], {"к", "о", "т"})) > 0
    pairs = random_pairs(100, seed=5)
    heard = [(said, other.replace("ё", "")) for said, other in pairs]
    errors = character_errors(heard)
    least = unseen_floor([said for said, _ in pairs], set("абв "))
    assert least.value <= errors.errors.sum() / errors.counts.sum()


def transcriptions(count):
    return [Transcription(f"u{i}", *pair, f"g{i % 9}") for i, pair in enumerate(random_pairs(count, seed=6))]


def test_pooled_folds_equal_one_test_of_everything():
    rows = transcriptions(40)
    parts = [score_transcriptions(rows[:15]), score_transcriptions(rows[15:])]
    noted = [Scores(one.metrics, one.rows, ("speaker-dependent",)) for one in parts]
    pooled = pool(noted)
    assert pooled.metrics == score_transcriptions(rows).metrics
    assert pooled.rows == parts[0].rows + parts[1].rows
    assert pooled.notes == ("speaker-dependent",)
    labelled = [score_labels([Transcription(f"{k}{i}", "a", "ab"[i % 2], str(i)) for i in range(6)]) for k in "xy"]
    assert pool(labelled)["accuracy"].count == 12


def test_an_utterance_tested_twice_is_not_pooled():
    scores = score_transcriptions(transcriptions(5))
    with pytest.raises(DataError, match="u0 was tested twice"):
        pool([scores, scores])


def test_what_rows_cannot_give_is_not_pooled():
    figure = false_accepts_per_hour(1, 1)
    with pytest.raises(DataError, match="false_accepts_per_hour"):
        pool([Scores({"false_accepts_per_hour": figure})])
    with pytest.raises(DataError, match="cannot be recomputed"):
        pool([])


def test_the_written_form():
    estimate = Estimate(0.123, 0.101, 0.146, 5213)
    assert str(estimate) == "12.3% [10.1, 14.6] of 5213"
    entry = {"value": 0.123, "low": 0.101, "high": 0.146, "count": 5213}
    assert estimate.as_dict() == entry
    assert Scores({"cer": estimate}).as_dict() == {"cer": entry}
    noted = Scores({"cer": estimate}, notes=("contaminated",))
    assert noted.as_dict() == {"cer": entry, "notes": ["contaminated"]}
    assert str(noted) == "cer 12.3% [10.1, 14.6] of 5213\ncontaminated"
    json.dumps(score_transcriptions(transcriptions(3)).as_dict(), allow_nan=False)


def test_pooled_folds_without_words_have_no_word_error_rate() -> None:
    rows = [Transcription(str(k), "日本語です", "日本語てす", str(k)) for k in range(6)]
    folds = [score_transcriptions(rows[:3], words=False), score_transcriptions(rows[3:], words=False)]
    assert set(pool(folds).metrics) == {"cer"}
    assert pool(folds)["cer"] == score_transcriptions(rows, words=False)["cer"]
    assert set(pool([score_transcriptions(rows[:3]), score_transcriptions(rows[3:])]).metrics) == {"cer", "wer"}
