"""Finding and loading models: what is refused, and what computes in which precision."""

import json
import shutil

import pytest
import tiny_model
import torch

from alignlab import models
from alignlab.models import ModelError, Source, load_model, load_tokenizer, lora, resolve


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
    from peft import get_peft_model

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
