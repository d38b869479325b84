"""The command: ``python -m tests.benchmarks``. Heavy imports wait until something is measured."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MEASURES = {
    "sft": "SFT by the recipe, against plain TRL (goal 8x) and a bare PyTorch loop (0.9x)",
    "dpo": "DPO by the recipe, against plain TRL (goal 6x) and a bare PyTorch loop (0.9x)",
    "generation": "3 models answer 24 prompts, against one generate() each time (goal 5x)",
    "panel": "3 models' first tokens in the panel, against one model after another",
    "scaling": "time and peak memory of SFT, by number of examples and by their length",
}
TEACH = """\
measures:
{}

Nothing is compared with another day or another machine: both sides of a ratio run in turn in one
process, several times, and the medians are divided. Plain TRL is what its documentation shows,
SFTTrainer(model, train_dataset, args=SFTConfig(use_cpu=True)): bfloat16, gradient checkpointing,
all weights, batches of 8; no checkpoint is written. Ours is the recipe of alignlab.sft and
alignlab.dpo: float32, LoRA, batches of like length. A bare loop takes our batches and does nothing
but train. The clock runs while a trainer trains, not while it loads, tokenizes or saves the result.
A ratio depends on the machine. Processors without bfloat16 in hardware, as most laptops have them,
emulate it and make plain TRL several times slower; the goals are for them. On one that has it
(avx512_bf16 or amx among the cpu_flags) --avx2 measures as on one that has not, all sides alike.
Close other programs first, and do not read single runs.

examples:
  python -m tests.benchmarks --only generation
  python -m tests.benchmarks --only sft --avx2
  python -m tests.benchmarks --json bench.json --plots plots
"""
# Of ATen, oneDNN and MKL; each reads its own when it first computes.
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    listed = "\n".join(f"  {name:11} {text}" for name, text in MEASURES.items())
    found = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure how fast alignlab trains and generates, as ratios in one run.",
        epilog=TEACH.format(listed), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    found.add_argument(
        "--only", choices=MEASURES, action="append", metavar="NAME",
        help="one measure (repeat for more); by default all",
    )  # fmt: skip
    found.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    found.add_argument("--plots", type=Path, metavar="DIR", help="draw the measure scaling here")
    found.add_argument(
        "--model", default="tiny", metavar="PATH",
        help="a model folder; by default 'tiny', the bundled model",
    )  # fmt: skip
    found.add_argument(
        "--avx2", action="store_true", help="leave AVX-512, AMX and bfloat16 hardware unused (x86)"
    )
    return found


def main(argv: Sequence[str] | None = None, sizes=None) -> int:
    """Measure and print the table.

    Args:
        sizes: a ``setting.Sizes``; by default what the figures of the course are made with.
    """
    command = parser()
    args = command.parse_args(argv)
    names = [name for name in MEASURES if name in (args.only or MEASURES)]
    if args.plots and "scaling" not in names:
        command.error("--plots draws the measure scaling, which --only leaves out")

    if args.avx2:
        os.environ |= AVX2
    from . import report
    from .generation import measure_generation
    from .panel import measure_panel
    from .scaling import measure_scaling
    from .setting import Sizes
    from .training import Runs, measure_dpo, measure_sft

    measures = (measure_sft, measure_dpo, measure_generation, measure_panel, measure_scaling)
    sizes = sizes or Sizes()
    try:
        for folder in filter(None, (args.json and args.json.parent, args.plots)):
            folder.mkdir(parents=True, exist_ok=True)  # now, not after all the work
        facts, rows = report.machine(args.model), []
        with tempfile.TemporaryDirectory(prefix="alignlab-bench-") as folder:
            made = Runs(args.model, sizes, Path(folder))
            for name, measure in zip(MEASURES, measures):
                rows += measure(made) if name in names else []
        print(report.table(rows, facts))
        if args.json:
            report.write_json(args.json, rows, facts, sizes)
        if args.plots:
            print(f"wrote {report.draw(rows, args.plots)}")
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
