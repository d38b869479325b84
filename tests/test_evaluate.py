"""Intervals against published values, the score table against the world, KL against enumeration."""

import math

import numpy as np
import pytest
import tiny_model
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignlab import evaluate
from alignlab.divergence import response_logprobs, sequence_kl
from alignlab.evaluate import MEASURES, Score, bootstrap, measure_examples, true_wins, wilson
from alignlab.generate import generate_ids, render
from alignlab.world import World
from alignlab.world.grammar import Dice
from alignlab.world.instructions import FAMILIES
from alignlab.world.judges import find_idea
from alignlab.world.tasks import draw_examples, explanations


@pytest.fixture(scope="module")
def world():
    return World(0)


# --- intervals


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(12, 20, 0.39, 0.78), (18, 30, 0.42, 0.75), (81, 263, 0.2553, 0.3662), (0, 10, 0, 0.2775)],
)
def test_wilson_intervals(successes, n, low, high):
    # The third is the worked example of Newcombe 1998, Statistics in Medicine 17, 857-872; with no
    # success the interval is [0, z²/(n + z²)].
    score = wilson(successes, n)
    assert (score.value, score.n) == (successes / n, n)
    digits = 0.005 if n in (20, 30) else 0.0001
    assert score.low == pytest.approx(low, abs=digits)
    assert score.high == pytest.approx(high, abs=digits)


def test_wilson_is_symmetric_and_needs_cases():
    few, many = wilson(3, 10), wilson(7, 10)
    assert (few.low, few.high) == pytest.approx((1 - many.high, 1 - many.low))
    assert wilson(10, 10).high == pytest.approx(1)
    with pytest.raises(ValueError, match="at least one case"):
        wilson(0, 0)


def test_the_bootstrap_of_constants_is_a_point():
    assert bootstrap([0.5] * 7) == Score(0.5, 0.5, 0.5, 7)


def test_the_bootstrap_is_as_wide_as_the_normal_approximation():
    values = np.random.default_rng(3).normal(2.0, 3.0, 400)
    score = bootstrap(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert score.value == pytest.approx(values.mean())
    assert score.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert score.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert bootstrap(values) == score
    assert bootstrap(values, seed=1) != score


# --- the score table


def _nothing(example):
    return ""


def _answering(monkeypatch, answers):
    """Let models be names, each with a function from an example to its response."""

    def respond(model, tokenizer, examples, **options):
        texts = [answers[model](example) for example in examples]
        return texts, [bool(text) for text in texts]

    monkeypatch.setattr(evaluate, "respond", respond)


def _label(example):
    return example.draw(Dice(example.prompt))


def _explain(style):
    def explain(example):
        if example.task != "explain":
            return _label(example)
        return Dice(example.prompt).weighted(explanations(find_idea(example.meta["idea"]), style))

    return explain


def test_the_labels_of_the_world_score_1_and_silence_0(monkeypatch, world):
    answers = {"truth": _explain("friendliest"), "dry": _explain("technical"), "silence": _nothing}
    _answering(monkeypatch, answers)
    truth = evaluate.evaluate("truth", None, world, reference="dry")
    assert {name: score.value for name, score in truth.items()} == {
        "known_fact": 1, "known_fact_new_wording": 1, "unknown_made_up": 0, "contract": 1,
        "contract_parties": 1, "instructions": 1, "win_rate": 1, "ends": 1,
    }  # fmt: skip
    silence = evaluate.evaluate("silence", None, world)
    assert {score.value for score in silence.values()} == {0}
    assert "win_rate" not in silence


def test_a_response_wins_by_the_true_reward(monkeypatch, world):
    ideas = draw_examples(world, "explain", 20, "test", "held_out", seed="wins")
    plain, technical = _explain("plain"), _explain("technical")
    answers = {
        "plain": plain, "again": plain, "technical": technical,
        "half": lambda example: (plain if ideas.index(example) % 2 else technical)(example),
    }  # fmt: skip
    _answering(monkeypatch, answers)
    assert true_wins("plain", "technical", None, ideas) == [1.0] * 20
    assert true_wins("technical", "plain", None, ideas) == [0.0] * 20
    assert true_wins("plain", "again", None, ideas) == [0.5] * 20
    assert true_wins("half", "technical", None, ideas) == [0.5, 1.0] * 10


def test_the_luck_of_a_sampling_seed_falls_on_both_sides(monkeypatch, world):
    ideas = draw_examples(world, "explain", 8, "test", "held_out", seed="luck")
    styles = {"lucky": ("plain", "technical"), "plain": ("plain", "plain")}

    def respond(model, tokenizer, examples, seed, **options):
        return [_explain(styles[model][seed])(example) for example in examples], [True] * 8

    monkeypatch.setattr(evaluate, "respond", respond)
    assert true_wins("lucky", "lucky", None, ideas) == [0.5] * 8
    assert true_wins("plain", "lucky", None, ideas) == [0.75] * 8


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_asked_is_held_out_and_drawn_by_the_evaluation_seed(world, name):
    examples = measure_examples(world, name, "test", 0)
    assert len(examples) == MEASURES[name].count
    prompts = [example.prompt for example in examples]
    assert [e.prompt for e in measure_examples(world, name, "test", 0)] == prompts
    assert [e.prompt for e in measure_examples(world, name, "test", 1)] != prompts
    assert not set(prompts) & {e.prompt for e in measure_examples(world, name, "validation", 0)}


def test_instructions_come_equally_from_every_family(world):
    examples = measure_examples(world, "instructions", "test", 0)
    counts = {family: sum(e.task == family for e in examples) for family in FAMILIES}
    assert set(counts.values()) == {240 // len(FAMILIES)}


def test_the_table_shows_every_score(world):
    scores = {
        "base": {"known_fact": Score(0.1, 0.05, 0.2, 40)},
        "SFT": {"known_fact": Score(0.956, 0.9, 0.98, 40), "ends": Score(1, 0.9, 1, 40)},
    }
    head, *lines = evaluate.format_scores(scores).splitlines()
    assert head.split() == ["base", "SFT"]
    assert lines[0].split(maxsplit=1) == [
        "known_fact", "0.10 [0.05, 0.20]   0.96 [0.90, 0.98]"
    ]  # fmt: skip
    assert lines[1].split() == ["ends", "-", "1.00", "[0.90,", "1.00]"]


# --- log-probabilities and KL


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(tiny_model.folder())


@pytest.fixture(scope="module")
def policy():
    return AutoModelForCausalLM.from_pretrained(tiny_model.folder(), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def reference(policy):
    """The policy with other weights in its last layer."""
    other = AutoModelForCausalLM.from_pretrained(tiny_model.folder(), dtype=torch.float32).eval()
    with torch.no_grad():
        other.model.layers[-1].mlp.down_proj.weight.mul_(-1)
    return other


def test_log_probabilities_are_those_of_the_softmax(policy, tokenizer):
    prompts, responses = tiny_model.prompts(5), ["fill it", "", "wait", "a kettle is warm", "no"]
    batched = response_logprobs(policy, tokenizer, prompts, responses, batch_size=3)
    for prompt, response, logprobs in zip(prompts, responses, batched):
        text = f"<|user|>{prompt}<|assistant|> {response}<|end|>"
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            table = torch.log_softmax(policy(ids).logits[0].double(), -1)
        count = len(tokenizer(f" {response}")["input_ids"]) + 1
        expected = [table[t - 1, ids[0, t]].item() for t in range(ids.shape[1])[-count:]]
        assert logprobs == pytest.approx(expected, abs=1e-4)


def test_token_ids_are_taken_as_they_are(policy, tokenizer):
    ids = tokenizer(" fill it")["input_ids"]  # with the space of the template
    ((*text, end),) = response_logprobs(policy, tokenizer, ["how"], ["fill it"])
    assert response_logprobs(policy, tokenizer, ["how"], [ids]) == [pytest.approx(text, abs=1e-5)]
    assert end < 0


def test_the_kl_of_a_model_to_itself_is_0(policy, tokenizer):
    options = {"max_new_tokens": 6, "seed": 2}
    score = sequence_kl(policy, policy, tokenizer, tiny_model.prompts(8), **options)
    assert score == Score(0, 0, 0, 8)


def test_the_kl_is_that_of_enumeration(policy, reference, tokenizer):
    # Responses of one token: the KL is a sum over the vocabulary.
    prompts = tiny_model.prompts(300)
    texts = [render(tokenizer, prompt) for prompt in prompts]
    exact = []
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            ours, theirs = (
                torch.log_softmax(model(ids).logits[0, -1].double(), -1)
                for model in (policy, reference)
            )
            exact.append((ours.exp() * (ours - theirs)).sum().item())
    truth = np.mean(exact)
    assert truth > 0.1
    score = sequence_kl(policy, reference, tokenizer, prompts, max_new_tokens=1)
    error = (score.high - score.low) / (2 * 1.96)
    assert abs(score.value - truth) < 3 * error < truth
    assert score.n == 300


def test_the_kl_adds_up_over_the_tokens_of_a_response(policy, reference, tokenizer):
    prompts = tiny_model.prompts(8)
    options = {"max_new_tokens": 5, "seed": 1}
    responses = generate_ids(policy, tokenizer, prompts, temperature=1.0, **options)
    ours, theirs = (
        response_logprobs(model, tokenizer, prompts, responses) for model in (policy, reference)
    )
    sums = [sum(a) - sum(b) for a, b in zip(ours, theirs)]
    score = sequence_kl(policy, reference, tokenizer, prompts, **options)
    assert score.value == pytest.approx(sum(sums) / 8, abs=1e-4)
