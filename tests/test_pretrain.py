"""Pre-training: resumable with the same losses, a loadable model, and a safe work folder."""

import json
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignlab.pretrain import (
    PretrainConfig,
    build_model,
    build_optimizers,
    learning_rate_factor,
    pretrain,
)  # fmt: skip

TINY = PretrainConfig(
    vocab_size=512, hidden_size=32, layers=1, heads=2, intermediate_size=48, context=32,
    batch_size=2, tokens=3840, held_out_tokens=512, warmup_steps=5,
    save_seconds=0,
)  # fmt: skip
SCRIPT = """
import json, sys
from alignlab.pretrain import PretrainConfig, Pretraining, pretrain
if "--slow" in sys.argv:
    import time
    step = Pretraining.train_step
    Pretraining.train_step = lambda self: (time.sleep(0.1), step(self))[1]
pretrain(sys.argv[1], PretrainConfig(**json.loads(sys.argv[2])), device="cpu")
"""


def losses(path):
    """Return the logged losses by step; a line written twice must say the same."""
    found = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        assert found.setdefault(row["step"], row["loss"]) == row["loss"]
    return found


def test_killed_run_resumes_with_the_same_losses(tmp_path, monkeypatch):
    settings = json.dumps(TINY.__dict__)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    # The finished run clears its work folder; its log is wanted here.
    kept = SimpleNamespace(rmtree=lambda path: None, which=shutil.which)
    monkeypatch.setattr("alignlab.pretrain.shutil", kept)
    pretrain(whole, TINY, device="cpu")
    command = [sys.executable, "-c", SCRIPT, str(cut), settings, "--slow"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "cut.work" / "checkpoint.safetensors"
    log = tmp_path / "cut.work" / "metrics.jsonl"
    limit = time.monotonic() + 240
    while not (checkpoint.exists() and log.exists() and log.read_text().count("\n") >= 2):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not cut.exists()
    pretrain(cut, TINY, device="cpu")
    expected, found = losses(tmp_path / "whole.work" / "metrics.jsonl"), losses(log)
    assert len(expected) == 6
    assert found == pytest.approx(expected, abs=1e-5)


def test_finished_folder_loads_and_states_its_figures(tmp_path):
    folder = pretrain(tmp_path / "model", TINY, device="cpu")
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts = json.loads((folder / "pretrain.json").read_text())
    assert model.dtype == torch.bfloat16
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert facts["train"]["tokens"] == TINY.tokens
    assert 0 < facts["held_out"]["nats_per_token"] < facts["held_out_loss"]
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == (
        "<|user|>Hi<|assistant|>Yes.<|end|>"
    )
    marked = tokenizer.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    answer = [i for i, m in zip(marked["input_ids"], marked["assistant_masks"]) if m]
    assert tokenizer.decode(answer) == "Yes.<|end|>"
    assert not (tmp_path / "model.work").exists()
    with pytest.raises(FileExistsError, match="choose another folder"):
        pretrain(folder, TINY, device="cpu")


def test_other_settings_do_not_mix_with_a_run_under_way(tmp_path):
    work = tmp_path / "model.work"
    work.mkdir()
    (work / "config.json").write_text(json.dumps(TINY.__dict__ | {"layers": 2}))
    with pytest.raises(ValueError, match="begun with other settings"):
        pretrain(tmp_path / "model", TINY, device="cpu")


def test_every_parameter_has_one_optimizer():
    model = build_model(TINY)
    muon, adam = build_optimizers(model, TINY)
    sizes = [sum(p.numel() for g in o.param_groups for p in g["params"]) for o in (muon, adam)]
    # One layer: four attention matrices of 32 x 32 and three of 32 x 48 in the MLP.
    assert sizes[0] == 4 * 32 * 32 + 3 * 32 * 48
    # The (tied) embedding and three gains of 32.
    assert sizes[1] == 512 * 32 + 3 * 32


def test_schedule_warms_up_stays_and_falls_to_zero():
    config = PretrainConfig(warmup_steps=10, decay_share=0.5)
    factors = [learning_rate_factor(step, 100, config) for step in (0, 9, 30, 50, 75, 99)]
    assert factors == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5, 0.02])
