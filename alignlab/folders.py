"""The folder of a run: begun under a temporary name, finished under its own, in one step.

A finished run holds ``config.json``, ``metrics.jsonl``, ``environment.json`` and ``adapter/`` or
``model/``. It is built as ``NAME.part`` and renamed when complete, so a folder is whole or absent.
What a killed run left there, a resumed one goes on from: the newest whole checkpoint. Weights are
safetensors everywhere; the optimizer's state in a checkpoint is the trainer's own pickle, which
never leaves the ``.part`` folder and is removed at the end.
"""

import contextlib
import json
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate import PartialState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from alignlab.models import default_device, run_config


class RunError(ValueError):
    """A run that cannot start or go on, with what to do about it."""


def begin(output: str | Path, config: dict, resume: bool = False, overwrite: bool = False) -> Path:
    """Return the folder in which a run is built, empty unless it goes on from a killed one.

    Raises:
        RunError: the output exists already, is no run that could be replaced, or a resumed run was
            begun with other settings or rows.
    """
    output = Path(output)
    part = output.with_name(output.name + ".part")
    if output.exists() and not overwrite:
        raise RunError(f"{output} exists; choose another folder or pass overwrite (--overwrite)")
    if output.exists() and not (output / "config.json").is_file():
        raise RunError(f"{output} is no run, so it is not overwritten; choose another folder")
    config = json.loads(json.dumps(config, default=str))
    begun = run_config(part) if resume else {}  # empty where it was killed before it had begun
    if begun:
        changed = sorted(k for k in config.keys() | begun.keys() if config.get(k) != begun.get(k))
        if changed:
            raise RunError(
                f"cannot resume {output}: begun with other {', '.join(changed)}; "
                f"{part / 'config.json'} says which, or start anew without resume"
            )
    processes = _processes()
    processes.wait_for_everyone()  # all have read what one now changes
    if not begun and processes.is_main_process:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        (part / "config.json").write_text(json.dumps(config, indent=1))
    processes.wait_for_everyone()
    return part


def _processes() -> PartialState:
    # Without `cpu`, accelerate takes each of several processes on a CPU for the only one.
    found = PartialState(cpu=default_device() == "cpu")
    # `accelerate launch` names a port for several processes; its launcher of one sets the other.
    if found.num_processes == 1 and {"MASTER_PORT", "ACCELERATE_USE_CPU"} <= os.environ.keys():
        raise RunError(
            "accelerate launch was to start several processes and started one process (--cpu, or "
            "no more than one GPU); start them with torchrun --standalone --nproc_per_node N"
        )
    return found


def finish(part: Path, output: str | Path) -> Path:
    """Make a complete run visible under its name, in one step."""
    output = Path(output)
    if PartialState().is_main_process:
        shutil.rmtree(part / "checkpoints", ignore_errors=True)
        (part / "environment.json").write_text(json.dumps(environment(), indent=1))
        old = output.with_name(output.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if output.exists():
            os.replace(output, old)
        os.replace(part, output)
        shutil.rmtree(old, ignore_errors=True)
    PartialState().wait_for_everyone()
    return output


def last_checkpoint(part: Path) -> str | None:
    """Return the newest checkpoint that a killed run wrote to its end, or None."""

    def whole(folder: Path) -> bool:
        try:  # the trainer writes this file last
            return bool(json.loads((folder / "trainer_state.json").read_text()))
        except (OSError, json.JSONDecodeError):
            return False

    folders = (part / "checkpoints").glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    steps = {int(folder.name.split("-")[-1]): folder for folder in folders if whole(folder)}
    return str(steps[max(steps)]) if steps else None


def environment() -> dict:
    """Return what a reader needs to know about where a run was made."""
    packages = ("torch", "transformers", "trl", "peft", "datasets", "alignlab")
    found = {}
    for package in packages:
        with contextlib.suppress(Exception):
            found[package] = version(package)
    return {
        "python": platform.python_version(),
        "packages": found,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "processes": PartialState().num_processes,
    }
