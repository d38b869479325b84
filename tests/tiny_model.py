"""For tests that need a model: a random Llama of 30,000 parameters, and rows that it can learn."""

import json
import os
import random
import signal
import tempfile
from functools import lru_cache
from pathlib import Path

import torch
from datasets import Dataset
from transformers import LlamaForCausalLM

from alignlab.callbacks import LengthGroups, MetricsLog
from alignlab.corpus import build_tokenizer
from alignlab.models import load_tokenizer
from alignlab.pretraining import PretrainConfig, architecture
from alignlab.world import World

_KEPT = tempfile.TemporaryDirectory(prefix="alignlab-tiny-")
GOOD, BAD = "fill the kettle with clean water and wait", "no idea, ask someone else please"


@lru_cache
def folder() -> Path:
    """Save the model and its tokenizer once, and return the folder."""
    torch.set_num_threads(1)  # at this size threads only wait for each other
    path = Path(_KEPT.name) / "model"
    tokenizer = build_tokenizer(World(0), 600, documents=200)
    random_model(len(tokenizer)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def random_model(vocab_size: int):
    """Return the model; the same weights every time."""
    config = PretrainConfig(
        vocab_size=vocab_size, hidden_size=32, layers=2, heads=2, intermediate_size=64
    )
    torch.manual_seed(config.seed)
    settings = architecture(config)
    settings.tie_word_embeddings = True  # as most small models on the Hub are, unlike the bundled
    model = LlamaForCausalLM(settings)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(10)  # else every next token is about as probable as any other
    return model


def message(role: str, content: str) -> list[dict]:
    """Return one message in a list, as data.py lays rows out."""
    return [{"role": role, "content": content}]


def prompts(count: int, seed: int = 0) -> list[str]:
    """Draw different requests of two to nine words."""
    rng = random.Random(seed)
    words = "how do I clean the filter of my red kettle when it is warm"
    drawn = [" ".join(rng.sample(words.split(), rng.randint(2, 9))) for _ in range(4 * count)]
    return list(dict.fromkeys(drawn))[:count]


def demonstrations(count: int, seed: int = 0) -> Dataset:
    """Return rows whose completions are beginnings of one sentence, of one to eight words."""
    rng = random.Random(seed)
    return Dataset.from_list(
        [
            {
                "prompt": message("user", prompt),
                "completion": message("assistant", " ".join(GOOD.split()[: rng.randint(1, 8)])),
            }
            for prompt in prompts(count, seed)
        ]
    )


def comparisons(count: int, seed: int = 0) -> Dataset:
    """Return pairs in which the beginning of one sentence is preferred to that of another."""
    rng = random.Random(seed)
    rows = []
    for prompt in prompts(count, seed):
        good, bad = (" ".join(s.split()[: rng.randint(1, 6)]) for s in (GOOD, BAD))
        rows.append(
            {
                "prompt": message("user", prompt),
                "chosen": message("assistant", good),
                "rejected": message("assistant", bad),
            }
        )
    return Dataset.from_list(rows)


def run_and_die(step: int, train, args: tuple, options: dict) -> None:
    """Train in this process until a step is logged, and then kill the process (-9)."""
    torch.set_num_threads(1)
    write = MetricsLog.on_log

    def write_and_die(self, args, state, control, **kwargs):
        write(self, args, state, control, **kwargs)
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    MetricsLog.on_log = write_and_die
    train(*args, **options)


def metrics(run: Path) -> list[dict]:
    """Return the rows of a run's ``metrics.jsonl``."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def sft_lengths(rows: Dataset) -> list[int]:
    """Return the tokens of each demonstration, prompt and completion, laid out as a chat."""
    turns = [prompt + completion for prompt, completion in zip(rows["prompt"], rows["completion"])]
    return [len(ids) for ids in load_tokenizer(folder()).apply_chat_template(turns)["input_ids"]]


def first_epoch(lengths: list[int]) -> list[list[int]]:
    """Return the rows of each batch of eight, in the order of training with seed 0."""
    return LengthGroups(lengths, batch_size=8, seed=0, epoch=lambda: 0).batches(0)
