"""What runs alongside a trainer: the order of the examples, checkpoints, metrics."""

import json
from types import SimpleNamespace

import tiny_model

from alignlab import callbacks
from alignlab.callbacks import Checkpoints, LengthGroups, MetricsLog


def test_batches_are_of_like_length_in_an_order_of_their_own():
    lengths = [(37 * i) % 101 for i in range(203)]
    groups = LengthGroups(lengths, batch_size=8, seed=1, epoch=lambda: 0)
    batches = groups.batches(0)
    assert sorted(row for batch in batches for row in batch) == list(range(203))
    assert [len(batch) for batch in batches] == [8] * 25 + [3]
    assert max(lengths) == max(lengths[row] for row in batches[0] + batches[-1])
    spread = [max(lengths[r] for r in b) - min(lengths[r] for r in b) for b in batches[:-1]]
    assert max(spread) < 20  # of 101; eight rows at random are 78 apart on average
    assert groups.batches(0) == batches != groups.batches(1)
    other = LengthGroups(lengths, batch_size=8, seed=2, epoch=lambda: 0)
    assert other.batches(0) != batches
    assert list(groups) == [row for batch in batches for row in batch]
    # Half-way through its second epoch a resumed run asks for the order of the second.
    resumed = LengthGroups(lengths, batch_size=8, seed=1, epoch=lambda: 1.5)
    assert list(resumed) == [row for batch in groups.batches(1) for row in batch]


def test_checkpoints_come_by_the_clock_and_cost_little(monkeypatch):
    clock, control = SimpleNamespace(now=0.0), SimpleNamespace(should_save=False)
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: clock.now)
    state, args = SimpleNamespace(global_step=1, max_steps=999), SimpleNamespace(save_strategy="no")
    callback = Checkpoints(seconds=30)
    callback.on_train_begin(args, state, control)
    saved = []
    while clock.now < 400:
        clock.now += 10
        control.should_save = False
        callback.on_step_end(args, state, control)
        if control.should_save:
            saved.append(clock.now)
            clock.now += 5  # writing takes five seconds
            callback.on_save(args, state, control)
    # After 30 s the first; from then on not before 20 times its cost has gone by.
    assert saved == [40, 155, 270, 385]
    args.save_strategy = "steps"
    clock.now, control.should_save = 1000, False
    callback.on_step_end(args, state, control)
    assert not control.should_save


def test_metrics_of_lost_steps_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "seconds": 2.0 * step}) for step in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"step": 4, "los')
    state = SimpleNamespace(global_step=2, epoch=1.0, is_world_process_zero=True)
    log = MetricsLog(path)
    log.on_train_begin(None, state, None)
    state.global_step = 3
    log.on_log(None, state, None, logs={"loss": 1.5})
    rows = tiny_model.metrics(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[2]["loss"] == 1.5
    assert rows[2]["seconds"] >= 4.0  # goes on from the time of the last row
