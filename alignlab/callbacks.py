"""What runs alongside a trainer: metrics, a progress bar, checkpoints, the order of examples."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch.utils.data import Sampler
from tqdm.auto import tqdm
from transformers import TrainerCallback
from transformers.trainer_utils import SaveStrategy


class MetricsLog(TrainerCallback):
    """Writes one row a logged step to ``metrics.jsonl``, and stops a run whose loss is no number.

    A row has ``step``, ``epoch``, ``seconds`` of training, all that the trainer logs (``loss``,
    ``learning_rate``, ...; TRL's ``DPOTrainer`` adds ``rewards/chosen``, ``rewards/rejected``,
    ``rewards/margins``, ``rewards/accuracies``, ``logps/chosen``, ``logps/rejected``), and:

    - ``tokens_per_second``: tokens that are no padding, prompts included, since the row before;
      time for checkpoints and evaluation is left out.
    - ``kl_ref_policy`` (DPO): minus the mean log-ratio log π(y|x)/π_ref(y|x), in nats, over the
      chosen and rejected responses of the step. Where these were sampled from the reference it
      estimates KL(π_ref‖π) without bias. On other data it is how much better the reference
      predicts them than the policy does, and may be negative. The direction that DPO's objective
      bounds, KL(π‖π_ref), needs samples from the policy, which no step of DPO draws: see
      ``divergence.sequence_kl``.
    """

    def __init__(self, path: Path):
        self.path = path

    def on_train_begin(self, args, state, control, **kwargs):
        """Drop the rows that a killed run wrote after its last checkpoint."""
        rows = [row for row in self._rows() if row["step"] <= state.global_step]
        self.started = self.mark = time.perf_counter()
        self.before = rows[-1]["seconds"] if rows else 0.0
        self.tokens = 0
        if state.is_world_process_zero:
            part = self.path.with_suffix(".part")
            part.write_text("".join(json.dumps(row) + "\n" for row in rows))
            os.replace(part, self.path)

    def _rows(self) -> Iterator[dict]:
        if self.path.exists():
            # Without an end of line the last row is half written.
            for line in self.path.read_text().split("\n")[:-1]:
                yield json.loads(line)

    def _mark_time(self, args, state, control, **kwargs):
        self.mark = time.perf_counter()

    on_save = on_evaluate = _mark_time

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Append one row.

        Raises:
            FloatingPointError: the loss is not a finite number.
        """
        if "train_runtime" in logs:  # the trainer's summary at the end, which is no step
            return
        if not math.isfinite(logs.get("loss", 0.0)):
            raise FloatingPointError(f"the loss is {logs['loss']}")
        now = time.perf_counter()
        seconds = round(self.before + now - self.started, 3)
        row = {"step": state.global_step, "epoch": state.epoch, "seconds": seconds} | logs
        if "num_tokens" in logs:
            row["tokens_per_second"] = round((logs["num_tokens"] - self.tokens) / (now - self.mark))
            self.tokens = logs["num_tokens"]
        if "rewards/chosen" in logs:
            rewards = logs["rewards/chosen"] + logs["rewards/rejected"]
            row["kl_ref_policy"] = -rewards / (2 * args.beta)
        if state.is_world_process_zero:
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")
        self.mark = time.perf_counter()


class ProgressBar(TrainerCallback):
    """One bar with the current loss, in place of the trainer's bar and its printed rows."""

    def __init__(self, name: str):
        self.name = name

    def on_train_begin(self, args, state, control, **kwargs):
        """Open the bar, at the step that a resumed run has reached."""
        self.bar = tqdm(
            total=state.max_steps, initial=state.global_step, desc=self.name, unit="step",
            disable=not state.is_world_process_zero,
        )  # fmt: skip

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Show the loss."""
        if "loss" in logs:
            self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)

    def on_step_end(self, args, state, control, **kwargs):
        """Move on by one step."""
        self.bar.update()

    def on_train_end(self, args, state, control, **kwargs):
        """Close the bar."""
        self.bar.close()


class Checkpoints(TrainerCallback):
    """Asks for a checkpoint twice a minute, less often where it takes more than 1/20 of the time.

    A count of steps suits no two models: 50 steps are seconds of the bundled one and may be an
    hour of another, whose checkpoint is gigabytes. ``save_steps`` overrides it, as do several
    processes, which would not all ask at the same step.
    """

    def __init__(self, seconds: float = 30.0):
        self.seconds, self.cost = seconds, 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Start the clock."""
        self.saved = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        """Ask where it is time and the run goes on after this step."""
        self.asked = time.perf_counter()
        due = self.asked - self.saved > max(self.seconds, 20 * self.cost)
        if due and args.save_strategy == SaveStrategy.NO and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        """Note what it cost."""
        self.saved = time.perf_counter()
        self.cost = self.saved - self.asked


class LengthGroups(Sampler):
    """Batches of examples of like length, in an order that seed and epoch alone decide.

    Lengths count in eights of tokens. Sorted to the token, rows of one wording would fill batches
    of their own, and a run would learn now one kind of answer and now another. The mixture costs
    some 7% more padding.

    The trainer's ``group_by_length`` draws from the global random state, so a run resumed in its
    second epoch sees other batches than one that was never killed; and it groups by the batch of
    one process, so two processes see other batches than one. Here both see the same.

    Args:
        lengths: of the examples, in tokens.
        batch_size: of one optimizer step, over all processes and accumulation.
        epoch: tells how many epochs are behind, whole and part.
    """

    POOL = 50  # batches that are sorted together: little padding, and another mix each epoch
    WIDTH = 8  # tokens; lengths in one step of this width count as equal

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, epoch: Callable[[], float]
    ):
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter([i for batch in self.batches(int(self.epoch())) for i in batch])

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the rows of every optimizer step of an epoch.

        The longest batch comes first, so that what does not fit in memory fails at once. Rows that
        fill no batch come last, as in any epoch.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        indices = torch.randperm(len(self.lengths), generator=generator).tolist()
        rest = [indices.pop() for _ in range(len(indices) % self.batch_size)]
        size, pool = self.batch_size, self.POOL * self.batch_size
        ordered = []
        for start in range(0, len(indices), pool):
            ordered += sorted(
                indices[start : start + pool], key=lambda row: self.lengths[row] // self.WIDTH
            )
        batches = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        batches = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        if batches:
            longest = max(batches, key=lambda batch: max(self.lengths[row] for row in batch))
            batches.remove(longest)
            batches.insert(0, longest)
        return batches + [rest] * bool(rest)
