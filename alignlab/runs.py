"""Run folders: what every training run writes, and how a TRL trainer is set and run.

A finished run holds ``config.json``, ``metrics.jsonl``, ``environment.json`` and ``adapter/`` or
``model/``. It is built as ``NAME.part`` and renamed when complete, so a folder is whole or absent.
What a killed run left there, ``resume=True`` goes on from: the newest whole checkpoint. Weights are
safetensors everywhere; the optimizer's state in a checkpoint is the trainer's own pickle, which
never leaves the ``.part`` folder and is removed at the end.
"""

import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import datasets
import torch
import transformers
from accelerate import PartialState
from peft import PeftModel
from pyarrow.compute import list_value_length
from safetensors import SafetensorError
from transformers import PrinterCallback, ProgressCallback, set_seed
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import hub

from alignlab.callbacks import Checkpoints, LengthGroups, MetricsLog, ProgressBar
from alignlab.models import default_device, default_dtype, no_deprecations, resolve, run_config
from alignlab.options import RunOptions

# TRL's trainers report themselves to the Hub, also where all else is local. The environment's
# HF_HUB_DISABLE_TELEMETRY is read once, and a notebook may have imported the libraries before.
hub.constants.HF_HUB_DISABLE_TELEMETRY = True


class RunError(ValueError):
    """A run that cannot start or go on, with what to do about it."""


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


def describe(method: str, model, dataset, output, run: RunOptions, settings: dict) -> dict:
    """Return the ``config.json`` of a run: all that is needed to repeat it.

    A local model is named by its path from the run folder, so that folders which move together
    find each other again. ``rows`` is a digest of the data, by which a resumed run knows them.

    Args:
        method: ``"sft"``, ``"dpo"`` or ``"reward"``.
        model, dataset, output: what the run function was given.
        run, settings: its options, as divided by ``RunOptions.split``.

    Raises:
        ModelError: as ``models.resolve``.
    """
    return {
        "method": method,
        "model": _named(model, output),
        "data": run.data_name,
        "pairs" if "chosen" in dataset.column_names else "examples": len(dataset),
        "rows": _digest(dataset),
        "base": _named(resolve(model).base, output),
        "lora_rank": run.rank if run.use_lora else None,
        "seed": run.seed,
    } | settings


def _named(model: str | Path, output: str | Path) -> str:
    if str(model) == "tiny" or not Path(model).exists():
        return str(model)
    return Path(os.path.relpath(Path(model).resolve(), Path(output).resolve())).as_posix()


def _digest(dataset: datasets.Dataset) -> str:
    found = hashlib.sha256()
    for row in dataset.with_format(None):
        found.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
    return f"sha256:{found.hexdigest()}"


@contextlib.contextmanager
def writing(output: str | Path, config: dict, run: RunOptions) -> Iterator[Path]:
    """Give the folder in which a run is built, and make it the run when the block ends well.

    In the block random numbers are seeded and, where the run shows no bars, the libraries are
    quiet. A block that fails leaves no run, and of the ``.part`` folder only what can be resumed.

    Raises:
        RunError: as ``begin`` does, or the run cannot be written (a full disk).
    """
    part = begin(output, config, run.resume, run.overwrite)
    try:
        with quiet(not run.progress):
            set_seed(run.seed)
            yield part
        finish(part, output)
    except BaseException as error:
        resumable = not isinstance(error, RunError) and last_checkpoint(part)
        if not resumable:
            shutil.rmtree(part, ignore_errors=True)
        # torch reports a full disk as a RuntimeError of its zip writer.
        if isinstance(error, OSError | SafetensorError) or "PytorchStreamWriter" in str(error):
            hint = "; make room and resume (--resume)" if resumable else ""
            raise RunError(f"{output} cannot be written: {error}{hint}") from error
        raise


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


def trainer_settings(part: Path, device: str, run: RunOptions | None = None, **options) -> dict:
    """Return the options that every TRL config of the course starts from.

    TRL's own defaults are made for large models on GPUs: bfloat16, gradient checkpointing, one
    example after another. On a CPU these cost most of the time, so they are off here.
    """
    run = run or RunOptions()
    dtype = default_dtype(device)
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    by_steps = several or "save_steps" in options
    return {
        "output_dir": str(part / "checkpoints"),
        "seed": run.seed,
        "disable_tqdm": not run.progress,
        "use_cpu": device == "cpu",
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        "gradient_checkpointing": False,
        "train_sampling_strategy": "group_by_length",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would show the last good loss in place of NaN
        "save_strategy": "steps" if by_steps else "no",  # "no": by the clock (Checkpoints)
        "save_steps": 0.1,  # of the whole run
        "save_total_limit": 1,
        "report_to": "none",
        "lr_scheduler_type": "linear",
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": device != "cpu",
        "max_grad_norm": 1.0,
    } | options


def train(trainer, part: Path, resume: bool = False) -> None:
    """Run a trainer: ``trainer.train()`` with metrics, a bar, checkpoints and batches by length.

    Raises:
        RunError: nothing to train on, or the loss is not a number (names step, batch and rows).
    """
    args = trainer.args
    if len(trainer.train_dataset) == 0:
        raise RunError(f"no row is left: none fits into max_length={args.max_length} tokens")
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(MetricsLog(part / "metrics.jsonl"))
    trainer.add_callback(Checkpoints())
    if not args.disable_tqdm:
        trainer.add_callback(ProgressBar(trainer._name))
    size = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
    lengths = _lengths(trainer.train_dataset)
    groups = None
    if args.train_sampling_strategy == "group_by_length" and lengths:
        groups = LengthGroups(lengths, size, args.seed, lambda: trainer.state.epoch or 0)
        trainer._get_train_sampler = lambda dataset=None: groups
    try:
        trainer.train(resume_from_checkpoint=last_checkpoint(part) if resume else None)
    except FloatingPointError as error:
        step = trainer.state.global_step
        epoch, batch = divmod(step - 1, math.ceil(len(trainer.train_dataset) / size))
        rows = [row + 1 for row in groups.batches(epoch)[batch]] if groups else []
        raise RunError(
            f"{error} at step {step}, batch {batch + 1} of epoch {epoch + 1}"
            + f" (rows {', '.join(map(str, rows[:8]))}{', ...' * (len(rows) > 8)})" * bool(rows)
            + "; lower the learning rate or look for what is odd in these rows and those before"
        ) from error


def _lengths(dataset: datasets.Dataset) -> list[int]:
    """Return the tokens of each row, of the longer response where there are two; [] if unknown."""
    names = ("input_ids", "prompt_ids", "chosen_ids", "rejected_ids")
    table = dataset.select_columns([n for n in names if n in dataset.column_names])
    table = table.with_format("arrow")[:]
    counts = {name: list_value_length(table[name]).to_pylist() for name in table.column_names}
    prompts = counts.pop("prompt_ids", [0] * len(table))
    return [prompt + max(row) for prompt, *row in zip(prompts, *counts.values())] if counts else []


def save(trainer, part: Path) -> None:
    """Write the trained weights into a run: ``adapter/``, or ``model/`` with its tokenizer."""
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # whole on process 0
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel):
        model.save_pretrained(
            part / "adapter", state_dict=weights, selected_adapters=["default"]
        )  # DPO's frozen "ref" is not part of the result
        (part / "adapter" / "README.md").unlink()  # a form that nobody has filled in
    else:
        model.save_pretrained(part / "model", state_dict=weights)
        trainer.processing_class.save_pretrained(part / "model")


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


@contextlib.contextmanager
def quiet(enabled: bool = True):
    """Hide the libraries' bars for the time being, and what they warn of that TRL decides."""
    data_bars = not datasets.are_progress_bars_disabled()
    weight_bars = transformers.logging.is_progress_bar_enabled()
    with no_deprecations():
        if enabled:
            datasets.disable_progress_bars()
            transformers.logging.disable_progress_bar()
        try:
            yield
        finally:
            if enabled and data_bars:
                datasets.enable_progress_bars()
            if enabled and weight_bars:
                transformers.logging.enable_progress_bar()
