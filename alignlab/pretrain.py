"""Rebuild the bundled base model from the world's documents, from nothing.

Three steps, each resumable: a tokenizer, a stream of tokens on disk, and the training run. The
finished folder loads with ``AutoModelForCausalLM``.
"""

import json
import math
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from alignlab.corpus import build_tokenizer, write_stream
from alignlab.initial import start_with_induction, tie_softly, untie
from alignlab.world import World
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice
from alignlab.world.statistics import corpus_statistics


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
    held_out_tokens: int = 200_000
    # Higher rates blow up the attention logits: every head then looks at one token, for good.
    learning_rate: float = 0.001
    embedding_lr: float = 0.003
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
    """One run in a work folder: knows its place, saves it, and goes on from it."""

    def __init__(self, config: PretrainConfig, work: Path, device: str | None = None):
        self.config, self.work = config, work
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.fast_bf16 = has_fast_bf16(self.device)
        self.steps = config.tokens // (config.batch_size * config.context)
        self.model = build_model(config).to(self.device)
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
    def held_out_loss(self) -> float:
        """Return the mean loss per token on documents that training never saw, in nats."""
        stream = np.fromfile(self.work / "held_out.bin", np.uint16)
        batches = len(stream) // (self.config.batch_size * self.config.context)
        return sum(self.loss(self.batch(i, stream)).item() for i in range(batches)) / batches


def has_fast_bf16(device: str) -> bool:
    """Say whether bfloat16 is computed by hardware here rather than emulated."""
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512_bf16" in cpu.read_text()


def _prepare(work: Path, config: PretrainConfig, world: World) -> PreTrainedTokenizerFast:
    """Make what the run reads: settings, tokenizer and token streams, each once."""
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "config.json"
    if settings.exists() and json.loads(settings.read_text()) != asdict(config):
        raise ValueError(f"{settings} was begun with other settings; remove {work} to start anew")
    settings.write_text(json.dumps(asdict(config), indent=1))
    if not (work / "tokenizer.json").exists():
        build_tokenizer(world, config.vocab_size).save_pretrained(work)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work)
    for name, size in (("held_out", config.held_out_tokens), ("train", config.tokens)):
        if not (work / f"{name}.json").exists():
            stats = write_stream(
                work / f"{name}.bin", world, tokenizer, size, name, curriculum=name == "train"
            )
            (work / f"{name}.json").write_text(json.dumps(stats, indent=1))
    return tokenizer


def model_facts(work: Path, config: PretrainConfig, model, held_out_loss: float) -> dict:
    """Return the figures of the model card (``pretrain.json``)."""
    dice = Dice("statistics")
    world = World(config.seed)
    sample = [draw_document(world, dice).text for _ in range(2000)]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "settings": asdict(config),
        **{name: json.loads((work / f"{name}.json").read_text()) for name in ("train", "held_out")},
        "held_out_loss": round(held_out_loss, 4),
        "statistics_of_2000_documents": corpus_statistics(sample),
    }


def pretrain(output: str | Path, config: PretrainConfig, device: str | None = None) -> Path:
    """Pre-train the bundled model into ``output``, going on from a run that was cut off.

    What is under way lies beside it in ``<output>.work`` and is removed at the end.

    Raises:
        FileExistsError: the output is there already.
        ValueError: a run in the work folder was begun with other settings.
    """
    output = Path(output)
    if output.exists():
        raise FileExistsError(f"{output} exists; choose another folder or remove it")
    work = output.with_name(output.name + ".work")
    tokenizer = _prepare(work, config, World(config.seed))
    run = Pretraining(config, work, device)
    run.run()
    facts = model_facts(work, config, run.model, run.held_out_loss())
    model = run.model.cpu()
    untie(model)
    part = work / "finished"
    model.to(torch.bfloat16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    (part / "pretrain.json").write_text(json.dumps(facts, indent=1) + "\n")
    os.replace(part, output)
    shutil.rmtree(work)
    return output
