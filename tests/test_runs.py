"""Run folders are whole or absent, whatever goes wrong while they are written."""

import errno
import hashlib
import json
import os
import re
import resource
import shutil
import socket

import pytest
import tiny_model
import torch
from datasets import Dataset
from huggingface_hub import constants
from huggingface_hub.utils import _telemetry

from alignlab import models, runs
from alignlab.dpo import dpo
from alignlab.folders import RunError, begin, finish, last_checkpoint
from alignlab.models import load_model
from alignlab.options import RunOptions
from alignlab.sft import sft

SMALL = {"per_device_train_batch_size": 8, "warmup_steps": 2, "progress": False}


@pytest.fixture(scope="module")
def tiny():
    return tiny_model.folder()


def test_a_run_is_whole_or_absent(tmp_path):
    part = begin(tmp_path / "run", {"seed": 1})
    (part / "checkpoints").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["run.part"]
    finish(part, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.json", "environment.json"}
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == {"seed": 1}


def test_an_existing_output_is_an_error(tmp_path):
    finish(begin(tmp_path / "run", {"seed": 1}), tmp_path / "run")
    for resume in (False, True):
        with pytest.raises(RunError, match=r"run exists; choose another folder or pass overwrite"):
            begin(tmp_path / "run", {"seed": 1}, resume=resume)


def test_overwriting_keeps_the_old_run_until_the_new_one_is_whole(tmp_path):
    output = tmp_path / "run"
    finish(begin(output, {"seed": 1}), output)
    part = begin(output, {"seed": 2}, overwrite=True)
    assert json.loads((output / "config.json").read_text()) == {"seed": 1}
    finish(part, output)
    assert json.loads((output / "config.json").read_text()) == {"seed": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_overwriting_spares_what_is_no_run(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-ann.txt").write_text("Dear Ann")
    with pytest.raises(RunError, match="no run, so it is not overwritten"):
        begin(tmp_path / "letters", {}, overwrite=True)
    assert (tmp_path / "letters" / "to-ann.txt").read_text() == "Dear Ann"


def test_resuming_with_other_settings_is_an_error(tmp_path):
    begin(tmp_path / "run", {"seed": 1, "beta": 0.1, "path": tmp_path})
    assert begin(tmp_path / "run", {"seed": 1, "beta": 0.1, "path": tmp_path}, resume=True)
    with pytest.raises(RunError, match="begun with other beta, path, rank"):
        begin(tmp_path / "run", {"seed": 1, "beta": 0.2, "rank": 4}, resume=True)


ROWS = [
    {"prompt": tiny_model.message("user", "Why?"), "completion": "No\u00e9."},
    {"prompt": tiny_model.message("user", "Who?"), "completion": "I."},
]


def test_a_run_is_described_by_what_is_needed_to_repeat_it(tiny, tmp_path):
    run, settings = RunOptions.split(
        {"seed": 3, "use_lora": False, "rank": 8, "data_name": "rows.csv", "beta": 0.2}
    )
    assert settings == {"beta": 0.2}
    found = runs.describe("dpo", tiny, Dataset.from_list(ROWS), tmp_path / "run", run, settings)
    lines = [
        '{"completion": "No\\u00e9.", "prompt": [{"content": "Why?", "role": "user"}]}\n',
        '{"completion": "I.", "prompt": [{"content": "Who?", "role": "user"}]}\n',
    ]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    path = os.path.relpath(tiny, tmp_path / "run")
    assert path.startswith("..")
    assert found == {
        "method": "dpo", "model": path, "data": "rows.csv", "examples": 2,
        "rows": f"sha256:{digest}", "base": path, "lora_rank": None, "seed": 3, "beta": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["tiny", "org/name"])
def test_models_with_a_name_keep_it(name, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "BUNDLED", tiny)
    monkeypatch.chdir(tmp_path)
    rows = Dataset.from_list(ROWS)
    found = runs.describe("sft", name, rows, tmp_path / "run", RunOptions(), {})
    assert (found["model"], found["base"]) == (name, name)


@pytest.mark.parametrize(
    "other", [ROWS[::-1], [ROWS[0], ROWS[1] | {"completion": "We."}]], ids=["order", "one word"]
)
def test_resuming_with_other_rows_of_the_same_number_is_an_error(other, tiny, tmp_path):
    def config(rows):
        rows = Dataset.from_list(rows)
        return runs.describe("sft", tiny, rows, tmp_path / "run", RunOptions(), {})

    part = begin(tmp_path / "run", config(ROWS))
    assert begin(tmp_path / "run", config([dict(row) for row in ROWS]), resume=True) == part
    with pytest.raises(RunError, match=r"cannot resume .*run: begun with other rows; "):
        begin(tmp_path / "run", config(other), resume=True)


def _texts(run) -> str:
    """Return all that a run says, weights left out."""
    files = [path for path in run.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
    return "".join(path.read_text() for path in files)


def _adapter_config(run) -> dict:
    return json.loads((run / "adapter" / "adapter_config.json").read_text())


def test_a_base_and_its_runs_move_together(tiny, tmp_path):
    home = tmp_path / "home"
    base = shutil.copytree(tiny, home / "models" / "base")
    options = SMALL | {"max_steps": 2, "learning_rate": 0.1}
    first = sft(base, tiny_model.demonstrations(16), home / "runs" / "sft", **options)
    sft(first, tiny_model.demonstrations(16), home / "again", use_lora=True, **options)
    for run, base in ((first, "../../models/base"), (home / "again", "../models/base")):
        assert str(tmp_path) not in _texts(run)
        assert _adapter_config(run)["base_model_name_or_path"] == base
    assert "../../models/base" in _texts(first)
    ids = torch.tensor([[5, 9, 200, 31]])
    with torch.inference_mode():
        before = [load_model(home / run)(ids).logits for run in ("runs/sft", "again")]
        shutil.move(home, tmp_path / "deep" / "er")
        moved = tmp_path / "deep" / "er"
        after = [load_model(moved / run)(ids).logits for run in ("runs/sft", "again")]
    assert not home.exists()
    assert all(map(torch.equal, before, after))
    assert not torch.equal(*after)


def test_a_full_fine_tune_names_no_folder_of_this_machine(tiny, tmp_path):
    base = shutil.copytree(tiny, tmp_path / "base")
    run = sft(base, tiny_model.demonstrations(8), tmp_path / "run", use_lora=False, **SMALL)
    assert str(tmp_path) not in _texts(run)


@pytest.fixture
def asked(monkeypatch):
    """What was asked of the network, which nothing answers."""
    asked = []
    # Offline mode, which all tests have, would hide it, as TRL does in CI.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_telemetry, "_start_telemetry_thread", lambda: asked.append("telemetry"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host))
    return asked


def test_a_run_on_local_files_asks_nothing_of_the_network(tiny, tmp_path, asked):
    sft(tiny, tiny_model.demonstrations(8), tmp_path / "run", max_steps=1, **SMALL)
    assert asked == []


def test_a_run_on_the_bundled_model_goes_on_in_another_place(tiny, tmp_path, monkeypatch, asked):
    options = SMALL | {"max_steps": 2, "save_steps": 1}  # PEFT saves each checkpoint
    monkeypatch.setattr(models, "BUNDLED", shutil.copytree(tiny, tmp_path / "here" / "model"))
    first = sft("tiny", tiny_model.demonstrations(16), tmp_path / "here" / "sft", **options)
    shutil.move(tmp_path / "here", tmp_path / "there")
    monkeypatch.setattr(models, "BUNDLED", tmp_path / "there" / "model")
    first = tmp_path / "there" / first.name
    second = dpo(first, tiny_model.comparisons(16), tmp_path / "dpo", **options)
    for run in (first, second):
        assert _adapter_config(run)["base_model_name_or_path"] == "tiny"
        assert str(tmp_path) not in _texts(run)
    # PEFT found the base where it is now: it looks one up that it does not find.
    assert asked == []


def test_a_run_killed_before_it_began_is_begun_anew(tmp_path):
    for text in (None, '{"see'):
        (tmp_path / "run.part").mkdir(exist_ok=True)
        if text:
            (tmp_path / "run.part" / "config.json").write_text(text)
        part = begin(tmp_path / "run", {"seed": 1}, resume=True)
        assert json.loads((part / "config.json").read_text()) == {"seed": 1}


def test_only_a_whole_checkpoint_is_resumed(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step, state in ((4, '{"global_step": 4}'), (12, '{"global_step": 12}'), (100, '{"glo')):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoints" / "checkpoint-200").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoints" / "checkpoint-12")


def test_a_full_disk_leaves_nothing(tiny, tmp_path):
    # The largest file that may be written is made smaller than the model's.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"run cannot be written: .*File too large"):
            sft(
                tiny, tiny_model.demonstrations(8), tmp_path / "run", use_lora=False, max_steps=1,
                **SMALL,
            )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_after_a_full_disk_a_run_goes_on_from_its_checkpoint(tiny, tmp_path, monkeypatch):
    def no_room(trainer, part):
        raise OSError(errno.ENOSPC, "No space left on device")

    def train(**options):
        options |= {"max_steps": 3, "save_steps": 2, **SMALL}
        return sft(tiny, tiny_model.demonstrations(24), tmp_path / "run", **options)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "save", no_room)
        with pytest.raises(RunError, match=r"No space left on device; make room and resume"):
            train()
    assert [path.name for path in tmp_path.iterdir()] == ["run.part"]
    assert [row["step"] for row in tiny_model.metrics(train(resume=True))] == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_loss_that_is_no_number_stops_the_run(tiny, tmp_path):
    data, options = tiny_model.demonstrations(24), SMALL | {"warmup_steps": 0}
    with pytest.raises(RunError) as error:
        sft(tiny, data, tmp_path / "run", use_lora=False, learning_rate=1e30, **options)
    found = re.search(
        r"the loss is nan at step ([23]), batch \1 of epoch 1 \(rows ([\d, ]+)\)", str(error.value)
    )
    batch = tiny_model.first_epoch(tiny_model.sft_lengths(data))[int(found[1]) - 1]
    assert [int(row) for row in found[2].split(",")] == [row + 1 for row in batch]
    assert list(tmp_path.iterdir()) == []


def test_rows_that_all_are_too_long_are_named_as_the_cause(tiny, tmp_path):
    with pytest.raises(RunError, match="no row is left: none fits into max_length=4"):
        dpo(tiny, tiny_model.comparisons(8), tmp_path / "run", max_length=4, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_steps_between_checkpoints_can_be_given(tmp_path):
    settings = runs.trainer_settings(tmp_path, "cpu", save_steps=7)
    assert (settings["save_strategy"], settings["save_steps"]) == ("steps", 7)
    assert runs.trainer_settings(tmp_path, "cpu")["save_strategy"] == "no"


def test_a_recipe_gives_way_to_the_profile_and_logs_where_there_is_something_to_log(monkeypatch):
    bundled = {"learning_rate": 2e-3, "warmup_steps": 5}
    monkeypatch.delenv("ALIGNLAB_PROFILE", raising=False)
    assert runs.recipe(bundled) == bundled
    monkeypatch.setenv("ALIGNLAB_PROFILE", "t4")
    on_t4 = {"learning_rate": 2e-4, "per_device_train_batch_size": 8, "warmup_steps": 5}
    assert runs.recipe(bundled) == on_t4
    logged = runs.recipe(bundled, Dataset.from_list([{"prompt": "a"}]))
    assert logged["eval_on_start"]
    assert logged["eval_strategy"] == "steps"
    assert logged.items() >= on_t4.items()
