"""Supervised fine-tuning through TRL, as one function that writes a run folder."""

from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import set_seed
from trl import SFTConfig, SFTTrainer

from alignlab import runs
from alignlab.models import default_device, load_model, load_tokenizer, lora, resolve

# The bundled recipe: what the course's figures were made with. Any option of TRL's SFTConfig
# may be passed to `sft` and takes the place of the one here.
RECIPE = {
    "learning_rate": 2e-3,
    "num_train_epochs": 2,
    "per_device_train_batch_size": 16,
    "warmup_steps": 10,
    "max_length": 512,
}


def sft(
    model: str | Path,
    dataset: Dataset,
    output: str | Path,
    *,
    use_lora: bool = True,
    rank: int = 16,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    data_name: str = "",
    **options,
) -> Path:
    """Fine-tune a model on demonstrations; the loss counts the completion's tokens only.

    A run that was fine-tuned with LoRA goes on in the same adapter.

    Args:
        model: ``"tiny"``, a run folder, a model folder or a Hub id.
        dataset: rows with ``prompt`` and ``completion`` (see data.py).
        output: the run folder to write.
        use_lora: train a LoRA adapter of this ``rank``, or all weights.
        options: any option of ``trl.SFTConfig``.

    Returns:
        The run folder, complete.
    """
    options = RECIPE | options
    config = {
        "method": "sft", "model": str(model), "data": data_name, "examples": len(dataset),
        "base": resolve(model).base, "lora_rank": rank if use_lora else None, "seed": seed,
    } | options  # fmt: skip
    device = default_device()
    tokenizer = load_tokenizer(model)
    with (
        runs.writing(output, config, resume, overwrite) as part,
        runs.quiet(not progress),
    ):
        set_seed(seed)
        start = load_model(
            model, device=device, trainable=True, dtype=None if use_lora else torch.float32
        )  # a full fine-tune's small updates would be lost in 16-bit weights
        adapted = isinstance(start, PeftModel)
        if adapted and not use_lora:
            start = start.merge_and_unload().requires_grad_(True)  # the adapter had frozen it
        settings = runs.trainer_settings(
            part, device, seed=seed, disable_tqdm=not progress, **options
        )
        trainer = SFTTrainer(
            model=start,
            args=SFTConfig(**settings),
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=lora(rank) if use_lora and not adapted else None,
        )
        runs.train(trainer, part, resume)
        runs.save(trainer, part)
    return Path(output)
