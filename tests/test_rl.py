"""Policy gradients through TRL: where a run starts, what is rewarded, what is logged and kept."""

import json
from statistics import fmean

import pytest
import tiny_model
import torch
from safetensors.torch import load_file
from tiny_model import metrics as rows

from alignlab.models import ModelError, load_tokenizer, resolve
from alignlab.reward import load_reward_model, reward, score
from alignlab.rl import rl
from alignlab.runs import RunError
from alignlab.sft import sft

SMALL = {"warmup_steps": 0, "progress": False}
ROUND = {
    "per_device_train_batch_size": 8, "steps_per_generation": 2, "num_generations": 4,
    "max_completion_length": 12, "learning_rate": 5e-3,
}  # fmt: skip
ADAPTER = "adapter/adapter_model.safetensors"


@pytest.fixture(scope="module")
def tiny():
    return tiny_model.folder()


@pytest.fixture(scope="module")
def sft_run(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("rl") / "sft"
    data = tiny_model.demonstrations(24)
    return sft(tiny, data, output, rank=4, per_device_train_batch_size=8, **SMALL)


@pytest.fixture(scope="module")
def judge(tiny, sft_run):
    options = {"rank": 4, "learning_rate": 5e-3, "num_train_epochs": 2}
    output = sft_run.parent / "judge"
    pairs = tiny_model.comparisons(64)
    return reward(tiny, pairs, output, per_device_train_batch_size=8, **options, **SMALL)


@pytest.fixture(scope="module")
def asked():
    return tiny_model.demonstrations(32, seed=5)


@pytest.fixture(scope="module")
def said():
    """What the watched reward saw, in order."""
    return []


@pytest.fixture(scope="module")
def run(sft_run, judge, asked, said):
    def letters(prompt, response):
        said.append((prompt, response))
        return len(response)

    output = sft_run.parent / "run"
    return rl(sft_run, judge, asked, output, watch=letters, num_train_epochs=3, **ROUND, **SMALL)


def rounds(run) -> list[dict]:
    return [row for row in rows(run) if "reward" in row]


def test_a_run_has_its_parts(run, tiny, judge):
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert files == {
        "config.json", "metrics.jsonl", "environment.json",
        "adapter/adapter_config.json", ADAPTER,
    }  # fmt: skip
    config = json.loads((run / "config.json").read_text())
    expected = {"method": "rl", "model": "../sft", "reward_model": "../judge", "prompts": 32}
    assert config.items() >= expected.items()
    assert resolve(run).base == str(tiny)


def test_every_prompt_is_asked_once_an_epoch(run, asked, said):
    # 16 responses a round, 4 to each prompt; 8 rounds an epoch, each with two steps.
    assert [row["step"] for row in rows(run)] == list(range(1, 49))
    assert [row["step"] for row in rounds(run)] == list(range(1, 49, 2))
    prompts = [prompt for prompt, _ in said]
    expected = sorted(message[0]["content"] for message in asked["prompt"])
    for start in range(0, 384, 128):
        assert sorted(prompts[start : start + 128 : 4]) == expected
    assert all(len(set(prompts[i : i + 4])) == 1 for i in range(0, 384, 4))


def test_the_reward_is_the_reward_models_score(run, judge, said):
    model, tokenizer = load_reward_model(judge), load_tokenizer(judge)
    for place in (0, 7, 23):
        batch = said[place * 16 : place * 16 + 16]
        found = score(model, tokenizer, [{"prompt": p, "completion": t} for p, t in batch])
        row = rounds(run)[place]
        assert row["rewards/learned/mean"] == pytest.approx(fmean(found), abs=1e-4)
        # What is watched does not count.
        assert row["reward"] == pytest.approx(row["rewards/learned/mean"], abs=1e-6)
        expected = fmean(len(text) for _, text in batch)
        assert row["rewards/watched/mean"] == pytest.approx(expected)


def test_responses_are_scored_without_the_space_of_the_template(said):
    assert not any(text.startswith(" ") for _, text in said[:16])


def test_a_run_starts_at_the_reference_and_leaves_it(run):
    first, *later = [row["kl_policy_ref"] for row in rounds(run)]
    assert first == pytest.approx(0, abs=1e-4)
    assert fmean(later[-8:]) > 0.1  # a round's estimate is the mean of 16 responses, and noisy


def test_the_logged_divergence_is_of_whole_responses(run):
    row = rounds(run)[-1]
    length = row["completions/mean_length"]
    assert row["kl_policy_ref"] == pytest.approx(row["kl"] * length)
    lengths = [row["completions/mean_length"] for row in rounds(run)]
    assert row["tokens_generated"] == pytest.approx(16 * sum(lengths))


@pytest.mark.parametrize("use_lora", [True, False])
@pytest.mark.parametrize("start", ["tiny", "sft_run"])
def test_the_reference_is_the_model_as_it_began(start, use_lora, judge, asked, tmp_path, request):
    # In the second round, after steps with a learning rate of 0: still 0 for the right reference.
    source = request.getfixturevalue(start)
    options = ROUND | {"learning_rate": 0.0, "max_steps": 3, "use_lora": use_lora}
    run = rl(source, judge, asked, tmp_path / "run", **options, **SMALL)
    assert [row["kl_policy_ref"] for row in rounds(run)] == pytest.approx([0, 0], abs=1e-4)
    assert "rewards/watched/mean" not in rounds(run)[0]


def test_no_run_changes_what_it_starts_from(run, sft_run):
    ours, theirs = (load_file(folder / ADAPTER) for folder in (run, sft_run))
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_cannot_be_followed_leaves_no_run(sft_run, judge, asked, tmp_path):
    with pytest.raises(ModelError, match="not a reward model"):
        rl(sft_run, sft_run, asked, tmp_path / "run", **ROUND, **SMALL)
    with pytest.raises(RunError, match="3 prompts; one round asks 4 different ones"):
        rl(sft_run, judge, asked.select(range(3)), tmp_path / "run", **ROUND, **SMALL)
    assert list(tmp_path.iterdir()) == []
