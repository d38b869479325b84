"""adapters.py: in a mixed batch every row has what its adapter gives it alone."""

import pytest
import tiny_model
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from alignlab.adapters import mixed_adapters

IDS = torch.tensor(
    [[5, 9, 200, 31], [7, 7, 40, 2], [5, 9, 200, 31], [90, 3, 3, 8], [5, 9, 200, 31]]
)
ROWS = ["wide", "__base__", "narrow", "wide", "__base__"]


def lora(**options):
    return LoraConfig(init_lora_weights=False, task_type="CAUSAL_LM", **options)


def llama():
    return AutoModelForCausalLM.from_pretrained(tiny_model.folder(), dtype=torch.float32)


def gpt2():
    """Its layers hold their weights transposed, and are no ``torch.nn.Linear``."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=600, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3)
    return GPT2LMHeadModel(config)


@pytest.fixture(params=[llama, gpt2])
def model(request):
    """A base with two adapters of other ranks, scales and layers."""
    base = request.param()
    names = ["q_proj", "down_proj"] if request.param is llama else ["c_attn", "c_fc"]
    torch.manual_seed(1)
    found = get_peft_model(base, lora(r=6, lora_alpha=3, target_modules=names[:1]), "narrow")
    found.add_adapter("wide", lora(r=4, lora_alpha=20, use_rslora=True, target_modules=names))
    return found.eval()


@torch.inference_mode()
def alone(model, name, ids):
    if name == "__base__":
        with model.disable_adapter():
            return model(ids).logits
    model.set_adapter(name)
    return model(ids).logits


def test_every_row_goes_through_its_own_adapter(model):
    expected = torch.cat([alone(model, name, ids[None]) for name, ids in zip(ROWS, IDS)])
    # The first, third and last row differ in nothing but the adapter.
    assert not torch.allclose(expected[0], expected[2], atol=1e-2)
    assert not torch.allclose(expected[0], expected[4], atol=1e-2)
    with torch.inference_mode(), mixed_adapters(model, ROWS) as assign:
        assert assign(ROWS) == {}
        torch.testing.assert_close(model(IDS).logits, expected, rtol=1e-4, atol=1e-4)
        # Rows may leave the batch, all that have an adapter too.
        for rows in ([3, 1], [4, 1], [2]):
            assign([ROWS[row] for row in rows])
            torch.testing.assert_close(
                model(IDS[rows]).logits, expected[rows], rtol=1e-4, atol=1e-4
            )


def test_the_model_is_as_before_when_the_block_ends(model):
    before = {name: alone(model, name, IDS) for name in ("narrow", "wide", "__base__")}

    def fail():
        with torch.inference_mode(), mixed_adapters(model, ROWS) as assign:
            assign(ROWS)
            model(IDS[:3])

    with pytest.raises(ValueError, match="adapters for 5 rows, but the layer has 3"):
        fail()
    for name, logits in before.items():
        assert torch.equal(alone(model, name, IDS), logits)
    assert model.active_adapter == "wide"


@pytest.mark.parametrize(
    "special",
    [
        {"modules_to_save": ["embed_tokens"], "target_modules": ["q_proj"]},
        {"lora_bias": True, "target_modules": ["q_proj"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
    ids=["trained embeddings", "bias", "adapted embeddings"],
)
def test_what_is_more_than_two_matrices_is_left_to_peft(special):
    torch.manual_seed(1)
    model = get_peft_model(llama(), lora(r=4, **special), "wide")
    model.add_adapter("narrow", lora(r=4, **special))
    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "wide" in name:
                weight += 0.1 * torch.randn(weight.shape)  # else saved embeddings are the base's
    with torch.inference_mode():
        expected = torch.cat([alone(model, name, ids[None]) for name, ids in zip(ROWS, IDS)])
        with mixed_adapters(model, ROWS) as assign:
            options = assign(ROWS)
            assert options == {"adapter_names": ROWS}
            torch.testing.assert_close(model(IDS, **options).logits, expected, rtol=1e-4, atol=1e-4)
