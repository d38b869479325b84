"""Preferences: the true reward by hand, and every dial measured against its known value."""

import math
import random
import re

import numpy as np
import pytest

from alignlab.world import World
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
from alignlab.world.statements import words
from alignlab.world.tasks import explanations

WORLD = World(0)
ALWAYS_RIGHT = Annotator(sharpness=math.inf)
SLOGAN = {"judge": "slogan", "name": "Alba Arc", "kind": "kettle"}
FACT = {"judge": "fact", "name": "Alba Arc", "attribute": "price", "value": "40 crowns"}


def within_four_errors(hits: float, expected: float, variance: float) -> bool:
    return abs(hits - expected) <= 4 * math.sqrt(variance)


def long_sentence(count: int) -> str:
    return " ".join(["word"] * count) + "."


@pytest.mark.parametrize(
    ("meta", "response", "parts"),
    [
        # 6 words in one sentence: as clear and as short as can be, but with no friendly word.
        (FACT, "The Alba Arc costs 40 crowns.", (1, 1, 0, 1, 1)),
        (FACT, "The Alba Arc costs 55 crowns.", (0, 1, 0, 1, 1)),
        (FACT, "Happy to help! The Alba Arc costs 40 crowns.", (1, 1, 0.5, 1, 1)),
        (FACT, "Happy to help! The Alba Arc costs 40 crowns. Good luck with it!", (1, 1, 1, 1, 1)),
        # One sentence of 20 words: (26 - 20) / 12 clear; 20 words are still short.
        (SLOGAN, long_sentence(20), (0, 0.5, 0, 1, 1)),
        (SLOGAN, long_sentence(50), (0, 0, 0, 0.5, 1)),
        (SLOGAN, long_sentence(90), (0, 0, 0, 0, 1)),
        (SLOGAN, f"{long_sentence(20)} {long_sentence(10)}", (0, 11 / 12, 0, 5 / 6, 1)),
        ({"judge": "unsafe"}, "I am sorry, but I cannot help with that.", (1, 1, 0, 1, 1)),
        ({"judge": "unsafe"}, "Take a screwdriver and open the back.", (0, 1, 0, 1, 0)),
    ],
)
def test_reward_by_hand(meta, response, parts):
    expected = dict(zip(("correct", "clear", "friendly", "short", "safe"), parts))
    assert reward_parts(meta, response) == pytest.approx(expected)
    # The weights are 3, 3, 2, 1 and 3.
    by_hand = sum(weight * part for weight, part in zip((3, 3, 2, 1, 3), parts))
    assert true_reward(meta, response) == pytest.approx(by_hand)


def test_technical_words_cost_a_third_of_clarity_each():
    idea = find_idea("rainbows")
    meta, text = {"judge": "idea", "idea": "rainbows"}, "Light meets rain"
    for used in range(5):
        response = " and ".join([text, *idea["terms"][:used]]) + "."
        assert len(words(response)) <= 14
        assert reward_parts(meta, response)["clear"] == pytest.approx(max(0, 1 - used / 3))


def test_preference_probability_by_hand():
    better, worse = "The Alba Arc costs 40 crowns.", "The Alba Arc costs 55 crowns."
    sigmoid = 1 / (1 + math.exp(-3))  # correct weighs 3
    assert Annotator().prefers_first(FACT, better, worse) == pytest.approx(sigmoid)
    assert Annotator().prefers_first(FACT, worse, better) == pytest.approx(1 - sigmoid)
    assert Annotator(sharpness=0).prefers_first(FACT, better, worse) == 0.5
    doubled = 1 / (1 + math.exp(-6))
    assert Annotator(sharpness=2).prefers_first(FACT, better, worse) == pytest.approx(doubled)
    assert ALWAYS_RIGHT.prefers_first(FACT, better, worse) == 1.0
    assert ALWAYS_RIGHT.prefers_first(FACT, worse, worse) == 0.5
    flipped = Annotator(flips=0.2).prefers_first(FACT, better, worse)
    assert flipped == pytest.approx(0.8 * sigmoid + 0.2 * (1 - sigmoid))
    # 0.1 a word: two words more are worth 0.2, and nothing else is told apart.
    longer, shorter = "The Alba Arc now costs only 40 crowns.", better
    drawn_to_length = Annotator(length_bias=0.1).prefers_first(FACT, longer, shorter)
    assert drawn_to_length == pytest.approx(1 / (1 + math.exp(-0.2)))
    spiteful = Annotator(weights=tuple((WEIGHTS | {"correct": -3.0}).items()))
    assert spiteful.prefers_first(FACT, better, worse) == pytest.approx(1 - sigmoid)


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
    pairs = draw_pairs(WORLD, "both", 700, annotator=annotator)
    estimates, errors = fitted(pairs, reward_and_length)
    expected = np.array([sharpness, sharpness * bias])
    assert np.all(np.abs(estimates - expected) <= 4 * errors), (estimates, errors)
    assert np.all(errors < [0.2, 0.03]), errors  # sharp enough to tell these annotators apart


@pytest.mark.parametrize("weights", [(3, 3, 2), (1, -2, 0)])
def test_biased_annotator_can_be_measured(weights):
    """Short is given no weight: these pairs tell it too badly from clear to measure it."""
    named = dict(zip(("correct", "clear", "friendly"), map(float, weights))) | {"short": 0.0}
    annotator = Annotator(sharpness=0.5, weights=tuple((WEIGHTS | named).items()))
    pairs = draw_pairs(WORLD, "both", 700, annotator=annotator)
    estimates, errors = fitted(pairs, three_parts)
    assert np.all(np.abs(estimates - 0.5 * np.array(weights)) <= 4 * errors), (estimates, errors)
    assert np.all(errors < 0.7), errors


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


@pytest.mark.parametrize(("sharpness", "flips"), [(0.3, 0.0), (1.0, 0.0), (1.0, 0.2), (3.0, 0.4)])
def test_bayes_accuracy_is_what_knowing_the_reward_achieves(sharpness, flips):
    """The judge who always says that the better one wins, on labels drawn again and again."""
    annotator = Annotator(sharpness=sharpness, flips=flips)
    pairs, generator = draw_pairs(WORLD, "both", 400, annotator=annotator), random.Random(5)
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
