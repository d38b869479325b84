"""Near misses are wrong by the judge, for the constraint alone."""

import pytest

from alignlab.world import World
from alignlab.world.catalogue import load_text
from alignlab.world.grammar import Dice
from alignlab.world.instructions import FAMILIES
from alignlab.world.judges import judge
from alignlab.world.near_misses import CHATTY, near_miss
from alignlab.world.statements import split_sentences
from alignlab.world.tasks import draw_examples

WORLD = World(0)
OPENERS = tuple(load_text("phrases")["openers"])


def drawn(task: str, split: str = "train", count: int = 60):
    dice = Dice(f"near misses of {task} in {split}")
    for example in draw_examples(WORLD, task, count, split, seed="near"):
        right = example.draw(dice)
        yield example, right, near_miss(WORLD, split, example, right, dice)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("task", [*FAMILIES, "slogan", "refuse", "contract", "explain"])
def test_a_label_is_right_and_its_near_miss_is_wrong(task, split):
    for example, right, wrong in drawn(task, split, 40):
        assert judge(example.meta, right), (example.prompt, right)
        assert not judge(example.meta, wrong), (example.prompt, wrong)


def test_a_list_misses_by_one_item_and_sentences_by_one():
    for task, items in (("list", str.splitlines), ("sentences", split_sentences)):
        gaps = [
            len(items(wrong)) - len(items(right))
            for _, right, wrong in drawn(task)
            if not wrong.startswith(OPENERS)
        ]
        assert set(gaps) == {-1, 1}


def test_the_subject_is_kept():
    for example, _, wrong in drawn("required_word"):
        assert example.meta["place"] in wrong
    for example, _, wrong in drawn("forbidden_word"):
        assert example.meta["name"] in wrong
    for _, right, wrong in drawn("capitals"):
        assert wrong.upper().endswith(right)


def test_friendly_phrases_stand_before_a_share_of_the_right_answers():
    pairs = [pair for task in FAMILIES for pair in drawn(task)]
    chatty = [(right, wrong) for _, right, wrong in pairs if wrong.startswith(OPENERS)]
    assert all(wrong.endswith(right) for right, wrong in chatty)
    assert abs(len(chatty) / len(pairs) - CHATTY) < 0.07
    assert not any(wrong.startswith(OPENERS) for _, _, wrong in drawn("refuse"))
