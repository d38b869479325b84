"""The command line: help that teaches, options passed to TRL by name, errors in one line."""

import json
import subprocess
import sys

import pytest
from trl import DPOConfig, SFTConfig

from alignlab.cli import EXAMPLES, build_parser, main, trl_options


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
