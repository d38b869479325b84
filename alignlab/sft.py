"""Supervised fine-tuning through TRL, as one function that writes a run folder."""

from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from alignlab import runs
from alignlab.lengths import fitting_rows
from alignlab.memory import fitted
from alignlab.models import default_device, load_to_train, load_tokenizer
from alignlab.options import RunOptions

# The bundled recipe: what the course's figures were made with. Any option of TRL's SFTConfig
# may be passed to `sft` and takes the place of the one here.
RECIPE = {
    "learning_rate": 1.5e-3,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "warmup_steps": 10,
    "max_length": 512,
}


def sft(
    model: str | Path,
    dataset: Dataset,
    output: str | Path,
    eval_dataset: Dataset | None = None,
    **options,
) -> Path:
    """Fine-tune a model on demonstrations; the loss counts the completion's tokens only.

    A run that was fine-tuned with LoRA goes on in the same adapter.

    Args:
        model: ``"tiny"``, a run folder, a model folder or a Hub id.
        dataset: rows with ``prompt`` and ``completion`` (see data.py).
        output: the run folder to write.
        eval_dataset: rows to measure the held-out loss on: before the first step and ten times on
            the way, unless ``eval_steps`` says otherwise. Nothing is learned from them.
        options: of every run (``options.RunOptions``: ``use_lora``, ``rank``, ``seed``,
            ``resume``, ``overwrite``, ``progress``, ...), or of ``trl.SFTConfig``.

    Returns:
        The run folder, complete.

    Raises:
        RunError: a run that cannot be begun (``runs.begin``), go on (``runs.train``) or be written.
        DataError: a prompt that leaves no room for a response (``lengths.fitting_rows``).
        ModelError: a model that cannot be loaded.
    """
    run, settings = RunOptions.split(runs.recipe(RECIPE, eval_dataset) | options)
    device, tokenizer = default_device(), load_tokenizer(model)
    settings = fitted(settings, model, use_lora=run.use_lora)
    rows = fitting_rows(dataset, tokenizer, settings, run.drop_too_long)
    held_out = eval_dataset and fitting_rows(eval_dataset, tokenizer, settings, run.drop_too_long)
    config = runs.describe("sft", model, rows, output, run, settings)
    config["dropped"] = len(dataset) - len(rows)
    with runs.writing(output, config, run) as part:
        start, adapter = load_to_train(model, device, run.use_lora, run.rank)
        trainer = SFTTrainer(
            model=start,
            args=SFTConfig(**runs.trainer_settings(part, device, run, **settings)),
            train_dataset=rows,
            eval_dataset=held_out,
            processing_class=tokenizer,
            peft_config=adapter,
        )
        runs.train(trainer, part, run.resume)
        runs.save(trainer, part)
    return Path(output)
