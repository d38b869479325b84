"""SFT and DPO on a GPU: our settings, TRL's defaults and a bare loop over the same rows."""

import contextlib
import io
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from datasets import Dataset
from transformers import Trainer, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from alignlab import runs
from alignlab.callbacks import Checkpoints
from alignlab.dpo import dpo
from alignlab.models import default_device, lora
from alignlab.options import RunOptions
from alignlab.sft import sft

from .gpu_bare import loop
from .gpu_rows import AHEAD, BARE, LEAN, TRL, Row, Setting, Sizes, peak_flops
from .gpu_shapes import comparisons, demonstrations, flops, sequences

RATE = 1e-5  # of learning: no side learns anything worth knowing


class Clock(TrainerCallback):
    """Notes how long each epoch takes, the GPU's work included."""

    def __init__(self):
        self.seconds: list[float] = []
        self.batches: list[dict] = []
        self.before = 0.0

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Start."""
        self.batches.clear()
        self.start()

    def on_epoch_end(self, args, state, control, **kwargs):
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start an epoch."""
        wait()
        self.started = time.perf_counter()

    def stop(self) -> None:
        """End an epoch."""
        wait()
        self.seconds.append(time.perf_counter() - self.started)


def wait() -> None:
    """Wait until the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextlib.contextmanager
def clocked() -> Iterator[Clock]:
    """Clock whatever trainer trains in the block, keep its last epoch's batches, save nothing."""
    clock, train, step = Clock(), Trainer.train, Trainer.training_step
    score = DPOTrainer._precompute_ref_logps

    def clocked_train(self, *args, **kwargs):
        self.add_callback(clock)
        return train(self, *args, **kwargs)

    def kept_step(self, model, inputs, *args, **kwargs):
        clock.batches.append(dict(inputs))
        return step(self, model, inputs, *args, **kwargs)

    def timed_score(self, *args, **kwargs):
        wait()
        started = time.perf_counter()
        found = score(self, *args, **kwargs)
        clock.before += time.perf_counter() - started
        return found

    with (
        patch.object(Trainer, "train", clocked_train),
        patch.object(Trainer, "training_step", kept_step),
        patch.object(DPOTrainer, "_precompute_ref_logps", timed_score),
        patch.object(runs, "save", lambda trainer, part: None),
        patch.object(Checkpoints, "on_step_end", lambda *args, **kwargs: None),
        runs.quiet(),
        contextlib.redirect_stdout(io.StringIO()),  # without a bar a trainer prints its logs
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield clock


class Training:
    """The sides of one setting. Ours comes first: the bare loop takes its batches.

    Args:
        folder: of the model, written by ``gpu_shapes.save``.
    """

    def __init__(self, setting: Setting, sizes: Sizes, folder: Path):
        self.setting, self.sizes, self.folder = setting, sizes, folder
        self.use_lora, self.dpo = setting.weights == "LoRA", setting.method == "DPO"
        self.rows = self._rows()
        self.batches: list[dict] = []

    def _rows(self) -> Dataset:
        if self.dpo:
            return comparisons(self.sizes.examples // 2, self.sizes.longest)
        return demonstrations(self.sizes.examples, self.sizes.longest)

    def measure(self, side: str) -> Row:
        """Run one side and return its figures."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        clock = self._run(side)
        counted = clock.seconds[1:]
        tokens = sum(tokens for tokens, _ in sequences(self.rows))
        row = Row(str(self.setting), side, [tokens] * len(counted), counted)
        if torch.cuda.is_available():
            row.peak_gib = torch.cuda.max_memory_allocated() / 2**30
            peak = peak_flops(torch.cuda.get_device_name())
            rank = RunOptions.rank if self.use_lora else None
            work = flops(self.setting.shape, self.rows, rank, reference=side != AHEAD)
            row.utilisation = peak and work / statistics.median(counted) / peak
        row.before_seconds = clock.before or None
        return row

    def _run(self, side: str) -> Clock:
        if side == TRL:
            return self._trl()
        if side != BARE:
            return self._ours(side)
        if not self.batches:
            raise RuntimeError("no batches, since ours has none")
        clock = Clock()
        with runs.quiet():
            loop(self.folder, self.batches, self.use_lora, self.sizes.epochs, RATE, clock)
        return clock

    def _ours(self, side: str) -> Clock:
        extra = {
            LEAN: {"gradient_checkpointing": True}, AHEAD: {"precompute_ref_log_probs": True}
        }.get(side, {})  # fmt: skip
        with clocked() as clock:
            (dpo if self.dpo else sft)(
                self.folder, self.rows, self.folder.parent / "run", use_lora=self.use_lora,
                num_train_epochs=self.sizes.epochs, per_device_train_batch_size=self.sizes.batch,
                max_length=self.sizes.longest, learning_rate=RATE, progress=False, overwrite=True,
                **extra,
            )  # fmt: skip
        if not extra:
            self.batches = list(clock.batches)
        return clock

    def _trl(self) -> Clock:
        trainer, config = (DPOTrainer, DPOConfig) if self.dpo else (SFTTrainer, SFTConfig)
        args = config(
            output_dir=str(self.folder.parent / "plain"), num_train_epochs=self.sizes.epochs,
            save_strategy="no", disable_tqdm=True, report_to="none",
            use_cpu=default_device() == "cpu",
        )  # fmt: skip
        with clocked() as clock:
            trainer(
                model=str(self.folder), train_dataset=self.rows, args=args,
                peft_config=lora() if self.use_lora else None,
            ).train()  # fmt: skip
        return clock
