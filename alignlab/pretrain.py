"""Rebuild the bundled base model from the world's documents, from nothing.

Three steps, each resumable: a tokenizer, a stream of tokens on disk, and the training run. The
finished folder loads with ``AutoModelForCausalLM``. Matrices are trained by Muon (Jordan et al.
2024, in ``torch.optim``), everything else by AdamW.
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
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from alignlab.world import World
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice

END, USER, ASSISTANT, PAD = "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass
class PretrainConfig:
    """Everything that decides the bundled model. Sizes in tokens unless said otherwise."""

    seed: int = 0
    vocab_size: int = 4096
    hidden_size: int = 256
    layers: int = 6
    heads: int = 4
    intermediate_size: int = 640
    context: int = 512
    batch_size: int = 8  # sequences a step
    tokens: int = 24_000_000
    held_out_tokens: int = 200_000
    muon_lr: float = 0.01
    adam_lr: float = 0.003
    weight_decay: float = 0.05
    warmup_steps: int = 100
    decay_share: float = 0.6  # last share of the run over which the learning rate falls to zero
    save_seconds: int = 300


def build_tokenizer(world: World, vocab_size: int, documents: int = 30_000):
    """Train a byte-level BPE tokenizer on sampled documents.

    Digits stay single tokens, so that copying a number is copying its digits.
    """
    dice = Dice(f"tokenizer:{world.seed}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (draw_document(world, dice).text for _ in range(documents))
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_stream(path: Path, world: World, tokenizer, tokens: int, name: str) -> dict:
    """Write ``tokens`` token ids of documents to ``path`` and return what they contain."""
    dice = Dice(f"{name}:{world.seed}")
    stream = np.empty(tokens, dtype=np.uint16)
    filled, documents, nats, characters = 0, 0, 0.0, 0
    with tqdm(total=tokens, unit="tok", unit_scale=True, desc=f"writing {name}") as bar:
        while filled < tokens:
            batch = [draw_document(world, dice) for _ in range(512)]
            encoded = tokenizer([d.text for d in batch], add_special_tokens=False)["input_ids"]
            for document, ids in zip(batch, encoded):
                ids = (ids + [tokenizer.eos_token_id])[: tokens - filled]
                stream[filled : filled + len(ids)] = ids
                filled += len(ids)
                bar.update(len(ids))
                nats += document.nats
                characters += len(document.text)
                documents += 1
                if filled == tokens:
                    break
    part = path.with_suffix(".part")
    stream.tofile(part)
    os.replace(part, path)
    return {"documents": documents, "tokens": tokens, "characters": characters,
            "nats_per_token": nats / tokens}  # fmt: skip


def build_model(config: PretrainConfig) -> LlamaForCausalLM:
    """Return a randomly initialised Llama of the configured size."""
    torch.manual_seed(config.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.context * 2,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=1,
        )
    )
    return model


def build_optimizers(model, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for embeddings and gains."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in n)]
    return [
        torch.optim.Muon(
            matrices, lr=config.muon_lr, weight_decay=config.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=config.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]  # fmt: skip


def learning_rate_factor(step: int, steps: int, config: PretrainConfig) -> float:
    """Return the schedule: linear warm-up, a plateau, linear decay to zero."""
    decay = config.decay_share * steps
    return min(1.0, (step + 1) / config.warmup_steps, (steps - step) / decay)


def _state_tensors(model, optimizers) -> dict[str, torch.Tensor]:
    tensors = {f"model.{n}": p.detach() for n, p in model.named_parameters()}
    for i, optimizer in enumerate(optimizers):
        for key, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{key}.{n}": v.contiguous() for n, v in state.items()}
    return tensors


def _load_state(model, optimizers, tensors: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    for i, optimizer in enumerate(optimizers):
        state: dict = {}
        for name, value in tensors.items():
            if name.startswith(f"optimizer.{i}."):
                _, _, key, slot = name.split(".")
                state.setdefault(int(key), {})[slot] = value
        optimizer.load_state_dict(
            {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
        )


class Pretraining:
    """One run in a work folder: knows its place, saves it, and goes on from it."""

    def __init__(self, config: PretrainConfig, work: Path, device: str | None = None):
        self.config, self.work = config, work
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.steps = config.tokens // (config.batch_size * config.context)
        self.model = build_model(config).to(self.device)
        self.optimizers = build_optimizers(self.model, config)
        self.step = 0
        self.stream = np.memmap(work / "train.bin", dtype=np.uint16, mode="r")
        checkpoint = work / "checkpoint.safetensors"
        if checkpoint.exists():
            tensors = load_file(checkpoint)
            self.step = int(tensors.pop("step"))
            _load_state(self.model, self.optimizers, tensors)
        # Compiling fuses the small operations that a model of this size spends its time on.
        self.fast_bf16 = _fast_bf16(self.device)
        self.loss = torch.compile(self._loss)

    def _loss(self, ids: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.fast_bf16):
            logits = self.model(input_ids=ids).logits
            return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())

    def batch(self, step: int, stream: np.ndarray) -> torch.Tensor:
        """Return step's token ids, ``(batch_size, context)``."""
        size = self.config.batch_size * self.config.context
        ids = torch.from_numpy(stream[step * size : (step + 1) * size].astype(np.int64))
        return ids.view(self.config.batch_size, -1).to(self.device)

    def save(self) -> None:
        """Write the checkpoint; a kill at any moment leaves the old one or the new one."""
        part = self.work / "checkpoint.part"
        tensors = _state_tensors(self.model, self.optimizers)
        save_file(tensors | {"step": torch.tensor(self.step)}, part)
        os.replace(part, self.work / "checkpoint.safetensors")

    def run(self, until: float = math.inf) -> None:
        """Train to the end (or until the clock time ``until``), saving on the way."""
        log = open(self.work / "metrics.jsonl", "a", buffering=1)
        saved = time.time()
        with log, tqdm(total=self.steps, initial=self.step, desc="pre-training") as bar:
            while self.step < self.steps and time.time() < until:
                factor = learning_rate_factor(self.step, self.steps, self.config)
                for optimizer, base in zip(
                    self.optimizers, (self.config.muon_lr, self.config.adam_lr)
                ):
                    for group in optimizer.param_groups:
                        group["lr"] = base * factor
                loss = self.loss(self.batch(self.step, self.stream))
                loss.backward()
                for optimizer in self.optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
                self.step += 1
                bar.update()
                if self.step % 10 == 0:
                    log.write(json.dumps({"step": self.step, "loss": loss.item()}) + "\n")
                    bar.set_postfix(loss=f"{loss.item():.3f}")
                if time.time() - saved > self.config.save_seconds:
                    self.save()
                    saved = time.time()
        self.save()

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Return the mean loss per token on documents that training never saw, in nats."""
        stream = np.memmap(self.work / "held_out.bin", dtype=np.uint16, mode="r")
        batches = len(stream) // (self.config.batch_size * self.config.context)
        return sum(self._loss(self.batch(i, stream)).item() for i in range(batches)) / batches


def _fast_bf16(device: str) -> bool:
    """Say whether bfloat16 is computed by hardware here rather than emulated."""
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    return "avx512_bf16" in Path("/proc/cpuinfo").read_text() if os.name == "posix" else False


def separate_roles(model, tokenizer, seed: int = 0) -> None:
    """Give the chat's role tokens, which pre-training never showed, directions of their own.

    Tokens never seen drift together during training. Random directions of a usual length make
    them as distinct as two rare words, and nothing else of the model changes.
    """
    weight = model.get_input_embeddings().weight.data
    generator = torch.Generator().manual_seed(seed)
    spread = weight.std().item()
    for token in (USER, ASSISTANT):
        row = tokenizer.convert_tokens_to_ids(token)
        weight[row] += spread * torch.randn(weight.shape[1], generator=generator)


def pretrain(output: str | Path, config: PretrainConfig, device: str | None = None) -> Path:
    """Pre-train the bundled model into ``output``, going on from a run that was cut off."""
    output = Path(output)
    work = output.with_name(output.name + ".work")
    work.mkdir(parents=True, exist_ok=True)
    world = World(config.seed)
    settings = work / "config.json"
    if settings.exists() and json.loads(settings.read_text()) != asdict(config):
        raise ValueError(f"{settings} was begun with other settings; remove {work} to start anew")
    settings.write_text(json.dumps(asdict(config), indent=1))
    if not (work / "tokenizer.json").exists():
        build_tokenizer(world, config.vocab_size).save_pretrained(work)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work)
    for name, size in (("held_out", config.held_out_tokens), ("train", config.tokens)):
        if not (work / f"{name}.bin").exists():
            stats = write_stream(work / f"{name}.bin", world, tokenizer, size, name)
            (work / f"{name}.json").write_text(json.dumps(stats, indent=1))
    run = Pretraining(config, work, device)
    run.run()
    held_out = run.held_out_loss()
    model = run.model.cpu()
    separate_roles(model, tokenizer)
    part = output.with_name(output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    (part / "pretrain.json").write_text(json.dumps({"held_out_loss": held_out}, indent=1))
    os.replace(part, output)
    return output
