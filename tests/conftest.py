"""What every test shares: no network, no display, no cache from outside the run."""

import os
import tempfile

import matplotlib
import pytest

# Read when the libraries are imported, so set before any test module is; commands that the tests
# start inherit them. HF_HOME is new: a cache left by an earlier run would hide a broken reader.
_HF_HOME = tempfile.TemporaryDirectory(prefix="alignlab-tests-")
os.environ |= {
    "HF_HOME": _HF_HOME.name,
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# Not by MPLBACKEND: the kernels that run the notebooks again would inherit it and draw nothing.
matplotlib.use("Agg")


def pytest_runtest_setup(item):
    """Skip what needs a CUDA device or the bundled model where there is none."""
    if item.get_closest_marker("bundled"):
        from alignlab.models import BUNDLED

        if not BUNDLED.is_dir():
            pytest.skip("needs the bundled model, which is not here: alignlab pretrain makes it")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
