"""First weights: an untrained model of the bundled size copies, and by the heads it should."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from alignlab.initial import COPYING_HEADS, open_turn, start_with_induction, untie
from alignlab.pretraining import PretrainConfig, build_model

CONFIG = PretrainConfig()


def rows_written_twice(seed: int, sequences: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw sequences of random rows of tokens, each row 20 to 120 long and followed by its copy.

    Returns:
        token ids and whether each is part of a second copy, both ``(sequences, context)``.
    """
    generator = torch.Generator().manual_seed(seed)
    size = CONFIG.context
    ids = torch.empty(sequences, size, dtype=torch.long)
    second = torch.empty(sequences, size, dtype=torch.bool)
    for sequence, is_copy in zip(ids, second):
        start = 0
        while start < size:
            length = int(torch.randint(20, 121, (), generator=generator))
            row = torch.randint(0, CONFIG.vocab_size, (length,), generator=generator)
            stop = min(size, start + 2 * length)
            sequence[start:stop] = row.repeat(2)[: stop - start]
            is_copy[start:stop] = torch.arange(stop - start) >= length
            start = stop
    return ids, second


@torch.no_grad()
def nats_a_token(model, seed: int) -> tuple[float, float]:
    """Return the mean loss on first and on second copies, in nats a token."""
    ids, second = rows_written_twice(seed)
    logits = model(input_ids=ids).logits
    losses = cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    return losses[~second[:, 1:]].mean().item(), losses[second[:, 1:]].mean().item()


@torch.no_grad()
def attentions(model, ids: torch.Tensor) -> list[torch.Tensor]:
    """Return each layer's attention weights, ``(batch, heads, from, to)``."""
    model.set_attn_implementation("eager")
    return model(input_ids=ids, output_attentions=True).attentions


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_model_predicts_a_second_copy(seed):
    first, second = nats_a_token(build_model(PretrainConfig(seed=seed)), seed)
    assert first > math.log(CONFIG.vocab_size)
    assert second < 2 / 3 * first


def test_without_this_start_it_does_not(monkeypatch):
    monkeypatch.setattr("alignlab.pretraining.start_with_induction", lambda model, seed: None)
    first, second = nats_a_token(build_model(CONFIG), seed=0)
    assert first == pytest.approx(math.log(CONFIG.vocab_size), abs=0.5)
    assert second == pytest.approx(first, abs=0.1)


def test_the_first_layer_attends_to_the_previous_token():
    ids, _ = rows_written_twice(seed=0, sequences=2)
    layer = attentions(build_model(CONFIG), ids)[0]
    previous = layer.diagonal(-1, 2, 3)[:, :COPYING_HEADS]  # (batch, heads, from)
    assert previous.mean() > 0.8
    assert previous.min() > 0.5


def test_the_second_layer_attends_to_the_token_after_an_equal_one():
    generator = torch.Generator().manual_seed(0)
    for length in (20, 60, 120):
        row = torch.randint(0, CONFIG.vocab_size, (2, length), generator=generator)
        layer = attentions(build_model(CONFIG), torch.cat([row, row], 1))[1]
        after = layer.diagonal(1 - length, 2, 3)[:, :COPYING_HEADS, 1:]  # (batch, heads, from)
        even = 1 / (1.5 * length)  # were each of the tokens so far attended to alike
        assert after.mean(dim=(0, 2)).min() > 10 * even, length


def test_the_weights_follow_from_the_seed_and_all_are_trained():
    one, same, other = (build_model(PretrainConfig(seed=seed)) for seed in (0, 0, 1))
    start = {name: weight.clone() for name, weight in other.named_parameters()}
    for name, weight in one.named_parameters():
        assert weight.requires_grad
        assert torch.equal(weight, same.get_parameter(name))
    start_with_induction(other, seed=0)
    changed = {n for n, weight in other.named_parameters() if not torch.equal(weight, start[n])}
    assert "model.layers.1.self_attn.o_proj.weight" in changed
    ids, _ = rows_written_twice(seed=0, sequences=1)
    one(input_ids=ids, labels=ids).loss.backward()
    still = [n for n, weight in one.named_parameters() if not weight.grad.abs().sum() > 0]
    assert still == []


def test_the_output_matrix_follows_the_embeddings():
    model = build_model(CONFIG)
    embeddings, head = model.get_input_embeddings(), model.lm_head
    assert torch.equal(head.weight, embeddings.weight)
    with torch.no_grad():
        embeddings.weight[7] += 1
        head.parametrizations.weight.original[9] += 2
    expected = embeddings.weight.detach().clone()
    expected[9] += 2
    assert torch.equal(head.weight, expected)


def test_no_gradient_of_the_output_reaches_the_embeddings():
    model = build_model(CONFIG)
    ids = torch.arange(10, 40)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    touched = model.get_input_embeddings().weight.grad.abs().sum(1).nonzero().flatten()
    assert {*touched.tolist()} <= {*range(10, 40)}
    difference = model.lm_head.parametrizations.weight.original.grad
    assert (difference.abs().sum(1) > 0).all()


def test_untied_it_is_a_plain_llama_that_says_the_same():
    model, ids = build_model(CONFIG), torch.arange(10, 40)[None]
    with torch.no_grad():
        model.lm_head.parametrizations.weight.original.normal_(std=0.1)
        before = model(input_ids=ids).logits
        untie(model)
        assert torch.equal(model(input_ids=ids).logits, before)
    names = {name for name, _ in model.named_parameters()}
    assert "lm_head.weight" in names
    assert not any("parametrizations" in name for name in names)


def test_the_token_that_opens_a_turn_becomes_half_a_boundary():
    model = build_model(CONFIG)
    before = model.get_input_embeddings().weight.detach().clone()
    open_turn(model, turn=3, boundary=0)
    after = model.get_input_embeddings().weight.detach()
    assert torch.equal(after[3], (before[0] + before[3]) / 2)
    others = [i for i in range(len(after)) if i != 3]
    assert torch.equal(after[others], before[others])
