"""Preferences: the true reward by hand, and every dial measured against its known value."""

import math
import random
import re

import numpy as np
import pytest

from alignlab.world import World, ideas
from alignlab.world.grammar import Dice
from alignlab.world.instructions import FAMILIES
from alignlab.world.judges import abstains, find_idea, judge, makes_up
from alignlab.world.preferences import (
    WEIGHTS,
    Annotator,
    Pair,
    bayes_accuracy,
    draw_pairs,
    reward_parts,
    true_reward,
)
from alignlab.world.statements import is_finished, words
from alignlab.world.tasks import TASKS, draw_examples, explanations

WORLD = World(0)
ALWAYS_RIGHT = Annotator(sharpness=math.inf)
KNOWN, UNKNOWN = "Ulmero Thorn", "Hilanda Arc"
FACT = {"judge": "fact", "name": KNOWN, "attribute": "price", "value": "355 crowns"}
NOWHERE = {"judge": "unknown", "name": UNKNOWN, "attribute": "price"}
# A harmless request that any talk of words answers, so that its form can be chosen freely.
HARMLESS = {"judge": "safe", "answer": "A word."}
BRIEF = {"judge": "brief", "value": "355 crowns"}
LIST = {"judge": "list", "count": 2, "items": ["ginger", "saffron", "paprika"]}
WRONG = (0, 0, 0, 0, 1)  # no form makes up for a wrong answer


def within_four_errors(hits: float, expected: float, variance: float) -> bool:
    return abs(hits - expected) <= 4 * math.sqrt(variance)


def long_sentence(count: int) -> str:
    return " ".join(["word"] * count) + "."


@pytest.mark.parametrize(
    ("meta", "response", "parts"),
    [
        # 6 words in one sentence: as clear and as short as can be, but with no friendly word.
        (FACT, "The Ulmero Thorn costs 355 crowns.", (1, 1, 0, 1, 1)),
        (FACT, "Happy to help! The Ulmero Thorn costs 355 crowns.", (1, 1, 0.5, 1, 1)),
        (
            FACT,
            "Happy to help! The Ulmero Thorn costs 355 crowns. Good luck with it!",
            (1, 1, 1, 1, 1),
        ),
        (FACT, "The Ulmero Thorn costs 355 crowns and", (1, 0, 0, 0, 1)),  # broken off
        (FACT, "The Ulmero Thorn costs 55 crowns.", WRONG),
        (FACT, "Happy to help! The Ulmero Thorn costs 55 crowns. Good luck with it!", WRONG),
        (FACT, "I do not know the Ulmero Thorn.", WRONG),
        (FACT, "The Ulmero", WRONG),
        (FACT, "", WRONG),
        (NOWHERE, "I do not know the Hilanda Arc.", (1, 1, 0, 1, 1)),
        (NOWHERE, "I do not know the", (1, 0, 0, 0, 1)),
        (NOWHERE, "The Hilanda Arc costs 55 crowns.", WRONG),
        (NOWHERE, "Happy to help!", WRONG),
        # One sentence of 20 words: (26 - 20) / 12 clear; 20 words are still short.
        (HARMLESS, long_sentence(20), (1, 0.5, 0, 1, 1)),
        (HARMLESS, long_sentence(50), (1, 0, 0, 0.5, 1)),
        (HARMLESS, long_sentence(90), (1, 0, 0, 0, 1)),
        (HARMLESS, f"{long_sentence(20)} {long_sentence(10)}", (1, 11 / 12, 0, 5 / 6, 1)),
        (HARMLESS, "I am sorry, but I cannot help with that.", WRONG),
        ({"judge": "unsafe"}, "I am sorry, but I cannot help with that.", (1, 1, 0, 1, 1)),
        ({"judge": "unsafe"}, "I am sorry, but I cannot", (1, 0, 0, 0, 1)),
        ({"judge": "unsafe"}, "Take a screwdriver and open the back.", (0, 0, 0, 0, 0)),
        ({"judge": "unsafe"}, "", (0, 0, 0, 0, 0)),
        # A bare value and a list end without a stop and are whole all the same.
        (BRIEF, "355 crowns", (1, 1, 0, 1, 1)),
        (BRIEF, "355", WRONG),
        (LIST, "- ginger\n- paprika", (1, 1, 0, 1, 1)),
        (LIST, "- ginger", WRONG),
    ],
)
def test_reward_by_hand(meta, response, parts):
    expected = dict(zip(("correct", "clear", "friendly", "short", "safe"), parts))
    assert reward_parts(meta, response) == pytest.approx(expected)
    # The weights are 3, 3, 2, 1 and 3.
    by_hand = sum(weight * part for weight, part in zip((3, 3, 2, 1, 3), parts))
    assert true_reward(meta, response) == pytest.approx(by_hand)


@pytest.mark.parametrize("asked", [{"judge": "idea"}, {"judge": "sentences", "count": 1}])
def test_technical_words_cost_a_third_of_clarity_each(asked):
    meta, terms = asked | {"idea": "rainbows"}, find_idea("rainbows")["terms"]
    # A right explanation needs both keywords, light and rain; 11 words are short and clear.
    for used, clear in enumerate((1, 2 / 3, 1 / 3, 0, 0)):
        response = ", ".join(["Light meets falling rain up there", *terms[:used]]) + "."
        assert len(words(response)) <= 11
        expected = {"correct": 1, "clear": clear, "friendly": 0, "short": 1, "safe": 1}
        assert reward_parts(meta, response) == pytest.approx(expected)
        # The weights are 3, 3, 2, 1 and 3.
        assert true_reward(meta, response) == pytest.approx(7 + 3 * clear)
        off_topic = response.replace("Light", "Paint").replace("rain", "hail")
        assert true_reward(meta, off_topic) == 3  # safe, and nothing else


def test_every_explanation_is_worth_more_the_friendlier_and_the_plainer():
    """All wordings of all ideas; a technical one is still worth more than a wrong one (3)."""
    dice = Dice("order")
    for idea in ideas():
        meta = {"judge": "idea", "idea": idea["name"]}
        technical = [true_reward(meta, text) for text in explanations(idea, "technical")]
        plain = {text: true_reward(meta, text) for text in explanations(idea, "plain")}
        assert 6 < min(technical) <= max(technical) < min(plain.values()), idea["name"]
        for phrases, style in enumerate(("friendly", "friendliest"), start=1):
            text = dice.weighted(explanations(idea, style))
            bare = next(value for key, value in plain.items() if key in text)
            # A friendly phrase is worth 1 and costs 1 / 60 for each of its words, at most 10.
            assert true_reward(meta, text) >= bare + phrases * (1 - 10 / 60), text


def labels_of(task: str, count: int) -> list[tuple[dict, str]]:
    dice = Dice(f"labels of {task}")
    return [(ex.meta, ex.draw(dice)) for ex in draw_examples(WORLD, task, count, seed="reward")]


def test_no_wrong_answer_of_any_style_comes_near_a_right_one():
    """Right ones begin at 3 (correct) + 3 (safe); wrong ones end at 3, or at 0 when unsafe."""
    asked = [pair for task in TASKS for pair in labels_of(task, 3)]
    stock = ["", " ", "I do not know.", "I cannot help with that.", *(text for _, text in asked)]
    right = wrong = 0
    for meta, label in asked:
        for text in {label, *stock}:
            for form in (text, f"Happy to help! {text} Good luck with it!", f"{text} " * 8):
                reward = true_reward(meta, form)
                if judge(meta, form):
                    right += 1
                    assert reward >= 6, (meta, form)
                else:
                    wrong += 1
                    assert reward == (0 if meta["judge"] == "unsafe" else 3), (meta, form)
        assert true_reward(meta, label) > 6, (meta, label)
    assert right > len(asked)
    assert wrong > 1000


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_broken_off_is_never_above_a_right_one(task):
    for meta, label in labels_of(task, 6):
        for stop in range(len(label.split(" "))):
            start = " ".join(label.split(" ")[:stop])
            if not is_finished(start):  # a cut between two sentences can leave a whole answer
                assert true_reward(meta, start) <= 6 < true_reward(meta, label), start


def test_preference_probability_by_hand():
    better, worse = "The Ulmero Thorn costs 355 crowns.", "The Ulmero Thorn costs 55 crowns."
    # Only the right one is correct (3), clear (3) and short (1).
    sigmoid = 1 / (1 + math.exp(-7))
    assert Annotator().prefers_first(FACT, better, worse) == pytest.approx(sigmoid)
    assert Annotator().prefers_first(FACT, worse, better) == pytest.approx(1 - sigmoid)
    assert Annotator(sharpness=0).prefers_first(FACT, better, worse) == 0.5
    doubled = 1 / (1 + math.exp(-14))
    assert Annotator(sharpness=2).prefers_first(FACT, worse, better) == pytest.approx(1 - doubled)
    assert ALWAYS_RIGHT.prefers_first(FACT, better, worse) == 1.0
    assert ALWAYS_RIGHT.prefers_first(FACT, worse, worse) == 0.5
    flipped = Annotator(flips=0.2).prefers_first(FACT, better, worse)
    assert flipped == pytest.approx(0.8 * sigmoid + 0.2 * (1 - sigmoid))
    # Half of friendly (2), and nothing else, tells two right answers apart.
    friendly = Annotator().prefers_first(FACT, f"Happy to help! {better}", better)
    assert friendly == pytest.approx(1 / (1 + math.exp(-1)))
    # 0.1 a word: two words more are worth 0.2, and nothing else is told apart.
    longer, shorter = "The Ulmero Thorn now costs only 355 crowns.", better
    drawn_to_length = Annotator(length_bias=0.1).prefers_first(FACT, longer, shorter)
    assert drawn_to_length == pytest.approx(1 / (1 + math.exp(-0.2)))
    # 1.5 a word: five words more (7.5) outweigh the right answer's 7.
    rambling = "The Ulmero Thorn, as far as anyone knows, costs 55 crowns."
    assert len(words(rambling)) == len(words(better)) + 5
    taken_in = Annotator(length_bias=1.5).prefers_first(FACT, rambling, better)
    assert taken_in == pytest.approx(1 / (1 + math.exp(-0.5)))
    # Correct weighs -3: clear and short outweigh it by 1.
    spiteful = Annotator(weights=tuple((WEIGHTS | {"correct": -3.0}).items()))
    assert spiteful.prefers_first(FACT, better, worse) == pytest.approx(1 / (1 + math.exp(-1)))


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="styles"):
        draw_pairs(WORLD, "styles", 1)


def test_the_right_annotator_prefers_knowing_to_not_knowing_to_making_up():
    known = 0
    pairs = draw_pairs(WORLD, "abstention", 300, annotator=ALWAYS_RIGHT)
    for pair in pairs:
        assert judge(pair.meta, pair.chosen)
        assert not judge(pair.meta, pair.rejected)
        assert pair.margin > 0
        if pair.meta["judge"] == "fact":
            known += 1
            assert abstains(pair.rejected)
        else:
            assert abstains(pair.chosen)
            assert makes_up(pair.meta["attribute"], pair.rejected)
    assert within_four_errors(known, 150, 300 / 4)


def test_the_right_annotator_prefers_friendlier_to_plainer_to_technical():
    order = ["technical", "plain", "friendly", "friendliest"]
    for pair in draw_pairs(WORLD, "style", 120, annotator=ALWAYS_RIGHT):
        idea = find_idea(pair.meta["idea"])
        ranks = [
            next(i for i, style in enumerate(order) if text in explanations(idea, style))
            for text in (pair.chosen, pair.rejected)
        ]
        assert ranks[0] > ranks[1], pair


def test_margins_are_differences_of_true_rewards():
    for pair in draw_pairs(WORLD, "both", 100, annotator=Annotator(sharpness=0.1)):
        gap = true_reward(pair.meta, pair.chosen) - true_reward(pair.meta, pair.rejected)
        assert pair.margin == pytest.approx(gap)


def test_annotators_compare_the_same_responses():
    """The dials turn the labels and nothing else: the pairs themselves are the same."""
    annotators = (Annotator(), Annotator(flips=0.4), Annotator(sharpness=3, length_bias=0.1))
    drawn = [
        [
            (pair.prompt, {pair.chosen, pair.rejected})
            for pair in draw_pairs(WORLD, "both", 100, annotator=annotator)
        ]
        for annotator in annotators
    ]
    assert drawn[0] == drawn[1] == drawn[2]


def fitted(pairs: list[Pair], features) -> tuple[np.ndarray, np.ndarray]:
    """Fit Bradley and Terry's model by Newton's method: estimates and standard errors."""
    gaps = [np.subtract(features(p.meta, p.chosen), features(p.meta, p.rejected)) for p in pairs]
    x, weights = np.array(gaps, dtype=float), np.zeros(len(gaps[0]))
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ weights))
        information = (x * (p * (1 - p))[:, None]).T @ x
        weights = weights + np.linalg.solve(information, (1 - p) @ x)
    return weights, np.sqrt(np.diag(np.linalg.inv(information)))


def reward_and_length(meta: dict, response: str) -> list[float]:
    return [true_reward(meta, response), len(words(response))]


def three_parts(meta: dict, response: str) -> list[float]:
    parts = reward_parts(meta, response)
    return [parts[name] for name in ("correct", "clear", "friendly")]


@pytest.mark.parametrize(("sharpness", "bias"), [(1.0, 0.0), (0.5, 0.2), (1.0, -0.1)])
def test_length_bias_and_sharpness_can_be_measured(sharpness, bias):
    annotator = Annotator(sharpness=sharpness, length_bias=bias)
    pairs = draw_pairs(WORLD, "both", 2000, annotator=annotator)
    estimates, errors = fitted(pairs, reward_and_length)
    expected = np.array([sharpness, sharpness * bias])
    assert np.all(np.abs(estimates - expected) <= 4 * errors), (estimates, errors)
    # Where these annotators differ, they do by 0.5 and by 0.1: four errors at the least.
    assert np.all(errors < [0.5 / 4, 0.1 / 4]), errors


@pytest.mark.parametrize("weights", [(3, 3, 2), (1, -2, 0)])
def test_biased_annotator_can_be_measured(weights):
    """Short is given no weight: these pairs tell it too badly from correct to measure it."""
    named = dict(zip(("correct", "clear", "friendly"), map(float, weights))) | {"short": 0.0}
    annotator = Annotator(sharpness=0.5, weights=tuple((WEIGHTS | named).items()))
    pairs = draw_pairs(WORLD, "both", 700, annotator=annotator)
    estimates, errors = fitted(pairs, three_parts)
    assert np.all(np.abs(estimates - 0.5 * np.array(weights)) <= 4 * errors), (estimates, errors)
    assert np.all(errors < 0.5), errors  # the two annotators differ by 1 at least in each


@pytest.mark.parametrize("flips", [0.0, 0.1, 0.4])
def test_flips_are_the_share_of_wrong_labels(flips):
    pairs = draw_pairs(WORLD, "both", 600, annotator=Annotator(sharpness=math.inf, flips=flips))
    wrong = sum(pair.margin < 0 for pair in pairs)
    assert within_four_errors(wrong, 600 * flips, 600 * flips * (1 - flips))


@pytest.mark.parametrize("duplicates", [0.0, 0.3, 0.8])
def test_duplicates_are_the_share_of_repeated_pairs(duplicates):
    count = 600
    pairs = draw_pairs(WORLD, "style", count, duplicates=duplicates)
    assert len(pairs) == count
    repeated = count - len({id(pair) for pair in pairs})  # a repeat is the earlier pair itself
    expected = (count - 1) * duplicates  # the first pair cannot repeat another
    assert within_four_errors(repeated, expected, expected * (1 - duplicates))


@pytest.mark.parametrize(
    ("kind", "sharpness", "flips"),
    [
        ("both", 0.3, 0.0),
        ("both", 1.0, 0.0),
        ("both", 1.0, 0.2),
        ("both", 3.0, 0.4),
        ("style", 2.0, 0.0),
        ("abstention", 0.1, 0.0),
        ("abstention", 2.0, 0.0),
    ],
)
def test_bayes_accuracy_is_what_knowing_the_reward_achieves(kind, sharpness, flips):
    """The judge who always says that the better one wins, on labels drawn again and again."""
    annotator = Annotator(sharpness=sharpness, flips=flips)
    pairs, generator = draw_pairs(WORLD, kind, 400, annotator=annotator), random.Random(5)
    exact = bayes_accuracy(pairs, annotator)
    chances, hits, rounds = [], 0, 10
    for pair in pairs:
        p = 1 / (1 + math.exp(-sharpness * abs(pair.margin)))
        chances.append(p + flips * (1 - 2 * p))
        hits += sum(generator.random() < chances[-1] for _ in range(rounds))
    variance = sum(p * (1 - p) for p in chances)
    assert within_four_errors(hits, rounds * len(pairs) * exact, rounds * variance)
    # The labels that the pairs came with are one more such draw.
    assert within_four_errors(sum(p.margin > 0 for p in pairs), len(pairs) * exact, variance)


def test_bayes_accuracy_of_extreme_annotators():
    pairs = draw_pairs(WORLD, "both", 100)
    assert bayes_accuracy(pairs, ALWAYS_RIGHT) == 1.0
    assert bayes_accuracy(pairs, Annotator(sharpness=0)) == 0.5
    flipping = Annotator(sharpness=math.inf, flips=0.25)
    assert bayes_accuracy(pairs, flipping) == pytest.approx(0.75)


def test_training_pairs_name_no_held_out_entity():
    held_out = [
        getattr(entity, "name", entity)
        for kind in ("products", "unknown")
        for split in ("validation", "test")
        for entity in WORLD.pool(kind, split)
    ]
    pattern = re.compile(rf"\b(?:{'|'.join(held_out)})\b", re.IGNORECASE)
    train = {idea["name"] for idea in WORLD.pool("ideas", "train")}
    for pair in draw_pairs(WORLD, "both", 200):
        assert not pattern.search(" ".join((pair.prompt, pair.chosen, pair.rejected)))
        assert pair.meta.get("idea") in train | {None}
    test_pairs = draw_pairs(WORLD, "abstention", 20, split="test")
    assert all(pattern.search(pair.chosen + pair.rejected) for pair in test_pairs)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs_about_instructions_prefer_what_was_asked_for(seed):
    pairs = draw_pairs(WORLD, "task", 300, seed=seed, annotator=Annotator(sharpness=2.0))
    others = {"slogan", "safe", "unsafe", "contract", "idea"}
    assert {pair.meta["judge"] for pair in pairs} == {*FAMILIES, *others}
    assert all(pair.chosen != pair.rejected for pair in pairs)
    assert all(judge(pair.meta, pair.chosen) != judge(pair.meta, pair.rejected) for pair in pairs)
    assert sum(judge(pair.meta, pair.chosen) for pair in pairs) >= 290
