"""DPO over several β and seeds: each run a process of its own, one at a time on each device.

Runs that fit on one device need no launcher: they share nothing, and one that fails stops no other.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import torch

from alignlab.whole import write_whole

SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "kl_ref_policy")


class SweepError(ValueError):
    """A sweep that cannot begin, or of which runs failed."""


def devices() -> list[str | None]:
    """Return the value of ``CUDA_VISIBLE_DEVICES`` for each visible GPU; ``[None]`` for a CPU."""
    if not torch.cuda.is_available():
        return [None]
    # Names may be UUIDs, so what is visible here is handed on as it is.
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return named if named[0] else [str(index) for index in range(torch.cuda.device_count())]


def command(arguments: Sequence[str], beta: float, seed: int, folder: Path) -> list[str]:
    """Return the command of one run, which goes on where it was interrupted."""
    own = ["--beta", f"{beta:g}", "--seed", str(seed), "--output", str(folder)]
    start = [sys.executable, "-m", "alignlab.cli", "dpo"]
    return [*start, *arguments, *own, "--resume", "--no-progress"]


def sweep(
    arguments: Sequence[str], betas: Sequence[float], seeds: Sequence[int], output: str | Path
) -> list[dict]:
    """Run ``alignlab dpo`` for every β with every seed, and return a row for each.

    Called again, it leaves finished runs alone and goes on with the others. What a run prints is in
    ``NAME.log`` beside its folder ``NAME``, which is ``beta0.1-seed0`` or alike.

    Args:
        arguments: of ``alignlab dpo``, without ``--beta``, ``--seed`` and ``--output``.
        output: the folder for all runs.

    Returns:
        ``beta``, ``seed``, ``folder`` and the last ``SHOWN`` metrics of each run.

    Raises:
        SweepError: the folder holds a sweep with other arguments; runs failed (names them, when
            all the others are done).
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    _begin(output / "sweep.json", list(arguments))
    runs = {output / f"beta{b:g}-seed{s}": (b, s) for b, s in product(betas, seeds)}
    _run_all({
        folder: command(arguments, *setting, folder)
        for folder, setting in runs.items() if not folder.exists()
    })  # fmt: skip
    failed = [folder.name for folder in runs if not folder.exists()]
    if failed:
        raise SweepError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}; "
            f"{output / failed[0]}.log says why, and the same command goes on with them"
        )
    return [
        {"beta": beta, "seed": seed, "folder": str(folder)} | _last_metrics(folder)
        for folder, (beta, seed) in runs.items()
    ]


def _begin(record: Path, arguments: list[str]) -> None:
    if record.exists():
        if json.loads(record.read_text()) != arguments:
            raise SweepError(f"{record} names other arguments; choose another folder")
        return
    write_whole(record, json.dumps(arguments) + "\n")


def _run_all(commands: dict[Path, list[str]]) -> None:
    """Start the next command on whatever device is free, until all have ended."""
    waiting, running, visible = list(commands.items()), {}, devices()
    try:
        while waiting or running:
            running = {device: run for device, run in running.items() if run.poll() is None}
            for device in visible:
                if waiting and device not in running:
                    running[device] = _start(*waiting.pop(0), device)
            time.sleep(0.1)
    finally:
        for run in running.values():
            run.terminate()
            run.wait()


def _start(folder: Path, words: list[str], device: str | None) -> subprocess.Popen:
    print(f"{folder.name} on {'the CPU' if device is None else f'GPU {device}'}", flush=True)
    environment = os.environ | ({} if device is None else {"CUDA_VISIBLE_DEVICES": device})
    with folder.with_name(f"{folder.name}.log").open("w") as log:
        return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _last_metrics(folder: Path) -> dict[str, float]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    steps = [row for row in rows if "loss" in row]
    return {name: steps[-1][name] for name in SHOWN}


def table(rows: Sequence[dict]) -> str:
    """Lay out what ``sweep`` returned, a line for each run."""
    lines = ["beta     seed  " + "  ".join(f"{name:>18}" for name in SHOWN)]
    for row in rows:
        figures = "  ".join(f"{row[name]:18.4f}" for name in SHOWN)
        lines.append(f"{row['beta']:<8g} {row['seed']:<4}  {figures}")
    return "\n".join(lines)
