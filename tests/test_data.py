"""Rows into TRL's columns: every format, every bad row, the world, real files, TRL's own mask."""

import json
import os
from pathlib import Path

import datasets
import pytest
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

from alignlab import data
from alignlab.corpus import build_tokenizer
from alignlab.data import (
    DataError,
    preference_dataset,
    read_prompts,
    read_rows,
    sft_dataset,
    show_mask,
)
from alignlab.world import World
from alignlab.world.preferences import draw_pairs
from alignlab.world.recipes import preference_rows, sft_rows
from alignlab.world.tasks import FAMILIES, TASKS, draw_examples

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("ALIGNLAB_REAL_DATA", ROOT / ".." / "shared" / "data"))


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def real_file(name):
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not in {REAL}; set ALIGNLAB_REAL_DATA to the folder that has it")
    return REAL / name


@pytest.fixture
def write(tmp_path):
    """Write rows (as JSON Lines) or text to a file and return its path."""

    def write(content, name="rows.jsonl"):
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    return write


def test_prompts_from_rows_and_from_lines(write):
    assert read_prompts(write([{"prompt": "Why?"}, ONE])) == ["Why?", [user("Hello?")]]
    assert read_prompts(write("Why?\r\n\n Who?\n", "prompts.txt")) == ["Why?", " Who?"]
    with pytest.raises(DataError, match="line 2, field 'prompt': missing"):
        read_prompts(write([{"prompt": "Why?"}, {"question": "Who?"}]))
    for name in ("none.txt", "none.jsonl"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            read_prompts(name)


# Formats: rows as people have them, and what comes out.

ONE = {"prompt": [user("Hello?")], "completion": [assistant("Hi.")]}
LONG = [{"role": "system", "content": ""}, user("Hello?"), assistant("Hi."), user("Well?")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Hello?", "completion": "Hi."}, ONE),
        (ONE, ONE),
        ({"messages": [user("Hello?"), assistant("Hi.")], "id": 7}, ONE),
        (
            {"messages": [*LONG, assistant("Bye.")]},
            {"prompt": LONG, "completion": [assistant("Bye.")]},
        ),
        ({"instruction": "Hello?", "output": "Hi."}, ONE),
        ({"instruction": "Hello?", "input": None, "output": "Hi."}, ONE),
        (
            {"instruction": "Translate:", "input": "Bonjour", "output": "Hello"},
            {"prompt": [user("Translate:\n\nBonjour")], "completion": [assistant("Hello")]},
        ),
    ],
)
def test_sft_formats(row, expected, write):
    dataset = sft_dataset(write([row, row]))
    assert dataset.column_names == ["prompt", "completion"]
    assert dataset.to_list() == [expected, expected]


PAIR = {"prompt": [user("Hello?")], "chosen": [assistant("Hi!")], "rejected": [assistant("No.")]}
PAIR_NAMES = ("chosen", "rejected")
START = "\n\nHuman: Hello?\n\nAssistant: "


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Hello?", "chosen": "Hi!", "rejected": "No."}, PAIR),
        (PAIR, PAIR),
        ({name: PAIR["prompt"] + PAIR[name] for name in PAIR_NAMES}, PAIR),
        (
            {name: PAIR["prompt"] + PAIR[name] for name in PAIR_NAMES} | {"prompt": "Hello?"},
            PAIR,
        ),
        ({"chosen": START + "Hi!", "rejected": START + "No."}, PAIR),
        # The responses begin alike; what they share is not part of the prompt.
        (
            {"chosen": START + "Hi you.", "rejected": START + "Hi me."},
            PAIR | {"chosen": [assistant("Hi you.")], "rejected": [assistant("Hi me.")]},
        ),
        # One conversation goes on where the other ends: the prompt ends before both responses.
        (
            {
                "chosen": START + "Hi!",
                "rejected": START + "Hi!\n\nHuman: Well?\n\nAssistant: ",
            },
            PAIR | {"rejected": [assistant("Hi!"), user("Well?"), assistant("")]},
        ),
        # They part at a message of the user, which is nobody's response.
        (
            {name: START + f"Hi!\n\nHuman: {name}\n\nAssistant: Oh." for name in PAIR_NAMES},
            PAIR | {name: [assistant("Hi!"), user(name), assistant("Oh.")] for name in PAIR_NAMES},
        ),
    ],
)
def test_preference_formats(row, expected, write):
    dataset = preference_dataset(write([row, row]))
    assert dataset.column_names == ["prompt", "chosen", "rejected"]
    assert dataset.to_list() == [expected, expected]


# Bad input: every message names the file, the place, and what is wrong with it.

GOOD = {"prompt": "Hello?", "completion": "Hi."}
GOOD_PAIR = {"prompt": "Hello?", "chosen": "Hi!", "rejected": "No."}
BAD_ROWS = {
    "lacks completion": (GOOD, {"prompt": "Hello?"}, "field 'completion': missing"),
    "null": (GOOD, GOOD | {"prompt": None}, "field 'prompt': null; expected text"),
    "number": (GOOD, GOOD | {"completion": 5}, "field 'completion': 5; expected text"),
    "empty completion": (GOOD, GOOD | {"completion": " \n"}, "field 'completion': empty"),
    "half a character": (GOOD, GOOD | {"prompt": "\ud83d"}, "field 'prompt': half a surrogate"),
    "lacks chosen": (GOOD_PAIR, {"prompt": "a", "rejected": "b"}, "field 'chosen': missing"),
    "lacks prompt": (GOOD_PAIR, {"chosen": "a", "rejected": "b"}, "field 'prompt': missing"),
    "null chosen": (GOOD_PAIR, GOOD_PAIR | {"chosen": None}, "field 'chosen': null"),
    "empty rejected": (GOOD_PAIR, GOOD_PAIR | {"rejected": ""}, "field 'rejected': empty"),
    "equal": (GOOD_PAIR, GOOD_PAIR | {"rejected": "Hi!"}, "'chosen' equals 'rejected'"),
    "equal messages": (PAIR, PAIR | {"rejected": PAIR["chosen"]}, "'chosen' equals 'rejected'"),
    "mixed fields": (GOOD, {"instruction": "a", "output": "b"}, "mixed formats: instruction"),
    "mixed shapes": (GOOD, ONE, "mixed formats: prompt + completion as messages"),
    "no content": (ONE, ONE | {"prompt": [{"role": "user"}]}, "message 1, content: null"),
    "unknown role": (ONE, ONE | {"prompt": [user("a") | {"role": "bot"}]}, "message 1: {"),
    "no messages": (ONE, ONE | {"completion": []}, "field 'completion': empty; expected messages"),
    "user ends": (ONE, ONE | {"completion": [user("a")]}, "role 'user'; expected the assistant"),
    "silence": (ONE, ONE | {"completion": [assistant("")]}, "message 1, content: empty"),
    "answer only": (
        {"messages": [user("a"), assistant("b")]}, {"messages": [assistant("b")]}, "one message",
    ),
    "number as input": (
        {"instruction": "a", "output": "b"}, {"instruction": "a", "input": 3, "output": "b"},
        "field 'input': 3; expected text",
    ),
    "no transcript": (
        {"chosen": START + "a", "rejected": START + "b"}, {"chosen": "a", "rejected": "b"},
        "field 'chosen': \"a\"; expected a prompt field, or a transcript",
    ),
    "nothing shared": (
        {"chosen": START + "a", "rejected": START + "b"},
        {"chosen": START + "a", "rejected": "\n\nHuman: No\n\nAssistant: b"}, "begin differently",
    ),
    "equal transcripts": (
        {"chosen": START + "a", "rejected": START + "b"},
        {"chosen": START + "a", "rejected": START + "a"}, "'chosen' equals 'rejected'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(case, write):
    good, bad, message = BAD_ROWS[case]
    load = preference_dataset if "chosen" in good else sft_dataset
    path = write([good, bad, good])
    with pytest.raises(DataError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}, line 2")
    assert message in str(error.value)
    assert len(load(write([good, good]))) == 2


def test_comparisons_are_no_demonstrations(write):
    path = write([GOOD_PAIR])
    with pytest.raises(DataError, match=r"line 1: fields 'prompt', 'chosen', .*; expected prompt"):
        sft_dataset(path)


def test_a_file_is_one_split(write):
    with pytest.raises(DataError, match="one split, 'train'; it has no split 'test'"):
        sft_dataset(write([GOOD]), split="test")


def test_the_rows_of_a_hub_data_set_are_checked_like_those_of_a_file(monkeypatch):
    asked, rows = [], [GOOD_PAIR, GOOD_PAIR]

    def load(source, split):
        asked.append((source, split))
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert preference_dataset("org/name", split="test").to_list() == [PAIR, PAIR]
    assert asked == [("org/name", "test")]
    rows[1] = GOOD_PAIR | {"rejected": "Hi!"}
    with pytest.raises(DataError, match="org/name, row 2: 'chosen' equals"):
        preference_dataset("org/name", split="test")


# The world.


def test_world_mixtures_are_the_recipes():
    assert sft_dataset("world:sft", seed=3).to_list() == sft_rows(World(0), 3)
    assert preference_dataset("world:preferences", 3).to_list() == preference_rows(World(0), 3)


@pytest.mark.parametrize("task", [*TASKS, *FAMILIES])
def test_world_tasks(task, monkeypatch):
    monkeypatch.setattr(data, "WORLD_EXAMPLES", 8)
    dataset = sft_dataset(f"world:{task}", seed=1, split="test")
    examples = draw_examples(World(0), task, 8, "test", seed=1)
    assert [row[0]["content"] for row in dataset["prompt"]] == [e.prompt for e in examples]
    for example, (response,) in zip(examples, dataset["completion"]):
        assert response["content"] in example.labels()
    assert sft_dataset(f"world:{task}", seed=2, split="test").to_list() != dataset.to_list()


@pytest.mark.parametrize("kind", ["style", "abstention"])
def test_world_preferences(kind, monkeypatch):
    monkeypatch.setattr(data, "WORLD_EXAMPLES", 8)
    pairs = draw_pairs(World(0), kind, 8, "validation", seed=1)
    dataset = preference_dataset(f"world:{kind}", seed=1, split="validation")
    for name in ("prompt", "chosen", "rejected"):
        assert [row[0]["content"] for row in dataset[name]] == [getattr(p, name) for p in pairs]


@pytest.mark.parametrize(
    ("load", "name", "split", "nearest"),
    [
        (sft_dataset, "manuel", "train", "manual"),
        (sft_dataset, "forbiden_word", "train", "forbidden_word"),
        (preference_dataset, "preference", "train", "preferences"),
        (preference_dataset, "styles", "train", "style"),
        (sft_dataset, "manual", "tests", "test"),
    ],
)
def test_unknown_names_suggest_the_nearest(load, name, split, nearest):
    with pytest.raises(DataError, match=f"did you mean '{nearest}'"):
        load(f"world:{name}", split=split)


def test_recipes_have_no_test_split():
    for load, name in ((sft_dataset, "sft"), (preference_dataset, "preferences")):
        with pytest.raises(DataError, match="expected split 'train'"):
            load(f"world:{name}", split="test")


# Tokens.


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(World(0), vocab_size=400, documents=50)


def test_mask_by_hand(tokenizer):
    shown = show_mask(tokenizer, {"prompt": [user("ab")], "completion": [assistant("ba")]})
    assert [shown[0], shown[-1]] == [("<|user|>", 0), ("<|end|>", 1)]
    assert "".join(token for token, counted in shown if not counted) == "<|user|>ab<|assistant|>"
    assert "".join(token for token, counted in shown if counted) == " ba<|end|>"
    pair = show_mask(tokenizer, PAIR)
    assert "".join(token for token, counted in pair if counted) == " Hi!<|end|>"


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is dep:FutureWarning")  # by TRL
def test_mask_is_that_of_trl(tokenizer, write, tmp_path):
    dataset = sft_dataset(write([{"messages": [*LONG, assistant("Bye, then.")]}]))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=LlamaForCausalLM(config),
        args=SFTConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none"),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    seen = trainer.train_dataset[0]
    shown = show_mask(tokenizer, dataset[0])
    assert [counted for _, counted in shown] == [int(label != -100) for label in seen["labels"]]
    assert [token for token, _ in shown] == [tokenizer.decode([i]) for i in seen["input_ids"]]
    assert 0 < sum(counted for _, counted in shown) < len(shown)


# Real data.


def transcript(turns):
    names = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{names[turn['role']]}: {turn['content']}" for turn in turns)


def test_hh_rlhf_goes_there_and_back():
    path = real_file("harmless-base-test.jsonl.gz")
    dataset, originals = preference_dataset(path), read_rows(path)
    assert len(dataset) == len(originals) == 2312
    for row, original in zip(dataset, originals):
        assert transcript(row["prompt"] + row["chosen"]) == original["chosen"]
        assert transcript(row["prompt"] + row["rejected"]) == original["rejected"]
        assert row["chosen"][0] != row["rejected"][0]
        assert row["prompt"][0]["role"] == "user"
        assert row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant"


def test_alpaca_converts():
    path = real_file("instruction-data.json")
    dataset, originals = sft_dataset(path), read_rows(path)
    assert (len(dataset), sum(bool(row["input"]) for row in originals)) == (1100, 325)
    for row, original in zip(dataset, originals):
        parts = [original["instruction"], original["input"]]
        assert row["prompt"] == [user("\n\n".join(part for part in parts if part))]
        assert row["completion"] == [assistant(original["output"])]
