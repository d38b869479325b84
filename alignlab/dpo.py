"""Direct preference optimization through TRL, as one function that writes a run folder."""

from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import set_seed
from trl import DPOConfig, DPOTrainer

from alignlab import runs
from alignlab.models import default_device, load_model, load_tokenizer, lora, resolve

# The bundled recipe; any option of TRL's DPOConfig may take the place of the one here.
RECIPE = {
    "learning_rate": 3e-4,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "warmup_steps": 5,
    "beta": 0.1,
    "max_length": 512,
}


def dpo(
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
    """Align a model to comparisons (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290).

    A run that was fine-tuned with LoRA goes on in the same adapter, and TRL keeps a frozen copy
    of it as the reference, so that base, SFT and DPO models stay one base with small adapters.

    Args:
        model: ``"tiny"``, a run folder, a model folder or a Hub id; it is also the reference.
        dataset: rows with ``prompt``, ``chosen`` and ``rejected`` (see data.py).
        options: any option of ``trl.DPOConfig`` (``beta``, ``loss_type``, ...).

    Returns:
        The run folder, complete.

    Raises:
        RunError: beta not above zero, or a run folder that cannot be begun (runs.begin).
    """
    options = RECIPE | options
    if options["beta"] <= 0:
        raise runs.RunError(f"beta is {options['beta']}; it must be above zero (0.1 is usual)")
    config = {
        "method": "dpo", "model": str(model), "data": data_name, "pairs": len(dataset),
        "base": resolve(model).base, "lora_rank": rank if use_lora else None, "seed": seed,
    } | options  # fmt: skip
    device = default_device()
    tokenizer = load_tokenizer(model)
    with (
        runs.writing(output, config, resume, overwrite) as part,
        runs.quiet(not progress),
    ):
        set_seed(seed)
        policy = load_model(
            model, device=device, trainable=True, dtype=None if use_lora else torch.float32
        )  # a full fine-tune's small updates would be lost in 16-bit weights
        adapted = isinstance(policy, PeftModel)
        reference = None if use_lora else load_model(model, device=device)
        if adapted and not use_lora:
            policy, reference = policy.merge_and_unload(), reference.merge_and_unload()
            policy.requires_grad_(True)  # the adapter had frozen it
        settings = runs.trainer_settings(
            part, device, seed=seed, disable_tqdm=not progress, **options
        )
        trainer = DPOTrainer(
            model=policy,
            ref_model=reference,
            args=DPOConfig(**settings),
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=lora(rank) if use_lora and not adapted else None,
        )
        runs.train(trainer, part, resume)
        runs.save(trainer, part)
    return Path(output)
