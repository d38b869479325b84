"""SFT and DPO by the bundled recipes, against plain TRL and against a bare PyTorch loop."""

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, Trainer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from alignlab import runs
from alignlab.data import preference_dataset, sft_dataset
from alignlab.dpo import RECIPE as DPO_RECIPE
from alignlab.dpo import dpo
from alignlab.models import ModelError, base_path, load_tokenizer, resolve
from alignlab.sft import RECIPE as SFT_RECIPE
from alignlab.sft import sft

from .bare import dpo_loop, sft_loop
from .setting import Row, Sizes, Work, in_turn, rate_row

PLAIN_TRL = (
    "{0}Trainer(model=FOLDER, train_dataset=ROWS, args={0}Config(use_cpu=True)).train(): by "
    "default bfloat16, gradient checkpointing, all weights, batches of 8 in random order; added "
    "are one epoch in place of three, an output folder, no bar and no checkpoint"
)
BARE_LOOP = (
    "forward, loss, backward, clipping, fused AdamW in float32 on the same LoRA, over the batches "
    "of our own run, collated before the clock starts"
)


@dataclass
class Record:
    """What a trainer did while it was recorded."""

    seconds: float = 0.0
    batches: list[dict[str, torch.Tensor]] = field(default_factory=list)

    def work(self, seconds: float | None = None) -> Work:
        """Return the examples and tokens (no padding) of all batches, in this time or another."""
        # A pair is two rows of a batch, the chosen and the rejected response.
        examples = sum(
            len(batch["input_ids"]) // (2 if "completion_mask" in batch else 1)
            for batch in self.batches
        )
        tokens = sum(int(batch["attention_mask"].sum()) for batch in self.batches)
        return Work(self.seconds if seconds is None else seconds, examples, tokens)


@contextlib.contextmanager
def recorded() -> Iterator[Record]:
    """Time ``Trainer.train`` and keep its batches, whoever calls it within the block.

    So one clock serves every trainer: loading, tokenizing and saving the model are outside, and
    all that a trainer does between its batches is inside.
    """
    record, train, step = Record(), Trainer.train, Trainer.training_step

    def timed_train(self, *args, **kwargs):
        started = time.perf_counter()
        result = train(self, *args, **kwargs)
        record.seconds = time.perf_counter() - started
        return result

    def kept_step(self, model, inputs, *args, **kwargs):
        record.batches.append(dict(inputs))
        return step(self, model, inputs, *args, **kwargs)

    with (
        patch.object(Trainer, "train", timed_train),
        patch.object(Trainer, "training_step", kept_step),
    ):
        yield record


def fitting(rows: Dataset, tokenizer, max_length: int, count: int) -> Dataset:
    """Return the first rows that no side has to shorten, so that all sides see the same tokens."""

    def fits(row: dict) -> bool:
        responses = [row[name] for name in ("completion", "chosen", "rejected") if name in row]
        turns = [row["prompt"] + response for response in responses]
        ids = tokenizer.apply_chat_template(turns)["input_ids"]
        return max(map(len, ids)) <= max_length

    return rows.select(list(islice((i for i, row in enumerate(rows) if fits(row)), count)))


class Runs:
    """The training runs of one benchmark: made when first asked for, in a folder of their own.

    Args:
        model: ``"tiny"`` or a model folder.
        folder: an empty one.

    Raises:
        ModelError: no model there, or a run with an adapter, from which plain TRL cannot start.
    """

    def __init__(self, model: str | Path, sizes: Sizes, folder: Path):
        if resolve(model).adapter:
            raise ModelError(f"{model}: a run with an adapter; give the model that it is based on")
        self.model, self.sizes, self.folder = model, sizes, folder
        self.base = base_path(resolve(model).base)
        self.tokenizer = load_tokenizer(model)
        self.record = Record()  # of our latest run

    @cached_property
    def demonstrations(self) -> Dataset:
        """Return rows of the recipe's demonstrations."""
        rows, length = sft_dataset("world:sft"), SFT_RECIPE["max_length"]
        return fitting(rows, self.tokenizer, length, self.sizes.sft_examples)

    @cached_property
    def comparisons(self) -> Dataset:
        """Return rows of the recipe's comparisons."""
        rows, length = preference_dataset("world:preferences"), DPO_RECIPE["max_length"]
        return fitting(rows, self.tokenizer, length, self.sizes.dpo_pairs)

    def sft(self) -> Work:
        """Fine-tune the model once over the demonstrations, by the recipe."""
        return self._ours(sft, self.model, self.demonstrations, "sft")

    def dpo(self) -> Work:
        """Align the SFT run once over the comparisons, by the recipe with the loss of DPO alone."""
        return self._ours(dpo, self.sft_run, self.comparisons, "dpo", loss_type="sigmoid")

    def _ours(self, method, model: str | Path, rows: Dataset, name: str, **options) -> Work:
        with recorded() as self.record:
            method(
                model, rows, self.folder / name,
                num_train_epochs=1, overwrite=True, progress=False, **options,
            )  # fmt: skip
        return self.record.work()

    @cached_property
    def sft_run(self) -> Path:
        """Return the folder of an SFT run."""
        if not (self.folder / "sft").exists():
            self.sft()
        return self.folder / "sft"

    @cached_property
    def dpo_run(self) -> Path:
        """Return the folder of a DPO run that goes on from the SFT run."""
        if not (self.folder / "dpo").exists():
            self.dpo()
        return self.folder / "dpo"

    @cached_property
    def merged(self) -> Path:
        """Return the SFT run as a model folder, where plain TRL starts, in the base's dtype."""
        with runs.quiet():
            model = AutoModelForCausalLM.from_pretrained(self.base)
            model = PeftModel.from_pretrained(model, self.sft_run / "adapter").merge_and_unload()
            model.save_pretrained(self.folder / "merged")
        self.tokenizer.save_pretrained(self.folder / "merged")
        return self.folder / "merged"

    def plain_trl(self, trainer_class, config_class, model: str | Path, rows: Dataset) -> Work:
        """Train as TRL's documentation shows it."""
        with (
            recorded() as record,
            runs.quiet(),
            contextlib.redirect_stdout(io.StringIO()),  # without a bar the trainer prints its logs
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", FutureWarning)  # of TRL's own use of Transformers
            args = config_class(
                use_cpu=True,
                num_train_epochs=1,
                output_dir=str(self.folder / "plain"),
                save_strategy="no",  # the default saves at the end, and ours is timed without
                disable_tqdm=True,
            )
            trainer_class(model=str(model), train_dataset=rows, args=args).train()
        return record.work()

    def bare(self, loop: Callable, model: str | Path) -> Work:
        """Run a loop of bare.py over the batches of our latest run."""
        seconds, _ = loop(model, self.record.batches)
        return self.record.work(seconds)


def measure_sft(made: Runs) -> list[Row]:
    """Compare our SFT with plain TRL and with a bare loop."""
    sides = {
        "ours": made.sft,
        "plain TRL": lambda: made.plain_trl(SFTTrainer, SFTConfig, made.base, made.demonstrations),
        "bare loop": lambda: made.bare(sft_loop, made.model),
    }
    return _rows("SFT", "examples/s", 8.0, sides, made.sizes.repetitions, SFT_RECIPE)


def measure_dpo(made: Runs) -> list[Row]:
    """Compare our DPO with plain TRL and with a bare loop; all start from one SFT run."""
    sides = {
        "ours": made.dpo,
        "plain TRL": lambda: made.plain_trl(DPOTrainer, DPOConfig, made.merged, made.comparisons),
        "bare loop": lambda: made.bare(dpo_loop, made.sft_run),
    }
    return _rows("DPO", "pairs/s", 6.0, sides, made.sizes.repetitions, DPO_RECIPE)


def _rows(method: str, unit: str, goal: float, sides, repetitions: int, recipe: dict) -> list[Row]:
    works = in_turn(method, sides, repetitions)
    did = {(work.examples, work.tokens) for side in works.values() for work in side}
    if len(did) > 1:
        raise RuntimeError(f"{method}: not all did the same work (examples, tokens): {did}")
    settings = {"plain TRL": PLAIN_TRL.format(method), "bare loop": BARE_LOOP}
    goals = {"plain TRL": goal, "bare loop": 0.9}
    return [
        rate_row(
            f"{method} against {'a ' * (side == 'bare loop')}{side}", unit, goals[side],
            works["ours"], works[side], our_settings=recipe, their_settings=settings[side],
        )
        for side in goals
    ]  # fmt: skip
