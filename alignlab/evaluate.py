"""Measure a model against the world's truth, with intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alignlab.generate import generate_ids, response_texts
from alignlab.world.examples import Example
from alignlab.world.instructions import FAMILIES
from alignlab.world.judges import judge, makes_up, names_parties
from alignlab.world.preferences import true_reward
from alignlab.world.tasks import draw_examples


@dataclass(frozen=True)
class Score:
    """A share with its 95% interval and the number of cases."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict:
        """Return the score with figures rounded to four places."""
        return {
            "value": round(self.value, 4), "low": round(self.low, 4),
            "high": round(self.high, 4), "n": self.n,
        }  # fmt: skip


def wilson(successes: float, n: int, z: float = 1.959964) -> Score:
    """Return a share with its Wilson (1927) 95% interval.

    Raises:
        ValueError: no cases.
    """
    if n <= 0:
        raise ValueError("an interval needs at least one case")
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Score(share, max(0.0, centre - half), min(1.0, centre + half), n)


def bootstrap(values: Sequence[float], draws: int = 2000, seed: int = 0) -> Score:
    """Return a mean with its percentile-bootstrap 95% interval."""
    array = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = array[rng.integers(0, len(array), (draws, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Score(float(array.mean()), float(low), float(high), len(array))


@dataclass(frozen=True)
class Measure:
    """One row of the score table: which examples are asked and what counts."""

    task: str
    wordings: str
    count: int
    max_new_tokens: int
    scores: Callable[[Example, str], bool]


def _judged(example: Example, response: str) -> bool:
    return judge(example.meta, response)


MEASURES = {
    "known_fact": Measure("manual", "train", 240, 48, _judged),
    "known_fact_new_wording": Measure("manual", "held_out", 240, 48, _judged),
    "unknown_made_up": Measure(
        "abstain", "train", 160, 48, lambda e, text: makes_up(e.meta["attribute"], text)
    ),
    "contract": Measure("contract", "held_out", 120, 96, _judged),
    "instructions": Measure("instructions", "train", 240, 96, _judged),
}


def measure_examples(
    world, name: str, split: str, eval_seed: int, share: float = 1.0
) -> list[Example]:
    """Return the examples of one measure: held-out entities, drawn by the evaluation seed.

    Instructions come in equal numbers from every family, half of them in held-out wordings.

    Args:
        share: of the measure's cases.
    """
    measure = MEASURES[name]
    count = round(share * measure.count)
    if name != "instructions":
        return draw_examples(
            world, measure.task, count, split, measure.wordings, seed=f"eval{eval_seed}"
        )
    each = count // (2 * len(FAMILIES))
    return [
        example
        for family in FAMILIES
        for wordings in ("train", "held_out")
        for example in draw_examples(world, family, each, split, wordings, f"eval{eval_seed}")
    ]


def respond(model, tokenizer, examples, *, temperature=0.0, max_new_tokens=96, seed=0):
    """Return the responses to some examples, and which of them ended by themselves."""
    prompts = [example.prompt for example in examples]
    outputs = generate_ids(
        model, tokenizer, prompts, temperature=temperature, max_new_tokens=max_new_tokens,
        seed=seed,
    )  # fmt: skip
    texts = response_texts(tokenizer, outputs)
    ended = [bool(ids) and ids[-1] == tokenizer.eos_token_id for ids in outputs]
    return texts, ended


def true_wins(
    policy, reference, tokenizer, examples, *, temperature=0.7, max_new_tokens=160, seed=0
):
    """Compare two models' responses by the true reward: 1 for a win, ½ for a tie, 0 for a loss.

    Both models answer each prompt with two sampling seeds, and the one's first answer meets the
    other's second, and the second the first. So whatever luck a seed has falls on both sides, and a
    model against itself is at ½. Returned is the mean of the two for every prompt.
    """

    def sampled(model) -> list[list[float]]:
        texts = [
            respond(
                model, tokenizer, examples, temperature=temperature,
                max_new_tokens=max_new_tokens, seed=number,
            )[0]
            for number in (seed, seed + 1)
        ]  # fmt: skip
        return [[true_reward(e.meta, text) for e, text in zip(examples, row)] for row in texts]

    first, second = sampled(policy)
    same = reference is policy
    reference_first, reference_second = (first, second) if same else sampled(reference)
    one = map(_verdict, first, reference_second)
    other = map(_verdict, second, reference_first)
    return [(a + b) / 2 for a, b in zip(one, other)]


def _verdict(reward: float, other: float) -> float:
    return 0.5 if abs(reward - other) < 1e-9 else float(reward > other)


def evaluate(
    model, tokenizer, world, *, reference=None, eval_seed: int = 0, split: str = "test",
    share: float = 1.0,
) -> dict[str, Score]:  # fmt: skip
    """Score a model on everything the score table names.

    Args:
        reference: the model that ``win_rate`` compares with; without one there is no such row.
        eval_seed: which held-out products, wordings and prompts are asked.
        split: ``"test"`` for reporting, ``"validation"`` for choosing recipes.
        share: of each measure's cases; fewer are done sooner and give wider intervals.
    """
    results, ends = {}, []
    for name, measure in MEASURES.items():
        examples = measure_examples(world, name, split, eval_seed, share)
        texts, ended = respond(model, tokenizer, examples, max_new_tokens=measure.max_new_tokens)
        hits = sum(measure.scores(example, text) for example, text in zip(examples, texts))
        results[name] = wilson(hits, len(examples))
        if name == "contract":
            named = sum(names_parties(e.meta, text) for e, text in zip(examples, texts))
            results["contract_parties"] = wilson(named, len(examples))
        ends += ended
    ideas = draw_examples(
        world, "explain", round(120 * share), split, "held_out", seed=f"eval{eval_seed}"
    )
    if reference is not None:
        results["win_rate"] = bootstrap(
            true_wins(model, reference, tokenizer, ideas, seed=2 * eval_seed)
        )
    ends += respond(model, tokenizer, ideas, max_new_tokens=160)[1]
    results["ends"] = wilson(sum(ends), len(ends))
    return results


def format_scores(by_model: dict[str, dict[str, Score]]) -> str:
    """Return a plain-text table: a row for each measure, a column for each model."""
    names = list(by_model)
    measures = list(dict.fromkeys(key for scores in by_model.values() for key in scores))
    width = max(20, *(len(name) + 2 for name in names))
    lines = [f"{'':24}" + "".join(f"{name:>{width}}" for name in names)]
    for measure in measures:
        cells = []
        for name in names:
            score = by_model[name].get(measure)
            text = f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]" if score else "-"
            cells.append(f"{text:>{width}}")
        lines.append(f"{measure:24}" + "".join(cells))
    return "\n".join(lines)
