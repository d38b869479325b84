"""For tests that need packages which cannot be installed beside those of the project."""

import site
import subprocess
import sys
from pathlib import Path

import pytest

# What ran and showed notebooks in Colab in August 2026; all else is as in this environment.
COLAB = {"ipywidgets": "7.7.1", "ipykernel": "6.17.1", "ipython": "7.34.0"}


def with_packages(folder: Path, *requirements: str) -> Path:
    """Make an environment that has some packages of its own and sees those of this one.

    Returns:
        Its interpreter. The test is skipped, saying why, where the packages cannot be installed.
    """
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages()]
    (packages / "outer.pth").write_text("".join(lines))
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--retries", "1", *requirements]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1]
        pytest.skip(f"{', '.join(requirements)} cannot be installed: {why}")
    return python
