"""What fits into a GPU's memory, and what a run says that does not fit."""

import dataclasses
import weakref
from functools import cache

import pytest
import tiny_model
import torch
from benchmarks.gpu_shapes import SHAPES
from peft import get_peft_model
from transformers import AutoModelForCausalLM, Trainer

from alignlab import doctor, memory, models, runs
from alignlab.dpo import RECIPE as DPO_RECIPE
from alignlab.dpo import dpo
from alignlab.folders import RunError
from alignlab.memory import NEEDS, Need, divided, fitted, what_to_lower
from alignlab.models import PROFILES, lora
from alignlab.reward import reward
from alignlab.sft import RECIPE as SFT_RECIPE
from alignlab.sft import sft

SMALL = {"per_device_train_batch_size": 8, "warmup_steps": 2, "progress": False}
T4, A100 = 14.7, 39.4  # GiB that torch reports


# --- The estimate


@cache
def saved_mib(shape, layers: int, tokens: int) -> float:
    """Return what autograd keeps for the backward pass of a model with LoRA, in MiB."""
    shape = dataclasses.replace(shape, layers=layers, vocabulary=64)
    with torch.device("meta"), models.no_deprecations():
        model = AutoModelForCausalLM.from_config(shape.config(), dtype=torch.bfloat16)
        model = get_peft_model(model, lora())
    model.to_empty(device="cpu")  # whatever is there: what counts is how much is kept
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address recurs
        return tensor

    ids = torch.randint(0, 64, (1, tokens))
    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with torch.autocast("cpu", torch.bfloat16), hooks:
        model(input_ids=ids, use_cache=False).logits.sum()
    return sum(size for size, _ in kept.values()) / 2**20


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_memory_of_a_token_is_what_autograd_saves(shape):
    # What grows with both layers and tokens: 16-bit copies of the adapters grow with layers only.
    few, more = (saved_mib(shape, 2, n) - saved_mib(shape, 1, n) for n in (16, 48))
    counted = (more - few) / 32 * shape.layers
    assert counted < NEEDS[shape.source].token_mib < 1.1 * counted


def test_rows_that_fit_by_hand():
    need = Need(2**30, token_mib=1.0)
    # 0.9 of 16 GiB, less 1.0 and 2.8: 10.6 GiB, in rows of 512 MiB.
    assert need.rows_that_fit(16, 512) == 21
    assert need.rows_that_fit(16, 512, use_lora=False) == 1  # 16 GiB for the weights: nothing fits
    assert need.rows_that_fit(20, 512, use_lora=False) == 2


def test_a_batch_is_halved_and_its_steps_doubled():
    settings = {"per_device_train_batch_size": 12, "beta": 0.1}
    assert divided(settings, 12) is settings
    assert divided(settings, 7) == {
        "per_device_train_batch_size": 6, "gradient_accumulation_steps": 2, "beta": 0.1
    }  # fmt: skip
    assert divided(settings, 0)["per_device_train_batch_size"] == 3  # odd: not halved again
    again = divided({"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}, 2)
    assert again == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 16}


@pytest.fixture
def gpu_of(monkeypatch):
    """Pretend that a GPU with so much memory and this compute capability is there."""

    def pretend(gib: float, capability: tuple[int, int]):
        monkeypatch.setattr(memory, "gpu_gib", lambda: gib)
        monkeypatch.setattr(doctor, "gpu_gib", lambda: gib)
        monkeypatch.setattr(doctor, "default_device", lambda: "cuda")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)

    return pretend


def test_the_optimizer_step_keeps_its_rows_on_every_gpu(gpu_of):
    for name in ("t4", "gpu"):
        profile = PROFILES[name]
        for recipe, responses in ((SFT_RECIPE, 1), (DPO_RECIPE, 2)):
            settings = recipe | profile.options
            sizes = []
            for gib in (14.7, 22.0, 39.4, 79.2, 139.8):
                gpu_of(gib, (8, 0))
                found = fitted(settings, profile.model, responses)
                batch = found["per_device_train_batch_size"]
                steps = found.get("gradient_accumulation_steps", 1)
                assert batch * steps == settings["per_device_train_batch_size"]
                sizes.append(batch)
            assert sizes == sorted(sizes)
            assert sizes[-1] == settings["per_device_train_batch_size"]


def test_a_batch_is_left_alone_where_nothing_is_known_or_asked(gpu_of, tmp_path):
    settings = {"per_device_train_batch_size": 4096, "max_length": 512}
    assert fitted(settings, "nobody/nothing-that-exists") is settings  # a CPU
    gpu_of(T4, (7, 5))
    model = PROFILES["t4"].model
    assert fitted(settings, model) is not settings
    assert fitted(settings, tiny_model.folder()) is settings
    assert fitted(settings | {"max_length": None}, model)["per_device_train_batch_size"] == 4096
    checkpointed = settings | {"gradient_checkpointing": True}
    assert fitted(checkpointed, model) is checkpointed


def test_doctor_says_what_a_t4_does_and_why(gpu_of):
    gpu_of(T4, (7, 5))
    line = doctor.doctor()["profiles"]["t4"]
    assert "HuggingFaceTB/SmolLM2-360M" in line
    assert "Apache 2.0" in line
    assert "float16 (compute capability 7.5 only emulates bfloat16" in line
    assert "LoRA of rank 64" in line
    assert "SFT 8 of 8, DPO 4 of 8 (estimated for 14.7 GiB, 512 tokens)" in line


def test_doctor_says_what_an_a100_does_and_why(gpu_of):
    gpu_of(A100, (8, 0))
    line = doctor.doctor()["profiles"]["gpu"]
    assert "bfloat16 (compute capability 8.0 has bfloat16)" in line
    assert "SFT 16 of 16" in line
    assert {SFT_RECIPE["max_length"], DPO_RECIPE["max_length"]} == {doctor.LENGTH}


# --- Out of memory


@pytest.fixture
def full(monkeypatch):
    """Let the first step find the memory full; return weak references to what its frame holds."""
    held = []

    def step(trainer, model, inputs, *args, **kwargs):
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Trainer, "training_step", step)
    return held


@pytest.mark.parametrize("method", [sft, dpo, reward])
def test_a_run_that_does_not_fit_says_what_to_lower_and_leaves_nothing(method, full, tmp_path):
    make = tiny_model.demonstrations if method is sft else tiny_model.comparisons
    with pytest.raises(RunError) as error:
        method(tiny_model.folder(), make(16), tmp_path / "run", **SMALL)
    assert str(error.value) == (
        f"{tmp_path / 'run'}: out of memory; lower per_device_train_batch_size (now 8; 4 with "
        "gradient_accumulation_steps=2 keeps the losses), or set gradient_checkpointing=True "
        "(slower), or lower max_length (now 512 tokens), or end what else uses the memory, such "
        "as another notebook"
    )
    assert isinstance(error.value.__cause__, torch.OutOfMemoryError)
    assert list(tmp_path.iterdir()) == []
    assert [reference() for reference in full] == [None]  # though the error is still at hand


def test_a_model_that_does_not_fit_says_so_too(monkeypatch, tmp_path):
    def no_room(*args, **kwargs):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("alignlab.sft.load_to_train", no_room)
    with pytest.raises(RunError, match=r"out of memory; .*train a LoRA adapter in place of all"):
        sft(
            tiny_model.folder(), tiny_model.demonstrations(8), tmp_path / "run", use_lora=False,
            **SMALL,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_other_errors_stay_what_they_are(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr(Trainer, "training_step", fail)
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        sft(tiny_model.folder(), tiny_model.demonstrations(8), tmp_path / "run", **SMALL)


def test_advice_names_only_what_can_be_lowered():
    least = {"per_device_train_batch_size": 1, "gradient_checkpointing": True, "lora_rank": 8}
    assert what_to_lower(least) == "end what else uses the memory, such as another notebook"


# --- float16


@pytest.mark.parametrize("start", ["base", "run"])
def test_adapters_on_a_16_bit_base_are_in_float32(start, monkeypatch, tmp_path):
    source = tiny_model.folder()
    if start == "run":
        source = sft(source, tiny_model.demonstrations(8), tmp_path / "sft", max_steps=1, **SMALL)
    seen = {}

    def look(trainer, *args, **kwargs):
        for weight in trainer.model.parameters():
            seen.setdefault(weight.requires_grad, set()).add(weight.dtype)
        raise RunError("enough")

    monkeypatch.setattr("alignlab.models.default_dtype", lambda device: torch.float16)
    monkeypatch.setattr(Trainer, "train", look)
    for method, rows in ((sft, tiny_model.demonstrations(8)), (dpo, tiny_model.comparisons(8))):
        seen.clear()
        with pytest.raises(RunError, match="enough"):
            method(source, rows, tmp_path / "run", **SMALL)
        assert seen[True] == {torch.float32}
        assert torch.float16 in seen[False]


def test_what_trl_makes_16_bit_is_in_float32_before_a_float16_run_trains(monkeypatch, tmp_path):
    """TRL makes the adapters of a quantised base bfloat16; their gradients cannot be unscaled."""
    train, seen = runs.train, []

    def spoilt(trainer, part, resume=False):
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(torch.bfloat16)
        trainer.args.fp16 = True
        train(trainer, part, resume)

    def look(trainer, *args, **kwargs):
        seen.extend(w.dtype for w in trainer.model.parameters() if w.requires_grad)
        raise RunError("enough")

    monkeypatch.setattr(runs, "train", spoilt)
    monkeypatch.setattr(Trainer, "train", look)
    with pytest.raises(RunError, match="enough"):
        sft(tiny_model.folder(), tiny_model.demonstrations(8), tmp_path / "run", **SMALL)
    assert set(seen) == {torch.float32}
