"""Direct preference optimization through TRL, as one function that writes a run folder."""

from pathlib import Path

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from alignlab import runs
from alignlab.lengths import fitting_rows
from alignlab.memory import fitted
from alignlab.models import default_device, load_model, load_to_train, load_tokenizer, merged
from alignlab.options import RunOptions

# Any option of TRL's DPOConfig may take the place of the one here.
RECIPE = {
    "learning_rate": 3e-4,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "warmup_steps": 5,
    "beta": 0.1,
    "max_length": 512,
}
# The bundled recipe for ``world:preferences``. What is chosen there may be far from what the SFT
# model says, as an admission of not knowing is. DPO alone then lowers the rejected response and
# lets the probability go elsewhere; the likelihood of the chosen one, added to the loss, brings it
# up (Pang et al. 2024, https://arxiv.org/abs/2404.19733).
ANCHORED = {
    "learning_rate": 7e-4,
    "per_device_train_batch_size": 8,
    "warmup_steps": 10,
    "loss_type": ["sigmoid", "sft"],
    "loss_weights": [1.0, 4.0],
    "beta": 0.3,
}


def dpo(
    model: str | Path,
    dataset: Dataset,
    output: str | Path,
    eval_dataset: Dataset | None = None,
    **options,
) -> Path:
    """Align a model to comparisons (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290).

    A run that was fine-tuned with LoRA goes on in the same adapter, so that base, SFT and DPO
    models stay one base with small adapters. The reference is a frozen copy of that adapter (TRL's
    doing) on a GPU, and on a CPU, where memory costs less than time, the merged model.

    Args:
        model: ``"tiny"``, a run folder, a model folder or a Hub id; it is also the reference.
        dataset: rows with ``prompt``, ``chosen`` and ``rejected`` (see data.py).
        output: the run folder to write.
        eval_dataset: rows to measure the held-out loss on: before the first step and ten times on
            the way, unless ``eval_steps`` says otherwise. Nothing is learned from them.
        options: of every run (``options.RunOptions``), or of ``trl.DPOConfig`` (``beta``,
            ``loss_type``, ...).

    Returns:
        The run folder, complete.

    Raises:
        RunError: beta is not above zero; also as ``sft``.
        DataError: a prompt that leaves no room for a response (``lengths.fitting_rows``).
        ModelError: a model that cannot be loaded.
    """
    run, settings = RunOptions.split(runs.recipe(RECIPE, eval_dataset) | options)
    if settings["beta"] <= 0:
        raise runs.RunError(f"beta is {settings['beta']}; it must be above zero (0.1 is usual)")
    device, tokenizer = default_device(), load_tokenizer(model)
    settings = fitted(settings, model, responses=2, use_lora=run.use_lora)
    rows = fitting_rows(dataset, tokenizer, settings, run.drop_too_long)
    held_out = eval_dataset and fitting_rows(eval_dataset, tokenizer, settings, run.drop_too_long)
    config = runs.describe("dpo", model, rows, output, run, settings)
    config["dropped"] = len(dataset) - len(rows)
    with runs.writing(output, config, run) as part:
        policy, adapter = load_to_train(model, device, run.use_lora, run.rank)
        # Else TRL has the reference in the model: with its adapter off, or with a copy of it.
        apart = not run.use_lora or (adapter is None and device == "cpu")
        trainer = DPOTrainer(
            model=policy,
            ref_model=merged(load_model(model, device)) if apart else None,
            args=DPOConfig(**runs.trainer_settings(part, device, run, **settings)),
            train_dataset=rows,
            eval_dataset=held_out,
            processing_class=tokenizer,
            peft_config=adapter,
        )
        runs.train(trainer, part, run.resume)
        runs.save(trainer, part)
    return Path(output)
