"""Reward models: TRL's loss is ours, the run folder stands alone, and held-out pairs are told."""

import json
import shutil

import pytest
import tiny_model
import torch
from safetensors import safe_open
from tiny_model import metrics as rows
from transformers import GPT2Config, GPT2ForSequenceClassification

from alignlab import reward as module
from alignlab.callbacks import MetricsLog
from alignlab.losses import bradley_terry_loss
from alignlab.models import ModelError, load_model, load_tokenizer
from alignlab.reward import accuracy, load_reward_model, reward, score
from alignlab.runs import RunError
from alignlab.sft import sft

SMALL = {"per_device_train_batch_size": 8, "warmup_steps": 0, "progress": False}


def sides(pairs) -> list[list[dict]]:
    return [
        [{"prompt": pair["prompt"], "completion": pair[side]} for pair in pairs]
        for side in ("chosen", "rejected")
    ]


@pytest.fixture(scope="module")
def tiny():
    return tiny_model.folder()


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return load_tokenizer(tiny)


@pytest.fixture(scope="module")
def pairs():
    return tiny_model.comparisons(96)


@pytest.fixture(scope="module")
def run(tiny, pairs, tmp_path_factory):
    output = tmp_path_factory.mktemp("reward") / "run"
    return reward(tiny, pairs, output, rank=4, learning_rate=5e-3, num_train_epochs=2, **SMALL)


@pytest.fixture(scope="module")
def sft_run(tiny, tmp_path_factory):
    output = tmp_path_factory.mktemp("reward") / "sft"
    return sft(tiny, tiny_model.demonstrations(16), output, rank=4, **SMALL)


def test_held_out_pairs_are_told_apart(run, tokenizer):
    held_out = tiny_model.comparisons(60, seed=9)
    found = accuracy(load_reward_model(run), tokenizer, held_out)
    assert found.n == 60
    assert found.value >= 0.9
    assert 0.5 < found.low < found.value


@pytest.mark.parametrize("use_lora", [True, False])
def test_the_loss_of_trl_is_bradley_terry_on_our_scores(tiny, tokenizer, use_lora, tmp_path):
    # With a learning rate of 0 the run holds what the first step saw.
    pairs = tiny_model.comparisons(8, seed=4)
    run = reward(
        tiny, pairs, tmp_path / "run", use_lora=use_lora, learning_rate=0.0, num_train_epochs=1,
        **SMALL,
    )  # fmt: skip
    model = load_reward_model(run)
    chosen, rejected = (torch.tensor(score(model, tokenizer, side)) for side in sides(pairs))
    (logged,) = rows(run)
    expected = bradley_terry_loss(chosen, rejected).mean().item()
    assert logged["loss"] == pytest.approx(expected, abs=1e-5)
    assert logged["accuracy"] == pytest.approx(accuracy(model, tokenizer, pairs).value)
    assert logged["margin"] == pytest.approx((chosen - rejected).mean().item(), abs=1e-5)
    assert logged["tokens_per_second"] > 0


def test_the_adapter_holds_the_head_and_nothing_is_pickled(run, tiny):
    files = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert files == {
        "config.json", "metrics.jsonl", "environment.json",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    }  # fmt: skip
    assert json.loads((run / "config.json").read_text())["method"] == "reward"
    with safe_open(run / "adapter" / "adapter_model.safetensors", "pt") as weights:
        heads = [weights.get_slice(name) for name in weights.keys() if "score" in name]  # noqa: SIM118
        assert [head.get_shape() for head in heads] == [[1, 32]]


def test_a_run_with_a_merged_adapter_stands_without_it(sft_run, pairs, tokenizer, tmp_path):
    start = shutil.copytree(sft_run, tmp_path / "start")
    run = reward(start, pairs, tmp_path / "run", learning_rate=0.0, max_steps=1, rank=2, **SMALL)
    shutil.rmtree(start)
    model = load_reward_model(run)
    merged = load_model(sft_run).merge_and_unload()
    expected = merged.base_model.state_dict()
    for name, weight in model.base_model.state_dict().items():
        torch.testing.assert_close(weight, expected[name])


def test_a_full_run_has_a_model_of_its_own(sft_run, pairs, tokenizer, tmp_path):
    run = reward(sft_run, pairs, tmp_path / "run", use_lora=False, max_steps=2, **SMALL)
    assert not (run / "adapter").exists()
    assert not (run / "start").exists()
    assert not list(run.rglob("*.bin"))
    model = load_reward_model(run)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert load_tokenizer(run).chat_template == tokenizer.chat_template


def test_an_interrupted_run_goes_on_to_the_same_losses(run, tiny, pairs, tmp_path, monkeypatch):
    write, output = MetricsLog.on_log, tmp_path / "run"

    def interrupt(self, args, state, control, **kwargs):
        write(self, args, state, control, **kwargs)
        if state.global_step == 15:
            raise KeyboardInterrupt

    options = {"rank": 4, "learning_rate": 5e-3, "num_train_epochs": 2, "save_steps": 7, **SMALL}
    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "on_log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            reward(tiny, pairs, output, **options)
    resumed = reward(tiny, pairs, output, resume=True, **options)
    both = ([row["loss"] for row in rows(r)] for r in (resumed, run))
    assert next(both) == pytest.approx(next(both), rel=1e-5)


def test_a_score_does_not_depend_on_its_neighbours(run, tokenizer, pairs):
    torch.manual_seed(0)
    gpt2 = GPT2ForSequenceClassification(
        GPT2Config(
            vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, initializer_range=0.3,
            num_labels=1, pad_token_id=tokenizer.pad_token_id,
        )
    ).eval()  # fmt: skip
    some = sides(pairs.select(range(12)))[0]
    for model in (load_reward_model(run), gpt2):
        alone = [score(model, tokenizer, [row])[0] for row in some]
        assert max(alone) - min(alone) > 0.01
        assert score(model, tokenizer, some) == pytest.approx(alone, abs=1e-4)
        assert score(model, tokenizer, some[::-1], batch_size=5) == pytest.approx(
            alone[::-1], abs=1e-4
        )


def test_text_is_a_message_and_its_answer(run, tokenizer):
    model = load_reward_model(run)
    text = {"prompt": "how do I clean it", "completion": "wait"}
    messages = {
        "prompt": tiny_model.message("user", text["prompt"]),
        "completion": tiny_model.message("assistant", text["completion"]),
    }
    assert score(model, tokenizer, [text]) == score(model, tokenizer, [messages])


def test_a_tie_counts_one_half(monkeypatch, pairs):
    monkeypatch.setattr(module, "score", lambda model, tokenizer, rows, size: [0.0] * len(rows))
    assert accuracy(None, None, pairs).value == 0.5


def test_only_a_reward_model_gives_rewards(run, sft_run, tiny, pairs, tmp_path):
    for other in (sft_run, tiny):
        with pytest.raises(ModelError, match="not a reward model"):
            load_reward_model(other)
    with pytest.raises(RunError, match="is a reward model already"):
        reward(run, pairs, tmp_path / "run", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_reward_model_writes_no_text(run, tiny, tmp_path):
    demonstrations = tiny_model.demonstrations(8)
    whole = reward(
        tiny, tiny_model.comparisons(8), tmp_path / "whole", use_lora=False, max_steps=1, **SMALL
    )
    for source in (run, whole, whole / "model"):
        with pytest.raises(ModelError, match=r"is a reward model .*, not a language model"):
            load_model(source)
        with pytest.raises(ModelError, match=r"is a reward model .*, not a language model"):
            sft(source, demonstrations, tmp_path / "run", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_pairs_left_out_for_their_length_are_counted(tiny, tokenizer, tmp_path):
    pairs = tiny_model.comparisons(40)
    texts = [pair["prompt"] + pair[side] for pair in pairs for side in ("chosen", "rejected")]
    lengths = [len(ids) for ids in tokenizer.apply_chat_template(texts)["input_ids"]]
    longest = [max(lengths[i : i + 2]) for i in range(0, 80, 2)]
    limit = sorted(longest)[30]
    dropped = sum(length > limit for length in longest)
    assert dropped > 0
    warning = f"{dropped} of 40 pairs are longer than max_length={limit}"
    with pytest.warns(UserWarning, match=warning):
        reward(tiny, pairs, tmp_path / "run", max_length=limit, max_steps=1, **SMALL)
