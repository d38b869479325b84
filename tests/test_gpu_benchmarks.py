"""The GPU benchmark runs whole on a CPU with a toy, and counts right. No time is asserted."""

import contextlib
import io
import json

import pytest
import tiny_model
import torch
from benchmarks import gpu, gpu_rows, gpu_training
from benchmarks.gpu_bare import loop
from benchmarks.gpu_report import compared, reference_costs, table
from benchmarks.gpu_rows import AHEAD, BARE, LEAN, OURS, SMOKE, TRL, Budget, Row, Setting, Sizes
from benchmarks.gpu_shapes import SHAPES, TOY, comparisons, demonstrations, flops, save, sequences
from benchmarks.gpu_training import Clock, Training
from peft import get_peft_model
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from alignlab.memory import NEEDS
from alignlab.models import load_tokenizer, lora
from alignlab.runs import RunError

# Of the models' cards on the Hub.
PUBLISHED = {"360M": 361_821_120, "0.6B": 596_049_920, "1.7B": 1_720_574_976}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return save(TOY, tmp_path_factory.mktemp("gpu-benchmark") / "toy")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_has_as_many_parameters_as_published(shape):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape.config())
    assert sum(weight.numel() for weight in model.parameters()) == PUBLISHED[shape.name]
    assert NEEDS[shape.source].parameters == PUBLISHED[shape.name]
    matrices = [module.weight for module in model.modules() if type(module) is torch.nn.Linear]
    head = shape.vocabulary * shape.hidden
    assert sum(weight.numel() for weight in matrices) == shape.linear + head
    adapted = get_peft_model(model, lora(4))
    trained = sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)
    assert trained == shape.adapter(4)


@pytest.mark.parametrize("make", [demonstrations, comparisons])
def test_rows_have_the_tokens_that_they_are_said_to_have(make, toy):
    rows, tokenizer = make(9, 40), load_tokenizer(toy)
    found = []
    for row in rows:
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)
        for name in {"completion", "chosen", "rejected"} & row.keys():
            whole = tokenizer.apply_chat_template(row["prompt"] + row[name])["input_ids"]
            assert whole[: len(prompt["input_ids"])] == prompt["input_ids"]
            found.append((len(whole), len(whole) - len(prompt["input_ids"])))
    assert found == list(sequences(rows))
    assert {max(found)[0], min(found)[0]} == {40, 10}


def test_flops_by_hand():
    rows = demonstrations(1, 40)
    ((tokens, learned),) = sequences(rows)
    assert (tokens, learned) == (10, 5)  # two words, four for the layout, four words; one end
    weights = 2 * (32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 64)  # two layers: q, o; k, v; the three
    assert TOY.linear == weights
    forward = 2 * weights * tokens + 2 * 600 * 32 * learned
    attention = 2 * 2 * 32 * tokens**2
    assert flops(TOY, rows, None) == 3 * forward + 3 * attention
    # The weights of a frozen base have no gradient; those of the adapter have.
    assert flops(TOY, rows, 4) == 2 * forward + 3 * attention + 6 * TOY.adapter(4) * tokens
    pair = comparisons(1, 40)
    assert flops(TOY, pair, None) == 2 * (4 * forward + 4 * attention)
    assert flops(TOY, pair, None, reference=False) == 2 * (3 * forward + 3 * attention)


def test_utilisation_is_of_the_named_device():
    assert gpu_rows.peak_flops("NVIDIA H200") == 989e12
    assert gpu_rows.peak_flops("Tesla T4") == 65e12
    assert gpu_rows.peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert gpu_rows.peak_flops("a new one") is None


def test_without_a_gpu_all_is_said_not_to_be_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--json", str(tmp_path / "gpu.json")]) == 1
    printed = capsys.readouterr()
    assert "no CUDA device here, so nothing was measured" in printed.err
    rows = printed.out.splitlines()[2:]
    for setting in gpu_rows.plan(Sizes()):
        lines = [line for line in rows if line.startswith(f"{setting} ")]
        assert [line.count("not measured") for line in lines] == [3] * len(setting.sides)
    assert list(tmp_path.iterdir()) == []


def test_the_plan_is_what_the_issue_asks_for():
    settings = {str(setting) for setting in gpu_rows.plan(Sizes())}
    assert len(settings) == 1 + 3 * 4
    assert {f"SFT full {name}" for name in PUBLISHED} <= settings
    assert Setting(TOY, "DPO", "LoRA").sides == (OURS, LEAN, AHEAD, TRL, BARE)
    assert Setting(TOY, "SFT", "full").sides == (OURS, TRL, BARE)


@pytest.mark.slow
def test_smoke_measures_every_side(tmp_path):
    path, plot = tmp_path / "new" / "gpu.json", tmp_path / "gpu.png"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command = ["--smoke", "--minutes", "60", "--json", str(path), "--plot", str(plot)]
        assert gpu.main(command) == 0
    content = json.loads(path.read_text())
    expected = [(str(s), side) for s in gpu_rows.plan(SMOKE) for side in s.sides]
    assert [(row["setting"], row["side"]) for row in content["rows"]] == expected
    assert {row["missing"] for row in content["rows"]} == {""}
    assert all(row["tokens_per_second"] > 0 for row in content["rows"])
    assert all(len(row["seconds"]) == SMOKE.epochs - 1 for row in content["rows"])
    for row in content["rows"]:
        assert (row["before_seconds"] is not None) == (row["side"] == AHEAD)
        assert row["side"] in content["sides"]
    if not torch.cuda.is_available():
        assert {row["peak_gib"] for row in content["rows"]} == {None}
        assert printed.getvalue().count("not measured") >= 2 * len(expected)
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("method", "weights"), [("SFT", "LoRA"), ("DPO", "LoRA"), ("DPO", "full")])
def test_all_sides_see_the_same_tokens_and_the_bare_loop_the_same_losses(
    method, weights, toy, monkeypatch
):
    monkeypatch.setattr(gpu_training, "RATE", 0.0)
    training = Training(Setting(TOY, method, weights), SMOKE, toy)
    row = training.measure(OURS)
    batches = training.batches
    ours = [logged["loss"] for logged in tiny_model.metrics(toy.parent / "run")]
    assert row.tokens == [sum(int(batch["attention_mask"].sum()) for batch in batches)]
    learned = sum(learned for _, learned in sequences(training.rows))
    if method == "SFT":
        assert learned == sum(int((batch["labels"] != -100).sum()) for batch in batches)
    else:
        assert learned == sum(int(batch["completion_mask"].sum()) for batch in batches)
    losses = loop(toy, batches, weights == "LoRA", 1, 0.0, Clock())
    assert losses == pytest.approx(ours[-len(batches) :], rel=1e-4)


@pytest.mark.parametrize(
    ("method", "trainer", "config"),
    [("SFT", SFTTrainer, SFTConfig), ("DPO", DPOTrainer, DPOConfig)],
)
def test_the_baseline_is_what_trl_does_by_default(method, trainer, config, toy, monkeypatch):
    built, train = [], trainer.train

    def noted(self, *args, **kwargs):
        built.append(self)
        return train(self, *args, **kwargs)

    monkeypatch.setattr(trainer, "train", noted)
    Training(Setting(TOY, method, "full"), SMOKE, toy).measure(TRL)
    (plain,) = built
    on_cpu = not torch.cuda.is_available()
    default = config(output_dir="unused", use_cpu=on_cpu)
    names = config.__dataclass_fields__
    changed = {n for n in names if getattr(plain.args, n) != getattr(default, n)}
    assert changed <= {
        "output_dir", "num_train_epochs", "save_strategy", "disable_tqdm", "report_to"
    }  # fmt: skip
    assert (plain.args.bf16, plain.args.gradient_checkpointing) == (True, True)
    assert {(w.dtype, w.requires_grad) for w in plain.model.parameters()} == {(torch.float32, True)}


def row(side: str, rate: float, gib: float, setting: str = "s", **more) -> Row:
    return Row(setting, side, [100] * 3, [100 / rate, 1e9, 1e-9], gib, **more)


def test_a_goal_is_met_by_one_side_in_both_speed_and_memory():
    rows = [row(OURS, 200, 7.0), row(LEAN, 160, 5.0), row(TRL, 100, 10.0), row(BARE, 320, 20.0)]
    assert compared(rows) == [
        {"setting": "s", "side": OURS, "speed": 2.0, "memory": 0.7, "met": False, "bare": 0.625},
        {"setting": "s", "side": LEAN, "speed": 1.6, "memory": 0.5, "met": True, "bare": 0.5},
    ]
    lines = table(rows, {"device": "d"}).splitlines()
    assert lines[2].endswith("2.00x speed, 0.70x memory, 0.62x the bare loop, goals missed")
    assert lines[3].endswith("1.60x speed, 0.50x memory, 0.50x the bare loop, both goals met")
    assert compared([Row("s", side) for side in (OURS, TRL, BARE)])[0]["met"] is None


def test_the_reference_costs_what_switching_adds_or_scoring_takes():
    rows = [row(OURS, 100, 1.0), row(AHEAD, 200, 1.0, before_seconds=0.3)]
    assert reference_costs(rows) == [{"setting": "s", "switching": 0.5, "precomputing": 0.3}]
    (unknown,) = reference_costs([Row("s", OURS), Row("s", AHEAD)])
    assert unknown == {"setting": "s", "switching": None, "precomputing": None}


def test_what_would_not_end_in_time_is_not_begun(tmp_path):
    rows = gpu.measure(Setting(TOY, "SFT", "full"), SMOKE, tmp_path, Budget(0))
    assert [(found.side, found.missing) for found in rows] == [
        (side, "out of time") for side in (OURS, TRL, BARE)
    ]
    assert list(tmp_path.iterdir()) == []
    budget = Budget(1)
    assert budget.allows()
    budget.spent(61)
    assert not budget.allows()


def test_a_side_that_fails_costs_no_other(toy, monkeypatch):
    def fail(self, side):
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except torch.OutOfMemoryError as error:
            raise RunError("too large") from error

    monkeypatch.setattr(Training, "_ours", fail)
    found = gpu.measure(Setting(TOY, "SFT", "full"), SMOKE, toy.parent, Budget(5))
    assert [bool(row.seconds) for row in found] == [False, True, False]
    assert found[0].missing == "out of memory"
    assert found[2].missing.startswith("failed: RuntimeError: no batches")
