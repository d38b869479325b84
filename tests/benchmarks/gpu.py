"""The command: ``python -m tests.benchmarks.gpu``. Heavy imports wait until all is clear."""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TEACH = """\
Models of published shapes with random weights (360M, 0.6B, 1.7B; nothing is downloaded), rows of
256 to 1,024 tokens: SFT and DPO, LoRA and all weights, by our settings, by TRL's defaults and in a
bare PyTorch loop; the reference of DPO by switching the adapter off or scored beforehand; three
adapters that answer 24 prompts in shared batches or one by one. Each figure is the median of three
epochs after one that does not count. Utilisation counts the model's operations, not recomputation,
over the 16-bit peak of the device. Goals: 1.5x the tokens a second of TRL's defaults at 0.6x their
peak memory; 45% utilisation for SFT of all weights at 1.7B. What would not end within --minutes is
left out and "not measured".

examples:
  make bench-gpu
  python -m tests.benchmarks.gpu --minutes 4 --json gpu.json --plot gpu.png
  python -m tests.benchmarks.gpu --smoke --json smoke.json    # a toy, also without a GPU
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gpu",
        description="Measure speed and memory of training and generation on one GPU.",
        epilog=TEACH, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    found.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    found.add_argument("--plot", type=Path, metavar="FILE", help="draw speed and memory, as PNG")
    found.add_argument("--minutes", type=float, default=7.5, help="of measuring (default: 7.5)")
    found.add_argument("--smoke", action="store_true", help="a toy model, on any machine")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; return 1 where there is no GPU, or where something failed."""
    args = parser().parse_args(argv)
    import torch

    from .gpu_report import draw, table, write_json
    from .gpu_rows import SMOKE, Budget, Row, Sizes, plan

    sizes = SMOKE if args.smoke else Sizes()
    settings = plan(sizes)
    rows = [Row(str(setting), side) for setting in settings for side in setting.sides]
    if not (args.smoke or torch.cuda.is_available()):
        print(table(rows, {}))
        print(
            "benchmarks: no CUDA device here, so nothing was measured; --smoke runs the same code "
            "on a CPU with a toy model",
            file=sys.stderr,
        )
        return 1
    facts, budget, rows = machine(), Budget(args.minutes), []
    with tempfile.TemporaryDirectory(prefix="alignlab-bench-") as scratch:
        for setting in settings:
            rows += measure(setting, sizes, Path(scratch), budget)
            if args.json:  # each time: a kill must not cost it all
                write_json(args.json, rows, facts, sizes)
    print(table(rows, facts))
    if args.plot:
        draw(settings, rows, args.plot)
    failed = [row for row in rows if row.missing.startswith("failed")]
    for row in failed:
        print(f"benchmarks: {row.setting}, {row.side}: {row.missing}", file=sys.stderr)
    return int(bool(failed))


def measure(setting, sizes, scratch: Path, budget) -> list:
    """Return a row for each side of a setting, without figures where time or memory ran out."""
    from .gpu_generation import Generation
    from .gpu_rows import Row
    from .gpu_shapes import save
    from .gpu_training import Training

    folder, rows, sides = scratch / setting.shape.name, [], None
    for side in setting.sides:
        row = Row(str(setting), side, missing="out of time")
        if budget.allows():
            started = time.perf_counter()
            try:
                if not folder.exists():
                    save(setting.shape, folder)
                kind = Generation if setting.method == "generation" else Training
                sides = sides or kind(setting, sizes, folder)
                row = sides.measure(side)
            except Exception as error:  # the other sides are still worth their time
                row.missing = why(error)
            gc.collect()  # a trainer and its model hold each other
            budget.spent(time.perf_counter() - started)
            print(f"{setting}, {side}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        rows.append(row)
    return rows


def why(error: Exception) -> str:
    """Say in one line why a side has no figures."""
    from alignlab.memory import is_out_of_memory

    if is_out_of_memory(error.__cause__ or error):
        return "out of memory"
    return f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def machine() -> dict[str, str]:
    """Return what a reader needs to know of the machine to judge the figures."""
    from alignlab.doctor import doctor

    report = doctor()
    return report["machine"] | report["versions"]


if __name__ == "__main__":
    sys.exit(main())
