"""How far a model has moved from a reference: log-probabilities of responses, and sequence KL."""

from collections.abc import Sequence

import torch

from alignlab.evaluate import Score, bootstrap
from alignlab.generate import before_response, generate_ids, render
from alignlab.losses import token_logprobs


@torch.inference_mode()
def response_logprobs(
    model, tokenizer, prompts: Sequence, responses: Sequence, batch_size: int = 16
) -> list[list[float]]:
    """Return log p(token | prompt, tokens before), in nats, for every token of each response.

    Args:
        prompts: user messages or whole conversations, laid out with the chat template.
        responses: text, which is given the end token, or token ids as ``generate_ids`` returns.
    """
    space = before_response(tokenizer)
    starts = [
        tokenizer(render(tokenizer, prompt), add_special_tokens=False)["input_ids"]
        for prompt in prompts
    ]
    ends = [
        [*tokenizer(f"{space}{r}", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        if isinstance(r, str) else list(r)
        for r in responses
    ]  # fmt: skip
    order = sorted(range(len(ends)), key=lambda i: len(starts[i]) + len(ends[i]))
    results: list[list[float]] = [[] for _ in ends]
    for place in range(0, len(order), batch_size):
        batch = order[place : place + batch_size]
        inputs = tokenizer.pad(
            {"input_ids": [starts[i] + ends[i] for i in batch]},
            padding_side="right", return_tensors="pt",
        ).to(model.device)  # fmt: skip
        logprobs = token_logprobs(model(**inputs, use_cache=False).logits, inputs["input_ids"])
        for i, row in zip(batch, logprobs.tolist()):
            # Entry t is the token at t+1, so a response that begins at n begins at entry n-1.
            first = len(starts[i]) - 1
            results[i] = row[first : first + len(ends[i])]
    return results


def sequence_kl(
    policy,
    reference,
    tokenizer,
    prompts: Sequence,
    *,
    max_new_tokens: int = 128,
    seed: int = 0,
    batch_size: int = 16,
) -> Score:
    """Estimate KL(π‖π_ref) of whole responses, in nats: the mean of log π(y|x) - log π_ref(y|x).

    The responses y are sampled from the policy at temperature 1, one for each prompt, which makes
    the mean unbiased (the KL term in eq. 3 of Rafailov et al. 2023). Single terms may be negative.
    A response cut off at ``max_new_tokens`` counts up to there, so the estimate is of the KL of the
    first ``max_new_tokens`` tokens: at most that of the whole.

    Args:
        policy, reference: models with one tokenizer.
        prompts: distinct ones; the same prompt with the same seed gives the same sample.

    Returns:
        The mean with its bootstrap interval over prompts.
    """
    responses = generate_ids(
        policy, tokenizer, prompts, temperature=1.0, max_new_tokens=max_new_tokens, seed=seed
    )
    ours, theirs = (
        response_logprobs(model, tokenizer, prompts, responses, batch_size)
        for model in (policy, reference)
    )
    return bootstrap([sum(a) - sum(b) for a, b in zip(ours, theirs)])
