"""What is installed, what the machine can do, and what each profile would do on it."""

import os

import torch

from alignlab.folders import environment
from alignlab.models import PROFILES, default_device, default_dtype


def _memory_gib() -> float:
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory / 2**30
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def doctor() -> dict:
    """Return a report: versions, device, dtype, memory, and a line for each profile."""
    device = default_device()
    dtype = str(default_dtype(device)).removeprefix("torch.")
    found = environment()
    profiles = {}
    for name, profile in PROFILES.items():
        line = f"{profile.model}: {profile.purpose}; here it would run on {device} in {dtype}"
        if device == "cpu" and name != "tiny":
            line += ", which takes hours: use a GPU or the profile tiny"
        profiles[name] = line
    return {
        "versions": {"python": found["python"]} | found["packages"],
        "machine": {
            "device": found["device"],
            "dtype": dtype,
            "memory_gib": round(_memory_gib(), 1),
            "threads": found["threads"],
        },
        "profiles": profiles,
    }
