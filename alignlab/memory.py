"""How much memory training takes on a GPU, as an estimate, and the part of a batch that fits."""

from dataclasses import dataclass
from pathlib import Path

import torch

from alignlab.models import default_device, resolve

GIB = 2**30
USABLE = 0.9  # of a GPU's memory; the rest goes to fragments
# CUDA's own context, and the tile of logits that TRL's fused head fills.
OVERHEAD_GIB = 1.0
# Bytes a parameter. LoRA: 16-bit weights, and about a twentieth as many float32 ones with gradient
# and two moments of Adam. All weights: float32 with the same three.
LORA_BYTES, FULL_BYTES = 2.8, 16


@dataclass(frozen=True)
class Need:
    """What a base model needs to be trained.

    Attributes:
        parameters: how many the model has, the embeddings once.
        token_mib: what one token of a batch keeps for the backward pass, in 16 bits, with LoRA on
            all linear layers and without gradient checkpointing. Counted on a CPU from the tensors
            that autograd saves (tests/test_memory.py) and rounded up; not measured on a GPU.
    """

    parameters: int
    token_mib: float

    def rows_that_fit(self, gib: float, tokens: int, use_lora: bool = True) -> int:
        """Return how many rows of so many tokens a GPU with ``gib`` GiB takes at once; at least 1.

        A row that alone is too much is left to the run's error, which says what to lower.
        """
        weights = self.parameters * (LORA_BYTES if use_lora else FULL_BYTES) / GIB
        left = USABLE * gib - OVERHEAD_GIB - weights
        return max(1, int(left * 1024 // (self.token_mib * tokens)))


NEEDS = {
    "HuggingFaceTB/SmolLM2-360M": Need(361_821_120, 1.5),
    "Qwen/Qwen3-0.6B-Base": Need(596_049_920, 2.1),
    "Qwen/Qwen3-1.7B-Base": Need(1_720_574_976, 3.3),
}


def gpu_gib() -> float:
    """Return the memory of the GPU that computes here, in GiB; 0 where there is none."""
    if default_device() == "cpu":
        return 0.0
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory / GIB


def fitted(settings: dict, model: str | Path, responses: int = 1, use_lora: bool = True) -> dict:
    """Return a run's settings with its batch in parts that the GPU's memory holds.

    An optimizer step sees the same rows as before: as often as ``per_device_train_batch_size`` is
    halved, ``gradient_accumulation_steps`` is doubled. Nothing changes without a GPU, for models
    that are not in ``NEEDS``, and with gradient checkpointing, which keeps next to nothing.

    Args:
        settings: with ``per_device_train_batch_size``, and ``max_length`` in tokens.
        model: what the run starts from.
        responses: rows that an example makes: 1, or 2 for a comparison.

    Raises:
        ModelError: as ``models.resolve``.
    """
    gib, length = gpu_gib(), settings.get("max_length")
    if not gib or not length or settings.get("gradient_checkpointing"):
        return settings
    need = NEEDS.get(resolve(model).base)
    if need is None:
        return settings
    return divided(settings, need.rows_that_fit(gib, length, use_lora) // responses)


def divided(settings: dict, room: int) -> dict:
    """Return settings whose batch is halved, and its steps doubled, until it fits or is odd.

    Args:
        room: the examples that fit at once.
    """
    batch = settings["per_device_train_batch_size"]
    steps = settings.get("gradient_accumulation_steps", 1)
    parts = 1
    while batch // parts > max(1, room) and batch // parts % 2 == 0:
        parts *= 2
    if parts == 1:
        return settings
    return settings | {
        "per_device_train_batch_size": batch // parts,
        "gradient_accumulation_steps": steps * parts,
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that a GPU's or the machine's memory is full."""
    # On a CPU torch has no class for it.
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def what_to_lower(config: dict) -> str:
    """Say what makes a run of this ``config.json`` take less memory, the cheapest first."""
    batch, steps = config.get("per_device_train_batch_size", 8), "gradient_accumulation_steps"
    advice = []
    if batch > 1:
        more = config.get(steps, 1) * 2
        advice.append(
            f"lower per_device_train_batch_size (now {batch}; {batch // 2} with {steps}={more} "
            "keeps the losses)"
        )
    if not config.get("gradient_checkpointing"):
        advice.append("set gradient_checkpointing=True (slower)")
    if config.get("max_length"):
        advice.append(f"lower max_length (now {config['max_length']} tokens)")
    if config.get("lora_rank") is None:
        advice.append("train a LoRA adapter in place of all weights (use_lora, --lora)")
    advice.append("end what else uses the memory, such as another notebook")
    return ", or ".join(advice)
