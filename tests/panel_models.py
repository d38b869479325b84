"""For tests that need several small models: a base, LoRA runs on it, and one with another base."""

import json
import shutil

import tiny_model
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def make(folder):
    """Write the models and return their folders by name."""
    base = tiny_model.folder()
    found = {"base": base}
    for seed, name in enumerate(("first", "second", "dora")):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False,
            use_dora=name == "dora", task_type="CAUSAL_LM",
        )  # fmt: skip
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        model.save_pretrained(folder / name / "adapter")
        (folder / name / "config.json").write_text(json.dumps({"base": str(base)}))
        found[name] = folder / name
    other = folder / "other"
    shutil.copytree(base, other)
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 + 0.3 * torch.randn_like(weight))
    model.save_pretrained(other)
    return found | {"other": other}
