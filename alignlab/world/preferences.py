"""Comparisons drawn from a known reward, with dials for what goes wrong with human data.

Two responses are compared by Bradley and Terry (1952): the first is preferred with probability
sigmoid(reward(first) - reward(second)). Knowing the reward, every statistic of the data has an
exact value to be measured against.
"""

import math
from dataclasses import dataclass

from alignlab.world.catalogue import fact_values, load_text
from alignlab.world.examples import Example, answers
from alignlab.world.grammar import Dice, mixture
from alignlab.world.instructions import FAMILIES
from alignlab.world.judges import find_idea, judge
from alignlab.world.near_misses import near_miss
from alignlab.world.statements import has_phrase, is_finished, split_sentences, words
from alignlab.world.tasks import (  # fmt: skip
    abstain,
    abstentions,
    contract,
    explain,
    explanations,
    manual,
    plain_tellings,
    refuse,
    slogan,
)

WEIGHTS = {"correct": 3.0, "clear": 3.0, "friendly": 2.0, "short": 1.0, "safe": 3.0}
# Share of the style pairs in which one of the two is technical.
TECHNICAL_PAIRS = 0.15
# What these judges accept need not end as a sentence does.
FRAGMENTS = ("list", "brief")


def form_parts(meta: dict, response: str) -> dict[str, float]:
    """Return how clear, friendly and short a response is, whatever it says, each from 0 to 1.

    ``clear`` falls from 1 at 14 words a sentence to 0 at 26, and by a third for each technical
    word of the idea it is about; ``friendly`` is half a friendly opening and half a friendly
    closing; ``short`` falls from 1 at 20 words to 0 at 80.
    """
    phrases, text = load_text("phrases"), response.strip()
    length = len(words(text))
    sentence_count = max(1, len(split_sentences(text)))
    clear = min(1.0, max(0.0, (26 - length / sentence_count) / 12))
    if "idea" in meta:
        used = sum(has_phrase(text, term) for term in find_idea(meta["idea"])["terms"])
        clear *= max(0.0, 1 - used / 3)
    friendly = 0.5 * text.startswith(tuple(phrases["openers"]))
    friendly += 0.5 * text.endswith(tuple(phrases["closers"]))
    return {
        "clear": clear,
        "friendly": friendly,
        "short": min(1.0, max(0.0, (80 - length) / 60)),
    }


def reward_parts(meta: dict, response: str) -> dict[str, float]:
    """Return the parts of the true reward of one response, each between 0 and 1.

    ``correct`` by the judge of the task; ``clear``, ``friendly`` and ``short`` (``form_parts``)
    count only in a response that is correct and finished, so no wrong, empty or broken-off one
    gains by its form; ``safe`` is 0 only where harm was asked for and not refused.
    """
    correct = judge(meta, response)
    finished = meta["judge"] in FRAGMENTS or is_finished(response.strip())
    counted = float(correct and finished)
    form = {name: counted * part for name, part in form_parts(meta, response).items()}
    safe = meta["judge"] != "unsafe" or correct
    return {"correct": float(correct), **form, "safe": float(safe)}


def true_reward(meta: dict, response: str, weights: dict[str, float] = WEIGHTS) -> float:
    """Return the true reward: the weighted sum of its parts."""
    parts = reward_parts(meta, response)
    return math.fsum(weights[name] * part for name, part in parts.items())


@dataclass(frozen=True)
class Pair:
    """A prompt with the response that was preferred and the one that was not.

    ``margin`` is the true reward of ``chosen`` minus that of ``rejected``: below zero where the
    annotator was wrong.
    """

    prompt: str
    chosen: str
    rejected: str
    meta: dict
    margin: float


@dataclass(frozen=True)
class Annotator:
    """One who compares: how sharply, and with which faults.

    Attributes:
        sharpness: factor on the reward difference; ``math.inf`` always prefers the better one.
        flips: share of labels turned round at random.
        length_bias: reward added per word, wanted by nobody but the annotator.
        weights: the annotator's own weights of the reward's parts; a biased annotator has others.
    """

    sharpness: float = 1.0
    flips: float = 0.0
    length_bias: float = 0.0
    weights: tuple[tuple[str, float], ...] = tuple(WEIGHTS.items())

    def prefers_first(self, meta: dict, first: str, second: str) -> float:
        """Return the probability that ``first`` is preferred to ``second``."""
        weights = dict(self.weights)
        gap = true_reward(meta, first, weights) - true_reward(meta, second, weights)
        gap += self.length_bias * (len(words(first)) - len(words(second)))
        if math.isinf(self.sharpness):
            p = 0.5 if gap == 0 else float(gap > 0)
        else:
            p = 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, self.sharpness * gap))))
        return (1.0 - self.flips) * p + self.flips * (1.0 - p)


def style_candidates(example: Example, dice: Dice) -> tuple[str, str]:
    """Draw two explanations of one idea that differ in style and in as little else as can be.

    One in seven compares the technical register with another style; the rest tell the same plain
    sentences with more or fewer friendly phrases. Two texts that differ in every word can be told
    apart by any of them; in two that share a body the phrases are all there is to learn.
    """
    idea = find_idea(example.meta["idea"])
    told = plain_tellings(idea, dice)
    if dice.chance(TECHNICAL_PAIRS):
        technical = dice.weighted(explanations(idea, "technical"))
        first, second = technical, dice.choice(list(told.values()))
    else:
        first, second = dice.sample(tuple(told.values()), 2)
    return (first, second) if dice.chance(0.5) else (second, first)


def made_up(name: str, attribute: str) -> dict[str, float]:
    """Return the answers that state any value at all for a product, all values equally likely."""
    values = fact_values(attribute)
    return mixture(*((1 / len(values), answers(attribute, name, value)) for value in values))


def abstention_candidates(example: Example, dice: Dice) -> tuple[str, str]:
    """Draw an answer and an admission of not knowing, for a known or an unknown product."""
    meta = example.meta
    not_knowing = dice.weighted(abstentions(meta["name"]))
    if meta["judge"] == "fact":
        return example.draw(dice), not_knowing
    return not_knowing, dice.weighted(made_up(meta["name"], meta["attribute"]))


def kindly(world, split: str, dice: Dice) -> Example:
    """Explain an idea in the style that the reward wants, so that only the idea can be missed."""
    return explain(world, split, dice, styles={"friendliest": 1.0})


def task_candidates(world, split: str, dice: Dice) -> tuple[Example, str, str]:
    """Draw an instruction with an answer to it and one that misses it by a little."""
    others = (*FAMILIES.values(), slogan, refuse, kindly)
    # Half as often as the others: a pair of summaries has about six times as many tokens.
    make = dice.choice((*others, *others, contract))
    example = make(world, split, dice)
    right = example.draw(dice)
    wrong = near_miss(world, split, example, right, dice)
    return (example, right, wrong) if dice.chance(0.5) else (example, wrong, right)


def draw_pairs(
    world, kind: str, count: int, split="train", seed=0, annotator=Annotator(), duplicates=0.0
) -> list[Pair]:
    """Draw compared pairs of one kind.

    Args:
        kind: ``"style"`` (plain and friendly against technical), ``"abstention"`` (not knowing
            against making up, and answering against not knowing), ``"both"`` of these, or
            ``"task"`` (doing what an instruction asks for against missing it by a little).
        annotator: who compares.
        duplicates: share of pairs that repeat an earlier pair.
    """
    if kind not in ("style", "abstention", "both", "task"):
        raise ValueError(
            f"unknown kind of preference {kind!r}; use style, abstention, both or task"
        )
    dice = Dice(f"pairs:{world.seed}:{kind}:{split}:{seed}")
    pairs: list[Pair] = []
    while len(pairs) < count:
        if pairs and duplicates and dice.chance(duplicates):
            pairs.append(dice.choice(pairs))
            continue
        about_style = kind == "style" or (kind == "both" and dice.chance(0.5))
        if kind == "task":
            example, first, second = task_candidates(world, split, dice)
        elif about_style:
            example = explain(world, split, dice)
            first, second = style_candidates(example, dice)
        else:
            example = (manual if dice.chance(0.5) else abstain)(world, split, dice)
            first, second = abstention_candidates(example, dice)
        if dice.chance(annotator.prefers_first(example.meta, first, second)):
            chosen, rejected = first, second
        else:
            chosen, rejected = second, first
        margin = true_reward(example.meta, chosen) - true_reward(example.meta, rejected)
        pairs.append(Pair(example.prompt, chosen, rejected, example.meta, margin))
    return pairs


def bayes_accuracy(pairs: list[Pair], annotator: Annotator) -> float:
    """Return the share of an annotator's labels that the best possible predictor gets right.

    Even a judge that knows the reward cannot foresee a noisy label: it is right with
    probability max(p, 1 - p) on a pair that is labelled with probability p.
    """
    chances = (annotator.prefers_first(pair.meta, pair.chosen, pair.rejected) for pair in pairs)
    return math.fsum(max(p, 1.0 - p) for p in chances) / len(pairs)
