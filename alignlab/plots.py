"""Draw the metrics of runs: every function takes matplotlib Axes and returns them.

The drawn numbers stay readable in the Axes (``ax.get_lines()[0].get_xydata()``), so that a
notebook can assert on what its reader sees. Colours are Okabe and Ito's (2008), which people with
any colour vision tell apart; dashes and marker shapes say the same in black and white.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve
from matplotlib.patheffects import withStroke

from alignlab import concepts
from alignlab.evaluate import Score

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#000000")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
# Measures whose key does not read well; of the others the key itself is shown.
TITLES = {
    "known_fact_new_wording": "known fact,\nnew wording",
    "contract_parties": "contract,\nboth parties",
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


def concept_map(ax: Axes | None = None) -> Axes:
    """Draw what to learn before what: a column for each chapter, an arrow for each direct step.

    An arrow leads from what is learned before to what is learned after. It has the colour of the
    column that it leaves, and passes other columns between their boxes.

    Args:
        ax: at least as large as in the figure made without it, or titles do not fit their boxes.
    """
    if ax is None:
        ax = plt.figure(figsize=(17, 9), layout="constrained").add_subplot()
    course = concepts.load()
    places = concepts.places(course)
    for column, chapter in enumerate(course.chapters):
        ax.text(
            column, -0.62, fill(f"{int(chapter.number)}  {chapter.title}", 21), ha="center",
            va="bottom", fontsize=11.5, fontweight="bold", color=_column_colour(column),
        )  # fmt: skip
    for concept in course.concepts:
        column, row = places[concept.id]
        ax.add_patch(
            FancyBboxPatch(
                (column - _WIDTH / 2, row - _HEIGHT / 2), _WIDTH, _HEIGHT, gid=concept.id,
                boxstyle="round,pad=0,rounding_size=0.06", facecolor="white", linewidth=1.4,
                edgecolor=_column_colour(column), zorder=3,
            )
        )  # fmt: skip
        title = fill(concept.title, 21, break_on_hyphens=False)
        ax.text(column, row, title, ha="center", va="center", fontsize=10, zorder=4)
    # The longest first: where arrows cross, the later one has a white rim.
    steps = concepts.edges(course)
    steps.sort(key=lambda step: places[step[0]][0] - places[step[1]][0])
    for lane, (before, after) in enumerate(steps):
        points = _arrow(places[before], places[after], list(places.values()), lane % 4 - 2)
        ax.add_patch(
            FancyArrowPatch(
                path=Curve(points, [Curve.MOVETO] + [Curve.CURVE4] * (len(points) - 1)),
                arrowstyle="-|>", mutation_scale=11, linewidth=1.4, shrinkA=0, shrinkB=0,
                color=_column_colour(places[before][0]), zorder=2, gid=f"{before} {after}",
                path_effects=[withStroke(linewidth=4, foreground="white")],
            )
        )  # fmt: skip
    ax.set_xlim(-0.6, len(course.chapters) - 0.55)
    ax.set_ylim(max(row for _, row in places.values()) + 0.4, -1.1)
    ax.axis("off")
    return ax


_WIDTH, _HEIGHT = 0.75, 0.66  # of a concept's box; columns and rows are 1 apart


def _column_colour(column: int) -> str:
    return COLOURS[column % len(COLOURS)]


def _arrow(
    start: concepts.Point, end: concepts.Point, boxes: Sequence[concepts.Point], lane: int
) -> list[tuple[float, float]]:
    """Return the points of an arrow's cubic Bézier curves; ``lane`` keeps arrows in a gap apart."""
    (column, row), (to_column, to_row) = start, end
    left, right = column - _WIDTH / 2, column + _WIDTH / 2
    if column == to_column and to_row == row + 1:
        top, bottom = row + _HEIGHT / 2, to_row - _HEIGHT / 2
        return [(column, y) for y in (top, top * 0.7 + bottom * 0.3, bottom - 0.01, bottom)]
    if column == to_column:
        bow, low = left - 0.1 - 0.02 * abs(to_row - row), row + _HEIGHT / 4
        return [(left, low), (bow, low), (bow, to_row), (left, to_row)]
    points = [(right, row)]
    gaps = [(c, gap + 0.06 * lane) for c, gap in concepts.passages(start, end, boxes)]
    for c, y in [*gaps, end]:
        middle = (points[-1][0] + c - _WIDTH / 2) / 2
        points += [(middle, points[-1][1]), (middle, y), (c - _WIDTH / 2, y)]
        if c != to_column:
            points += [(c, y), (c, y), (c + _WIDTH / 2, y)]
    return points


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
