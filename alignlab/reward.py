"""Reward models through TRL: train on comparisons, score responses, measure held-out accuracy."""

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftConfig, PeftModel
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import suppress_seqcls_warning

from alignlab import runs
from alignlab.evaluate import Score, wilson
from alignlab.lengths import fitting_rows
from alignlab.memory import fitted
from alignlab.models import (
    ModelError,
    Source,
    base_path,
    default_device,
    find_weights,
    is_reward_model,
    load_tokenizer,
    lora,
    no_deprecations,
    resolve,
    run_config,
)  # fmt: skip
from alignlab.options import RunOptions

# The bundled recipe; any option of TRL's RewardConfig may take the place of the one here.
RECIPE = {
    "learning_rate": 2e-3,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 16,
    "warmup_steps": 5,
    "max_length": 512,
}


def reward(model: str | Path, dataset: Dataset, output: str | Path, **options) -> Path:
    """Train a model to give one number to a response, from comparisons (Bradley and Terry 1952).

    A new head reads the last token's state. Its weights are in float32 on every device, since
    rewards differ by little. The adapter of a run that it starts from is merged into the base; the
    run keeps a copy in ``start/``, so that it stands without the other.

    Args:
        model: ``"tiny"``, a run folder (SFT), a model folder or a Hub id.
        dataset: rows with ``prompt``, ``chosen`` and ``rejected`` (see data.py).
        output: the run folder to write.
        options: of every run (``options.RunOptions``; the head is trained in any case), or of
            ``trl.RewardConfig``.

    Returns:
        The run folder, complete.

    Raises:
        RunError: the model is a reward model already; also as ``sft``.
        DataError: a prompt that leaves no room for a response (``lengths.fitting_rows``).
        ModelError: a model that cannot be loaded.
    """
    if is_reward_model(model):
        raise runs.RunError(f"{model} is a reward model already; start from a language model")
    run, settings = RunOptions.split(runs.recipe(RECIPE) | options)
    source, device, tokenizer = resolve(model), default_device(), load_tokenizer(model)
    settings = fitted(settings, model, responses=2, use_lora=run.use_lora)
    rows = fitting_rows(dataset, tokenizer, settings, run.drop_too_long)
    config = runs.describe("reward", model, rows, output, run, settings)
    config["dropped"] = len(dataset) - len(rows)
    with runs.writing(output, config, run) as part:
        trainer = RewardTrainer(
            model=_classifier(source, device),
            args=RewardConfig(**runs.trainer_settings(part, device, run, **settings)),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=_head_and_lora(run.rank) if run.use_lora else None,
        )
        _warn_of_dropped(rows, trainer)
        runs.train(trainer, part, run.resume)
        runs.save(trainer, part)
        if run.use_lora and source.adapter and trainer.is_world_process_zero():
            shutil.copytree(source.adapter, part / "start", dirs_exist_ok=True)
            runs.name_base(part / "start", config["base"])
    return Path(output)


def _warn_of_dropped(dataset: Dataset, trainer: RewardTrainer) -> None:
    if dropped := len(dataset) - len(trainer.train_dataset):
        warnings.warn(
            f"{dropped} of {len(dataset)} pairs are longer than max_length="
            f"{trainer.args.max_length} tokens, and TRL leaves them out",
            stacklevel=3,
        )


def _head_and_lora(rank: int):
    config = lora(rank)
    config.task_type, config.modules_to_save = "SEQ_CLS", ["score"]
    return config


def _classifier(source: Source, device: str):
    """Load a language model's body with a new head of one output, and merge its adapter."""
    with suppress_seqcls_warning():  # "some weights are new" is what is wanted here
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                base_path(source.base), num_labels=1, dtype=torch.float32, use_safetensors=True
            )
        except OSError as error:
            raise ModelError(f"{source.base}: cannot be loaded: {error}") from error
    if source.adapter:
        config = PeftConfig.from_pretrained(source.adapter)
        config.task_type = None  # made for text generation, which a model with this head lacks
        with no_deprecations():
            model = PeftModel.from_pretrained(model, source.adapter, config=config)
        model = model.merge_and_unload()
    return model.to(device).requires_grad_(True)  # an adapter had frozen it


def load_reward_model(run: str | Path, device: str | None = None):
    """Load what ``reward`` wrote, in float32, with its adapter merged.

    Its tokenizer is ``load_tokenizer(run)``.

    Raises:
        ModelError: no run of ``reward``.
    """
    if run_config(run).get("method") != "reward":
        raise ModelError(f"{run}: not a reward model; `alignlab reward` trains one")
    device = device or default_device()
    source = find_weights(run)
    if source.adapter:
        start = Path(run) / "start"
        model = _classifier(Source(source.base, start if start.is_dir() else None), device)
        with no_deprecations():
            model = PeftModel.from_pretrained(model, source.adapter).merge_and_unload()
    else:
        model = _classifier(source, device)
    model.config.get_text_config().pad_token_id = load_tokenizer(run).pad_token_id
    return model.eval()


@torch.inference_mode()
def score(model, tokenizer, rows: Sequence[dict], batch_size: int = 32) -> list[float]:
    """Return the reward of each row's ``completion`` to its ``prompt``.

    Rewards of responses to one prompt can be compared; their zero and, across reward models, their
    scale mean nothing, since training sees differences only.

    Args:
        rows: ``prompt`` and ``completion``, messages or text (a user's message and its answer).
    """
    ids = [_layout(tokenizer, row["prompt"], row["completion"]) for row in rows]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    rewards = [0.0] * len(ids)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        # On the right, as in training: absolute positions must not move with the neighbours.
        inputs = tokenizer.pad(
            {"input_ids": [ids[i] for i in batch]}, padding_side="right", return_tensors="pt"
        ).to(model.device)
        logits = model(**inputs, use_cache=False).logits.squeeze(-1)
        for i, value in zip(batch, logits.tolist()):
            rewards[i] = value
    return rewards


def _layout(tokenizer, prompt, completion) -> list[int]:
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if isinstance(completion, str):
        completion = [{"role": "assistant", "content": completion}]
    return tokenizer.apply_chat_template(prompt + completion)["input_ids"]


def accuracy(model, tokenizer, pairs: Sequence[dict], batch_size: int = 32) -> Score:
    """Return the share of pairs whose chosen response scores higher, with its Wilson interval.

    Args:
        pairs: ``prompt``, ``chosen`` and ``rejected``, from data that training did not see. A tie
            counts one half, as does a coin.
    """
    chosen, rejected = (
        score(
            model, tokenizer,
            [{"prompt": pair["prompt"], "completion": pair[side]} for pair in pairs], batch_size,
        )
        for side in ("chosen", "rejected")
    )  # fmt: skip
    wins = sum((a > b) + 0.5 * (a == b) for a, b in zip(chosen, rejected))
    return wilson(wins, len(pairs))
