"""The table, the JSON file and the plot of what was measured, with the facts of the machine."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from alignlab.doctor import doctor

from .setting import Row, Sizes

# What decides how fast 16-bit and 32-bit arithmetic are.
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16", "sve")


def machine(model: str | Path) -> dict:
    """Return what a reader needs to know of the machine and the model to judge the figures."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    entries = {key.strip(): value.strip() for key, _, value in (s.partition(":") for s in lines)}
    flags = entries.get("flags", entries.get("Features", "")).split()
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
    return {
        "cpu": entries.get("model name") or platform.processor() or platform.machine(),
        "cores": len(usable),
        "threads": torch.get_num_threads(),
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_flags": [flag for flag in CPU_FLAGS if flag in flags],
        "load_at_start": round(os.getloadavg()[0], 2),
        "versions": doctor()["versions"],
        "model": str(model),
    }


def table(rows: Sequence[Row], facts: dict) -> str:
    """Lay the rows out, under a heading and above the facts."""
    head = ("measure", "unit", "ours", "baseline", "ratio", "goal", "met")
    cells = [head]
    for row in rows:
        goal = "" if row.goal is None else f">= {row.goal:g}x"
        met = {True: "yes", False: "no", None: ""}[row.met]
        figures = (_figure(row.ours), _figure(row.baseline), f"{row.ratio:.2f}x")
        cells.append((row.measure, row.unit, *figures, goal, met))
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = []
    for line in cells:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths)]
        right = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:])]
        lines.append("  ".join(left + right).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    known = {name: value for name, value in facts.items() if name != "versions"} | facts["versions"]
    texts = {n: " ".join(v) if isinstance(v, list) else str(v) for n, v in known.items()}
    lines += ["", "; ".join(f"{name} {text}" for name, text in texts.items())]
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def write_json(path: Path, rows: Sequence[Row], facts: dict, sizes: Sizes) -> None:
    """Write everything, every single repetition too; the file appears whole or not at all."""
    found = [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows]
    part = path.with_name(path.name + ".part")
    content = {"machine": facts, "sizes": asdict(sizes), "rows": found}
    part.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(part, path)


def draw(rows: Sequence[Row], folder: Path) -> Path:
    """Draw time and memory against size: every run a dot, a line through the medians."""
    from matplotlib.figure import Figure

    from alignlab.plots import COLOURS

    grown = [row for row in rows if "medians" in row.details]
    figure = Figure(figsize=(10, 3.6 * len(grown) / 2), layout="constrained")
    for ax, row in zip(figure.subplots(len(grown) // 2, 2).flat, grown):
        medians, quantity = row.details["medians"], row.details["quantity"]
        ax.plot(medians.keys(), medians.values(), color=COLOURS[0])
        for size, runs in row.details["runs"].items():
            ax.plot(
                [size] * len(runs), [run[quantity] for run in runs], "o",
                color=COLOURS[0], alpha=0.6,
            )  # fmt: skip
        ax.set_xticks(list(medians))
        ax.set_xlabel(row.details["variable"])
        ax.set_ylabel("training time (s)" if quantity == "seconds" else "peak memory (MiB)")
        ax.set_ylim(0)
        ax.grid(color="#dddddd")
        ax.set_axisbelow(True)
    path = folder / "scaling.png"
    figure.savefig(path, dpi=120)
    return path
