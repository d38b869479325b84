"""Reinforcement learning against a reward model through TRL: one run that writes a run folder."""

import os
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset
from transformers import TrainerCallback
from trl import RLOOConfig, RLOOTrainer
from trl.trainer.utils import add_fused_lm_head

from alignlab import runs
from alignlab.generate import before_response
from alignlab.models import default_device, load_model, load_to_train, load_tokenizer, merged
from alignlab.options import RunOptions
from alignlab.reward import load_reward_model, score

# The bundled recipe; any option of TRL's RLOOConfig may take the place of the one here.
RECIPE = {
    "learning_rate": 1e-3,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 32,
    "steps_per_generation": 2,  # 64 responses are sampled at once, and make two steps
    "num_generations": 8,
    "max_completion_length": 96,
    "lr_scheduler_type": "constant_with_warmup",  # a shorter run is the beginning of a longer one
    "warmup_steps": 2,
    "beta": 0.05,
    "train_sampling_strategy": "random",  # TRL keeps the responses to a prompt together
}


def rl(
    model: str | Path,
    reward_model: str | Path,
    dataset: Dataset,
    output: str | Path,
    watch: Callable[[str, str], float] | None = None,
    **options,
) -> Path:
    """Follow a reward model by RLOO (Ahmadian et al. 2024, https://arxiv.org/abs/2402.14740).

    In each round the policy answers some prompts several times; the reward model scores the
    responses; from each score ``beta`` times the log-ratio to the reference is taken off, and then
    the mean of its siblings; what is left weighs the gradient. A run that was fine-tuned with LoRA
    goes on in the same adapter. The reference is the model as it begins, held as in ``dpo``.

    A row of ``metrics.jsonl`` in which a round begins has what TRL logs (its ``kl`` is a mean over
    tokens) and, of the round's responses, ``rewards/learned/mean`` and ``/std`` (with ``watch``
    also ``rewards/watched/...``), ``kl_policy_ref``, the mean of log π(y|x)/π_ref(y|x) in nats,
    which estimates KL(π‖π_ref) without bias, and ``tokens_generated``, summed over the rounds.

    Args:
        model: ``"tiny"``, a run folder (SFT), a model folder or a Hub id; also the reference.
        reward_model: a run of ``reward``.
        dataset: rows with ``prompt`` (lists of messages); an epoch asks each of them once.
        output: the run folder to write.
        watch: given the prompt's last message and a response, returns a number that is logged and
            not followed, such as the true reward.
        options: of every run (``options.RunOptions``), or of ``trl.RLOOConfig`` (``beta``,
            ``num_generations``, ...).

    Returns:
        The run folder, complete.

    Raises:
        RunError: fewer prompts than one round asks; also as ``sft``.
        ModelError: a model that cannot be loaded, or a reward model that is none.
    """
    run, settings = RunOptions.split(runs.recipe(RECIPE) | options)
    device, tokenizer = default_device(), load_tokenizer(model)
    functions = _reward_functions(reward_model, device, before_response(tokenizer), watch)
    rows = dataset.select_columns(["prompt"])
    config = runs.describe("rl", model, rows, output, run, settings)
    named = os.path.relpath(Path(reward_model).resolve(), Path(output).resolve())
    config |= {"prompts": config.pop("examples"), "reward_model": Path(named).as_posix()}
    with runs.writing(output, config, run) as part:
        policy, adapter = load_to_train(model, device, run.use_lora, run.rank)
        args = RLOOConfig(
            **runs.trainer_settings(part, device, run, **settings),
            reward_weights=[1.0, 0.0][: len(functions)],
        )
        asked = args.generation_batch_size // args.num_generations
        if len(rows) < asked:
            raise runs.RunError(f"{len(rows)} prompts; one round asks {asked} different ones")
        trainer = RLOOTrainer(
            model=policy,
            reward_funcs=functions,
            args=args,
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[_Rounds()],
        )
        # As in dpo. For a model whose adapter was merged, TRL would take the bare base.
        if args.beta and (not run.use_lora or (adapter is None and device == "cpu")):
            reference = merged(load_model(model, device))
            add_fused_lm_head(reference, temperature=args.temperature)
            trainer.ref_model = trainer.accelerator.prepare_model(reference, evaluation_mode=True)
        runs.train(trainer, part, run.resume)
        runs.save(trainer, part)
    return Path(output)


def _reward_functions(reward_model, device: str, space: str, watch) -> list[Callable]:
    """Return what TRL calls for the rewards: the reward model, and what is only watched.

    Given the model itself, TRL would lay responses out with the space that the template puts before
    them twice, which the reward model has never seen.
    """
    model, tokenizer = load_reward_model(reward_model, device), load_tokenizer(reward_model)

    def pairs(prompts, completions):
        return [(p, c[-1]["content"].removeprefix(space)) for p, c in zip(prompts, completions)]

    def learned(prompts, completions, **columns):
        rows = [{"prompt": p, "completion": text} for p, text in pairs(prompts, completions)]
        return score(model, tokenizer, rows)

    def watched(prompts, completions, **columns):
        return [float(watch(p[-1]["content"], text)) for p, text in pairs(prompts, completions)]

    return [learned, watched] if watch else [learned]


class _Rounds(TrainerCallback):
    """Adds to the log of a round what TRL knows and does not say."""

    tokens = 0

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Add the tokens generated so far, and the KL divergence of whole responses."""
        if "completions/mean_length" not in logs:
            return
        length = logs["completions/mean_length"]
        self.tokens += round(length * args.generation_batch_size)
        logs["tokens_generated"] = self.tokens
        if "kl" in logs:  # summed over the round's tokens and divided by their number
            logs["kl_policy_ref"] = logs["kl"] * length
