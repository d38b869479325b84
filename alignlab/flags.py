"""The verbs of the command line: what each is called, takes and says about itself."""

import argparse
import difflib
import json
import os
from dataclasses import fields
from pathlib import Path

from alignlab.options import RunOptions

TRAINING = {
    "sft": ("Fine-tune on demonstrations (supervised fine-tuning).", "SFTConfig"),
    "dpo": ("Align to comparisons by direct preference optimization.", "DPOConfig"),
    "reward": ("Train a reward model on comparisons.", "RewardConfig"),
}
EXAMPLES = {
    "demo": "alignlab demo --out demo",
    "pretrain": "alignlab pretrain --output my-model --tokens 30000000",
    "sft": "alignlab sft --model tiny --data world:sft --output runs/sft",
    "dpo": "alignlab dpo --model runs/sft --data world:preferences --output runs/dpo --beta 0.1",
    "reward": "alignlab reward --model tiny --data world:style --output runs/reward",
    "sweep": "alignlab sweep --betas 0.05 0.1 0.5 --seeds 0 1 2 --model runs/sft "
    "--data world:preferences --output runs/sweep",
    "generate": "alignlab generate --model runs/sft --prompts prompts.txt --output out.jsonl",
    "eval": "alignlab eval --model runs/dpo --reference runs/sft --json scores.json",
    "compare": "alignlab compare tiny runs/sft runs/dpo --prompts prompts.txt --html page.html",
    "votes": "alignlab votes votes.jsonl --export preferences.jsonl",
    "grade": "alignlab grade submissions/ --out grades.csv --json grades.json --jobs 2",
    "doctor": "alignlab doctor",
}
MODEL_HELP = "'tiny' (the bundled model), a run folder, a model folder or a Hub id"
DATA_HELP = (
    "world:TASK (world:sft, world:manual, ...), a file (json, jsonl, csv, parquet, also .gz) "
    "or a Hub id"
)
SWEEP_HELP = """Align by DPO for every beta with every seed, over all visible devices.

Each run is a process of its own; on a CPU one follows another. Any other option of `alignlab dpo`
can be given. The same command goes on after an interruption."""
GRADE_HELP = """Grade students' notebooks: points and a message for each exercise.

Every notebook runs in a sandbox of its own, with limits on time and memory. Its checks come from
the notebook in solutions/ that has the same cells, whatever the file is called, and run where the
submission cannot reach them. Each exercise is "right", "wrong", or "could not run" with the reason.
Run the same command again to go on: a notebook with grades that has not changed is left out."""


def _training_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a training run; one that is not given leaves no trace in the arguments."""
    parser.add_argument("--model", default=None, help=MODEL_HELP)
    parser.add_argument("--data", required=True, help=DATA_HELP)
    parser.add_argument("--output", required=True, type=Path, help="the run folder to write")
    parser.add_argument(
        "--profile", default=None, help="tiny, t4 or gpu: the model and its settings"
    )
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument("--max-steps", type=_positive, help="stop after so many steps")
    parser.add_argument("--learning-rate", type=float, help="peak learning rate")
    for option in fields(RunOptions):
        if not option.metadata:
            continue
        flag = option.metadata["flag"] or f"--{option.name}"
        about, off = option.metadata["help"], option.metadata["off"]
        if option.type is not bool:
            parser.add_argument(flag, type=option.type, help=about)
            continue
        either = parser.add_mutually_exclusive_group()
        either.add_argument(flag, dest=option.name, action="store_true", help=about)
        if off:
            either.add_argument(off[0], dest=option.name, action="store_false", help=off[1])


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above zero")
    return value


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="alignlab", description="Fine-tune, align, compare and measure language models.",
        epilog="Start with: alignlab demo --out demo",
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(
            name, help=text.splitlines()[0], description=text, epilog=f"Example: {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    demo = verb("demo", "Base, SFT and SFT+DPO on the bundled model, scored and compared.")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="the folder to write")
    demo.add_argument("--seed", type=int, default=0)
    pretrain = verb("pretrain", "Rebuild the bundled base model from the world's documents.")
    pretrain.add_argument("--output", type=Path, required=True, help="the model folder to write")
    pretrain.add_argument("--tokens", type=_positive, help="how many tokens to train on")
    pretrain.add_argument("--seed", type=int, help="of the world and the weights")
    for name, (text, config) in TRAINING.items():
        text += f"\nAny option of trl.{config} can be given by its name, as in --warmup-steps 20."
        _training_flags(verb(name, text))
    verbs.choices["dpo"].add_argument("--beta", type=float, help="strength of the KL leash")
    verbs.choices["dpo"].add_argument("--loss-type", help="sigmoid, ipo, hinge, robust, ...")
    sweep = verb("sweep", SWEEP_HELP)
    sweep.add_argument("--model", help=MODEL_HELP)
    sweep.add_argument("--data", required=True, help=DATA_HELP)
    sweep.add_argument("--betas", type=float, nargs="+", required=True, metavar="BETA")
    sweep.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED")
    sweep.add_argument("--output", type=Path, required=True, help="the folder for all runs")
    _asking_flags(verb)
    votes = verb("votes", "Win rates of a vote log, and its export as preference data.")
    votes.add_argument("log", type=Path, metavar="FILE", help="the vote log, JSONL")
    votes.add_argument("--export", type=Path, metavar="OUT.jsonl", help="preferences to write")
    votes.add_argument("--held-out", type=float, default=0.0, metavar="SHARE",
                       help="of the prompts; their rows go to OUT.held_out.jsonl")  # fmt: skip
    votes.add_argument("--json", action="store_true", help="machine-readable")
    _grading_flags(verb("grade", GRADE_HELP))
    doctor = verb("doctor", "Versions, device, memory, and what each profile would do here.")
    doctor.add_argument("--json", action="store_true", help="machine-readable")
    return parser


def _grading_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="notebooks, or folders of them"
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV, a row for each exercise")
    parser.add_argument("--json", type=Path, help="write the grades to this file too, with totals")
    parser.add_argument("--solutions", type=Path, default=Path("solutions"),
                        help="the reference notebooks (default: solutions)")  # fmt: skip
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count(),
                        help="how many at a time (default: one for each core)")  # fmt: skip
    parser.add_argument("--time-limit", type=_positive, default=20, metavar="S",
                        help="seconds of processor time for a cell or a check (default: 20); "
                        "5 times that asleep, 15 times for a notebook")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="grade again what has its grades")


def _asking_flags(verb) -> None:
    """Add the verbs that let models answer."""
    generate = verb("generate", "Generate a response for every prompt of a file.")
    generate.add_argument("--model", required=True, help=MODEL_HELP)
    generate.add_argument(
        "--prompts", type=Path, required=True, help="JSONL with 'prompt', or lines"
    )
    generate.add_argument("--output", type=Path, required=True, help="JSONL to write")
    evaluate = verb("eval", "Score a model against the world's truth, on held-out cases.")
    evaluate.add_argument("--model", required=True, help=MODEL_HELP)
    evaluate.add_argument("--reference", help="the model that win_rate compares with")
    evaluate.add_argument("--eval-seed", type=int, default=0, help="which held-out cases are asked")
    evaluate.add_argument("--split", choices=("test", "validation"), default="test")
    evaluate.add_argument("--json", type=Path, help="write the scores to this file too")
    compare = verb("compare", "Show the responses of several models side by side on one page.")
    compare.add_argument("models", nargs="+", metavar="RUN", help=MODEL_HELP)
    compare.add_argument(
        "--prompts", type=Path, required=True, help="JSONL with 'prompt', or lines"
    )
    compare.add_argument("--html", type=Path, required=True, help="the page to write")
    for sampled in (generate, compare):
        sampled.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest")
        sampled.add_argument("--max-new-tokens", type=_positive, default=128)
        sampled.add_argument("--seed", type=int, default=0)


def trl_options(extra: list[str], config_class) -> dict:
    """Turn ``--name value`` pairs into options of a TRL config.

    Raises:
        ValueError: an option that the config does not have, with the nearest that it has.
    """
    options, known = {}, set(config_class.__dataclass_fields__)
    queue = [
        part for text in extra for part in (text.split("=", 1) if text[:2] == "--" else [text])
    ]
    while queue:
        flag = queue.pop(0)
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean --{nearest[0].replace('_', '-')}?" if nearest else ""
            raise ValueError(f"unknown option {flag}{hint}")
        text = "true" if not queue or queue[0].startswith("--") else queue.pop(0)
        try:
            options[name] = json.loads(text)
        except json.JSONDecodeError:
            options[name] = text
    return options
