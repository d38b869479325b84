"""What the GPU allows: a training loop with nothing in it but PyTorch and the model."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import get_peft_model

from alignlab.dpo import RECIPE
from alignlab.losses import dpo_loss, sequence_logprobs
from alignlab.models import default_device, default_dtype, load_to_train


def loop(
    folder: Path, batches: Sequence[dict], use_lora: bool, epochs: int, rate: float, clock
) -> list[float]:
    """Train over the batches, in the precision of our runs; return the losses of all steps.

    Args:
        batches: of a trainer, with ``labels`` (SFT) or ``completion_mask`` (DPO).
        clock: told when an epoch begins and ends.
    """
    device = default_device()
    policy, adapter = load_to_train(folder, device, use_lora)
    reference = None
    if adapter:
        policy = get_peft_model(policy, adapter)
    elif "completion_mask" in batches[0]:
        reference = copy.deepcopy(policy).requires_grad_(False)
    policy.train()
    weights = [weight for weight in policy.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0, fused=True)
    losses = []
    for _ in range(epochs):
        clock.start()
        for batch in batches:
            batch = {name: value.to(device) for name, value in batch.items()}
            with torch.autocast(device, default_dtype(device), enabled=device != "cpu"):
                loss = _loss(policy, reference, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        clock.stop()
    return [loss.item() for loss in losses]


def _loss(policy, reference, batch: dict) -> torch.Tensor:
    if "completion_mask" not in batch:
        return policy(**batch, use_cache=False).loss
    with torch.no_grad():
        if reference is None:
            with policy.disable_adapter():
                before = _logps(policy, batch)
        else:
            before = _logps(reference, batch)
    return dpo_loss(*_logps(policy, batch), *before, beta=RECIPE["beta"])[0].mean()


def _logps(model, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
    ids = batch["input_ids"]
    logits = model(
        input_ids=ids, attention_mask=batch["attention_mask"], use_cache=False
    ).logits  # fmt: skip
    return sequence_logprobs(logits, ids, batch["completion_mask"]).chunk(2)
