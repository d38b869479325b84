"""The losses against hand calculations, their own invariances, and TRL's trainers."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from alignlab.corpus import build_tokenizer
from alignlab.losses import (
    bradley_terry_loss,
    dpo_loss,
    sequence_logprobs,
    sft_loss,
    token_logprobs,
)
from alignlab.world import World
from alignlab.world.grammar import Dice
from alignlab.world.recipes import chat
from alignlab.world.tasks import draw_examples

LN2 = math.log(2)
BETA, EPSILON = 0.3, 0.2


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def random_batch(seed=0, shape=(3, 6, 11)):
    """Logits (B, T, V), ids (B, T) and a mask of the last tokens, fewer from row to row."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    ids = torch.randint(shape[2], shape[:2], generator=generator)
    mask = torch.arange(shape[1])[None] >= torch.arange(shape[0])[:, None] + 2
    return logits, ids, mask.long()


# Hand calculations.

# Two words of probabilities 1/4 and 3/4 everywhere; the response is the last two of three tokens.
QUARTERS = torch.log(tensor(0.25, 0.75)).expand(1, 3, 2)


def test_sequence_logprobs_by_hand():
    ids, mask = torch.tensor([[0, 1, 0]]), torch.tensor([[0, 1, 1]])
    expected = math.log(0.75) + math.log(0.25)
    assert sequence_logprobs(QUARTERS, ids, mask).tolist() == pytest.approx([expected])
    assert token_logprobs(QUARTERS, ids)[0].exp().tolist() == pytest.approx([0.75, 0.25])


def test_sequence_logprobs_shifts_by_one():
    # Position 0 is sure of token 1, position 1 sure of token 0: right only when shifted.
    logits = tensor([[0.0, 50.0], [50.0, 0.0], [0.0, 0.0]])[0][None]
    right = sequence_logprobs(logits, torch.tensor([[0, 1, 0]]), torch.tensor([[0, 1, 1]]))
    wrong = sequence_logprobs(logits, torch.tensor([[1, 0, 1]]), torch.tensor([[0, 1, 1]]))
    assert (right.item(), wrong.item()) == pytest.approx((0.0, -100.0))


def test_first_token_and_masked_tokens_never_count():
    logits, ids, mask = random_batch()
    everything = torch.ones_like(mask)
    without_first = everything.clone()
    without_first[:, 0] = 0
    assert torch.equal(
        sequence_logprobs(logits, ids, everything), sequence_logprobs(logits, ids, without_first)
    )
    poisoned = logits.clone()
    poisoned[0, 0] = float("nan")  # predicts a token of the prompt
    assert torch.equal(sequence_logprobs(poisoned, ids, mask), sequence_logprobs(logits, ids, mask))
    assert sequence_logprobs(logits, ids, torch.zeros_like(mask)).tolist() == [0, 0, 0]


def test_sft_reductions_by_hand():
    labels = torch.tensor([[-100, 1, 0]])
    tokens = [-math.log(0.75), -math.log(0.25)]
    assert sft_loss(QUARTERS, labels, "none")[0].tolist() == pytest.approx(tokens)
    assert sft_loss(QUARTERS, labels, "sequence_sum").tolist() == pytest.approx([sum(tokens)])
    assert sft_loss(QUARTERS, labels).item() == pytest.approx(sum(tokens) / 2)
    two_rows, labels = QUARTERS.expand(2, 3, 2), torch.tensor([[-100, 1, 0], [-100, -100, 0]])
    # Tokens weigh the same, not rows: (a + b + b) / 3.
    assert sft_loss(two_rows, labels).item() == pytest.approx((tokens[0] + 2 * tokens[1]) / 3)


def test_sft_loss_is_minus_the_log_probability():
    logits, ids, mask = random_batch()
    labels = ids.masked_fill(mask == 0, -100)
    logps = sequence_logprobs(logits, ids, mask)
    torch.testing.assert_close(sft_loss(logits, labels, "sequence_sum"), -logps)
    assert sft_loss(logits, torch.full_like(ids, -100)).item() == 0.0


def test_bradley_terry_by_hand():
    # Odds 3 : 1, 1 : 1 and 1 : 3.
    rewards = tensor(math.log(3), 0.0, 0.0), tensor(0.0, 0.0, math.log(3))
    expected = [-math.log(0.75), LN2, -math.log(0.25)]
    assert bradley_terry_loss(*rewards).tolist() == pytest.approx(expected)


LN3_OVER_BETA = math.log(3) / BETA  # the h at which σ(βh) is 3/4


@pytest.mark.parametrize(
    ("loss_type", "smoothing", "h", "expected"),
    [
        ("sigmoid", 0.0, 0.0, LN2),
        ("sigmoid", 0.0, LN3_OVER_BETA, -math.log(0.75)),
        ("sigmoid", 0.0, -LN3_OVER_BETA, -math.log(0.25)),
        ("sigmoid", 0.2, LN3_OVER_BETA, -0.8 * math.log(0.75) - 0.2 * math.log(0.25)),
        ("robust", 0.2, LN3_OVER_BETA, (-0.8 * math.log(0.75) + 0.2 * math.log(0.25)) / 0.6),
        ("robust", 0.0, LN3_OVER_BETA, -math.log(0.75)),
        ("ipo", 0.0, 0.0, 1 / (4 * BETA**2)),
        ("ipo", 0.0, 1 / (2 * BETA), 0.0),
        ("hinge", 0.0, 0.0, 1.0),
        ("hinge", 0.0, 2.0, 1 - 2 * BETA),
        ("hinge", 0.0, 1 / BETA + 5, 0.0),
    ],
)
def test_dpo_by_hand(loss_type, smoothing, h, expected):
    policy, reference = (tensor(-10 + h), tensor(-14.0)), (tensor(-9.0), tensor(-13.0))
    losses, chosen, rejected = dpo_loss(*policy, *reference, BETA, loss_type, smoothing)
    assert losses.tolist() == pytest.approx([expected])
    assert chosen.tolist() == pytest.approx([BETA * (h - 1)])
    assert rejected.tolist() == pytest.approx([-BETA])


def random_logps(seed=0, rows=5):
    generator = torch.Generator().manual_seed(seed)
    return [-50 * torch.rand(rows, generator=generator, dtype=torch.float64) for _ in range(4)]


SMOOTHED = [("sigmoid", EPSILON), ("robust", EPSILON)]
SETTINGS = [("sigmoid", 0.0), ("ipo", 0.0), ("hinge", 0.0), *SMOOTHED]


@pytest.mark.parametrize(("loss_type", "smoothing"), SETTINGS)
def test_dpo_invariances(loss_type, smoothing):
    logps = random_logps()
    losses, chosen, rejected = dpo_loss(*logps, BETA, loss_type, smoothing)
    # What adds the same to policy and reference cancels (the prompt's part of a likelihood) ...
    shifted = [logps[0] + 7, logps[1] - 3, logps[2] + 7, logps[3] - 3]
    torch.testing.assert_close(dpo_loss(*shifted, BETA, loss_type, smoothing)[0], losses)
    # ... so does what adds the same to both responses (the partition function Z of the paper) ...
    shifted = [logps[0] + 5, logps[1] + 5, *logps[2:]]
    torch.testing.assert_close(dpo_loss(*shifted, BETA, loss_type, smoothing)[0], losses)
    # ... and a pair's loss does not depend on the rest of the batch.
    alone = dpo_loss(*(values[2:3] for values in logps), BETA, loss_type, smoothing)
    assert [part.item() for part in alone] == [losses[2], chosen[2], rejected[2]]


def test_dpo_is_bradley_terry_on_the_implicit_rewards():
    losses, chosen, rejected = dpo_loss(*random_logps(), BETA)
    torch.testing.assert_close(losses, bradley_terry_loss(chosen, rejected))


def test_robust_loss_is_unbiased_under_flips():
    # Chowdhury et al. 2024: averaged over flips of rate ε, it is the loss on clean labels.
    logps = random_logps()
    swapped = [logps[1], logps[0], logps[3], logps[2]]
    kept, flipped = (dpo_loss(*x, BETA, "robust", EPSILON)[0] for x in (logps, swapped))
    clean = dpo_loss(*logps, BETA)[0]
    torch.testing.assert_close((1 - EPSILON) * kept + EPSILON * flipped, clean)


def test_cdpo_is_least_where_the_rewards_say_the_flip_rate():
    # Mitchell 2023: the optimum has σ(βh) = 1 - ε instead of h going to infinity.
    h = torch.tensor([math.log((1 - EPSILON) / EPSILON) / BETA], dtype=torch.float64)
    h.requires_grad_()
    dpo_loss(h, tensor(0.0), tensor(0.0), tensor(0.0), BETA, "sigmoid", EPSILON)[0].backward()
    assert h.grad.item() == pytest.approx(0.0, abs=1e-12)


# Gradients.


@pytest.mark.parametrize(("loss_type", "smoothing"), SETTINGS)
def test_dpo_gradients(loss_type, smoothing):
    logps = [values.requires_grad_() for values in random_logps()]
    assert torch.autograd.gradcheck(
        lambda *values: dpo_loss(*values, BETA, loss_type, smoothing)[0], logps
    )
    assert not any(reward.requires_grad for reward in dpo_loss(*logps, BETA)[1:])


def test_dpo_gradient_by_hand():
    # Rafailov et al. 2023, after eq. 7: -β σ(r_rejected - r_chosen) on the chosen log-probability.
    logps = [values.requires_grad_() for values in random_logps()]
    losses, chosen, rejected = dpo_loss(*logps, BETA)
    losses.sum().backward()
    expected = -BETA * torch.sigmoid(rejected - chosen)
    torch.testing.assert_close(logps[0].grad, expected)
    torch.testing.assert_close(logps[1].grad, -expected)


def test_sft_gradient_is_probability_minus_one_hot():
    logits, ids, mask = random_batch()
    logits.requires_grad_()
    sft_loss(logits, ids.masked_fill(mask == 0, -100), "sequence_sum").sum().backward()
    expected = torch.zeros_like(logits)
    target = torch.nn.functional.one_hot(ids[:, 1:], 11)
    expected[:, :-1] = (logits[:, :-1].detach().softmax(-1) - target) * mask[:, 1:, None]
    torch.testing.assert_close(logits.grad, expected)


# Extremes.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rewards_stay_finite(dtype):
    rewards = torch.tensor([1e4, -1e4], dtype=dtype, requires_grad=True)
    losses = bradley_terry_loss(rewards, torch.zeros(2, dtype=dtype))
    losses.sum().backward()
    assert losses.tolist() == [0.0, 1e4]
    assert rewards.grad.tolist() == [0.0, -1.0]


def test_impossible_rejected_response_costs_nothing():
    logps = tensor(-3.0), tensor(-math.inf), tensor(-3.0), tensor(-5.0)
    for loss_type in ("sigmoid", "robust", "hinge"):
        assert dpo_loss(*logps, BETA, loss_type)[0].item() == 0.0


def test_low_precision_logits_are_summed_in_float32():
    logits, ids, mask = random_batch(shape=(2, 400, 11))
    low = logits.to(torch.bfloat16)
    logps = sequence_logprobs(low, ids, mask)
    assert logps.dtype == torch.float32
    torch.testing.assert_close(logps.double(), sequence_logprobs(low.double(), ids, mask))
    big = sequence_logprobs(torch.full((1, 3, 4), 1e6), torch.zeros(1, 3).long(), torch.ones(1, 3))
    assert big.item() == pytest.approx(-2 * math.log(4))


# Misuse.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_type": "kto"}, "'kto' is none of sigmoid, ipo"),
        ({"beta": 0.0}, "beta must be above 0, not 0.0"),
        ({"beta": math.nan}, "beta must be above 0"),
        ({"label_smoothing": 0.5}, "below 0.5, not 0.5"),
        ({"label_smoothing": -0.1}, "from 0"),
        ({"loss_type": "ipo", "label_smoothing": 0.1}, "does nothing to ipo"),
    ],
)
def test_dpo_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        dpo_loss(*random_logps(), **options)


def test_shapes_are_not_broadcast():
    logits, ids, mask = random_batch()
    with pytest.raises(ValueError, match=r"one shape: chosen_rewards \(3,\), .* \(3, 1\)"):
        bradley_terry_loss(torch.zeros(3), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="one shape"):
        dpo_loss(*random_logps()[:3], torch.zeros(5, 1))
    with pytest.raises(ValueError, match=r"\(B, T, V\)"):
        sequence_logprobs(logits[:, 1:], ids, mask)
    with pytest.raises(ValueError, match="completion_mask"):
        sequence_logprobs(logits, ids, mask[:, 1:])
    with pytest.raises(ValueError, match="'mean' is none of"):
        sft_loss(logits, ids, "mean")


# TRL's own trainers on a real batch of a random model, in float64.


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(World(0), vocab_size=400, documents=50)


def tiny_model(tokenizer, seed, kind=LlamaForCausalLM):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=512, num_labels=1, initializer_range=0.1,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return kind(config).double()


@pytest.fixture(scope="module")
def pairs():
    """Return six comparisons of the world: the answer to one question against that to another.

    Short ones, because TRL's fused head adds up in float32 even for a float64 model: over
    responses of 8 tokens that stays within 1e-7 nats a token and 1e-6 in the loss.
    """
    examples = draw_examples(World(0), "brief", 7)
    rows = [chat(example.prompt, example.draw(Dice("labels"))) for example in examples]
    return [
        {"prompt": row["prompt"], "chosen": row["completion"], "rejected": other["completion"]}
        for row, other in pairwise(rows)
    ]


def trl_batch(trainer_class, config_class, rows, tokenizer, folder, model, **options):
    """Build TRL's trainer as its documentation does; return it with its first batch."""
    ref = {"ref_model": options.pop("ref_model")} if "ref_model" in options else {}
    args = config_class(
        output_dir=str(folder), use_cpu=True, bf16=False, gradient_checkpointing=False,
        report_to="none", disable_tqdm=True, per_device_train_batch_size=6, max_length=None,
        **options,
    )  # fmt: skip
    trainer = trainer_class(
        model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
        **ref,
    )  # fmt: skip
    return trainer, next(iter(trainer.get_train_dataloader()))


def logits_of(model, batch):
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def assert_same(ours, theirs, our_model, their_model):
    """The losses agree, and so do their gradients on every weight."""
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    ours.backward()
    theirs.backward()
    for ours, theirs in zip(our_model.parameters(), their_model.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-6)


def test_sft_equals_trl(tokenizer, pairs, tmp_path):
    model = tiny_model(tokenizer, 0)
    own = copy.deepcopy(model)  # TRL patches the forward of the model it is given
    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs]
    trainer, batch = trl_batch(SFTTrainer, SFTConfig, rows, tokenizer, tmp_path, model)
    assert batch["labels"].shape[0] == 6
    assert (batch["labels"] == -100).any()
    ours = sft_loss(logits_of(own, batch), batch["labels"])
    assert_same(ours, trainer.compute_loss(trainer.model, batch), own, model)


def test_bradley_terry_equals_trl(tokenizer, pairs, tmp_path):
    model = tiny_model(tokenizer, 0, LlamaForSequenceClassification)
    own = copy.deepcopy(model)
    trainer, batch = trl_batch(RewardTrainer, RewardConfig, pairs, tokenizer, tmp_path, model)
    chosen, rejected = logits_of(own, batch).squeeze(-1).chunk(2)
    assert (chosen - rejected).abs().max() > 0.01
    ours = bradley_terry_loss(chosen, rejected).mean()
    theirs = trainer.compute_loss(trainer.model, batch)
    assert theirs.dtype == torch.float64
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    assert_same(ours, theirs, own, model)


@pytest.mark.parametrize(
    ("loss_type", "beta"), [("sigmoid", 0.1), ("ipo", 1.0), ("hinge", 0.1), ("robust", 0.1)]
)
def test_dpo_equals_trl(loss_type, beta, tokenizer, pairs, tmp_path):
    model, reference = tiny_model(tokenizer, 0), tiny_model(tokenizer, 1)
    own, own_reference = copy.deepcopy(model), copy.deepcopy(reference)
    smoothing = EPSILON if loss_type == "robust" else 0.0
    trainer, batch = trl_batch(
        DPOTrainer, DPOConfig, pairs, tokenizer, tmp_path, model, ref_model=reference,
        beta=beta, loss_type=[loss_type], label_smoothing=smoothing,
    )  # fmt: skip
    scored = [batch["input_ids"], batch["completion_mask"]]
    logps = sequence_logprobs(logits_of(own, batch), *scored)
    with torch.no_grad():
        ref_logps = sequence_logprobs(logits_of(own_reference, batch), *scored)
    rewards = (beta * (logps - ref_logps)).detach().chunk(2)
    if loss_type == "ipo":  # TRL's convention: log-probabilities per token
        lengths = batch["completion_mask"][:, 1:].sum(-1)
        assert lengths.unique().numel() > 1
        logps, ref_logps = logps / lengths, ref_logps / lengths
    losses, chosen, rejected = dpo_loss(
        *logps.chunk(2), *ref_logps.chunk(2), beta, loss_type, smoothing
    )
    assert_same(losses.mean(), trainer.compute_loss(trainer.model, batch), own, model)
    # Rewards are sums over a response, not means, so float32 tells them less exactly.
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert logged["rewards/chosen"] == pytest.approx(rewards[0].mean().item(), abs=1e-5)
    assert logged["rewards/rejected"] == pytest.approx(rewards[1].mean().item(), abs=1e-5)
    if loss_type != "ipo":
        torch.testing.assert_close((chosen, rejected), rewards)


def test_trl_ignores_smoothing_for_sigmoid_and_we_do_not(tokenizer, pairs, tmp_path):
    model, reference = tiny_model(tokenizer, 0), tiny_model(tokenizer, 1)
    losses = []
    for smoothing in (0.0, EPSILON):
        trainer, batch = trl_batch(
            DPOTrainer, DPOConfig, pairs, tokenizer, tmp_path, copy.deepcopy(model),
            ref_model=copy.deepcopy(reference), beta=BETA, label_smoothing=smoothing,
        )  # fmt: skip
        losses.append(trainer.compute_loss(trainer.model, batch).item())
    assert losses[0] == losses[1]
    ours = [dpo_loss(*random_logps(), BETA, "sigmoid", e)[0].mean() for e in (0.0, EPSILON)]
    assert ours[0] != ours[1]


def test_dpo_starts_at_ln_2_where_policy_is_reference(tokenizer, pairs, tmp_path):
    model = tiny_model(tokenizer, 0)
    trainer, batch = trl_batch(
        DPOTrainer, DPOConfig, pairs, tokenizer, tmp_path, model,
        ref_model=copy.deepcopy(model),
    )  # fmt: skip
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(LN2, abs=1e-7)
    logps = random_logps()[:2]
    assert dpo_loss(*logps, *logps)[0].tolist() == pytest.approx([LN2] * 5)
