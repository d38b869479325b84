"""The pre-training corpus as tokens: the tokenizer, the chat format and streams on disk."""

import os
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerFast

from alignlab.world.catalogue import FIRST, SECOND
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice

END, USER, ASSISTANT, PAD = "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"
# TRL finds the assistant's tokens by the {% generation %} marks. The response begins with a space,
# as an answer on a page does: "12" after a space is another token than "12" alone, and it is the
# one that the base model has learned to answer with.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %} {{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build_tokenizer(world, vocab_size: int, documents: int = 30_000) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on sampled documents.

    Every word of a product's name becomes one token, so that no name is easier than another.
    """
    dice = Dice(f"tokenizer:{world.seed}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    names = " ".join(("", *FIRST, *SECOND))
    texts = (draw_document(world, dice).text + names * (i % 50 == 0) for i in range(documents))
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_stream(
    path: Path, world, tokenizer, tokens: int, name: str, curriculum: bool = False,
    mixture: dict[str, float] | None = None,
) -> dict:  # fmt: skip
    """Write ``tokens`` token ids of documents, each closed by the end token, as 16-bit integers.

    Args:
        name: which documents: another name draws others, the same name the same ones.
        curriculum: begin with the documents that a model learns most from at first.
        mixture: how often each family of documents is drawn, if not as the whole corpus has it.

    Returns:
        Counts of documents, tokens and characters, and ``nats_per_token``: how surprising the
        choices were that made the documents. No model can foresee them, so this estimates (from
        above, since two choices may give one text) the loss that cannot be gone below.
    """
    dice = Dice(f"{name}:{world.seed}")
    stream = np.empty(tokens, dtype=np.uint16)
    filled, documents, nats, characters = 0, 0, 0.0, 0
    with tqdm(total=tokens, unit="tok", unit_scale=True, desc=f"writing {name}") as bar:
        while filled < tokens:
            progress = filled / tokens if curriculum else 1.0
            batch = [
                draw_document(world, dice, mixture and dice.weighted(mixture), progress)
                for _ in range(256)
            ]
            encoded = tokenizer([d.text for d in batch], add_special_tokens=False)["input_ids"]
            for document, ids in zip(batch, encoded):
                ids = (ids + [tokenizer.eos_token_id])[: tokens - filled]
                stream[filled : filled + len(ids)] = ids
                filled += len(ids)
                nats += document.nats
                characters += len(document.text)
                documents += 1
                if filled == tokens:
                    break
            bar.update(filled - bar.n)
    part = path.with_suffix(".part")
    stream.tofile(part)
    os.replace(part, path)
    return {
        "documents": documents,
        "tokens": tokens,
        "characters": characters,
        "nats_per_token": round(nats / tokens, 4),
    }
