"""The whole course in one command: base, SFT, SFT+DPO, scored and shown side by side."""

import json
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from alignlab import compare, plots
from alignlab.data import preference_dataset, sft_dataset
from alignlab.dpo import ANCHORED, dpo
from alignlab.evaluate import evaluate, format_scores
from alignlab.models import load_model, load_tokenizer
from alignlab.sft import sft
from alignlab.whole import write_whole
from alignlab.world import World

# Of the cases of the model card's table: enough for the picture, and done sooner.
CASES = 1 / 3


def demo(out: Path, seed: int = 0) -> dict:
    """Train, score and compare the bundled model's three stages; write all of it into ``out``.

    Returns:
        The scores by stage, as written to ``metrics.json``.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    sft(
        "tiny", sft_dataset("world:sft", seed=seed), out / "sft", seed=seed, overwrite=True,
        data_name="world:sft",
    )  # fmt: skip
    dpo(
        out / "sft", preference_dataset("world:preferences", seed=seed), out / "dpo", seed=seed,
        overwrite=True, data_name="world:preferences", **ANCHORED,
    )  # fmt: skip
    sources = {"base": "tiny", "SFT": out / "sft", "SFT+DPO": out / "dpo"}
    world, tokenizer, scores = World(0), load_tokenizer("tiny"), {}
    reference = load_model(out / "sft")
    for name, source in sources.items():
        print(f"scoring {name} ...", flush=True)
        model = reference if name == "SFT" else load_model(source)
        compared = reference if name != "base" else None
        scores[name] = evaluate(model, tokenizer, world, reference=compared, share=CASES)
    print(format_scores(scores))
    table = {
        name: {key: score.as_dict() for key, score in row.items()} for name, row in scores.items()
    }
    write_whole(out / "metrics.json", json.dumps(table, indent=1) + "\n")
    _draw(out, scores)
    examples = compare.world_prompts(world)
    page = compare.respond(sources, examples, temperature=0.0, max_new_tokens=128, seed=seed)
    compare.to_html(page, out / "compare.html", "One base model, two stages of alignment")
    seconds = time.perf_counter() - started
    print(f"wrote {out}/ in {seconds:.0f} s; open {out}/compare.html in a browser")
    return table


def _draw(out: Path, scores) -> None:
    figure, ax = plt.subplots(figsize=(7, 4))
    plots.loss_curve(plots.read_metrics(out / "sft"), ax)
    figure.savefig(out / "loss.png", dpi=120, bbox_inches="tight")
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    plots.dpo_curves(plots.read_metrics(out / "dpo"), axes)
    figure.savefig(out / "rewards.png", dpi=120, bbox_inches="tight")
    figure, ax = plt.subplots(figsize=(7, 4))
    plots.score_table(scores, ax)
    figure.savefig(out / "scores.png", dpi=120, bbox_inches="tight")
    plt.close("all")
