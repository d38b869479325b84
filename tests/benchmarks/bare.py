"""What the hardware allows: training loops with nothing in them but PyTorch and the model.

Both train the LoRA of the recipe in float32, over batches that were collated before.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from peft import get_peft_model

from alignlab import runs
from alignlab.dpo import RECIPE as DPO_RECIPE
from alignlab.losses import dpo_loss, sequence_logprobs
from alignlab.models import load_model, lora
from alignlab.sft import RECIPE as SFT_RECIPE

Batch = dict[str, torch.Tensor]


def sft_loop(model: str | Path, batches: Sequence[Batch]) -> tuple[float, list[float]]:
    """Fine-tune a model with a new LoRA; return the seconds of the loop and its losses."""
    with runs.quiet():
        policy = get_peft_model(load_model(model, trainable=True), lora())

    def loss(batch: Batch) -> torch.Tensor:
        return policy(**batch, use_cache=False).loss

    return _train(policy, loss, batches, SFT_RECIPE["learning_rate"])


def dpo_loop(run: Path, batches: Sequence[Batch]) -> tuple[float, list[float]]:
    """Go on in an SFT run's LoRA, with that run as reference; return as ``sft_loop``."""
    with runs.quiet():
        policy, reference = load_model(run, trainable=True), load_model(run).merge_and_unload()

    def logps(model, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        ids = batch["input_ids"]
        logits = model(
            input_ids=ids, attention_mask=batch["attention_mask"], use_cache=False
        ).logits
        return sequence_logprobs(logits, ids, batch["completion_mask"]).chunk(2)

    def loss(batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            before = logps(reference, batch)
        return dpo_loss(*logps(policy, batch), *before, beta=DPO_RECIPE["beta"])[0].mean()

    return _train(policy, loss, batches, DPO_RECIPE["learning_rate"])


def _train(
    model, loss: Callable[[Batch], torch.Tensor], batches: Sequence[Batch], learning_rate: float
) -> tuple[float, list[float]]:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0, fused=True)
    losses = []
    model.train()
    started = time.perf_counter()
    for batch in batches:
        value = loss(batch)
        value.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.item())
    return time.perf_counter() - started, losses
