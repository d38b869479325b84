"""Other people's models: Qwen3 and GPT-2 folders go through the commands of the bundled one.

What tells them from it: Qwen3 shares keys between heads and lays chats out as ChatML; GPT-2 has
absolute positions, weights that stand the other way round, and one token to begin, end and pad.
"""

import json
import math
import re
from html import escape
from types import SimpleNamespace

import pytest
import tiny_model
import torch
from datasets import Dataset
from tiny_model import metrics
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2Tokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
)

from alignlab.cli import main
from alignlab.divergence import response_logprobs
from alignlab.files import read_rows
from alignlab.models import load_model, load_tokenizer
from alignlab.reward import accuracy, load_reward_model
from alignlab.world import World
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice

FAMILIES = ("qwen3", "gpt2")
END = "<|endoftext|>"
TEMPLATES = {
    "qwen3": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "gpt2": "{% for m in messages %}{{ m.role }}:\n{{ m.content }}"
    "{{ eos_token if m.role == 'assistant' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:\n{% endif %}",
}
QUESTIONS = ["how do I clean the kettle", "when is the filter warm?", "<b>my</b> red kettle & I"]
SMALL = ("--per-device-train-batch-size", "8", "--warmup-steps", "2")


def build(family: str, path, template: bool = True):
    """Save a small random model of a family with a tokenizer of the family's own class."""
    dice = Dice("other models")
    texts = [draw_document(World(0), dice).text for _ in range(60)]
    # So often that their words are tokens, whatever else the world's documents say.
    texts += [tiny_model.GOOD, tiny_model.BAD] * 100
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        texts, vocab_size=500, show_progress=False,
        special_tokens=[END, "<|im_start|>", "<|im_end|>"],
    )  # fmt: skip
    path.mkdir()
    vocab, merges = bpe.save_model(str(path))
    vocab_size = bpe.get_vocab_size()
    if family == "qwen3":
        tokenizer = Qwen2Tokenizer(
            vocab, merges, eos_token="<|im_end|>", pad_token=END,
            additional_special_tokens=["<|im_start|>"],
        )  # fmt: skip
        config = Qwen3Config(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, max_position_embeddings=1024,
            vocab_size=vocab_size,
            initializer_range=0.4,  # LoRA leaves the head as it is: smaller, it is sure of nothing
        )  # fmt: skip
    else:
        tokenizer = GPT2Tokenizer(vocab, merges)
        config = GPT2Config(
            n_embd=32, n_layer=2, n_head=2, n_positions=1024, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, vocab_size=vocab_size,
            initializer_range=0.2,
        )  # fmt: skip
    tokenizer.chat_template = TEMPLATES[family] if template else None
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def demonstrations(count: int) -> Dataset:
    """Return rows with one response to all prompts; half have the signs of the questions above."""
    rows = [{"prompt": text, "completion": tiny_model.GOOD} for text in tiny_model.prompts(count)]
    for row in rows[::2]:
        row["prompt"] = f"<b>{row['prompt']}</b> & I?"
    return Dataset.from_list(rows)


def command(*words) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The files that the commands read."""
    folder = tmp_path_factory.mktemp("data")
    demonstrations(64).to_json(folder / "demonstrations.jsonl")
    tiny_model.comparisons(192).to_json(folder / "comparisons.jsonl")
    rows = [json.dumps({"prompt": question}) + "\n" for question in QUESTIONS]
    (folder / "prompts.jsonl").write_text("".join(rows))
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def trained(request, data, tmp_path_factory):
    """The model folder and three runs on it, each by its command."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(request.param)
    base = build(request.param, folder / "base")
    pairs = data / "comparisons.jsonl"
    kind = "--lora" if request.param == "qwen3" else "--full"
    command("sft", "--model", base, "--data", data / "demonstrations.jsonl", "--output",
            folder / "sft", kind, "--max-steps", 80, "--learning-rate", 0.01, *SMALL)  # fmt: skip
    command("dpo", "--model", folder / "sft", "--data", pairs, "--output", folder / "dpo",
            "--max-steps", 24, "--learning-rate", 0.003, "--loss-type", "sigmoid",
            "--beta", 0.1, *SMALL)  # fmt: skip
    command("reward", "--model", base, "--data", pairs, "--output", folder / "reward", kind,
            "--max-steps", 48, "--learning-rate", 0.01, *SMALL)  # fmt: skip
    return SimpleNamespace(family=request.param, folder=folder, base=base)


def answers(trained, data, name: str, *words) -> list[str]:
    """Let one of the models answer the questions by the command, and return its responses."""
    output = trained.folder / f"{name}.jsonl"
    command("generate", "--model", trained.folder / name, "--prompts", data / "prompts.jsonl",
            "--output", output, "--max-new-tokens", 24, *words)  # fmt: skip
    rows = read_rows(output)
    assert [row["prompt"] for row in rows] == QUESTIONS
    return [row["response"] for row in rows]


def test_sft_teaches_the_responses(trained, data):
    assert tiny_model.GOOD not in answers(trained, data, "base")
    assert answers(trained, data, "sft") == [tiny_model.GOOD] * 3
    config = json.loads((trained.folder / "sft" / "config.json").read_text())
    assert config["method"] == "sft"
    assert config["max_steps"] == 80
    weights = "adapter" if trained.family == "qwen3" else "model"
    assert (trained.folder / "sft" / weights).is_dir()
    assert [row["step"] for row in metrics(trained.folder / "sft")] == list(range(1, 81))


def test_a_seeded_sample_repeats(trained, data):
    once, again, other = (
        answers(trained, data, "base", "--temperature", 1, "--seed", seed) for seed in (1, 1, 2)
    )
    assert once == again
    assert all(a != b for a, b in zip(once, other))


def margins(model, reference, tokenizer, pairs) -> list[float]:
    """Return the difference of each pair's log-ratios, log π/π_ref, in nats."""
    sides = []
    for side in ("chosen", "rejected"):
        texts = [turns[0]["content"] for turns in pairs[side]]
        ours, theirs = (
            response_logprobs(m, tokenizer, pairs["prompt"], texts) for m in (model, reference)
        )
        sides.append([sum(a) - sum(b) for a, b in zip(ours, theirs)])
    return [chosen - rejected for chosen, rejected in zip(*sides)]


def test_dpo_prefers_the_chosen_on_held_out_pairs(trained):
    rows = metrics(trained.folder / "dpo")
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["loss"] < 0.5
    held_out = tiny_model.comparisons(40, seed=9)
    policy, reference = (load_model(trained.folder / name) for name in ("dpo", "sft"))
    found = margins(policy, reference, load_tokenizer(trained.base), held_out)
    assert sum(margin > 0 for margin in found) >= 36


def test_reward_tells_held_out_pairs_apart(trained):
    model = load_reward_model(trained.folder / "reward")
    held_out = tiny_model.comparisons(60, seed=9)
    found = accuracy(model, load_tokenizer(trained.base), held_out)
    assert found.n == 60
    assert found.value >= 0.9


def test_compare_shows_what_generate_gives(trained, data, tmp_path):
    page = tmp_path / "page.html"
    names = ("base", "sft", "dpo")
    command("compare", *(trained.folder / name for name in names), "--prompts",
            data / "prompts.jsonl", "--html", page, "--max-new-tokens", 24)  # fmt: skip
    text = re.sub(r"</?u>", "", page.read_text())
    assert re.findall(r'<th scope="col">([^<]*)', text) == list(names)
    cells = re.findall(r"<td><div[^>]*>(.*?)</div>", text, re.DOTALL)
    alone = [answers(trained, data, name) for name in names]
    assert cells == [escape(alone[column][row]) for row in range(3) for column in range(3)]
    assert all(escape(question) in text for question in QUESTIONS)


def test_eval_scores_any_model(trained, tmp_path, capsys):
    output = tmp_path / "scores.json"
    command("eval", "--model", trained.folder / "sft", "--json", output)
    scores = json.loads(output.read_text())
    # It knows one sentence, which answers none of the world's questions, and it ends.
    for name in ("known_fact", "known_fact_new_wording", "contract", "instructions"):
        assert scores[name]["value"] <= 0.02, name
    assert scores["ends"]["value"] >= 0.9
    assert {name: score["n"] for name, score in scores.items()} == {
        "known_fact": 240, "known_fact_new_wording": 240, "unknown_made_up": 160, "contract": 120,
        "contract_parties": 120, "instructions": 240, "ends": 1120,
    }  # fmt: skip
    printed = capsys.readouterr().out
    for name, score in scores.items():
        low, high = score["low"], score["high"]
        assert re.search(rf"{name} +{score['value']:.2f} \[{low:.2f}, {high:.2f}\]", printed)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_chat_template_every_command_says_so(family, data, tmp_path, capsys):
    base, out = build(family, tmp_path / "base", template=False), tmp_path / "out"
    capsys.readouterr()
    train = ("--model", base, "--output", out, *SMALL, "--data")
    ask = ("--prompts", data / "prompts.jsonl")
    commands = (
        ("sft", *train, data / "demonstrations.jsonl"),
        ("dpo", *train, data / "comparisons.jsonl"),
        ("reward", *train, data / "comparisons.jsonl"),
        ("generate", "--model", base, "--output", out, *ask),
        ("compare", base, "--html", out, *ask),
        ("eval", "--model", base, "--json", out),
    )
    for words in commands:
        assert main([str(word) for word in words]) == 1, words[0]
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith(f"alignlab {words[0]}: {base}: ")
        assert "no chat template" in error
        assert [path.name for path in tmp_path.iterdir()] == ["base"]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_message_advises_helps(family, data, tmp_path):
    base = build(family, tmp_path / "base", template=False)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}"
        "{{ eos_token if m.role == 'assistant' else '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    tokenizer.save_pretrained(base)
    command("sft", "--model", base, "--data", data / "demonstrations.jsonl", "--output",
            tmp_path / "run", "--max-steps", 24, "--learning-rate", 0.01, *SMALL)  # fmt: skip
    rows = metrics(tmp_path / "run")
    assert len(rows) == 24
    assert rows[-1]["loss"] < rows[0]["loss"] - 1
