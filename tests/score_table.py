"""Repeat the model card's table: train both recipes with several seeds and score every stage.

    python -m tests.score_table --json alignlab/model/scores.json

Takes about five minutes a seed on two cores. ``--split validation`` scores the cases on which
recipes are chosen; the table itself is of the ``test`` split.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from alignlab.data import preference_dataset, sft_dataset
from alignlab.dpo import ANCHORED, dpo
from alignlab.evaluate import evaluate, format_scores
from alignlab.models import load_model, load_tokenizer
from alignlab.sft import sft
from alignlab.world import World

# Another evaluation seed than any that a recipe was chosen on, or a table was seen of before.
EVAL_SEED = 40


def train(folder: Path, model: str, seed: int) -> dict[str, dict]:
    """Train the bundled recipes with one seed; return their run folders and seconds."""
    runs, seconds = {}, {}
    started = time.perf_counter()
    runs["SFT"] = sft(
        model, sft_dataset("world:sft", seed=seed), folder / "sft", seed=seed, progress=False
    )
    seconds["SFT"] = time.perf_counter() - started
    started = time.perf_counter()
    runs["SFT+DPO"] = dpo(
        runs["SFT"], preference_dataset("world:preferences", seed=seed), folder / "dpo",
        seed=seed, progress=False, **ANCHORED,
    )  # fmt: skip
    seconds["SFT+DPO"] = time.perf_counter() - started
    return {name: {"run": runs[name], "seconds": seconds[name]} for name in runs}


def score(model: str, seed: int, split: str, eval_seed: int) -> dict[str, dict]:
    """Return every measure of the stages of one training seed, with the seconds of training."""
    world, tokenizer = World(0), load_tokenizer(model)
    with tempfile.TemporaryDirectory() as folder:
        stages = train(Path(folder), model, seed)
        reference = load_model(stages["SFT"]["run"])
        scores = {
            name: evaluate(
                load_model(stage["run"]), tokenizer, world, reference=reference,
                eval_seed=eval_seed, split=split,
            )
            for name, stage in stages.items()
        }  # fmt: skip
    print(f"seed {seed}: { ({name: round(stage['seconds']) for name, stage in stages.items()}) } s")
    print(format_scores(scores), flush=True)
    return {
        name: {
            "seconds": round(stages[name]["seconds"], 1),
            **{key: value.as_dict() for key, value in row.items()},
        }
        for name, row in scores.items()
    }


def main() -> None:
    """Score the base model and every seed's stages; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--eval-seed", type=int, default=EVAL_SEED)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    base = evaluate(
        load_model(arguments.model), load_tokenizer(arguments.model), World(0),
        eval_seed=arguments.eval_seed, split=arguments.split,
    )  # fmt: skip
    print(format_scores({"base": base}), flush=True)
    table = {
        "split": arguments.split,
        "eval_seed": arguments.eval_seed,
        "base": {key: value.as_dict() for key, value in base.items()},
        "seeds": {},
    }
    for seed in arguments.seeds:
        table["seeds"][seed] = score(
            arguments.model, seed, arguments.split, arguments.eval_seed
        )  # fmt: skip
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
