"""Pre-training: resumable with the same losses, a loadable model, and a safe work folder.

The corpus that it reads is tested here too: its tokenizer, its streams and their order.
"""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignlab.corpus import build_tokenizer, write_stream
from alignlab.pretrain import finishing, pretrain
from alignlab.pretraining import (
    PretrainConfig,
    build_model,
    build_optimizer,
    learning_rate_factor,
)
from alignlab.world import World
from alignlab.world.catalogue import fact_values
from alignlab.world.documents import FINISH, FIRST_TOLD, draw_document
from alignlab.world.grammar import Dice

TINY = PretrainConfig(
    vocab_size=512, hidden_size=32, layers=1, heads=2, intermediate_size=48, context=32,
    batch_size=2, tokens=3840, finish_tokens=1920, held_out_tokens=512, warmup_steps=5,
    save_seconds=0,
)  # fmt: skip
WORLD = World(0)
SCRIPT = """
import json, sys
from alignlab.pretrain import pretrain
from alignlab.pretraining import PretrainConfig, Pretraining
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


@pytest.fixture
def kept(monkeypatch):
    """Let a finished run keep its work folder, which it clears otherwise."""
    monkeypatch.setattr("alignlab.pretrain.shutil", SimpleNamespace(rmtree=lambda path: None))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The work folder of a run that was never killed."""
    output = tmp_path_factory.mktemp("pretrain") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alignlab.pretrain.shutil", SimpleNamespace(rmtree=lambda path: None))
        pretrain(output, TINY, device="cpu")
    return output.with_name("whole.work")


@pytest.mark.parametrize("part", [".", "finish"])
def test_killed_run_resumes_with_the_same_losses(part, whole, kept, tmp_path):
    cut = tmp_path / "cut"
    command = [sys.executable, "-c", SCRIPT, str(cut), json.dumps(TINY.__dict__), "--slow"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    folder = tmp_path / "cut.work" / part
    checkpoint, log = folder / "checkpoint.safetensors", folder / "metrics.jsonl"
    limit = time.monotonic() + 240
    while not (checkpoint.exists() and log.exists() and log.read_text().count("\n") >= 2):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not cut.exists()
    pretrain(cut, TINY, device="cpu")
    for name, count in ((".", 6), ("finish", 3)):
        expected = losses(whole / name / "metrics.jsonl")
        assert len(expected) == count
        found = losses(tmp_path / "cut.work" / name / "metrics.jsonl")
        assert found == pytest.approx(expected, abs=1e-5)


def test_the_second_run_goes_on_from_the_16_bit_weights_of_the_first(whole, kept, tmp_path):
    settings = finishing(TINY)
    assert (settings.tokens, settings.decay_share) == (TINY.finish_tokens, 1.0)
    assert settings.learning_rate == pytest.approx(0.4 * TINY.learning_rate)
    assert settings.embedding_lr == pytest.approx(0.4 * TINY.embedding_lr)
    still = pretrain(tmp_path / "still", replace(TINY, finish_share=0.0), device="cpu")
    first, same = (
        load_file(folder / "model.safetensors")
        for folder in (tmp_path / "still.work" / "first", still)
    )
    embeddings = first["model.embed_tokens.weight"]
    embeddings[3] = ((embeddings[3].float() + embeddings[0].float()) / 2).bfloat16()
    assert all(torch.equal(first[name], same[name]) for name in first)
    moved = load_file(whole.with_name("whole") / "model.safetensors")
    assert not all(torch.equal(first[name], moved[name]) for name in first)


def test_finished_folder_loads_and_states_its_figures(tmp_path, monkeypatch):
    streams = {}

    def note(path, world, tokenizer, tokens, name, **options):
        streams[name] = options
        return write_stream(path, world, tokenizer, tokens, name, **options)

    monkeypatch.setattr("alignlab.pretrain.write_stream", note)
    folder = pretrain(tmp_path / "model", TINY, device="cpu")
    assert streams == {
        "held_out": {}, "train": {"curriculum": True}, "finish/train": {"mixture": FINISH},
    }  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts = json.loads((folder / "pretrain.json").read_text())
    assert model.dtype == torch.bfloat16
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert facts["train"]["tokens"] == TINY.tokens
    assert facts["finish"]["tokens"] == TINY.finish_tokens
    assert 0 < facts["held_out"]["nats_per_token"] < facts["held_out_loss"]
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == (
        "<|user|>Hi<|assistant|> Yes.<|end|>"
    )
    marked = tokenizer.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    answer = [i for i, m in zip(marked["input_ids"], marked["assistant_masks"]) if m]
    assert tokenizer.decode(answer) == " Yes.<|end|>"
    assert not (tmp_path / "model.work").exists()
    with pytest.raises(FileExistsError, match="choose another folder"):
        pretrain(folder, TINY, device="cpu")


def test_other_settings_do_not_mix_with_a_run_under_way(tmp_path):
    work = tmp_path / "model.work"
    work.mkdir()
    (work / "config.json").write_text(json.dumps(TINY.__dict__ | {"layers": 2}))
    with pytest.raises(ValueError, match="begun with other settings"):
        pretrain(tmp_path / "model", TINY, device="cpu")


@pytest.fixture(scope="module")
def tokenizer():
    """The bundled model's tokenizer, trained anew."""
    return build_tokenizer(WORLD, PretrainConfig().vocab_size)


def test_every_product_name_is_two_tokens(tokenizer):
    catalogue = WORLD.catalogue
    names = [product.name for product in catalogue.known + catalogue.sft_only]
    names += catalogue.unknown + catalogue.one_off
    for name in names:
        first, second = name.split(" ")
        assert tokenizer.tokenize(f"the {name}") == ["the", f"Ġ{first}", f"Ġ{second}"]


def test_a_number_is_not_split_into_its_digits(tokenizer):
    split = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    for attribute in ("warranty", "power", "price"):
        values = [value.split(" ") for value in fact_values(attribute)]
        for number, unit in values:
            assert [word for word, _ in split(f" {number} {unit}")] == [f"Ġ{number}", f"Ġ{unit}"]
        whole = [
            number for number, _ in values if tokenizer.tokenize(f" {number}") == [f"Ġ{number}"]
        ]
        assert len(whole) > len(values) / 2, attribute


def test_a_stream_is_its_documents_and_counts_their_nats(tokenizer, tmp_path):
    stats = write_stream(tmp_path / "s.bin", WORLD, tokenizer, 50_000, "check")
    dice = Dice("check:0")
    documents = [draw_document(WORLD, dice) for _ in range(stats["documents"])]
    ids = np.fromfile(tmp_path / "s.bin", np.uint16)
    texts = tokenizer.decode(ids).split(tokenizer.eos_token)
    assert stats["tokens"] == len(ids) == 50_000
    assert texts[:-1] == [document.text for document in documents][: len(texts) - 1]
    assert len(texts) - len(documents) in (0, 1)  # 1 if the last document fits to its end
    assert stats["characters"] == sum(len(document.text) for document in documents)
    nats = sum(document.nats for document in documents)
    assert stats["nats_per_token"] == pytest.approx(nats / 50_000, abs=1e-4)


def test_a_curriculum_begins_with_few_products_and_ends_with_all(tokenizer, tmp_path):
    names = [product.name for product in WORLD.everyone("products")]

    def named(curriculum: bool) -> list[set[int]]:
        """Return the places of the products named at the start and at the end of a stream."""
        path = tmp_path / "stream.bin"
        # Ledgers alone, which name the most products in the fewest tokens.
        options = {"curriculum": curriculum, "mixture": {"ledger": 1.0}}
        write_stream(path, WORLD, tokenizer, 300_000, "places", **options)
        ids = np.fromfile(path, np.uint16)
        texts = tokenizer.decode(ids[:28_000]), tokenizer.decode(ids[-200_000:])
        return [{i for i, name in enumerate(names) if name in text} for text in texts]

    everyone = set(range(len(names)))
    assert named(curriculum=True) == [set(range(FIRST_TOLD)), everyone]
    start, end = named(curriculum=False)
    assert not start <= set(range(FIRST_TOLD))
    assert end == everyone


def test_every_parameter_is_in_one_group_of_the_optimizer():
    model = build_model(TINY)
    matrices, others, embeddings = build_optimizer(model, TINY).param_groups
    sizes = [sum(p.numel() for p in g["params"]) for g in (matrices, others, embeddings)]
    # One layer: four attention matrices of 32 x 32 and three of 32 x 48 in the MLP; three gains and
    # four biases of 32; the embeddings and the output matrix.
    assert sizes == [4 * 32 * 32 + 3 * 32 * 48, 3 * 32 + 4 * 32, 2 * 512 * 32]
    assert sum(sizes) == sum(p.numel() for p in model.parameters())
    rates = [group["lr"] for group in (matrices, others, embeddings)]
    assert rates == [TINY.learning_rate, TINY.learning_rate, TINY.embedding_lr]
    decays = [group["weight_decay"] for group in (matrices, others, embeddings)]
    assert decays == [TINY.weight_decay, 0, 0]


def test_schedule_warms_up_stays_and_falls_to_zero():
    config = PretrainConfig(warmup_steps=10, decay_share=0.5)
    factors = [learning_rate_factor(step, 100, config) for step in (0, 9, 30, 50, 75, 99)]
    assert factors == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5, 0.02])
