"""A prompt that leaves no room for a response is an error, or dropped and counted where asked."""

import json

import pytest
import tiny_model
from datasets import Dataset
from tiny_model import message

from alignlab import data
from alignlab.cli import main
from alignlab.files import DataError
from alignlab.flags import TRAINING
from alignlab.folders import RunError
from alignlab.lengths import fitting_rows
from alignlab.models import load_tokenizer

LONG = "x" * 30


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(tiny_model.folder())


@pytest.fixture(scope="module")
def length(tokenizer):
    """The tokens of the long prompt, with the opening of the response."""
    return len(tokenizer(f"<|user|>{LONG}<|assistant|>")["input_ids"])


@pytest.fixture
def path(tmp_path):
    """A file of six rows for any method; the prompts of the second and the fifth are long."""
    row = {"chosen": "y", "rejected": "z", "completion": "y"}
    rows = [{"prompt": LONG if i in (1, 4) else f"x{i}"} | row for i in range(6)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_prompts_must_leave_room_for_a_response(tokenizer, length, path):
    dataset = data.sft_dataset(path)
    assert fitting_rows(dataset, tokenizer, {"max_length": length + 1}) is dataset
    with pytest.raises(DataError) as error:
        fitting_rows(dataset, tokenizer, {"max_length": length})
    assert f"{path}, row 2, field 'prompt': {length} tokens" in str(error.value)
    assert f"expected fewer than {length} (too long: 2 of 6 rows; " in str(error.value)
    assert "drop_too_long, --drop-too-long" in str(error.value)


def test_dropped_rows_are_counted_and_named(tokenizer, length, path, capsys):
    dataset = data.sft_dataset(path)
    kept = fitting_rows(dataset, tokenizer, {"max_length": length}, drop=True)
    assert kept.to_list() == [row for i, row in enumerate(dataset) if i not in (1, 4)]
    assert capsys.readouterr().out == (
        f"{path}: dropped 2 of 6 rows, whose prompts have {length} tokens or more: 2, 5\n"
    )
    fitting_rows(dataset, tokenizer, {"max_length": length + 1}, drop=True)
    assert capsys.readouterr().out == ""


def test_of_several_processes_one_speaks(tokenizer, length, path, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    dataset = data.sft_dataset(path)
    assert len(fitting_rows(dataset, tokenizer, {"max_length": length}, drop=True)) == 4
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "settings",
    [{}, {"max_length": None}, {"max_length": 4, "truncation_mode": "keep_end"}],
    ids=["no limit given", "no limit", "prompts are cut"],
)
def test_where_nothing_is_too_long_all_rows_stay(settings, tokenizer, path):
    dataset = data.sft_dataset(path)
    assert fitting_rows(dataset, tokenizer, settings) is dataset


@pytest.mark.parametrize("drop", [False, True])
def test_without_a_row_that_fits_dropping_is_no_help(drop, tokenizer):
    rows = Dataset.from_list([{"prompt": message("user", LONG)}])
    with pytest.raises(RunError, match="no row is left: none fits into max_length=4 tokens"):
        fitting_rows(rows, tokenizer, {"max_length": 4}, drop)


@pytest.mark.parametrize("method", TRAINING)
def test_every_method_names_the_option_and_takes_it(method, length, path, tmp_path, capsys):
    words = [
        method, "--model", tiny_model.folder(), "--data", path, "--output", tmp_path / "run",
        "--max-length", length, "--max-steps", 2, "--per-device-train-batch-size", 2,
    ]  # fmt: skip
    words = [str(word) for word in words]
    assert main(words) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"alignlab {method}: {path}, row 2" in error
    assert "--drop-too-long" in error
    assert [found.name for found in tmp_path.iterdir()] == ["rows.jsonl"]

    assert main([*words, "--drop-too-long"]) == 0
    assert f"{path}: dropped 2 of 6 rows" in capsys.readouterr().out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["dropped"] == 2
    assert config["examples" if method == "sft" else "pairs"] == 4
    # Two steps of two are one epoch of the four rows that are left.
    assert tiny_model.metrics(tmp_path / "run")[-1]["epoch"] == 1
