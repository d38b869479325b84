"""What is installed, what the machine can do, and what each profile would do on it, and why."""

import os

import torch

from alignlab.folders import environment
from alignlab.memory import GIB, NEEDS, divided, gpu_gib
from alignlab.models import PROFILES, Profile, default_device, default_dtype
from alignlab.options import RunOptions

LENGTH = 512  # max_length of the recipes of sft and dpo, in tokens


def _memory_gib() -> float:
    return gpu_gib() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB


def _dtype_name(device: str) -> str:
    return str(default_dtype(device)).removeprefix("torch.")


def _precision(device: str) -> str:
    """Say in which precision a device computes, and why."""
    name = _dtype_name(device)
    if device == "cpu":
        return f"{name} (16 bits are emulated on most CPUs, and slower)"
    major, minor = torch.cuda.get_device_capability()
    has = "has bfloat16" if major >= 8 else "only emulates bfloat16, which begins with 8.0"
    return f"{name} (compute capability {major}.{minor} {has})"


def _batches(profile: Profile, gib: float) -> str:
    """Say how many examples pass at once, of as many as an optimizer step has."""
    parts = []
    for what, responses in (("SFT", 1), ("DPO", 2)):
        room = NEEDS[profile.model].rows_that_fit(gib, LENGTH) // responses
        batch = divided(profile.options, room)["per_device_train_batch_size"]
        parts.append(f"{what} {batch} of {profile.options['per_device_train_batch_size']}")
    return f"examples at once: {', '.join(parts)} (estimated for {gib:.1f} GiB, {LENGTH} tokens)"


def _line(profile: Profile, device: str) -> str:
    """Describe a profile and what it would do here."""
    line = f"{profile.model}: {profile.purpose}"
    if profile.model != "tiny":
        line += "; Apache 2.0, a base model that nobody has tuned to follow instructions"
    line += f"; here on {device} in {_precision(device)}"
    line += f", LoRA of rank {RunOptions.rank} on all linear layers, in float32"
    if profile.model == "tiny":
        return line
    if device == "cpu":
        return line + "; takes hours: use a GPU or the profile tiny"
    return f"{line}; {_batches(profile, gpu_gib())}"


def doctor() -> dict:
    """Return a report: versions, device, dtype, memory (GiB), and a line for each profile."""
    device = default_device()
    found = environment()
    return {
        "versions": {"python": found["python"]} | found["packages"],
        "machine": {
            "device": found["device"],
            "dtype": _dtype_name(device),
            "memory_gib": round(_memory_gib(), 1),
            "threads": found["threads"],
        },
        "profiles": {name: _line(profile, device) for name, profile in PROFILES.items()},
    }
