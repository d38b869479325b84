"""figures.py: what is drawn is what was measured."""

import pytest
from matplotlib import pyplot as plt

from alignlab.evaluate import Score
from alignlab.figures import bars, curves, frontier

LOW, HIGH = Score(0.25, 0.125, 0.5, 40), Score(0.75, 0.5, 0.875, 40)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def segments(container):
    """Return the end points of an error bar's lines along y."""
    return [[tuple(p) for p in s] for s in container.lines[2][-1].get_segments()]


def test_curves_show_values_intervals_and_what_was_varied(ax):
    curves(
        [10, 100], {"one": [LOW, HIGH], "two": [HIGH, HIGH]}, ax, "examples", "share",
        log_x=True, target=0.9, target_label="ceiling",
    )  # fmt: skip
    first, second = ax.containers
    assert first.lines[0].get_xydata().tolist() == [[10, 0.25], [100, 0.75]]
    assert second.lines[0].get_xydata().tolist() == [[10, 0.75], [100, 0.75]]
    assert segments(first) == [[(10, 0.125), (10, 0.5)], [(100, 0.5), (100, 0.875)]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["ceiling", "one", "two"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("examples", "share", "log")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10", "100"]
    assert first.lines[0].get_linestyle() != second.lines[0].get_linestyle()


def test_bars_stand_in_groups(ax):
    bars({"a task": {"base": LOW, "SFT": HIGH}, "another": {"base": LOW, "SFT": LOW}}, ax, "share")
    heights = [[bar.get_height() for bar in c] for c in ax.containers if hasattr(c, "patches")]
    assert heights == [[0.25, 0.25], [0.75, 0.25]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a task", "another"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["base", "SFT"]


def test_a_frontier_joins_points_in_their_order_and_names_them(ax):
    kl = Score(3.0, 2.0, 4.0, 10)
    frontier({"DPO": [(kl, LOW, "0.5"), (LOW, HIGH, "0.1")]}, ax, "KL (nats)", "reward")
    (container,) = ax.containers
    assert container.lines[0].get_xydata().tolist() == [[3.0, 0.25], [0.25, 0.75]]
    assert [note.get_text() for note in ax.texts] == ["0.5", "0.1"]


def test_more_names_than_can_be_told_apart_are_refused(ax):
    with pytest.raises(ValueError, match="5 names; 4 can be told apart"):
        curves([1], {name: [LOW] for name in "abcde"}, ax, "x", "y")


def test_an_interval_that_rounding_put_beside_its_value_is_drawn_empty(ax):
    curves([1], {"a": [Score(1.0, 0.9, 1.0 - 1e-16, 5)]}, ax, "x", "y")
    assert segments(ax.containers[0])[0][1] == pytest.approx((1, 1.0))
