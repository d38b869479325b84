"""Draw the metrics of runs: every function takes matplotlib Axes and returns them.

The drawn numbers stay readable in the Axes (``ax.get_lines()[0].get_xydata()``), so that a
notebook can assert on what its reader sees. Colours are Okabe and Ito's (2008), which people with
any colour vision tell apart; dashes and marker shapes say the same in black and white.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from alignlab.evaluate import Score

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#000000")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
# Measures whose key does not read well; of the others the key itself is shown.
TITLES = {
    "known_fact_new_wording": "known fact,\nnew wording",
    "unknown_made_up": "made-up answer on\nunknown product\n(lower is better)",
}


def read_metrics(run_folder: str | Path) -> list[dict]:
    """Read what a run logged, one row for each step that logged anything, in order.

    What a resumed run logged again replaces what it had logged before it was killed.

    Raises:
        FileNotFoundError: no ``metrics.jsonl`` there.
    """
    rows: dict[int, dict] = {}
    for line in (Path(run_folder) / "metrics.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        rows[row["step"]] = rows.get(row["step"], {}) | row
    return [rows[step] for step in sorted(rows)]


def series(metrics: Sequence[dict], key: str) -> tuple[list[int], list[float]]:
    """Return the steps at which a quantity was logged, and its values."""
    rows = [row for row in metrics if key in row]
    return [row["step"] for row in rows], [row[key] for row in rows]


def loss_curve(metrics: Sequence[dict], ax: Axes, floor: float | None = None) -> Axes:
    """Draw training loss, and held-out loss where it was logged, against the step.

    Args:
        metrics: rows of ``read_metrics``.
        floor: the loss that no model can go below on new data, such as the labels' entropy, in
            the loss's own unit.
    """
    pairs = any("rewards/margins" in row or "margin" in row for row in metrics)
    _line(ax, metrics, "loss", "training", 0)
    if any("eval_loss" in row for row in metrics):
        _line(ax, metrics, "eval_loss", "held out", 1)
    if floor is not None:
        ax.axhline(floor, color="#595959", linestyle=(0, (1, 1)), label=f"floor {floor:.3f}")
    return _finish(ax, f"loss (nats per {'pair' if pairs else 'token'})")


def dpo_curves(metrics: Sequence[dict], axes: Sequence[Axes]) -> Sequence[Axes]:
    """Draw DPO's implicit rewards and their margin in the first Axes, accuracy in the second.

    A reward is beta times the log-ratio of policy to reference, summed over the response
    (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290), so it is in nats and begins at 0.
    """
    rewards, accuracy = axes
    for place, name in enumerate(("chosen", "rejected", "margin")):
        _line(rewards, metrics, f"rewards/{name}" + "s" * (name == "margin"), name, place)
    rewards.axhline(0, color="#595959", linewidth=0.8)
    _finish(rewards, "implicit reward (nats)")
    _line(accuracy, metrics, "rewards/accuracies", "chosen above rejected", 0)
    accuracy.axhline(0.5, color="#595959", linestyle=(0, (1, 1)), label="chance")
    accuracy.set_ylim(0, 1.03)
    _finish(accuracy, "accuracy (share of pairs)")
    return axes


def score_table(scores_by_model: Mapping[str, Mapping[str, Score]], ax: Axes) -> Axes:
    """Draw the score table: a row for each measure, a dot with its 95% interval for each model.

    Args:
        scores_by_model: what ``evaluate`` returned, by model name; at most four models. A model
            may lack a measure (the base has no win rate).

    Raises:
        ValueError: more models than can be told apart.
    """
    if len(scores_by_model) > len(MARKERS):
        raise ValueError(f"{len(scores_by_model)} models; {len(MARKERS)} can be told apart")
    measures = list(dict.fromkeys(name for scores in scores_by_model.values() for name in scores))
    spread = 0.6 / len(scores_by_model)
    for place, (model, scores) in enumerate(scores_by_model.items()):
        shown = [scores[name] for name in measures if name in scores]
        shift = (place - (len(scores_by_model) - 1) / 2) * spread
        # An interval at 0 or 1 may end a rounding error short of the value.
        below = [max(0.0, score.value - score.low) for score in shown]
        above = [max(0.0, score.high - score.value) for score in shown]
        ax.errorbar(
            [score.value for score in shown],
            [row + shift for row, name in enumerate(measures) if name in scores],
            xerr=[below, above], fmt=MARKERS[place], color=COLOURS[place], markersize=6,
            capsize=3, linewidth=1.5, label=model,
        )  # fmt: skip
    for row in range(1, len(measures)):
        ax.axhline(row - 0.5, color="#cccccc", linewidth=0.8)
    titles = [TITLES.get(name, name.replace("_", " ")) for name in measures]
    ax.set_yticks(range(len(measures)), titles)
    ax.set_ylim(len(measures) - 0.5, -0.5)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("share of prompts, with 95% interval")
    ax.grid(axis="x", color="#dddddd")
    ax.set_axisbelow(True)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return ax


def _line(ax: Axes, metrics: Sequence[dict], key: str, label: str, place: int) -> None:
    steps, values = series(metrics, key)
    if not steps:
        raise ValueError(f"these metrics have no {key!r}")
    # A single point has no line to be seen by.
    marker = MARKERS[place] if len(steps) == 1 else None
    ax.plot(
        steps, values, color=COLOURS[place], linestyle=DASHES[place], marker=marker, linewidth=1.8,
        label=label,
    )  # fmt: skip


def _finish(ax: Axes, ylabel: str) -> Axes:
    ax.set_xlabel("optimizer step")
    ax.set_ylabel(ylabel)
    ax.grid(color="#dddddd")
    ax.set_axisbelow(True)
    ax.legend(frameon=False)
    return ax
