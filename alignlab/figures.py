"""Draw the experiments of the chapters: measured values with their intervals.

As in ``plots``, what is drawn stays readable in the Axes, and no meaning hangs on colour alone.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from alignlab.evaluate import Score
from alignlab.plots import COLOURS, DASHES, MARKERS


def curves(
    xs: Sequence[float],
    scores: Mapping[str, Sequence[Score]],
    ax: Axes,
    xlabel: str,
    ylabel: str,
    *,
    log_x: bool = False,
    target: float | None = None,
    target_label: str = "target",
) -> Axes:
    """Draw measured values with 95% intervals against what was varied, a line for each name.

    Args:
        xs: what was varied, for instance the number of labelled examples.
        scores: by name, one score for each of ``xs``; at most four names.
        log_x: a logarithmic axis, on which a ratio is a distance.
        target: a value to be drawn as a horizontal line, for instance a ceiling that is known.
    """
    _check(scores)
    for place, (name, row) in enumerate(scores.items()):
        ax.errorbar(
            xs, [score.value for score in row], yerr=_reach(row), label=name, capsize=3,
            color=COLOURS[place], linestyle=DASHES[place], marker=MARKERS[place], linewidth=1.8,
        )  # fmt: skip
    if target is not None:
        ax.axhline(target, color="#595959", linestyle=(0, (1, 1)), label=target_label)
    if log_x:
        ax.set_xscale("log")
        ax.set_xticks(xs, [f"{x:g}" for x in xs])
        ax.minorticks_off()
    return _finish(ax, xlabel, ylabel)


def bars(scores: Mapping[str, Mapping[str, Score]], ax: Axes, ylabel: str) -> Axes:
    """Draw groups of bars with 95% intervals: a group for each outer name, a bar for each inner.

    Args:
        scores: by group, then by model; every group has the same models, at most four.
    """
    models = list(next(iter(scores.values())))
    _check(models)
    width = 0.8 / len(models)
    for place, model in enumerate(models):
        row = [group[model] for group in scores.values()]
        ax.bar(
            [i + (place - (len(models) - 1) / 2) * width for i in range(len(scores))],
            [score.value for score in row], width * 0.92, yerr=_reach(row), label=model,
            capsize=3, color=COLOURS[place], hatch=("", "//", "..", "xx")[place],
            edgecolor="white",
        )  # fmt: skip
    ax.set_xticks(range(len(scores)), scores)
    return _finish(ax, "", ylabel)


def frontier(
    points: Mapping[str, Sequence[tuple[Score, Score, str]]], ax: Axes, xlabel: str, ylabel: str
) -> Axes:
    """Draw pairs of measured values with the intervals of both, joined in their order.

    Args:
        points: by name, for each setting the score on the x axis, that on the y axis, and a short
            label that is written beside the point, for instance the value of beta.
    """
    _check(points)
    for place, (name, row) in enumerate(points.items()):
        xs, ys = [x for x, _, _ in row], [y for _, y, _ in row]
        ax.errorbar(
            [x.value for x in xs], [y.value for y in ys], xerr=_reach(xs), yerr=_reach(ys),
            label=name, capsize=2, color=COLOURS[place], linestyle=DASHES[place],
            marker=MARKERS[place], linewidth=1.5,
        )  # fmt: skip
        for x, y, label in row:
            ax.annotate(label, (x.value, y.value), xytext=(6, -12), textcoords="offset points")
    return _finish(ax, xlabel, ylabel)


def _reach(scores: Sequence[Score]) -> tuple[list[float], list[float]]:
    """Return how far the intervals reach below and above; rounding must not make it negative."""
    below = [max(0.0, score.value - score.low) for score in scores]
    return below, [max(0.0, score.high - score.value) for score in scores]


def _check(names) -> None:
    if len(names) > len(MARKERS):
        raise ValueError(f"{len(names)} names; {len(MARKERS)} can be told apart")


def _finish(ax: Axes, xlabel: str, ylabel: str) -> Axes:
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(color="#dddddd")
    ax.set_axisbelow(True)
    ax.legend(frameon=False)
    return ax
