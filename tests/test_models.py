"""Finding and loading models: what is refused, and what computes in which precision."""

import json
import shutil
import warnings

import pytest
import tiny_model
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForSequenceClassification

from alignlab import models
from alignlab.models import (
    ModelError,
    Source,
    find_weights,
    load_model,
    load_to_train,
    load_tokenizer,
    lora,
    resolve,
)


@pytest.fixture
def run(tmp_path):
    """A run's folder, ``runs/sft``, beside that of its base, ``base``."""
    model = load_model(shutil.copytree(tiny_model.folder(), tmp_path / "base"), device="cpu")
    config = lora(4)
    config.init_lora_weights = False  # at random, so that the adapter changes the model
    torch.manual_seed(0)
    with models.no_deprecations():
        get_peft_model(model, config).save_pretrained(tmp_path / "runs" / "sft" / "adapter")
    settings = {"method": "sft", "base": "../../base"}
    (tmp_path / "runs" / "sft" / "config.json").write_text(json.dumps(settings))
    return tmp_path / "runs" / "sft"


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([[5, 9, 200, 31]])).logits


@pytest.fixture
def copy(tmp_path):
    """A copy of the tiny model, to be spoilt."""
    return shutil.copytree(tiny_model.folder(), tmp_path / "model")


def test_tiny_is_the_bundled_model(copy, monkeypatch):
    monkeypatch.setattr(models, "BUNDLED", copy)
    assert resolve("tiny") == Source("tiny")
    assert models.base_path("tiny") == str(copy)
    monkeypatch.setattr(models, "BUNDLED", copy / "nowhere")
    with pytest.raises(ModelError, match="alignlab pretrain"):
        resolve("tiny")


def test_a_folder_with_safetensors_is_a_model(copy):
    assert resolve(copy) == Source(str(copy))


def test_pickled_weights_are_refused(copy):
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    for load in (resolve, load_model):
        with pytest.raises(ModelError, match=r"only pickled weights.*safetensors"):
            load(copy)


@pytest.mark.parametrize("source", ["/no/such/folder", "./nothing", "a/b/c"])
def test_a_missing_folder_is_no_hub_id(source):
    with pytest.raises(ModelError, match="no such folder"):
        resolve(source)


def test_other_names_are_hub_ids():
    assert resolve("Qwen/Qwen3-0.6B-Base") == Source("Qwen/Qwen3-0.6B-Base")


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelError, match="neither a run"):
        resolve(tmp_path)


def test_run_folders_name_their_base(tmp_path):
    for name in ("with_adapter/adapter", "full/model"):
        (tmp_path / name).mkdir(parents=True)
    config = {"method": "sft", "base": "some/base"}
    (tmp_path / "with_adapter" / "config.json").write_text(json.dumps(config))
    adapter = tmp_path / "with_adapter" / "adapter"
    assert resolve(tmp_path / "with_adapter") == Source("some/base", adapter)
    assert resolve(tmp_path / "full") == Source(str(tmp_path / "full" / "model"))


def test_a_local_base_is_found_from_the_run(run, tmp_path, monkeypatch):
    expected = Source(str(tmp_path / "base"), run / "adapter")
    assert resolve(run) == expected
    monkeypatch.chdir(tmp_path / "runs")
    assert resolve("sft") == expected
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(run)
    assert resolve(tmp_path / "elsewhere" / "link") == expected


def test_a_run_without_its_base_says_where_it_was_looked_for(run, tmp_path):
    shutil.move(run, tmp_path / "sft")
    with pytest.raises(ModelError, match=rf"sft: its base {tmp_path.parent}/base is not there"):
        load_model(tmp_path / "sft")


@pytest.mark.parametrize("text", [None, "{", '{"method": "sft"}'])
def test_an_adapter_whose_base_nobody_names_is_refused(run, text):
    (run / "config.json").unlink()
    if text:
        (run / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json: no field 'base'"):
        resolve(run)


def test_a_sequence_classifier_is_no_language_model(copy):
    classifier = AutoModelForSequenceClassification.from_pretrained(copy, num_labels=1)
    classifier.save_pretrained(copy)
    for load in (load_model, resolve):
        with pytest.raises(ModelError, match=r"is a reward model \(a sequence classifier\)"):
            load(copy)
    assert find_weights(copy) == Source(str(copy))


def test_loading_a_run_warns_of_nothing(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(load_model(run), PeftModel)


def test_what_is_trained_is_the_adapter_or_all_weights_in_float32(run):
    adapted, added = load_to_train(run, "cpu", rank=8)
    assert added is None  # it goes on in the adapter that it has
    names = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora" in name for name in names)
    fresh, added = load_to_train(run.parents[1] / "base", "cpu", rank=8)
    assert added.r == 8
    assert not isinstance(fresh, PeftModel)
    whole, added = load_to_train(run, "cpu", use_lora=False)
    assert added is None
    assert {(p.dtype, p.requires_grad) for p in whole.parameters()} == {(torch.float32, True)}
    torch.testing.assert_close(logits(whole), logits(load_model(run)), atol=1e-4, rtol=1e-4)
    assert (logits(whole) - logits(fresh)).abs().max() > 0.01


def test_a_hub_model_that_cannot_be_had_is_a_model_error():
    with pytest.raises(ModelError, match="nobody/nothing: cannot be loaded"):
        load_model("nobody/nothing")


def test_a_tokenizer_without_chat_template_is_refused(copy):
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"no chat template.*save it again"):
        load_tokenizer(copy)


def test_the_tokenizer_pads_on_the_left_and_always_can(copy):
    path = copy / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["pad_token"]
    path.write_text(json.dumps(config))
    tokenizer = load_tokenizer(copy)
    assert tokenizer.pad_token == tokenizer.eos_token == "<|end|>"
    ids = tokenizer(["a kettle", "a"], padding=True)["attention_mask"]
    assert (ids[1][0], ids[1][-1]) == (0, 1)


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_a_t4_computes_in_float16(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)  # by emulation on a T4
    assert models.default_dtype("cuda") == dtype
    assert models.default_dtype("cpu") == torch.float32


def test_sixteen_bit_weights_become_float32_on_a_cpu(copy):
    load_model(copy, device="cpu").to(torch.bfloat16).save_pretrained(copy)
    loaded = load_model(copy, device="cpu")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert not loaded.training
    assert load_model(copy, device="cpu", trainable=True).dtype == torch.float32


def test_lora_adapts_every_linear_layer_but_the_head():
    with models.no_deprecations():
        model = get_peft_model(load_model(tiny_model.folder(), device="cpu"), lora(4))
    sizes = [p.numel() for p in model.parameters() if p.requires_grad]
    # Two layers: q, k, v, o of 32 x 32, gate and up of 32 x 64, down of 64 x 32, each (in + out) r.
    assert sum(sizes) == 2 * 4 * (4 * (32 + 32) + 3 * (32 + 64))
    assert model.peft_config["default"].lora_alpha == 4


def test_profiles():
    assert models.profile("tiny").model == "tiny"
    with pytest.raises(ModelError, match=r"no profile 'gpus'.*did you mean 'gpu'"):
        models.profile("gpus")


def test_the_profile_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("ALIGNLAB_PROFILE", "t4")
    assert models.profile() is models.PROFILES["t4"]
    assert models.profile("tiny") is models.PROFILES["tiny"]
