"""Real data: instructions and human comparisons go through SFT, DPO and a reward model.

The model is the bundled one, or where it has not been built a small random one, for which the same
must hold: what is asserted is that training does what it says, not how good a model comes out.
"""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_model
from datasets import Dataset
from tiny_model import metrics

from alignlab.data import preference_dataset, sft_dataset
from alignlab.divergence import response_logprobs
from alignlab.dpo import dpo
from alignlab.evaluate import bootstrap, wilson
from alignlab.files import DataError
from alignlab.generate import render
from alignlab.models import BUNDLED, load_model, load_tokenizer
from alignlab.reward import accuracy, load_reward_model, reward, score
from alignlab.sft import sft

ROOT = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("ALIGNLAB_REAL_DATA", ROOT.parent / "shared" / "data"))
COMPARISONS = "harmless-base-test.jsonl.gz"
BATCHES = {"per_device_train_batch_size": 8, "warmup_steps": 5, "progress": False}


def real_file(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not in {REAL}; set ALIGNLAB_REAL_DATA to the folder that has it")
    return REAL / name


@pytest.fixture(scope="module")
def model():
    return "tiny" if BUNDLED.is_dir() else tiny_model.folder()


@pytest.fixture(scope="module")
def tokenizer(model):
    return load_tokenizer(model)


def divide(rows: Dataset, *sizes: int, fits: Callable[[dict], bool]) -> list[Dataset]:
    """Draw disjoint parts of the rows that fit; no prompt is in two of them."""
    prompts, drawn = set(), []
    for i, row in enumerate(rows := rows.shuffle(seed=0)):
        prompt = json.dumps(row["prompt"])
        if prompt not in prompts and len(drawn) < sum(sizes) and fits(row):
            prompts.add(prompt)
            drawn.append(i)
    assert len(drawn) == sum(sizes)
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [rows.select(drawn[start : start + n]) for start, n in zip(starts, sizes)]


def logprobs(model, tokenizer, rows: Dataset, side: str) -> list[list[float]]:
    texts = [turns[0]["content"] for turns in rows[side]]
    return response_logprobs(model, tokenizer, rows["prompt"], texts)


# --- SFT


def test_sft_lowers_the_loss_of_held_out_instructions(model, tokenizer, tmp_path, record_property):
    rows = sft_dataset(real_file("instruction-data.json"))
    train, held_out = divide(rows, 320, 100, fits=lambda row: True)
    run = sft(model, train, tmp_path / "run", num_train_epochs=2, **BATCHES)
    before, after = (
        logprobs(load_model(source), tokenizer, held_out, "completion") for source in (model, run)
    )
    tokens = sum(map(len, before))
    losses = [-sum(map(sum, logps)) / tokens for logps in (before, after)]
    record_property("held_out_loss_before_and_after", losses)
    print(f"nats a token of {len(held_out)} held-out responses: {losses[0]:.3f}, {losses[1]:.3f}")
    # Of most rows, not of a few: the interval of the mean gain a row leaves zero out.
    gains = [sum(a) / len(a) - sum(b) / len(b) for a, b in zip(after, before)]
    assert bootstrap(gains).low > 0
    assert losses[1] < losses[0]


# --- Comparisons


@pytest.fixture(scope="module")
def pairs():
    return preference_dataset(real_file(COMPARISONS))


@pytest.fixture(scope="module")
def parts(pairs, tokenizer):
    """Pairs to train on and to hold out, short and of one answer a side, so that a CPU will do."""

    def fits(row):
        if len(row["chosen"]) + len(row["rejected"]) > 2 or not row["rejected"][0]["content"]:
            return False
        texts = [row["prompt"] + row[side] for side in ("chosen", "rejected")]
        return max(map(len, tokenizer.apply_chat_template(texts)["input_ids"])) <= 128

    return divide(pairs, 64, 100, fits=fits)


@pytest.fixture(scope="module")
def dpo_run(model, parts, tmp_path_factory):
    output = tmp_path_factory.mktemp("dpo") / "run"
    options = {"num_train_epochs": 3, "learning_rate": 2e-3, "loss_type": "sigmoid", "beta": 0.1}
    return dpo(model, parts[0], output, **options, **BATCHES)


def test_dpo_starts_at_ln_2_and_its_margins_rise(dpo_run):
    rows = metrics(dpo_run)
    assert len(rows) == 24  # 64 pairs in eights, three times
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)
    for name in ("rewards/margins", "rewards/accuracies"):
        epochs = [sum(row[name] for row in rows[start : start + 8]) / 8 for start in (0, 8, 16)]
        assert epochs == sorted(epochs), name
        assert epochs[2] > epochs[0] + 0.05, name


def test_dpo_prefers_what_people_chose_in_training_pairs(dpo_run, model, tokenizer, parts):
    policy, reference = load_model(dpo_run), load_model(model)
    ratios = {}
    for side in ("chosen", "rejected"):
        ours, theirs = (logprobs(m, tokenizer, parts[0], side) for m in (policy, reference))
        ratios[side] = [sum(a) - sum(b) for a, b in zip(ours, theirs)]
    margins = [chosen - rejected for chosen, rejected in zip(ratios["chosen"], ratios["rejected"])]
    assert bootstrap(margins).low > 0
    assert wilson(sum(margin > 0 for margin in margins), len(margins)).low > 0.5


def test_reward_accuracy_is_that_of_the_held_out_pairs(
    model, tokenizer, parts, tmp_path, record_property
):
    train, held_out = parts
    run = reward(model, train, tmp_path / "run", num_train_epochs=2, **BATCHES)
    trained = load_reward_model(run)
    found = accuracy(trained, tokenizer, held_out)
    record_property("held_out_reward_accuracy", found.as_dict())
    print(
        f"held-out accuracy {found.value:.2f} [{found.low:.2f}, {found.high:.2f}] of {found.n} "
        "pairs (Wilson, 95%)"
    )
    # Each held-out pair counted once, and no other: counted again by hand.
    sides = [
        score(trained, tokenizer, [{"prompt": p["prompt"], "completion": p[side]}])[0]
        for p in held_out
        for side in ("chosen", "rejected")
    ]
    wins = sum((a > b) + 0.5 * (a == b) for a, b in zip(sides[::2], sides[1::2]))
    assert found == wilson(wins, 100)
    assert 0 <= found.low < found.value < found.high <= 1
    assert 0.1 < found.high - found.low < 0.2  # ±1.96 √(p(1-p)/100)
    # The run saw none of them.
    seen, new = ({json.dumps(row["prompt"]) for row in part} for part in (train, held_out))
    assert not seen & new
    config = json.loads((run / "config.json").read_text())
    assert (config["pairs"], config["dropped"]) == (64, 0)


# --- Conversations longer than the context


def test_too_long_prompts_are_an_error_that_names_the_way_out(pairs, model, tmp_path):
    with pytest.raises(DataError) as error:
        dpo(model, pairs, tmp_path / "run", **BATCHES)
    message = str(error.value)
    assert message.startswith(f"{real_file(COMPARISONS)}, row ")
    assert "of 2312 rows; drop_too_long, --drop-too-long" in message
    assert list(tmp_path.iterdir()) == []


def test_too_long_prompts_are_dropped_where_asked(pairs, model, tokenizer, parts, tmp_path, capsys):
    def is_long(row):
        text = render(tokenizer, row["prompt"])
        return len(tokenizer(text, add_special_tokens=False)["input_ids"]) >= 512

    long = [row for row in pairs.select(range(300)) if is_long(row)]
    assert long
    rows = Dataset.from_list([*long, *parts[0].select(range(16))])
    run = dpo(model, rows, tmp_path / "run", drop_too_long=True, max_steps=2, **BATCHES)
    assert f"dropped {len(long)} of {len(rows)} rows" in capsys.readouterr().out
    config = json.loads((run / "config.json").read_text())
    assert (config["pairs"], config["dropped"]) == (16, len(long))
    assert metrics(run)[-1]["epoch"] == 1  # two steps of eight: the sixteen rows that fit
