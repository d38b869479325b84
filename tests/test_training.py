"""SFT and DPO through TRL: where they start, what they log, and that a killed run goes on."""

import json
import multiprocessing
import signal

import pytest
import tiny_model
import torch
from safetensors.torch import load_file
from tiny_model import first_epoch, sft_lengths
from tiny_model import metrics as rows

from alignlab.divergence import response_logprobs
from alignlab.dpo import ANCHORED, dpo
from alignlab.models import load_model, load_tokenizer, resolve
from alignlab.runs import last_checkpoint
from alignlab.sft import sft

SMALL = {"per_device_train_batch_size": 8, "warmup_steps": 2, "progress": False}
ADAPTER = "adapter/adapter_model.safetensors"


def losses(run) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in rows(run)}


@pytest.fixture(scope="module")
def tiny():
    return tiny_model.folder()


@pytest.fixture(scope="module")
def sft_run(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "sft"
    options = {"num_train_epochs": 2, "rank": 4, "learning_rate": 1e-2, **SMALL}
    return sft(tiny, tiny_model.demonstrations(36), output, **options)


@pytest.fixture(scope="module")
def pairs():
    return tiny_model.comparisons(32)


@pytest.fixture(scope="module")
def dpo_run(sft_run, pairs):
    return dpo(
        sft_run, pairs, sft_run.parent / "dpo", learning_rate=1e-2, beta=0.2, loss_type="sigmoid",
        **SMALL,
    )  # fmt: skip


# --- SFT


def test_an_sft_run_has_its_parts(sft_run, tiny):
    files = {str(path.relative_to(sft_run)) for path in sft_run.rglob("*") if path.is_file()}
    assert files == {
        "config.json", "metrics.jsonl", "environment.json",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    }  # fmt: skip
    config = json.loads((sft_run / "config.json").read_text())
    expected = {
        "method": "sft", "lora_rank": 4, "num_train_epochs": 2, "seed": 0, "examples": 36,
        "warmup_steps": 2, "max_length": 512,
    }  # fmt: skip
    assert config.items() >= expected.items()
    assert resolve(sft_run).base == str(tiny)


def test_sft_logs_every_step(sft_run):
    logged = rows(sft_run)
    assert [row["step"] for row in logged] == list(range(1, 11))  # 36 rows in eights, twice
    # Two steps of linear warm-up to 1e-2, then linear decay to 0 after the tenth.
    rates = [0, 5e-3] + [1e-2 * (10 - step) / 8 for step in range(2, 10)]
    assert [row["learning_rate"] for row in logged] == pytest.approx(rates)
    assert logged[-1]["num_tokens"] == 2 * sum(sft_lengths(tiny_model.demonstrations(36)))
    assert all(row["tokens_per_second"] > 0 for row in logged)
    assert sum(row["loss"] for row in logged[5:]) < sum(row["loss"] for row in logged[:5]) - 0.5


def test_sft_starts_at_the_loss_of_the_base(sft_run, tiny):
    data = tiny_model.demonstrations(36)
    responses = [completion[0]["content"] for completion in data["completion"]]
    logps = response_logprobs(load_model(tiny), load_tokenizer(tiny), data["prompt"], responses)
    tokens = [logp for row in first_epoch(sft_lengths(data))[0] for logp in logps[row]]
    assert rows(sft_run)[0]["loss"] == pytest.approx(-sum(tokens) / len(tokens), rel=1e-5)


def test_the_held_out_loss_is_that_of_the_model_before_and_after(tiny, tmp_path):
    data = tiny_model.demonstrations(36)
    learned, held_out = data.select(range(24)), data.select(range(24, 36))
    run = sft(tiny, learned, tmp_path / "run", held_out, learning_rate=1e-2, **SMALL)
    found = {row["step"]: row["eval_loss"] for row in rows(run) if "eval_loss" in row}
    responses = [completion[0]["content"] for completion in held_out["completion"]]
    for step, model in ((0, tiny), (max(found), run)):
        logps = response_logprobs(
            load_model(model), load_tokenizer(tiny), held_out["prompt"], responses
        )
        tokens = [logp for row in logps for logp in row]
        assert found[step] == pytest.approx(-sum(tokens) / len(tokens), rel=1e-5)
    assert len(found) > 3
    assert found[max(found)] < found[0] - 0.1


def test_a_run_goes_on_in_its_adapter(sft_run, tiny, tmp_path):
    data = tiny_model.demonstrations(36)
    again = sft(sft_run, data, tmp_path / "again", max_steps=1, **SMALL)
    assert resolve(again).base == str(tiny)
    # The first step's learning rate is 0, so the adapter is still the one it started from.
    ours, theirs = (load_file(run / ADAPTER) for run in (again, sft_run))
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


def test_dpo_measures_held_out_pairs(sft_run, pairs, tmp_path):
    learned, held_out = pairs.select(range(20)), pairs.select(range(20, 32))
    run = dpo(sft_run, learned, tmp_path / "run", held_out, learning_rate=1e-2, **SMALL)
    found = {row["step"]: row for row in rows(run) if "eval_loss" in row}
    assert found[0]["eval_loss"] == pytest.approx(0.6931, abs=1e-4)
    asked = held_out["prompt"]
    margins = torch.zeros(len(held_out))
    for side, sign in (("chosen", 1), ("rejected", -1)):
        texts = [completion[0]["content"] for completion in held_out[side]]
        for model, way in ((run, sign), (sft_run, -sign)):
            logps = response_logprobs(load_model(model), load_tokenizer(model), asked, texts)
            margins += way * torch.tensor([sum(row) for row in logps])
    expected = -torch.nn.functional.logsigmoid(0.1 * margins).mean().item()
    assert found[max(found)]["eval_loss"] == pytest.approx(expected, rel=1e-3)


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
    prompts = tokenizer.apply_chat_template(list(pairs["prompt"]), add_generation_prompt=True)
    longer = map(max, lengths["chosen"], lengths["rejected"])
    longest = [len(ids) + more for ids, more in zip(prompts["input_ids"], longer)]
    batches = first_epoch(longest)
    assert len(rows(dpo_run)) == len(batches) == 4
    for row, batch in zip(rows(dpo_run), batches):
        ratios = []
        for side in ("chosen", "rejected"):
            expected = sum(reference[side][i] for i in batch) / len(batch)
            ratios.append(row[f"logps/{side}"] - expected)
            assert row[f"rewards/{side}"] == pytest.approx(0.2 * ratios[-1], abs=1e-4)
        assert row["rewards/margins"] == pytest.approx(0.2 * (ratios[0] - ratios[1]), abs=1e-4)
        assert row["kl_ref_policy"] == pytest.approx(-sum(ratios) / 2, abs=1e-3)
        assert 0 <= row["rewards/accuracies"] <= 1
        assert row["tokens_per_second"] > 0
    assert rows(dpo_run)[-1]["rewards/margins"] > 0.1


def test_dpo_writes_one_adapter_on_the_same_base(dpo_run, sft_run, tiny):
    files = {path.name for path in (dpo_run / "adapter").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    assert resolve(dpo_run).base == str(tiny)
    ours, theirs = (load_file(run / ADAPTER) for run in (dpo_run, sft_run))
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_full_dpo_starts_at_ln_2_too(sft_run, pairs, tmp_path):
    options = {"use_lora": False, "max_steps": 2, "loss_type": "sigmoid", **SMALL}
    run = dpo(sft_run, pairs, tmp_path / "run", **options)
    assert rows(run)[0]["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert not (run / "adapter").exists()


def test_the_bundled_recipe_adds_the_likelihood_of_what_is_chosen(sft_run, pairs, tmp_path):
    run = dpo(sft_run, pairs, tmp_path / "run", max_steps=1, **(ANCHORED | SMALL))
    logps = [
        response_logprobs(load_model(sft_run), load_tokenizer(sft_run), pairs["prompt"][i : i + 1],
                          [pairs["chosen"][i][0]["content"]])[0]
        for i in range(len(pairs))
    ]  # fmt: skip
    # One step sees eight of the pairs, so the mean lies between the extremes of all.
    costs = [-sum(row) / len(row) for row in logps]
    added = (rows(run)[0]["loss"] - 0.6931) / ANCHORED["loss_weights"][1]
    assert min(costs) < added < max(costs)
    config = json.loads((run / "config.json").read_text())
    assert config["loss_type"] == ["sigmoid", "sft"]


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
