"""The command line: help that teaches, options passed to TRL by name, errors in one line."""

import ast
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from datasets import Dataset
from trl import DPOConfig, SFTConfig

import alignlab
from alignlab import data, models, sft
from alignlab.cli import main
from alignlab.flags import EXAMPLES, TRAINING, build_parser, trl_options
from alignlab.options import RunOptions


@pytest.mark.parametrize("verb", EXAMPLES)
def test_help_shows_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert EXAMPLES[verb] in capsys.readouterr().out
    words = EXAMPLES[verb].split()
    assert words[0] == "alignlab"
    assert build_parser().parse_args(words[1:]).verb == verb


def test_help_comes_without_loading_torch():
    script = (
        "import sys, time; start = time.process_time()\n"
        "from alignlab.cli import main\n"
        "try: main(['sft', '--help'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules, time.process_time() - start)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, seconds = out.stdout.splitlines()[-1].split()
    assert loaded == "False"
    assert float(seconds) < 1.0  # of processor time, so a busy machine does not count


REQUIRED = ["--data", "world:sft", "--output", "out"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--lora"], {"use_lora": True}),
        (["--full"], {"use_lora": False}),
        (["--rank", "4"], {"rank": 4}),
        (["--seed", "7"], {"seed": 7}),
        (["--resume"], {"resume": True}),
        (["--overwrite"], {"overwrite": True}),
        (["--progress"], {"progress": True}),
        (["--no-progress"], {"progress": False}),
    ],
)
@pytest.mark.parametrize("verb", TRAINING)
def test_the_options_of_a_run_are_flags(verb, words, expected):
    given = vars(build_parser().parse_args([verb, *REQUIRED, *words]))
    names = {option.name for option in fields(RunOptions)}
    assert {name: value for name, value in given.items() if name in names} == expected


def test_every_option_of_a_run_is_read_somewhere():
    read = set()
    for name in ("runs", *TRAINING):
        tree = ast.parse((Path(alignlab.__file__).parent / f"{name}.py").read_text())
        read |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "run"
        }
    assert {option.name for option in fields(RunOptions)} - read == set()


def test_a_flag_goes_before_the_profile_and_reaches_the_run(monkeypatch, capsys):
    calls = []

    def run(*arguments, **options):
        calls.append((arguments, options))
        return "out"

    rows = Dataset.from_list([{"prompt": "a", "completion": "b"}])
    monkeypatch.setattr(data, "sft_dataset", lambda source, seed: (rows, source, seed))
    monkeypatch.setattr(sft, "sft", run)
    words = ["--profile", "t4", "--seed", "5", "--learning-rate", "0.5", "--no-progress"]
    assert main(["sft", *REQUIRED, *words, "--warmup-steps", "9"]) == 0
    profile = models.PROFILES["t4"]
    assert calls == [
        (
            (profile.model, (rows, "world:sft", 5), Path("out")),
            profile.options | {
                "learning_rate": 0.5, "warmup_steps": 9, "seed": 5, "progress": False,
                "data_name": "world:sft",
            },
        )
    ]  # fmt: skip
    assert capsys.readouterr().out == "wrote out\n"


def test_trl_options_are_read_by_name_and_typed():
    extra = ["--warmup-steps", "20", "--weight_decay=0.1", "--optim", "adamw_torch", "--bf16"]
    assert trl_options(extra, SFTConfig) == {
        "warmup_steps": 20, "weight_decay": 0.1, "optim": "adamw_torch", "bf16": True,
    }  # fmt: skip
    assert trl_options(["--loss-weights", "[1.0, 0.5]"], DPOConfig) == {"loss_weights": [1.0, 0.5]}


def test_unknown_option_suggests_the_nearest():
    with pytest.raises(ValueError, match="--warmpu-steps; did you mean --warmup-steps"):
        trl_options(["--warmpu-steps", "20"], SFTConfig)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sft", "--data", "world:manul", "--output", "{out}"], "did you mean 'manual'"),
        (["sft", "--data", "nowhere.jsonl", "--output", "{out}"], "no such file"),
        (["sft", "--profile", "tinny", "--data", "world:sft", "--output", "{out}"], "'tiny'"),
        (["eval", "--model", "./nowhere"], "no such folder"),
        (["dpo", "--data", "world:style", "--output", "{out}", "--beta", "0"], "beta"),
        (["generate", "--model", "tiny", "--prompts", "no.txt", "--output", "{out}"], "no.txt"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    assert main([word.format(out=out) for word in arguments]) == 1
    error = capsys.readouterr().err.strip()
    assert message in error.splitlines()[-1]
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", ["0", "-3", "many"])
def test_steps_must_be_above_zero(steps, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["sft", "--data", "world:sft", "--output", "x", "--max-steps", steps])
    assert stopped.value.code == 2
    assert "--max-steps" in capsys.readouterr().err


def test_doctor_reports_every_profile(capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["profiles"]) == {"tiny", "t4", "gpu"}
    assert report["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert report["machine"]["memory_gib"] > 0


@pytest.mark.bundled
def test_generate_writes_a_row_for_each_prompt(tmp_path):
    prompts, output = tmp_path / "prompts.txt", tmp_path / "out.jsonl"
    prompts.write_text("Explain rainbows.\n\nWhat is the sea?\n")
    assert main(["generate", "--model", "tiny", "--prompts", str(prompts), "--output", str(output),
                 "--max-new-tokens", "8"]) == 0  # fmt: skip
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["prompt"] for row in rows] == ["Explain rainbows.", "What is the sea?"]
    assert all(row["response"].strip() for row in rows)
