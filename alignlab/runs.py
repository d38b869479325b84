"""What every training run has in common: its description, its settings, its training, its weights.

``sft``, ``dpo`` and ``reward`` each build one TRL trainer and leave the rest to this module. What
becomes of the folder on the way is in folders.py.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path

import datasets
import torch
import transformers
from peft import PeftModel
from safetensors import SafetensorError
from transformers import PrinterCallback, ProgressCallback, set_seed
from transformers.utils import hub
from trl.trainer import utils as trl_utils

from alignlab.callbacks import Checkpoints, LengthGroups, MetricsLog, ProgressBar
from alignlab.folders import RunError, begin, finish, last_checkpoint
from alignlab.lengths import token_lengths
from alignlab.memory import is_out_of_memory, what_to_lower
from alignlab.models import default_dtype, no_deprecations, profile, resolve
from alignlab.options import RunOptions

# TRL's trainers report themselves to the Hub, also where all else is local. The environment's
# HF_HUB_DISABLE_TELEMETRY is read once, and a notebook may have imported the libraries before.
hub.constants.HF_HUB_DISABLE_TELEMETRY = True


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
        RunError: as ``begin`` does, or the run cannot be written (a full disk), or does not fit
            into memory (says what to lower).
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
        hint = "; make room and resume (--resume)" if resumable else ""
        if isinstance(error, OSError | SafetensorError) or "PytorchStreamWriter" in str(error):
            raise RunError(f"{output} cannot be written: {error}{hint}") from error
        if is_out_of_memory(error):
            # A notebook keeps the error, and with it would keep all that the failed step held.
            traceback.clear_frames(error.__traceback__)
            raise RunError(f"{output}: out of memory; {what_to_lower(config)}{hint}") from error
        raise


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
        # Several processes: every trainable weight takes part in each loss. A mixture of experts,
        # where some do not, needs True.
        "ddp_find_unused_parameters": False,
    } | options


def recipe(bundled: dict, eval_dataset: datasets.Dataset | None = None) -> dict:
    """Return a bundled recipe as it is to be run here, before the caller's own options.

    What the profile of ``ALIGNLAB_PROFILE`` says takes its place, so that a notebook trains a real
    model with the settings that suit it. With an ``eval_dataset`` the held-out loss is logged, in
    batches of 64, since Transformers averages the means of batches: with small ones a short
    response would weigh more than a long one.
    """
    logged = {
        "eval_strategy": "steps", "eval_steps": 0.1, "eval_on_start": True,
        "per_device_eval_batch_size": 64,
    }  # fmt: skip
    return bundled | profile().options | (logged if eval_dataset is not None else {})


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
    lengths = token_lengths(trainer.train_dataset)
    groups = None
    if args.train_sampling_strategy == "group_by_length" and lengths:
        groups = LengthGroups(lengths, size, args.seed, lambda: trainer.state.epoch or 0)
        trainer._get_train_sampler = lambda dataset=None: groups
        trainer._get_eval_sampler = _by_length  # the trainer's own fails on pairs
    trainer.floating_point_ops = lambda inputs: 0  # an estimate that nobody reads, and slow
    if args.fp16 and not trainer.is_deepspeed_enabled:
        # Gradients in float16 cannot be unscaled. Adapters are in float32 already, but where the
        # base is quantised: those TRL makes bfloat16.
        for weight in filter(lambda weight: weight.requires_grad, trainer.model.parameters()):
            weight.data = weight.data.float()
    try:
        with _labelled_positions_only():
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


def _by_length(dataset: datasets.Dataset) -> list[int]:
    """Return the rows of a data set, the longest first, as a sampler."""
    return sorted(range(len(dataset)), key=token_lengths(dataset).__getitem__, reverse=True)


@contextlib.contextmanager
def _labelled_positions_only() -> Iterator[None]:
    """Let TRL's LM head pass over prompts and padding on every device.

    It does so where it has Triton. Elsewhere it scores all positions, in the course's data twice as
    many, for the sake of compilers that want the same shape each time; here nothing is compiled.
    """
    decide = trl_utils._use_triton
    trl_utils._use_triton = lambda device: True
    try:
        yield
    finally:
        trl_utils._use_triton = decide


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
        name_base(part / "adapter", json.loads((part / "config.json").read_text())["base"])
    else:
        # Sharded, a tied weight is gathered once under each of its names.
        weights = {k: v for k, v in weights.items() if k not in model.all_tied_weights_keys}
        model.save_pretrained(part / "model", state_dict=weights)
        trainer.processing_class.save_pretrained(part / "model")


def name_base(adapter: Path, base: str) -> None:
    """Put the base's name into an adapter's configuration, as the run's ``config.json`` has it.

    PEFT writes the path on this machine there, which is nothing to hand on.
    """
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text()) | {"base_model_name_or_path": base}
    path.write_text(json.dumps(config, indent=2))


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
