"""Generate responses in batches: seeded, left-padded, each independent of its neighbours."""

import zlib
from collections.abc import Sequence

import torch
from tqdm.auto import tqdm
from transformers import LogitsProcessor, LogitsProcessorList


class GumbelSampling(LogitsProcessor):
    """Sampling by the Gumbel-max trick, with a random stream of its own for every row.

    Adding Gumbel noise to logits / temperature and taking the largest draws exactly from the
    softmax (Maddison et al. 2014). Because each row has its own generator, a response does not
    depend on what else is in the batch.
    """

    def __init__(self, temperature: float, seeds: Sequence[int]):
        self.temperature = temperature
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor) -> torch.Tensor:
        """Return noisy scores, ``(batch, vocabulary)``, whose largest entry is the sample."""
        noise = torch.stack(
            [torch.rand(scores.shape[1], generator=generator) for generator in self.generators]
        ).to(scores.device)
        # Clamped so that neither logarithm meets zero.
        gumbel = -torch.log(-torch.log(noise.clamp(1e-20, 1 - 1e-7)))
        return scores.float() / self.temperature + gumbel


def prompt_seed(prompt: str, seed: int) -> int:
    """Return the seed of one prompt: the same for every model that answers it."""
    return zlib.crc32(prompt.encode()) ^ (seed * 2654435761 % 2**32)


def render(tokenizer, prompt: str | list[dict]) -> str:
    """Lay out a prompt (a string or a list of messages) with the chat template."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


@torch.inference_mode()
def generate(
    model,
    tokenizer,
    prompts: Sequence[str | list[dict]],
    *,
    temperature: float = 0.0,
    max_new_tokens: int = 128,
    seed: int = 0,
    batch_size: int = 64,
    adapters: Sequence[str] | None = None,
    chat: bool = True,
    progress: bool = False,
) -> list[str]:
    """Generate one response for every prompt.

    Args:
        prompts: user messages or whole conversations.
        temperature: 0 takes the most probable token; above 0 samples.
        seed: together with the prompt it fixes the sample, whatever else is generated with it.
        adapters: for a PEFT model, the adapter of each prompt (``"__base__"`` for none), so that
            several fine-tunes of one base share a batch.
        chat: lay prompts out with the chat template; False continues bare text.

    Returns:
        Responses in the order of the prompts, without special tokens. A response that was cut
        off at ``max_new_tokens`` cannot be told from one that ended; see ``generate_ids``.
    """
    outputs = generate_ids(
        model, tokenizer, prompts, temperature=temperature, max_new_tokens=max_new_tokens,
        seed=seed, batch_size=batch_size, adapters=adapters, chat=chat, progress=progress,
    )  # fmt: skip
    return tokenizer.batch_decode(outputs, skip_special_tokens=True)


@torch.inference_mode()
def generate_ids(
    model, tokenizer, prompts, *, temperature=0.0, max_new_tokens=128, seed=0, batch_size=64,
    adapters=None, chat=True, progress=False,
) -> list[list[int]]:  # fmt: skip
    """Generate as ``generate`` does and return token ids, with the end token where one came."""
    texts = [render(tokenizer, prompt) if chat else prompt for prompt in prompts]
    # Prompts of like length share a batch, so little is spent on padding.
    lengths = [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    order = sorted(range(len(texts)), key=lambda i: lengths[i])
    results: list[list[int]] = [[] for _ in texts]
    for start in tqdm(range(0, len(order), batch_size), disable=not progress, desc="generating"):
        rows = order[start : start + batch_size]
        inputs = tokenizer(
            [texts[i] for i in rows], return_tensors="pt", padding=True, padding_side="left",
            add_special_tokens=False, return_token_type_ids=False,
        ).to(model.device)  # fmt: skip
        options = {"adapter_names": [adapters[i] for i in rows]} if adapters else {}
        if temperature > 0:
            seeds = [prompt_seed(texts[i], seed) for i in rows]
            options["logits_processor"] = LogitsProcessorList([GumbelSampling(temperature, seeds)])
        output = model.generate(
            **inputs, do_sample=False, max_new_tokens=max_new_tokens,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, **options,
        )  # fmt: skip
        for i, ids in zip(rows, output[:, inputs["input_ids"].shape[1] :].tolist()):
            end = ids.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in ids else None
            results[i] = ids[:end]
    return results
