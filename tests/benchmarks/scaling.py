"""Time and peak memory of SFT against the number of examples and the length of the sequences.

Every run has a process of its own, since the peak of a process never falls.
"""

import resource
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from datasets import Dataset

from alignlab.sft import sft
from alignlab.world.recipes import chat

from .setting import Row, in_turn
from .training import Runs, recorded


@dataclass(frozen=True)
class Run:
    """One SFT run in a process of its own.

    Attributes:
        seconds: of training.
        peak_mib: the most memory that the process had at any time.
        libraries_mib: what of it was there before the run.
    """

    examples: int
    tokens: int
    seconds: float
    peak_mib: float
    libraries_mib: float


def measure_scaling(made: Runs) -> list[Row]:
    """Run SFT on three numbers of examples, and on examples of three lengths."""
    sizes = made.sizes
    rows = {n: (made.demonstrations.select(range(n)), {}) for n in sizes.scaling_examples}
    same = {
        length: (
            long_rows(made.demonstrations, length, sizes.length_examples),
            {"max_length": length},
        )
        for length in sizes.scaling_lengths
    }
    return _growth(made, "examples", rows) + _growth(made, "tokens each", same)


def long_rows(rows: Dataset, length: int, count: int) -> Dataset:
    """Return demonstrations of more than ``length`` tokens, which training cuts to that many."""
    responses = " ".join(turns[0]["content"] for turns in rows["completion"])
    words = responses.split()  # none is less than a token
    texts = (" ".join(words[start : start + length]) for start in range(count))
    return Dataset.from_list([chat("Go on.", text) for text in texts])


def _growth(made: Runs, variable: str, runs_by_size: dict[int, tuple[Dataset, dict]]) -> list[Row]:
    """Return two rows, of time and of memory: the largest size against the smallest."""
    sides = {
        size: partial(_alone, made.model, rows, options)
        for size, (rows, options) in runs_by_size.items()
    }
    done = in_turn(f"SFT by {variable}", sides, made.sizes.repetitions)
    first, *_, last = runs_by_size
    details = {
        "variable": variable,
        "runs": {size: [asdict(run) for run in runs] for size, runs in done.items()},
    }
    table = []
    for quantity, name, unit in (("seconds", "time", "s"), ("peak_mib", "memory", "MiB")):
        medians = {
            size: statistics.median(getattr(run, quantity) for run in runs)
            for size, runs in done.items()
        }
        measure = f"SFT {name}, {last} against {first} {variable}"
        more = {"quantity": quantity, "medians": medians}
        table.append(Row(measure, unit, medians[last], medians[first], None, details | more))
    return table


def _alone(model: str | Path, rows: Dataset, options: dict) -> Run:
    # On Linux a process started by exec inherits the peak of its parent, and a fork of a small
    # server does not; elsewhere a fork after these imports is not safe.
    context = get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(["alignlab.sft"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_run, model, rows, options, torch.get_num_threads()).result()


def _run(model: str | Path, rows: Dataset, options: dict, threads: int) -> Run:
    torch.set_num_threads(threads)
    libraries = _peak_mib()
    with tempfile.TemporaryDirectory(prefix="alignlab-bench-") as folder, recorded() as record:
        sft(model, rows, Path(folder) / "run", num_train_epochs=1, progress=False, **options)
    work = record.work()
    return Run(work.examples, work.tokens, work.seconds, _peak_mib(), libraries)


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB on Linux
