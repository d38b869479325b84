"""Run every notebook as other machines would: ``python -m tests.portability [NOTEBOOK …]``.

Each setting is one run of nbval over all notebooks, in which every cell must print what the
committed notebook shows: with one thread and with two, without vector instructions and with AVX2,
and with Colab's versions of what runs and shows a notebook (``environments.COLAB``).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from alignlab.notebooks import FOLDERS
from tests import environments

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "no vector instructions": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "Colab's libraries": {},
}


def run(python: str | Path, notebooks: list[str], settings: dict[str, str]) -> tuple[bool, str]:
    """Run the notebooks under nbval.

    Returns:
        Whether all cells printed what they should, and pytest's last line.
    """
    command = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *notebooks]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout[-8000:])
    return done.returncode == 0, (done.stdout.strip().splitlines() or ["nothing ran"])[-1]


def colab(folder: Path) -> Path | None:
    """Return the interpreter of an environment with these versions, None where there is none."""
    pins = [f"{name}=={version}" for name, version in environments.COLAB.items()]
    try:
        return environments.with_packages(folder, *pins)
    except pytest.skip.Exception as reason:
        print(reason)
        return None


def main(argv: list[str] | None = None) -> int:
    """Run all settings and print a line for each; return how many of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.portability", description=__doc__)
    parser.add_argument("notebooks", nargs="*", help="default: all chapters and solutions")
    parser.add_argument("--setting", choices=SETTINGS, action="append", help="default: all of them")
    args = parser.parse_args(argv)
    notebooks = args.notebooks or [
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in sorted(ROOT.glob(f"{folder}/*.ipynb"))
    ]
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.setting or SETTINGS:
            python = colab(Path(scratch) / "colab") if name.startswith("Colab") else sys.executable
            if python is None:
                print(f"{name:24} skipped")
                continue
            started = time.perf_counter()
            passed, last = run(python, notebooks, SETTINGS[name])
            failed += not passed
            mark = "passed" if passed else "FAILED"
            print(f"{name:24} {mark} in {time.perf_counter() - started:4.0f} s: {last}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
