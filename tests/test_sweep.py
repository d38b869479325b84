"""A sweep: every β with every seed, one run at a time on each visible device."""

import json
import sys
from pathlib import Path

import pytest
import tiny_model
import torch

from alignlab import sweep as module
from alignlab.cli import main
from alignlab.flags import build_parser
from alignlab.sweep import SHOWN, SweepError, command, devices, sweep, table

ARGUMENTS = ["--model", "runs/sft", "--data", "pairs.jsonl", "--max-steps", "9"]
# Stands in for a run: it fails where another is on its device, and writes what a run leaves.
STUB = """
import json, os, pathlib, sys, time
folder, beta, seed = pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
busy = folder.with_name("busy" + os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
busy.mkdir()
time.sleep(0.3)
busy.rmdir()
if folder.with_name("fail").exists() and seed == 1:
    sys.exit("this one fails")
folder.mkdir()
row = dict.fromkeys(sys.argv[4].split(), beta + seed)
(folder / "metrics.jsonl").write_text(json.dumps({"eval_loss": 1}) + chr(10) + json.dumps(row))
print("on", os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@pytest.fixture
def stub(monkeypatch):
    """Let a small script stand in for every run, on two GPUs that are not there."""
    started = []

    def stand_in(arguments, beta, seed, folder):
        started.append(command(arguments, beta, seed, folder))
        return [sys.executable, "-c", STUB, str(folder), str(beta), str(seed), " ".join(SHOWN)]

    monkeypatch.setattr(module, "command", stand_in)
    monkeypatch.setattr(module, "devices", lambda: ["4", "7"])
    return started


def test_each_run_has_a_device_of_its_own(stub, tmp_path, capsys):
    rows = sweep(ARGUMENTS, [0.05, 0.1, 0.5], [0, 1], tmp_path / "sweep")
    assert [(row["beta"], row["seed"]) for row in rows] == [
        (0.05, 0), (0.05, 1), (0.1, 0), (0.1, 1), (0.5, 0), (0.5, 1)
    ]  # fmt: skip
    assert [row["loss"] for row in rows] == [0.05, 1.05, 0.1, 1.1, 0.5, 1.5]
    used = [Path(f"{row['folder']}.log").read_text().strip() for row in rows]
    assert set(used) == {"on 4", "on 7"}
    printed = capsys.readouterr().out
    assert printed.count("on GPU 4") + printed.count("on GPU 7") == 6
    folders = {words[words.index("--output") + 1] for words in stub}
    assert folders == {row["folder"] for row in rows}
    for words in stub:
        assert words[1:4] == ["-m", "alignlab.cli", "dpo"]
        args, extra = build_parser().parse_known_args(words[3:])
        assert extra == []
        assert args.output.name == f"beta{args.beta:g}-seed{args.seed}"
        assert (args.model, args.max_steps, args.resume) == ("runs/sft", 9, True)


def test_a_run_that_fails_stops_no_other_and_is_done_again(stub, tmp_path):
    (tmp_path / "fail").touch()
    with pytest.raises(SweepError, match=r"1 of 2 runs failed: beta0.1-seed1; .*seed1\.log says"):
        sweep(ARGUMENTS, [0.1], [0, 1], tmp_path)
    assert "this one fails" in (tmp_path / "beta0.1-seed1.log").read_text()
    (tmp_path / "fail").unlink()
    stub.clear()
    assert len(sweep(ARGUMENTS, [0.1], [0, 1], tmp_path)) == 2
    assert len(stub) == 1  # the finished one is left alone
    with pytest.raises(SweepError, match="names other arguments"):
        sweep([*ARGUMENTS, "--full"], [0.1], [0, 1], tmp_path)


def test_devices_are_those_that_are_visible(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices() == [None]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-8f")
    assert devices() == ["2", "GPU-8f"]


def test_the_table_has_a_line_for_each_run():
    row = {"beta": 0.05, "seed": 3} | dict.fromkeys(SHOWN, 0.25)
    head, line = table([row]).splitlines()
    assert head.split() == ["beta", "seed", *SHOWN]
    assert line.split() == ["0.05", "3", *["0.2500"] * len(SHOWN)]


@pytest.mark.slow
def test_a_sweep_on_a_cpu_is_runs_of_dpo(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    tiny_model.comparisons(16).to_json(tmp_path / "pairs.jsonl")
    words = ["--model", str(tiny_model.folder()), "--data", str(tmp_path / "pairs.jsonl")]
    output = tmp_path / "sweep"
    options = ["--output", str(output), "--max-steps", "2", "--warmup-steps", "0"]
    assert main(["sweep", "--betas", "0.1", "0.4", *words, *options]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["beta0.1-seed0 on the CPU", "beta0.4-seed0 on the CPU"]
    for beta, line in zip((0.1, 0.4), printed[3:]):
        folder = output / f"beta{beta}-seed0"
        config = json.loads((folder / "config.json").read_text())
        assert (config["beta"], config["seed"], config["max_steps"]) == (beta, 0, 2)
        last = tiny_model.metrics(folder)[-1]
        assert line.split()[2:] == [f"{last[name]:.4f}" for name in SHOWN]
