"""plots.py: what is drawn is what was logged, and can be told apart without colour."""

import json
import math
from itertools import combinations

import matplotlib.pyplot as plt
import pytest
from matplotlib.path import Path

from alignlab import concepts
from alignlab.evaluate import Score
from alignlab.plots import concept_map, dpo_curves, loss_curve, read_metrics, score_table, series

SFT = [
    {"step": 5, "loss": 2.5, "learning_rate": 1e-3},
    {"step": 10, "loss": 1.5, "learning_rate": 5e-4},
    {"step": 10, "eval_loss": 1.75},
    {"step": 10, "train_loss": 2.0, "train_runtime": 3.0},
]
DPO = [
    {
        "step": step, "loss": loss, "rewards/chosen": chosen, "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected, "rewards/accuracies": accuracy,
    }
    for step, loss, chosen, rejected, accuracy in (
        (1, math.log(2), 0.0, 0.0, 0.0), (6, 0.4, 0.25, -0.5, 0.75), (11, 0.3, 0.5, -1.0, 1.0),
    )
]  # fmt: skip


@pytest.fixture
def axes():
    figure, axes = plt.subplots(1, 2)
    yield axes
    plt.close(figure)


def points(ax, label):
    """Return what a labelled line of some Axes shows."""
    return next(line for line in ax.get_lines() if line.get_label() == label).get_xydata().tolist()


def write_run(folder, rows):
    folder.joinpath("metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_read_metrics_merges_the_rows_of_a_step(tmp_path):
    read = read_metrics(write_run(tmp_path, SFT))
    assert [row["step"] for row in read] == [5, 10]
    assert read[1] == {
        "step": 10, "loss": 1.5, "learning_rate": 5e-4, "eval_loss": 1.75, "train_loss": 2.0,
        "train_runtime": 3.0,
    }  # fmt: skip
    assert series(read, "eval_loss") == ([10], [1.75])


def test_a_resumed_run_replaces_what_it_logged_before(tmp_path):
    """Killed after step 15, resumed from the checkpoint of step 5: two rows are logged again."""
    logged = [(5, 3.0), (10, 2.0), (15, 1.0), (10, 2.1), (15, 1.1), (20, 0.5)]
    run = write_run(tmp_path, [{"step": step, "loss": loss} for step, loss in logged])
    assert series(read_metrics(run), "loss") == ([5, 10, 15, 20], [3.0, 2.1, 1.1, 0.5])


def test_read_metrics_names_the_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl"):
        read_metrics(tmp_path)


def test_loss_curve_draws_what_was_logged(axes):
    ax = loss_curve(SFT, axes[0], floor=0.5)
    assert ax is axes[0]
    assert points(ax, "training") == [[5, 2.5], [10, 1.5]]
    assert points(ax, "held out") == [[10, 1.75]]
    assert {y for _, y in points(ax, "floor 0.500")} == {0.5}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("optimizer step", "loss (nats per token)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "training", "held out", "floor 0.500",
    ]  # fmt: skip


def test_loss_on_pairs_is_per_pair(axes):
    assert loss_curve(DPO, axes[0]).get_ylabel() == "loss (nats per pair)"
    assert points(axes[0], "training")[0] == [1, math.log(2)]


def test_one_logged_point_can_be_seen(axes):
    line = loss_curve(SFT[:1], axes[0]).get_lines()[0]
    assert line.get_marker() not in (None, "None", "")


def test_metrics_without_the_quantity_are_refused(axes):
    with pytest.raises(ValueError, match="rewards/chosen"):
        dpo_curves(SFT, axes)


def test_dpo_curves_draw_rewards_margin_and_accuracy(axes):
    rewards, accuracy = dpo_curves(DPO, axes)
    assert points(rewards, "chosen") == [[1, 0.0], [6, 0.25], [11, 0.5]]
    assert points(rewards, "rejected") == [[1, 0.0], [6, -0.5], [11, -1.0]]
    assert points(rewards, "margin") == [[1, 0.0], [6, 0.75], [11, 1.5]]
    assert points(accuracy, "chosen above rejected") == [[1, 0.0], [6, 0.75], [11, 1.0]]
    assert rewards.get_ylabel() == "implicit reward (nats)"
    assert accuracy.get_ylabel() == "accuracy (share of pairs)"
    names = ("chosen", "rejected", "margin")
    lines = [line for line in rewards.get_lines() if line.get_label() in names]
    assert len({line.get_linestyle() for line in lines}) == 3
    assert len({line.get_color() for line in lines}) == 3


SCORES = {
    "base": {"contract": Score(0.25, 0.125, 0.5, 8)},
    "SFT": {"contract": Score(0.75, 0.5, 0.875, 8), "win_rate": Score(0.5, 0.5, 0.5, 8)},
}


def test_score_table_draws_values_and_intervals(axes):
    ax = score_table(SCORES, axes[0])
    base, sft = ax.containers
    assert base.get_label() == "base"
    assert base.lines[0].get_xdata().tolist() == [0.25]
    assert sft.lines[0].get_xdata().tolist() == [0.75, 0.5]
    bars = [segment[:, 0].tolist() for segment in sft.lines[2][0].get_segments()]
    assert bars == [[0.5, 0.875], [0.5, 0.5]]
    assert base.lines[0].get_marker() != sft.lines[0].get_marker()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["contract", "win rate"]
    # Read from the top, models in the order given: smaller is higher.
    assert ax.yaxis_inverted()
    assert base.lines[0].get_ydata()[0] < sft.lines[0].get_ydata()[0]
    # Each dot is nearer to its own measure's tick than to the next.
    assert [round(y) for y in sft.lines[0].get_ydata()] == [0, 1]


@pytest.mark.parametrize("score", [Score(0.0, 1e-17, 0.02, 240), Score(1.0, 0.98, 1 - 1e-16, 240)])
def test_intervals_a_rounding_error_short_can_be_drawn(axes, score):
    """Wilson's interval ends at 0 or 1 up to rounding; matplotlib refuses negative lengths."""
    ax = score_table({"SFT": {"contract": score}}, axes[0])
    (bar,) = ax.containers[0].lines[2][0].get_segments()
    assert bar[:, 0] == pytest.approx([score.low, score.high])


def test_less_is_better_is_said(axes):
    ax = score_table({"SFT": {"unknown_made_up": Score(0.1, 0.0, 0.2, 10)}}, axes[0])
    assert "lower is better" in ax.get_yticklabels()[0].get_text()


def test_more_models_than_marks_are_refused(axes):
    models = {f"model {i}": SCORES["base"] for i in range(5)}
    with pytest.raises(ValueError, match="5 models"):
        score_table(models, axes[0])


@pytest.fixture(scope="module")
def drawn():
    """The concept map in its own size, with its boxes and arrows by what they stand for."""
    ax = concept_map()
    ax.figure.canvas.draw()
    found = {patch.get_gid(): patch for patch in ax.patches}
    course = concepts.load()
    boxes = {name: found.pop(name) for name in course.by_id}
    yield ax, course, boxes, found
    plt.close(ax.figure)


def test_concept_map_draws_every_concept_and_every_step(drawn):
    ax, course, _, arrows = drawn
    assert set(arrows) == {f"{before} {after}" for before, after in concepts.edges(course)}
    shown = [" ".join(text.get_text().split()) for text in ax.texts]
    headings = [f"{int(chapter.number)} {chapter.title}" for chapter in course.chapters]
    assert sorted(shown) == sorted([c.title for c in course.concepts] + headings)


def test_concept_map_has_no_overlaps(drawn):
    ax, course, boxes, _ = drawn
    titles = {}
    for text in ax.texts:
        title = " ".join(text.get_text().split())
        titles[title] = text.get_window_extent()
        assert ax.figure.bbox.fully_containsx(titles[title].x0), title
        assert ax.figure.bbox.fully_containsx(titles[title].x1), title
    for first, second in combinations(titles, 2):
        assert not titles[first].overlaps(titles[second]), (first, second)
    for name, box in boxes.items():
        outer, inner = box.get_window_extent(), titles[course.by_id[name].title]
        assert (outer.x0 < inner.x0, inner.x1 < outer.x1) == (True, True), name
        assert (outer.y0 < inner.y0, inner.y1 < outer.y1) == (True, True), name


def test_concept_map_leads_arrows_from_box_to_box_and_through_no_other(drawn):
    ax, _, boxes, arrows = drawn
    extents = {name: box.get_window_extent() for name, box in boxes.items()}
    for step, arrow in arrows.items():
        before, after = step.split()
        points, head = ax.transData.transform_path(arrow.get_path()).to_polygons(closed_only=False)
        assert extents[before].padded(2).contains(*points[0]), step
        assert any(extents[after].padded(5).contains(*point) for point in head), step
        between = Path(points).interpolated(20).vertices
        for name, extent in extents.items():
            inside = [point for point in between if extent.padded(-2).contains(*point)]
            assert not inside, (step, name)


def test_concept_map_takes_axes(axes):
    assert concept_map(axes[0]) is axes[0]
    assert axes[0].texts
    assert not axes[1].texts
