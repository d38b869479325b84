"""Rebuild the bundled base model from the world's documents, from nothing.

Each step is resumable: a tokenizer, streams of tokens on disk, the training run, and a short second
run at a low rate on pages that ask for one thing at a time (``documents.FINISH``). The finished
folder loads with ``AutoModelForCausalLM``.
"""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from alignlab.corpus import ASSISTANT, END, build_tokenizer, write_stream
from alignlab.initial import open_turn, tie_softly, untie
from alignlab.pretraining import PretrainConfig, Pretraining, build_model
from alignlab.world import World
from alignlab.world.documents import FINISH, draw_document
from alignlab.world.grammar import Dice
from alignlab.world.statistics import corpus_statistics


def finishing(config: PretrainConfig) -> PretrainConfig:
    """Return the settings of the second run: few tokens, low rates that fall from the start."""
    return replace(
        config,
        tokens=config.finish_tokens,
        learning_rate=config.finish_share * config.learning_rate,
        embedding_lr=config.finish_share * config.embedding_lr,
        decay_share=1.0,
    )


def load_first(folder: Path) -> LlamaForCausalLM:
    """Return the model of the first run in float32, tied softly as it was in training."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tie_softly(model)
    return model


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
    (work / "finish").mkdir(exist_ok=True)
    for name, size, options in (
        ("held_out", config.held_out_tokens, {}),
        ("train", config.tokens, {"curriculum": True}),
        ("finish/train", config.finish_tokens, {"mixture": FINISH}),
    ):
        if not (work / f"{name}.json").exists():
            stats = write_stream(work / f"{name}.bin", world, tokenizer, size, name, **options)
            (work / f"{name}.json").write_text(json.dumps(stats, indent=1))
    return tokenizer


def _write_model(model, folder: Path) -> None:
    """Write a trained model's 16-bit weights; the folder is there whole or not at all."""
    part = folder.with_name(folder.name + ".part")
    model.to(torch.bfloat16).save_pretrained(part)
    os.replace(part, folder)


def model_facts(work: Path, config: PretrainConfig, model, held_out_loss: float) -> dict:
    """Return the figures of the model card (``pretrain.json``)."""
    dice = Dice("statistics")
    world = World(config.seed)
    sample = [draw_document(world, dice).text for _ in range(2000)]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "settings": asdict(config),
        "train": json.loads((work / "train.json").read_text()),
        "finish": json.loads((work / "finish" / "train.json").read_text()),
        "held_out": json.loads((work / "held_out.json").read_text()),
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
    if not (work / "first").exists():
        run = Pretraining(config, build_model(config), work, device)
        run.run()
        untie(run.model)
        _write_model(run.model.cpu(), work / "first")
    run = Pretraining(finishing(config), load_first(work / "first"), work / "finish", device)
    run.run()
    facts = model_facts(work, config, run.model, run.held_out_loss(work / "held_out.bin"))
    finished = work / "finished"
    if not finished.exists():
        untie(run.model)
        open_turn(run.model, *tokenizer.convert_tokens_to_ids([ASSISTANT, END]))
        _write_model(run.model.cpu(), finished)
    tokenizer.save_pretrained(finished)
    (finished / "pretrain.json").write_text(json.dumps(facts, indent=1) + "\n")
    os.replace(finished, output)
    shutil.rmtree(work)
    return output
