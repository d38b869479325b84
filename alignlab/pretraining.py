"""Training from nothing: the settings, the model with its first weights, and a run that resumes."""

import json
import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

from alignlab.initial import start_with_induction, tie_softly


@dataclass
class PretrainConfig:
    """Everything that decides the bundled model. Sizes are in tokens unless said otherwise."""

    seed: int = 0
    vocab_size: int = 4096
    hidden_size: int = 256
    layers: int = 5
    heads: int = 4
    intermediate_size: int = 640
    context: int = 384
    batch_size: int = 4  # sequences a step: many small steps pass the early plateaus sooner
    tokens: int = 30_000_000
    finish_tokens: int = 15_360_000  # of the second run
    held_out_tokens: int = 200_000
    # Higher rates blow up the attention logits: every head then looks at one token, for good.
    learning_rate: float = 0.001
    embedding_lr: float = 0.003
    finish_share: float = 0.4  # of both rates, at which the second run begins
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    warmup_steps: int = 100
    decay_share: float = 0.5  # last share of the run over which the learning rate falls to zero
    save_seconds: int = 300


def architecture(config: PretrainConfig) -> LlamaConfig:
    """Return the Llama that is trained."""
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        max_position_embeddings=1024,
        attention_bias=True,  # lets a head attend by position alone
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )


def build_model(config: PretrainConfig) -> LlamaForCausalLM:
    """Return a Llama of the configured size with its first weights, tied softly."""
    torch.manual_seed(config.seed)
    model = LlamaForCausalLM(architecture(config))
    start_with_induction(model, config.seed)
    tie_softly(model)
    return model


def build_optimizer(model, config: PretrainConfig) -> torch.optim.AdamW:
    """Return AdamW: a higher rate for embeddings, whose rows are met rarely, decay for matrices."""
    difference = model.lm_head.parametrizations.weight.original
    embeddings = [model.get_input_embeddings().weight, difference]
    known = {id(p) for p in embeddings}
    inner = [p for p in model.parameters() if id(p) not in known]
    matrices, others = [p for p in inner if p.ndim == 2], [p for p in inner if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "lr": config.learning_rate, "weight_decay": config.weight_decay},
            {"params": others, "lr": config.learning_rate, "weight_decay": 0.0},
            {"params": embeddings, "lr": config.embedding_lr, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )


def learning_rate_factor(step: int, steps: int, config: PretrainConfig) -> float:
    """Return the schedule: linear warm-up, a plateau, linear decay to zero."""
    decay = config.decay_share * steps
    return min(1.0, (step + 1) / config.warmup_steps, (steps - step) / decay)


def _state_tensors(model, optimizer) -> dict[str, torch.Tensor]:
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    for key, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{key}.{n}": v.contiguous() for n, v in state.items()}
    return tensors


def _load_state(model, optimizer, tensors: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    state: dict = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, key, slot = name.split(".")
            state.setdefault(int(key), {})[slot] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


class Pretraining:
    """One run in a work folder: knows its place, saves it, and goes on from it.

    Args:
        model: with its first weights, tied softly.
        work: the folder, with the tokens to learn from in ``train.bin``.
    """

    def __init__(self, config: PretrainConfig, model, work: Path, device: str | None = None):
        self.config, self.work = config, work
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.fast_bf16 = has_fast_bf16(self.device)
        self.steps = config.tokens // (config.batch_size * config.context)
        self.model = model.to(self.device)
        self.optimizer = build_optimizer(self.model, config)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0
        self.stream = np.fromfile(work / "train.bin", np.uint16)
        checkpoint = work / "checkpoint.safetensors"
        if checkpoint.exists():
            tensors = load_file(checkpoint, device=self.device)
            self.step = int(tensors.pop("step"))
            _load_state(self.model, self.optimizer, tensors)
        # Without it several threads add up an embedding's gradient in whatever order they come, and
        # a resumed run would drift from one that was never killed.
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Compiling fuses the small operations on which a model of this size spends its time, and
        # needs a C++ compiler on a CPU.
        can_compile = self.device != "cpu" or shutil.which("g++") or shutil.which("clang++")
        self.compiled_loss = torch.compile(self.loss) if can_compile else self.loss

    def loss(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the mean next-token loss of ``ids``, ``(batch, context)``, in nats."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.fast_bf16):
            logits = self.model(input_ids=ids).logits
            return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())

    def batch(self, step: int, stream: np.ndarray) -> torch.Tensor:
        """Return one step's token ids, ``(batch_size, context)``."""
        size = self.config.batch_size * self.config.context
        ids = torch.from_numpy(stream[step * size : (step + 1) * size].astype(np.int64))
        return ids.view(self.config.batch_size, -1).to(self.device)

    def save(self) -> None:
        """Write the checkpoint; a kill at any moment leaves the old one or the new one."""
        part = self.work / "checkpoint.part"
        tensors = _state_tensors(self.model, self.optimizer)
        save_file(tensors | {"step": torch.tensor(self.step)}, part)
        os.replace(part, self.work / "checkpoint.safetensors")

    def train_step(self) -> torch.Tensor:
        """Take one optimizer step and return its loss."""
        factor = learning_rate_factor(self.step, self.steps, self.config)
        loss = self.compiled_loss(self.batch(self.step, self.stream))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return loss.detach()

    def run(self) -> None:
        """Train to the end, logging every tenth step and saving on the way.

        Raises:
            ValueError: the loss is not a number.
        """
        saved = time.monotonic()
        with (
            (self.work / "metrics.jsonl").open("a", buffering=1) as log,
            tqdm(total=self.steps, initial=self.step, desc="pre-training") as bar,
        ):
            while self.step < self.steps:
                loss = self.train_step()
                bar.update()
                if self.step % 10 == 0:
                    value = loss.item()
                    log.write(json.dumps({"step": self.step, "loss": value}) + "\n")
                    bar.set_postfix(loss=f"{value:.3f}")
                    if not math.isfinite(value):
                        raise ValueError(
                            f"the loss is {value} at step {self.step}; lower learning_rate"
                        )
                if time.monotonic() - saved > self.config.save_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()

    @torch.no_grad()
    def held_out_loss(self, path: Path) -> float:
        """Return the mean loss per token on a stream that training never saw, in nats."""
        stream = np.fromfile(path, np.uint16)
        batches = len(stream) // (self.config.batch_size * self.config.context)
        return sum(self.loss(self.batch(i, stream)).item() for i in range(batches)) / batches


def has_fast_bf16(device: str) -> bool:
    """Say whether bfloat16 is computed by hardware here rather than emulated."""
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512_bf16" in cpu.read_text()
