"""Runs: a folder is whole or absent, a killed run goes on, and TRL trains what it should."""

import errno
import json
import multiprocessing
import resource
import signal
from types import SimpleNamespace

import pytest
import tiny_model
import torch
from safetensors.torch import load_file

from alignlab import callbacks, runs
from alignlab.callbacks import Checkpoints, LengthGroups, MetricsLog
from alignlab.divergence import response_logprobs
from alignlab.dpo import dpo
from alignlab.models import load_model, load_tokenizer, resolve
from alignlab.runs import RunError, begin, finish, last_checkpoint
from alignlab.sft import sft

SMALL = {"per_device_train_batch_size": 8, "warmup_steps": 2, "progress": False}


def rows(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in rows(run)}


@pytest.fixture(scope="module")
def tiny():
    return tiny_model.folder()


@pytest.fixture(scope="module")
def sft_run(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "sft"
    return sft(tiny, tiny_model.demonstrations(36), output, num_train_epochs=2, rank=4, **SMALL)


@pytest.fixture(scope="module")
def pairs():
    return tiny_model.comparisons(32)


@pytest.fixture(scope="module")
def dpo_run(sft_run, pairs):
    return dpo(sft_run, pairs, sft_run.parent / "dpo", learning_rate=3e-3, beta=0.2, **SMALL)


# --- folders


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
        with pytest.raises(RunError, match="run cannot be written: .*File too large"):
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
    assert list(losses(train(resume=True))) == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_loss_that_is_no_number_stops_the_run(tiny, tmp_path):
    options = SMALL | {"warmup_steps": 0}
    with pytest.raises(RunError, match=r"loss is nan at step 2, batch 2 of epoch 1 \(rows \d") as e:
        sft(
            tiny, tiny_model.demonstrations(24), tmp_path / "run", use_lora=False,
            learning_rate=1e30, **options,
        )  # fmt: skip
    named = str(e.value).split("rows ")[1].split(", ...)")[0].split(", ")
    assert len({int(row) for row in named} & set(range(1, 25))) == 8
    assert list(tmp_path.iterdir()) == []


def test_rows_that_all_are_too_long_are_named_as_the_cause(tiny, pairs, tmp_path):
    with pytest.raises(RunError, match="no row is left: none fits into max_length=4"):
        dpo(tiny, pairs, tmp_path / "run", max_length=4, **SMALL)
    assert list(tmp_path.iterdir()) == []


# --- what runs alongside


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


def test_the_number_of_steps_between_checkpoints_can_be_given(tmp_path):
    settings = runs.trainer_settings(tmp_path, "cpu", save_steps=7)
    assert (settings["save_strategy"], settings["save_steps"]) == ("steps", 7)
    assert runs.trainer_settings(tmp_path, "cpu")["save_strategy"] == "no"


def test_metrics_of_lost_steps_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "seconds": 2.0 * step}) for step in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"step": 4, "los')
    state = SimpleNamespace(global_step=2, epoch=1.0, is_world_process_zero=True)
    log = MetricsLog(path)
    log.on_train_begin(None, state, None)
    state.global_step = 3
    log.on_log(None, state, None, logs={"loss": 1.5})
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3]
    assert rows(tmp_path)[2]["loss"] == 1.5
    assert rows(tmp_path)[2]["seconds"] >= 4.0  # goes on from the time of the last row


# --- SFT


def test_an_sft_run_has_its_parts(sft_run, tiny):
    files = {str(path.relative_to(sft_run)) for path in sft_run.rglob("*") if path.is_file()}
    assert files == {
        "config.json", "metrics.jsonl", "environment.json",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    }  # fmt: skip
    config = json.loads((sft_run / "config.json").read_text())
    expected = {"method": "sft", "base": str(tiny), "lora_rank": 4, "num_train_epochs": 2}
    assert config.items() >= expected.items()


def test_sft_logs_every_step(sft_run, tiny):
    logged = rows(sft_run)
    assert [row["step"] for row in logged] == list(range(1, 11))  # 36 rows in eights, twice
    # Two steps of linear warm-up to 2e-3, then linear decay to 0 after the tenth.
    rates = [0, 1e-3] + [2e-3 * (10 - step) / 8 for step in range(2, 10)]
    assert [row["learning_rate"] for row in logged] == pytest.approx(rates)
    tokenizer, data = load_tokenizer(tiny), tiny_model.demonstrations(36)
    ids = tokenizer.apply_chat_template([a + b for a, b in zip(data["prompt"], data["completion"])])
    assert logged[-1]["num_tokens"] == 2 * sum(map(len, ids["input_ids"]))
    assert all(row["tokens_per_second"] > 0 for row in logged)
    assert logged[-1]["loss"] < logged[0]["loss"] - 0.1


def test_sft_starts_at_the_loss_of_the_base(sft_run, tiny):
    data = tiny_model.demonstrations(36)
    tokenizer = load_tokenizer(tiny)
    prompts, responses = data["prompt"], [c[0]["content"] for c in data["completion"]]
    logps = response_logprobs(load_model(tiny), tokenizer, prompts, responses)
    ids = tokenizer.apply_chat_template([a + b for a, b in zip(prompts, data["completion"])])
    lengths = [len(row) for row in ids["input_ids"]]
    first = LengthGroups(lengths, 8, 0, lambda: 0).batches(0)[0]
    tokens = [logp for row in first for logp in logps[row]]
    assert rows(sft_run)[0]["loss"] == pytest.approx(-sum(tokens) / len(tokens), rel=1e-5)


def test_a_run_goes_on_in_its_adapter(sft_run, tiny, tmp_path):
    data = tiny_model.demonstrations(36)
    again = sft(sft_run, data, tmp_path / "again", max_steps=1, **SMALL)
    assert resolve(again).base == str(tiny)
    # The first step's learning rate is 0, so the adapter is still the one it started from.
    ours, theirs = (load_file(run / "adapter/adapter_model.safetensors") for run in (again, sft_run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_full_fine_tune_of_a_run_merges_its_adapter(sft_run, tiny, tmp_path):
    output = tmp_path / "full"
    sft(sft_run, tiny_model.demonstrations(8), output, use_lora=False, max_steps=1, **SMALL)
    ids = torch.tensor([[5, 9, 200, 31]])
    with torch.inference_mode():
        merged, adapted, base = (load_model(m)(ids).logits for m in (output, sft_run, tiny))
    torch.testing.assert_close(merged, adapted, atol=1e-4, rtol=1e-4)
    assert (merged - base).abs().max() > 0.01
    assert load_tokenizer(output).chat_template == load_tokenizer(tiny).chat_template


# --- DPO


def test_dpo_starts_at_ln_2_and_margin_0(dpo_run):
    first = rows(dpo_run)[0]
    assert first["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert first["kl_ref_policy"] == pytest.approx(0, abs=1e-4)
    assert rows(dpo_run)[-1]["loss"] < 0.6


def test_the_reference_of_dpo_is_the_sft_adapter_at_every_step(dpo_run, sft_run, pairs):
    # Log-probabilities by our own losses.py under the SFT run; TRL's rewards must be β times the
    # difference to the policy's, which it logs as logps.
    tokenizer, model = load_tokenizer(sft_run), load_model(sft_run)
    reference, lengths = {}, {}
    for side in ("chosen", "rejected"):
        texts = [message[0]["content"] for message in pairs[side]]
        logps = response_logprobs(model, tokenizer, pairs["prompt"], texts)
        reference[side] = [sum(row) for row in logps]
        lengths[side] = [len(row) for row in logps]
    prompts = tokenizer.apply_chat_template(pairs["prompt"], add_generation_prompt=True)
    longer = map(max, lengths["chosen"], lengths["rejected"])
    longest = [len(ids) + more for ids, more in zip(prompts["input_ids"], longer)]
    batches = LengthGroups(longest, 8, 0, lambda: 0).batches(0)
    assert len(rows(dpo_run)) == len(batches) == 4
    for row, batch in zip(rows(dpo_run), batches):
        ratios = []
        for side in ("chosen", "rejected"):
            expected = sum(reference[side][i] for i in batch) / len(batch)
            ratios.append(row[f"logps/{side}"] - expected)
            assert row[f"rewards/{side}"] == pytest.approx(0.2 * ratios[-1], abs=1e-4)
        assert row["rewards/margins"] == pytest.approx(0.2 * (ratios[0] - ratios[1]), abs=1e-4)
        assert row["kl_ref_policy"] == pytest.approx(-sum(ratios) / 2, abs=1e-3)
        assert 0 <= row["rewards/accuracies"] <= 1 and row["tokens_per_second"] > 0
    assert rows(dpo_run)[-1]["rewards/margins"] > 0.1


def test_dpo_writes_one_adapter_on_the_same_base(dpo_run, sft_run, tiny):
    files = {path.name for path in (dpo_run / "adapter").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    assert resolve(dpo_run).base == str(tiny)
    ours, theirs = (
        load_file(run / "adapter/adapter_model.safetensors") for run in (dpo_run, sft_run)
    )
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_full_dpo_starts_at_ln_2_too(sft_run, pairs, tmp_path):
    run = dpo(sft_run, pairs, tmp_path / "run", use_lora=False, max_steps=2, **SMALL)
    assert rows(run)[0]["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert not (run / "adapter").exists()


def test_no_run_changes_the_weights_it_starts_from(tiny, sft_run, dpo_run):
    base = load_file(tiny / "model.safetensors")
    torch.manual_seed(0)
    again = tiny_model.random_model(len(load_tokenizer(tiny))).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in base.items())
    # In memory: with the adapter off, an SFT model is its base.
    model, ids = load_model(sft_run), torch.tensor([[5, 9, 200, 31]])
    with torch.inference_mode(), model.disable_adapter():
        torch.testing.assert_close(model(ids).logits, load_model(tiny)(ids).logits)


# --- kill -9


@pytest.fixture(scope="module")
def forkserver():
    """Starts processes that have the libraries loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alignlab.sft", "alignlab.dpo"])
    return context


@pytest.mark.parametrize("kind", ["sft, all weights", "dpo, adapter"])
def test_a_killed_run_goes_on_to_the_same_losses(kind, forkserver, tiny, sft_run, pairs, tmp_path):
    options = SMALL | {"num_train_epochs": 2, "save_steps": 3}
    if kind == "dpo, adapter":
        train, start, data = dpo, sft_run, pairs
    else:
        train, start, data = sft, tiny, tiny_model.demonstrations(36)
        options |= {"use_lora": False}
    whole = train(start, data, tmp_path / "whole", **options)
    steps = list(losses(whole))

    arguments = (start, data, tmp_path / "killed")
    process = forkserver.Process(
        target=tiny_model.run_and_die, args=(7, train, arguments, options)
    )  # the seventh step is in the second epoch, one after a checkpoint
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    part = tmp_path / "killed.part"
    assert list(losses(part)) == steps[:7]
    (part / "checkpoints" / "checkpoint-9").mkdir()  # as if killed while writing the next one
    assert last_checkpoint(part).endswith("checkpoint-6")

    resumed = train(*arguments, resume=True, **options)
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-6)
    assert not part.exists()
    names = [str(path.relative_to(whole)) for path in whole.rglob("*.safetensors")]
    assert len(names) == 1
    first, second = (load_file(run / names[0]) for run in (whole, resumed))
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-7)
