"""Responses of three adapters: all in shared batches, or one ``generate`` at a time."""

import random
import time
from pathlib import Path

import torch
from peft import get_peft_model

from alignlab import runs
from alignlab.generate import generate_ids
from alignlab.models import load_model, load_tokenizer, lora

from .gpu_rows import BATCHED, Row, Setting, Sizes
from .gpu_shapes import text
from .gpu_training import wait

ADAPTERS = ("base", "sft", "dpo")  # their names only; the weights are random


class Generation:
    """One base with three random adapters, and the prompts that all of them answer."""

    def __init__(self, setting: Setting, sizes: Sizes, folder: Path):
        self.setting, self.sizes = setting, sizes
        self.tokenizer = load_tokenizer(folder)
        config = lora()
        config.init_lora_weights = False  # else an adapter changes nothing
        with runs.quiet():
            self.model = get_peft_model(load_model(folder), config, adapter_name=ADAPTERS[0])
            for name in ADAPTERS[1:]:
                self.model.add_adapter(name, config)
        self.model.eval()
        rng = random.Random(0)
        longest = sizes.longest // 8
        self.prompts = [text(rng, rng.randint(longest // 4, longest)) for _ in range(sizes.prompts)]

    def measure(self, side: str) -> Row:
        """Generate once to warm up, then three times by the clock."""
        row = Row(str(self.setting), side)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        respond = self.batched if side == BATCHED else self.one_by_one
        for repetition in range(self.sizes.epochs):
            wait()
            started = time.perf_counter()
            responses = respond(repetition)
            wait()
            if repetition:
                row.seconds.append(time.perf_counter() - started)
                row.tokens.append(sum(map(len, responses)))
        if torch.cuda.is_available():
            row.peak_gib = torch.cuda.max_memory_allocated() / 2**30
        return row

    def batched(self, repetition: int = 0) -> list[list[int]]:
        """Return the responses of all adapters to all prompts, adapter by adapter."""
        names = [name for name in ADAPTERS for _ in self.prompts]
        return generate_ids(
            self.model, self.tokenizer, self.prompts * len(ADAPTERS), adapters=names,
            max_new_tokens=self.sizes.new_tokens,
        )  # fmt: skip

    def one_by_one(self, repetition: int = 0) -> list[list[int]]:
        """Return the responses of all adapters to some prompts, others in each repetition."""
        first = repetition * self.sizes.asked_singly % len(self.prompts)
        asked = self.prompts[first : first + self.sizes.asked_singly]
        return [self._response(name, prompt) for name in ADAPTERS for prompt in asked]

    def _response(self, name: str, prompt: str) -> list[int]:
        self.model.set_adapter(name)
        inputs = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True,
            return_dict=True, return_tensors="pt",
        ).to(self.model.device)  # fmt: skip
        output = self.model.generate(
            **inputs, do_sample=False, max_new_tokens=self.sizes.new_tokens,
            eos_token_id=self.tokenizer.eos_token_id, pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip
        return output[0, inputs["input_ids"].shape[1] :].tolist()
