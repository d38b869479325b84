"""Random models of published shapes, rows of exact lengths for them, and what a row costs.

Nothing is downloaded: a model's cost depends on its configuration, not on its weights. Words are
tokens, so that a row has as many tokens as it says.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from alignlab.models import default_device
from alignlab.world.recipes import chat

WORDS = 500
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} <|end|> "
    "{% endfor %}{% if add_generation_prompt %}<|assistant|> {% endif %}"
)
LAID_OUT = 4  # tokens that the template adds: two roles, two ends


@dataclass(frozen=True)
class Shape:
    """A model's configuration: sizes as in its ``config.json``."""

    name: str
    source: str
    kind: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    head_dim: int
    vocabulary: int

    @property
    def linear(self) -> int:
        """Return the weights of all linear layers, the head left out."""
        queries, keys = self.heads * self.head_dim, self.key_heads * self.head_dim
        attention = 2 * self.hidden * (queries + keys)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    def adapter(self, rank: int) -> int:
        """Return the weights of a LoRA on all linear layers."""
        queries, keys = self.heads * self.head_dim, self.key_heads * self.head_dim
        attention = 2 * (self.hidden + queries) + 2 * (self.hidden + keys)
        return self.layers * rank * (attention + 3 * (self.hidden + self.intermediate))

    def config(self):
        """Return the configuration, embeddings tied, as all of these models have it."""
        return AutoConfig.for_model(
            self.kind, hidden_size=self.hidden, intermediate_size=self.intermediate,
            num_hidden_layers=self.layers, num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads, head_dim=self.head_dim,
            vocab_size=self.vocabulary, max_position_embeddings=8192, tie_word_embeddings=True,
            bos_token_id=None, eos_token_id=1, pad_token_id=0,
        )  # fmt: skip


SHAPES = (
    Shape(
        "1.7B", "Qwen/Qwen3-1.7B-Base", "qwen3", hidden=2048, intermediate=6144, layers=28,
        heads=16, key_heads=8, head_dim=128, vocabulary=151_936,
    ),
    Shape(
        "0.6B", "Qwen/Qwen3-0.6B-Base", "qwen3", hidden=1024, intermediate=3072, layers=28,
        heads=16, key_heads=8, head_dim=128, vocabulary=151_936,
    ),
    Shape(
        "360M", "HuggingFaceTB/SmolLM2-360M", "llama", hidden=960, intermediate=2560, layers=32,
        heads=15, key_heads=5, head_dim=64, vocabulary=49_152,
    ),
)  # fmt: skip
TOY = Shape(
    "toy", "", "qwen3", hidden=32, intermediate=64, layers=2, heads=4, key_heads=2, head_dim=8,
    vocabulary=600,
)  # fmt: skip


def save(shape: Shape, folder: Path) -> Path:
    """Write a model of this shape with random weights in 16 bits, and its tokenizer."""
    torch.manual_seed(0)
    with torch.device(default_device()):
        model = AutoModelForCausalLM.from_config(shape.config(), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    words = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", *_words()]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<|pad|>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>", chat_template=TEMPLATE
    )


def _words() -> list[str]:
    return [f"w{number}" for number in range(WORDS)]


def text(rng: random.Random, words: int) -> str:
    """Return so many random words."""
    return " ".join(rng.choices(_words(), k=words))


def demonstrations(count: int, longest: int, shortest: int | None = None) -> Dataset:
    """Return rows whose tokens are evenly spread between two lengths; a quarter is prompt.

    Args:
        shortest: by default a quarter of the longest.
    """
    rng = random.Random(0)
    shortest = shortest or longest // 4
    step = (longest - shortest) / max(1, count - 1)
    lengths = [shortest + round(step * i) for i in range(count)]
    rng.shuffle(lengths)
    rows = []
    for tokens in lengths:
        prompt = tokens // 4
        rows.append(chat(text(rng, prompt), text(rng, tokens - prompt - LAID_OUT)))
    return Dataset.from_list(rows)


def comparisons(count: int, longest: int, shortest: int | None = None) -> Dataset:
    """Return pairs as long as demonstrations; the rejected response has the chosen one's words."""
    rows = []
    for row in demonstrations(count, longest, shortest):
        (chosen,) = row["completion"]
        rejected = " ".join(reversed(chosen["content"].split()))
        rows.append(
            {
                "prompt": row["prompt"], "chosen": [chosen],
                "rejected": [{"role": "assistant", "content": rejected}],
            }
        )  # fmt: skip
    return Dataset.from_list(rows)


def sequences(rows: Dataset) -> Iterator[tuple[int, int]]:
    """Give for every sequence that a model reads its tokens, and those of them that are learned."""
    for row in rows:
        prompt = len(row["prompt"][0]["content"].split())
        for name in ("completion", "chosen", "rejected"):
            if name in row:
                words = len(row[name][0]["content"].split())
                yield prompt + words + LAID_OUT, words + 1


def flops(shape: Shape, rows: Dataset, rank: int | None, reference: bool = True) -> float:
    """Return the floating-point operations that one pass of training over the rows needs.

    As in PaLM's appendix B (Chowdhery et al. 2022): two for each weight and token forward, two for
    the gradient of the activations, two for that of the weights; recomputation does not count.
    Attention is causal, the head sees only what is learned, and a frozen weight has no gradient.
    DPO adds one pass forward, of the reference.

    Args:
        rank: of the LoRA that is trained, None for all weights.
        reference: whether DPO's is scored in this pass.
    """
    passes = 3 if rank is None else 2
    comparing = reference and "chosen" in rows.column_names
    total = 0.0
    for tokens, learned in sequences(rows):
        linear = 2 * shape.linear * tokens + 2 * shape.vocabulary * shape.hidden * learned
        attention = 2 * shape.layers * shape.heads * shape.head_dim * tokens**2
        total += passes * linear + 3 * attention + comparing * (linear + attention)
        total += 0 if rank is None else 6 * shape.adapter(rank) * tokens
    return total
