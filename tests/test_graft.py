"""Tests of the graft: which rows of an old output layer a new one takes, matched by what their labels are."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch

from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.errors import PlanError
from speechtransfer.features import MelSettings
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.pronunciation import Phones
from speechtransfer.transfer import Plan, Transfer
from speechtransfer.units import Multigraphs
from speechtransfer.vocabulary import Vocabulary
from speechtransfer.weights import Head

torch.set_num_threads(1)
VOCABULARY = Vocabulary.from_texts(["ab'c d"])
LABELS = ("<s>", "<pad>", "</s>", "<unk>", "|", "A", "B", "\u2019", "Z", "7")
TAKEN = {"": "<pad>", " ": "|", "a": "A", "b": "B", "'": "\u2019"}


def donor(labels: tuple[str, ...] | None = LABELS, width: int = 8, rows: int | None = None) -> Head:
    """A head whose every value tells its row."""
    rows = rows if rows is not None else len(labels or range(10))
    weight = 100.0 * torch.arange(1, rows + 1)[:, None] + torch.arange(width)
    return Head(weight, weight[:, 0] + 0.5, labels, None)


def apply(transfer: Transfer, old: Head | None, vocabulary: Vocabulary = VOCABULARY) -> tuple[Model, Plan]:
    torch.manual_seed(5)
    encoder = Conformer(ConformerSettings(MelSettings(n_mels=24), width=8, layers=0, heads=2))
    return transfer.apply(encoder, Ctc(vocabulary), old)


@pytest.mark.parametrize("graft", ["shared", TAKEN, {key: LABELS.index(value) for key, value in TAKEN.items()}])
@pytest.mark.parametrize("half", [False, True])
def test_shared_labels_take_the_donors_rows_whatever_their_place(graft: Any, half: bool) -> None:
    old = donor()
    if half:
        old = Head(old.weight.half(), old.bias.half(), old.labels, old.contract)
    model, plan = apply(Transfer(graft=graft), old)
    head, labels = model.objective.heads["output"], VOCABULARY.labels
    assert plan.shared_labels == tuple(label for label in labels if label in TAKEN)
    assert len(TAKEN) == 5
    for index, label in enumerate(labels):
        if label in TAKEN:
            row = LABELS.index(TAKEN[label])
            assert torch.equal(head.weight[index], old.weight[row].float())
            assert head.bias[index] == old.bias[row].float()
        else:
            assert max(head.weight[index].abs().max(), head.bias[index].abs()) < 1, "a fresh row"
    assert {item.origin for item in plan.parameters if "objective" in item.name} == {"grafted"}
    model, plan = apply(Transfer(graft="fresh"), old)
    assert model.objective.heads["output"].weight.abs().max() < 1
    assert not plan.shared_labels


def test_labels_pass_through_the_contract_and_roles_have_many_names() -> None:
    vocabulary = Vocabulary.from_texts(["é कि क्\u200dष ß"])
    old = ("<blk>", "\u2581", "E\u0301", "ि", "क", "्", "\u200d", "ẞ", "-", ".", "[UNK]", "s", "ss", "'")
    model, plan = apply(Transfer(), donor(old), vocabulary)
    assert plan.shared_labels == tuple(sorted(("", " ", "é", "ि", "क", "्", "\u200d", "ß")))
    for label, was in {"": "<blk>", " ": "\u2581", "é": "E\u0301", "ि": "ि", "ß": "ẞ", "\u200d": "\u200d"}.items():
        assert model.objective.heads["output"].bias[vocabulary.labels.index(label)] == 100 * (old.index(was) + 1) + 0.5
    for blank, space in (("[PAD]", "<space>"), ("<blank>", " "), ("", "|")):
        _, plan = apply(Transfer(), donor((blank, space)), vocabulary)
        assert plan.shared_labels == ("", " ")


@pytest.mark.parametrize(
    ("graft", "old", "message"),
    [
        ("shared", donor(("<pad>", "A", "a")), "'A' and 'a'"),
        ("shared", donor(("'", "\u2019", "a")), "fold into one"),
        ("shared", donor(("<pad>", "<blank>")), "fold into one"),
        ("shared", donor(None), "no labels"),
        ("shared", donor(width=9), "9 wide, the new head's 8"),
        ({"a": 0}, donor(None, width=7), "7 wide"),
        ("shared", donor(LABELS, rows=11), "10 labels for 11 rows"),
        ({"a": 10}, donor(None), "10 rows, no row 10"),
        ({"a": -1}, donor(None), "no row -1"),
        ({"a": "A"}, donor(None), "no label 'A'"),
        ({"a": "Q"}, donor(), "donor has no label 'Q'"),
        ({"q": "A"}, donor(), "new head has no label 'q'"),
        ({"a": "A"}, None, "no output layer"),
    ],
)
def test_grafts_that_do_not_fit_are_refused(graft: Any, old: Head | None, message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)):
        apply(Transfer(graft=graft), old)


def test_units_take_the_rows_of_the_same_strings() -> None:
    old = donor(("<pad>", "|", "c", "ch", "s", "l'", "l", "'s"))
    vocabulary = Vocabulary.from_texts(["chi l'ha scelto"], units=Multigraphs(("ch", "l'", "sc")))
    model, plan = apply(Transfer(), old, vocabulary)
    assert plan.shared_labels == ("", " ", "ch", "l", "l'")
    bias = model.objective.heads["output"].bias
    assert bias[vocabulary.labels.index("ch")] == 400.5
    assert bias[vocabulary.labels.index("l'")] == 600.5
    phones = Phones({"s": ("s", "S", "ts\u02b0", "AH0", "1")})
    _, plan = apply(Transfer(), donor(("", "S", "s", "AH0", "ts", "|")), Vocabulary.from_texts(["s"], units=phones))
    assert plan.shared_labels == ("", "AH0", "S", "s")


def test_a_map_chooses_between_labels_that_fold_into_one() -> None:
    model, _ = apply(Transfer(graft={"a": "a", "b": "A"}), donor(("<pad>", "A", "a")))
    assert model.objective.heads["output"].bias[[VOCABULARY.labels.index(x) for x in "ab"]].tolist() == [300.5, 200.5]
    _, plan = apply(Transfer(), donor(("<pad>", "Q", "q")))
    assert plan.shared_labels == ("",), "labels that nobody needs may fold"


def test_sentence_marks_and_the_unknown_are_no_letters() -> None:
    vocabulary = Vocabulary.from_texts(["s unk ß cls"])
    _, plan = apply(Transfer(), donor(("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "[CLS]")), vocabulary)
    assert plan.shared_labels == ("",)
    _, plan = apply(Transfer(), donor(("<s>", "s", "</s>", "<pad>")), vocabulary)
    assert plan.shared_labels == ("", "s")


def test_pieces_of_words_give_only_what_is_a_character_in_both() -> None:
    """Parakeet's labels: a piece that begins a word is neither the letter nor the boundary before it."""
    old = donor(("\u2581", "\u2581a", "a", "ab", "\u2581the", "b", "<pad>"))
    model, plan = apply(Transfer(graft="shared"), old)
    assert plan.shared_labels == ("", " ", "a", "b")
    head = model.objective.heads["output"]
    assert torch.equal(head.weight[VOCABULARY.labels.index("a")], old.weight[2])
    assert torch.equal(head.weight[VOCABULARY.labels.index(" ")], old.weight[0])


def by_sound(old: tuple[str, ...], vocabulary: Vocabulary) -> tuple[dict[str, str], Model, Plan]:
    """Which of the donor's labels each new one begins as, told by the weights of its row."""
    model, plan = apply(Transfer(graft="transliterated"), donor(old), vocabulary)
    first = model.objective.heads["output"].weight[:, 0].tolist()
    rows = {
        label: old[round(value / 100) - 1] for label, value in zip(vocabulary.labels, first, strict=True) if value > 50
    }
    assert plan.shared_labels == tuple(sorted(rows)), "the plan tells the same"
    return rows, model, plan


def letters(text: str) -> Vocabulary:
    return Vocabulary.from_texts([text])


def test_letters_of_another_script_begin_as_what_they_are_transliterated_into() -> None:
    rows, _, plan = by_sound(("<pad>", "|", *"abehopstvxyw"), letters("αβά θψωϋ"))
    assert rows == {"": "<pad>", " ": "|", **dict(zip("αβάθψωϋ", "avatpoy", strict=True))}
    assert "a>ά a>α v>β t>θ p>ψ o>ω y>ϋ" in plan.notes[-1]
    assert by_sound(("<pad>", "а", "ш", "т"), letters("a stș"))[0] == {"": "<pad>", "a": "а", "t": "т"}, "and back"


def test_a_letter_that_both_have_keeps_its_row_and_plain_letters_come_before_marked_ones() -> None:
    rows, _, plan = by_sound(("<pad>", "é", "e", "č", "c"), letters("éèe ćčц"))
    assert rows == {"": "<pad>", "é": "é", "è": "e", "e": "e", "ć": "c", "č": "č"}, "ц is ts, and no t is there"
    assert plan.notes[-1].endswith(": e>è c>ć")
    assert by_sound(("<pad>", "é", "č"), letters("eц"))[0] == {"": "<pad>", "e": "é"}
    _, plan = apply(Transfer(graft="transliterated"), donor(("<pad>", "é")), letters("é"))
    assert not plan.notes


def test_the_longest_beginning_is_taken_by_a_single_letter_and_none_by_a_syllable() -> None:
    assert by_sound(("", "s", "sh", "ш"), letters("щшж"))[0] == {"": "", "щ": "sh", "ш": "ш"}
    syllables = Vocabulary.from_texts(["θα αι"], units=Multigraphs(("αι", "θα")))
    assert by_sound(("", "t", "th", "a"), syllables)[0] == {"": ""}
    assert by_sound(("", "tha", "a", "ai"), syllables)[0] == {"": "", "θα": "tha", "αι": "ai"}


def test_what_is_no_letter_has_no_sound() -> None:
    assert by_sound(("<s>", "<pad>", "'", "\u2581a", "<unk>"), letters("a u क्"))[0] == {"": "<pad>"}
    phones = Phones({"s": ("s", "a\u02d0")})
    assert by_sound(("", "s", "a"), Vocabulary.from_texts(["s"], units=phones))[0] == {"": "", "s": "s"}


def test_letters_that_begin_as_one_share_its_probability() -> None:
    """Oracle: where every row of the donor is taken, the new outputs' shares sum to the old ones'."""
    torch.manual_seed(0)
    old = Head(torch.randn(4, 8), torch.randn(4), ("<pad>", "i", "e", " "), None)
    vocabulary = letters("ηιί εiёэ")
    model, _ = apply(Transfer(graft="transliterated"), old, vocabulary)
    head = model.objective.heads["output"]
    hidden = torch.randn(5, 8)
    new = (hidden @ head.weight.T + head.bias).softmax(-1)
    was = (hidden @ old.weight.T + old.bias).softmax(-1)
    for place, alike in enumerate((("",), "ηιίi", "εёэ", (" ",))):
        torch.testing.assert_close(new[:, [vocabulary.labels.index(x) for x in alike]].sum(-1), was[:, place])
    both, _ = apply(Transfer(graft={"a": "a", "b": "a"}), donor(("<pad>", "a")))
    bias = both.objective.heads["output"].bias.tolist()
    assert bias[VOCABULARY.labels.index("b")] == pytest.approx(200.5 - math.log(2)), "a map too"
