"""The table, the JSON file and the plot of what was measured on a GPU."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from alignlab.whole import write_whole

from .gpu_rows import AHEAD, BARE, GOALS, HOW, LEAN, OURS, TRL, Row, Setting, Sizes

HEAD = ("setting", "side", "tokens/s", "GiB", "utilisation", "over TRL's defaults")
NOT = "not measured"


def compared(rows: Sequence[Row]) -> list[dict]:
    """Return for each of our sides its speed and memory over those of TRL's defaults.

    ``bare`` is its speed over that of the bare loop. ``met`` says whether one and the same side
    reaches both goals; None where a figure is missing.
    """
    found = []
    by_side = {(row.setting, row.side): row for row in rows}
    for row in rows:
        if row.side not in (OURS, LEAN):
            continue
        theirs, bare = (by_side[row.setting, side] for side in (TRL, BARE))
        speed = _ratio(row.tokens_per_second, theirs.tokens_per_second)
        memory = _ratio(row.peak_gib, theirs.peak_gib)
        known = speed is not None and memory is not None
        met = speed >= GOALS["speed"] and memory <= GOALS["memory"] if known else None
        found.append(
            {
                "setting": row.setting, "side": row.side, "speed": speed, "memory": memory,
                "met": met, "bare": _ratio(row.tokens_per_second, bare.tokens_per_second),
            }
        )  # fmt: skip
    return found


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours and theirs else None


def reference_costs(rows: Sequence[Row]) -> list[dict]:
    """Return what the reference of DPO costs with LoRA, in seconds for one epoch's pairs.

    ``switching`` is what an epoch takes longer when each step also runs the base, with the adapter
    off, than when the log-probabilities are there already; ``precomputing`` them happens once.
    """
    found = []
    by_side = {(row.setting, row.side): row for row in rows}
    for (setting, side), ahead in by_side.items():
        if side != AHEAD:
            continue
        ours = by_side[setting, OURS]
        known = bool(ours.seconds and ahead.seconds)
        found.append(
            {
                "setting": setting,
                "switching": _median(ours) - _median(ahead) if known else None,
                "precomputing": ahead.before_seconds,
            }
        )
    return found


def _median(row: Row) -> float:
    return row.tokens[0] / row.tokens_per_second  # every epoch has the same tokens


def table(rows: Sequence[Row], facts: dict) -> str:
    """Lay out all rows; what has no figure is "not measured"."""
    ratios = {(ratio["setting"], ratio["side"]): ratio for ratio in compared(rows)}
    lines = [HEAD]
    for row in rows:
        ratio = ratios.get((row.setting, row.side), {})
        against = [
            f"{ratio[name]:.2f}x {name}" for name in ("speed", "memory") if ratio.get(name)
        ]  # fmt: skip
        if ratio.get("bare"):
            against.append(f"{ratio['bare']:.2f}x the bare loop")
        if ratio.get("met") is not None:
            against.append("both goals met" if ratio["met"] else "goals missed")
        lines.append(
            (
                row.setting, row.side, _figure(row.tokens_per_second, "{:.0f}"),
                _figure(row.peak_gib, "{:.2f}"), _figure(row.utilisation, "{:.0%}"),
                ", ".join(against) or row.missing,
            )
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines]
    text.insert(1, "-" * max(map(len, text)))
    for cost in reference_costs(rows):
        switching, ahead = (_figure(cost[n], "{:.2f} s") for n in ("switching", "precomputing"))
        text.append(
            f"{cost['setting']}, reference: switching {switching} an epoch, precomputing {ahead}"
        )
    return "\n".join([*text, "", "; ".join(f"{name} {value}" for name, value in facts.items())])


def _figure(value: float | None, layout: str) -> str:
    return NOT if value is None else layout.format(value)


def write_json(path: Path, rows: Sequence[Row], facts: dict, sizes: Sizes) -> None:
    """Write everything, every single repetition too."""
    content = {
        "machine": facts, "goals": GOALS, "sizes": asdict(sizes), "sides": HOW,
        "rows": [row.as_dict() for row in rows], "over TRL's defaults": compared(rows),
        "reference of DPO": reference_costs(rows),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=1) + "\n")


def draw(settings: Sequence[Setting], rows: Sequence[Row], path: Path) -> None:
    """Draw speed and peak memory, a group of bars for each setting of training."""
    from matplotlib.figure import Figure

    from alignlab.plots import COLOURS

    names = [str(setting) for setting in settings if setting.method != "generation"]
    sides, colours = (OURS, LEAN, AHEAD, TRL, BARE), (*COLOURS, "#CC79A7")
    figure = Figure(figsize=(11, 1.2 + 0.7 * len(names)), layout="constrained")
    by_side = {(row.setting, row.side): row for row in rows}
    quantities = (
        ("tokens_per_second", "tokens a second, no padding"), ("peak_gib", "peak GPU memory (GiB)")
    )  # fmt: skip
    for ax, (quantity, label) in zip(figure.subplots(1, 2, sharey=True), quantities):
        for place, side in enumerate(sides):
            shown = [i for i, name in enumerate(names) if (name, side) in by_side]
            values = [getattr(by_side[names[i], side], quantity) or 0 for i in shown]
            heights = [i + 0.16 * (place - 2) for i in shown]
            ax.barh(heights, values, 0.15, color=colours[place], label=side)
        ax.set_yticks(range(len(names)), names)
        ax.set_xlabel(label)
        ax.grid(axis="x", color="#dddddd")
        ax.set_axisbelow(True)
    figure.axes[0].invert_yaxis()
    figure.axes[1].legend(fontsize="small")
    part = path.with_name(path.name + ".part")
    figure.savefig(part, dpi=120, format="png")
    os.replace(part, path)
