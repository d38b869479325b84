"""Generate responses in batches: seeded, left-padded, each independent of its neighbours."""

import contextlib
import zlib
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional
from tqdm.auto import tqdm
from transformers import (
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)  # fmt: skip

from alignlab.adapters import mixed_adapters

PROMPT_TOKENS = 8192  # the most in a batch, padding included: long prompts are kept to themselves
ENDED_SHARE = 0.25  # of a batch's rows, and those leave; more often costs more than it saves


class GumbelSampling(LogitsProcessor):
    """Sampling by the Gumbel-max trick, with a random stream of its own for every row.

    Adding Gumbel noise to logits / temperature and taking the largest draws exactly from the
    softmax (Maddison et al. 2014). Because each row has its own generator, a response does not
    depend on what else is in the batch.
    """

    def __init__(self, temperature: float, seeds: Sequence[int]):
        self.temperature = temperature
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def of(self, rows: Sequence[int]) -> "GumbelSampling":
        """Return the sampling of some rows, which goes on in their random streams."""
        found = GumbelSampling(self.temperature, [])
        found.generators = [self.generators[row] for row in rows]
        return found

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


def before_response(tokenizer) -> str:
    """Return the space that the chat template puts before a response, or nothing.

    The bundled model's template has one, because answers in its corpus follow a space. It is part
    of what the model generates, and no part of what was said.
    """
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    laid_out = tokenizer.apply_chat_template(said, tokenize=False)
    return " " if laid_out.startswith(f"{render(tokenizer, 'a')} ") else ""


@torch.inference_mode()
def generate(
    model,
    tokenizer,
    prompts: Sequence[str | list[dict]],
    *,
    temperature: float = 0.0,
    max_new_tokens: int = 128,
    seed: int = 0,
    batch_size: int = 128,
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
    if not chat:
        return tokenizer.batch_decode(outputs, skip_special_tokens=True)
    return response_texts(tokenizer, outputs)


def response_texts(tokenizer, outputs: Sequence) -> list[str]:
    """Return generated tokens as text, without special tokens and the template's space."""
    texts = tokenizer.batch_decode(outputs, skip_special_tokens=True)
    space = before_response(tokenizer)
    return [text.removeprefix(space) for text in texts]


@torch.inference_mode()
def generate_ids(
    model, tokenizer, prompts, *, temperature=0.0, max_new_tokens=128, seed=0, batch_size=128,
    adapters=None, chat=True, progress=False,
) -> list[list[int]]:  # fmt: skip
    """Generate as ``generate`` does and return token ids, with the end token where one came."""
    texts = [render(tokenizer, prompt) if chat else prompt for prompt in prompts]
    # Prompts of like length share a batch, so little is spent on padding.
    lengths = [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    results: list[list[int]] = [[] for _ in texts]
    with mixed_adapters(model, adapters) if adapters else contextlib.nullcontext() as assign:
        for batch in tqdm(_batches(lengths, batch_size), disable=not progress, desc="generating"):
            inputs = tokenizer(
                [texts[i] for i in batch], return_tensors="pt", padding=True, padding_side="left",
                add_special_tokens=False, return_token_type_ids=False,
            ).to(model.device)  # fmt: skip
            seeds = [prompt_seed(texts[i], seed) for i in batch]
            sampling = GumbelSampling(temperature, seeds) if temperature > 0 else None

            def settings(rows: list[int], batch=batch, sampling=sampling) -> dict:
                found = assign([adapters[batch[row]] for row in rows]) if adapters else {}
                if sampling:
                    found["logits_processor"] = LogitsProcessorList([sampling.of(rows)])
                return found

            responses = _respond(model, tokenizer, inputs, max_new_tokens, settings)
            for i, response in zip(batch, responses):
                results[i] = response
    return results


def _batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Divide prompts into batches of like length, so that little is spent on padding."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = not batches or len(batches[-1]) == size
        if full or (len(batches[-1]) + 1) * lengths[i] > PROMPT_TOKENS:
            batches.append([])
        batches[-1].append(i)
    return batches


class _EnoughEnded(StoppingCriteria):
    """Stops a batch once so many of its rows have ended that the others are better off alone."""

    def __init__(self, start: int, end: int):
        self.start, self.end = start, end

    def __call__(self, input_ids: torch.LongTensor, scores, **kwargs) -> torch.Tensor:
        """Return for each row whether to stop, ``(batch,)``."""
        ended = (input_ids[:, self.start :] == self.end).any(1)
        return ended | (ended.float().mean() >= ENDED_SHARE)


def _respond(
    model, tokenizer, inputs, max_new_tokens: int, settings: Callable[[list[int]], dict]
) -> list[list[int]]:
    """Let a batch respond; rows that have ended leave it from time to time.

    Args:
        settings: what to pass to ``model.generate``, for the rows that are left.
    """
    ids, mask, cache = inputs["input_ids"], inputs["attention_mask"], None
    start, end, rows = ids.shape[1], tokenizer.eos_token_id, list(range(len(ids)))
    responses: list[list[int]] = [[] for _ in rows]
    while rows:
        known = ids.shape[1]
        output = model.generate(
            input_ids=ids, attention_mask=mask, past_key_values=cache, do_sample=False,
            max_new_tokens=start + max_new_tokens - known, return_dict_in_generate=True,
            stopping_criteria=StoppingCriteriaList([_EnoughEnded(start, end)]),
            pad_token_id=tokenizer.pad_token_id, eos_token_id=end, **settings(rows),
        )  # fmt: skip
        ids = output.sequences
        texts = ids[:, start:].tolist()
        for row, text in zip(rows, texts):
            responses[row] = text[: text.index(end) + 1] if end in text else text
        left = [place for place, text in enumerate(texts) if end not in text]
        rows = [rows[place] for place in left] if len(texts[0]) < max_new_tokens else []
        if rows:
            cache = _selected(output.get("past_key_values"), torch.tensor(left, device=ids.device))
            mask = functional.pad(mask[left], (0, ids.shape[1] - known), value=1)
            ids = ids[left]
    return responses


def _selected(cache, rows: torch.Tensor):
    """Return the cache of these rows; None, so that it is computed anew, if it cannot be cut."""
    layers = cache.layers if isinstance(cache, DynamicCache) else [None]
    if not all(hasattr(layer, "batch_select_indices") for layer in layers):
        return None
    cache.batch_select_indices(rows)
    return cache
