"""The benchmarks run, and both sides of every ratio do the same work. No time is asserted."""

import contextlib
import io
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
import torch
from benchmarks.__main__ import MEASURES, main
from benchmarks.bare import dpo_loop, sft_loop
from benchmarks.setting import Row, Sizes, Work, in_turn, rate_row
from benchmarks.training import Runs, measure_sft
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

ROOT = Path(__file__).resolve().parents[1]
SIZES = Sizes(
    sft_examples=20, dpo_pairs=20, prompts=3, max_new_tokens=4, scaling_examples=(8, 12, 20),
    scaling_lengths=(24, 32, 48), length_examples=8, repetitions=1,
)  # fmt: skip
GOALS = [8, 0.9, 6, 0.9, 5, None, None, None, None, None]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Everything once: what was printed, the JSON and the folder of plots."""
    folder = tmp_path_factory.mktemp("bench")
    command = ["--model", str(tiny_model.folder()), "--plots", str(folder / "plots")]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*command, "--json", str(folder / "new" / "bench.json")], SIZES) == 0
    content = json.loads((folder / "new" / "bench.json").read_text())
    return printed.getvalue(), content, folder / "plots"


@pytest.mark.slow
def test_table_and_json_have_every_row(measured):
    printed, content, _ = measured
    rows = content["rows"]
    assert [row["goal"] for row in rows] == GOALS
    lines = printed.splitlines()
    assert lines[0].split() == ["measure", "unit", "ours", "baseline", "ratio", "goal", "met"]
    for line, row in zip(lines[2:], rows):
        assert line.startswith(row["measure"])
        assert f"{row['ratio']:.2f}x" in line
        verdict = {True: "yes", False: "no", None: f"{row['ratio']:.2f}x"}
        assert line.split()[-1] == verdict[row["met"]]
    names = "\n".join(row["measure"] for row in rows)
    assert [names.count(name) for name in ("SFT against", "DPO against", "generation")] == [2, 2, 1]
    assert f"threads {torch.get_num_threads()}" in printed
    assert content["machine"]["versions"].keys() >= {"python", "torch", "trl", "alignlab"}


@pytest.mark.slow
def test_both_sides_did_the_same_work(measured):
    _, content, _ = measured
    sft, sft_bare, dpo, dpo_bare, generation, *_ = content["rows"]
    for row in (sft, sft_bare, dpo, dpo_bare, generation):
        assert row["ours"] > 0
        ours, baseline = row["details"]["ours"], row["details"]["baseline"]
        assert ours["examples"] == baseline["examples"] == [9 if row is generation else 20]
        assert ours["tokens"] == baseline["tokens"]
        assert ours["tokens"][0] >= ours["examples"][0]
    assert generation["details"]["identical_responses"] == 9
    assert generation["details"]["ours"]["tokens"][0] <= 9 * SIZES.max_new_tokens
    (panel,) = (row for row in content["rows"] if row["measure"].startswith("panel"))
    ours, baseline = panel["details"]["ours"], panel["details"]["baseline"]
    assert ours["tokens"] == baseline["tokens"] == [9]  # the first of 3 models for 3 prompts
    assert 0 < panel["details"]["longest_seconds"] <= ours["seconds"][0]
    # Of the same rows: the bare loop and plain TRL have seen what our trainer saw.
    assert sft["details"]["ours"] == sft_bare["details"]["ours"]


@pytest.mark.slow
def test_scaling_has_three_sizes_of_each(measured):
    _, content, plots = measured
    by_examples, _, by_length, memory = content["rows"][6:]
    runs = by_examples["details"]["runs"]
    assert {size: run["examples"] for size, (run,) in runs.items()} == {"8": 8, "12": 12, "20": 20}
    runs = by_length["details"]["runs"]
    assert {size: run["tokens"] for size, (run,) in runs.items()} == {
        str(length): 8 * length for length in SIZES.scaling_lengths
    }
    for (run,) in runs.values():
        assert run["peak_mib"] > run["libraries_mib"] > 50
    first, _, last = (run[0]["peak_mib"] for run in memory["details"]["runs"].values())
    assert (memory["ours"], memory["baseline"]) == (last, first)
    assert (plots / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_the_bare_loops_train_on_the_losses_of_our_runs(tmp_path):
    made = Runs(tiny_model.folder(), SIZES, tmp_path)
    for train, loop, start in (
        (made.sft, sft_loop, made.model), (made.dpo, dpo_loop, tmp_path / "sft")
    ):  # fmt: skip
        train()
        _, losses = loop(start, made.record.batches)
        logged = tiny_model.metrics(tmp_path / train.__name__)
        assert len(losses) == len(logged) == 2  # 20 rows in batches of 16
        # The second ones differ: the loop has no warm-up.
        assert losses[0] == pytest.approx(logged[0]["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("trainer", "config", "rows"),
    [(SFTTrainer, SFTConfig, "demonstrations"), (DPOTrainer, DPOConfig, "comparisons")],
)
def test_the_baseline_is_what_trl_does_by_default(tmp_path, trainer, config, rows):
    """Nothing is changed for it to be slow, and little for it to run."""
    built = []

    class Noted(trainer):
        def train(self):
            built.append(self)

    made = Runs(tiny_model.folder(), SIZES, tmp_path)
    made.plain_trl(Noted, config, made.base, getattr(made, rows))
    (plain,) = built
    default = config(output_dir=str(tmp_path), use_cpu=True)
    options = config.__dataclass_fields__
    changed = {n for n in options if getattr(plain.args, n) != getattr(default, n)}
    assert changed == {"output_dir", "num_train_epochs", "save_strategy", "disable_tqdm"}
    assert plain.args.bf16
    assert plain.args.gradient_checkpointing
    assert plain.args.per_device_train_batch_size == 8
    weights = list(plain.model.parameters())
    assert all(weight.requires_grad and weight.dtype == torch.float32 for weight in weights)


def test_sides_take_turns():
    order = []
    sides = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert in_turn("", sides, 3) == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert order == list("ababab")


def test_a_ratio_is_of_medians():
    ours, theirs = [Work(s, 10, 99) for s in (1, 5, 2)], [Work(s, 10, 99) for s in (20, 4, 10)]
    row = rate_row("m", "examples/s", 4.9, ours, theirs)
    assert (row.ours, row.baseline, row.ratio, row.met) == (5, 1, 5, True)
    assert Row("m", "s", 1, 2, 0.9, {}).met is False
    assert Row("m", "s", 1, 2, None, {}).met is None


def test_different_work_is_no_comparison(tmp_path, monkeypatch):
    made = Runs(tiny_model.folder(), SIZES, tmp_path)
    monkeypatch.setattr(made, "sft", lambda: Work(1.0, 20, 99))
    monkeypatch.setattr(made, "bare", lambda *_: Work(1.0, 20, 99))
    monkeypatch.setattr(made, "plain_trl", lambda *_: Work(1.0, 20, 98))
    with pytest.raises(RuntimeError, match="SFT: not all did the same work"):
        measure_sft(made)


def test_help_teaches():
    command = [sys.executable, "-m", "tests.benchmarks", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"  {name}" in done.stdout for name in MEASURES)
    assert "python -m tests.benchmarks --only generation" in done.stdout


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="AVX2 is of x86")
def test_a_processor_without_bfloat16_can_be_measured_on_one_that_has_it():
    code = (
        "import os; from tests.benchmarks.__main__ import AVX2; os.environ |= AVX2; import torch\n"
        "print(torch.backends.cpu.get_cpu_capability())\n"
        "print(torch.ops.mkldnn._is_mkldnn_bf16_supported())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["AVX2", "False"]


def test_wrong_calls_say_what_is_wrong(tmp_path, capsys):
    assert main(["--model", str(tmp_path)]) == 1
    assert f"{tmp_path}: neither a run" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--only", "sft", "--plots", str(tmp_path)])
    assert "--plots draws the measure scaling" in capsys.readouterr().err
