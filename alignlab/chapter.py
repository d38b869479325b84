"""What every chapter begins with: a place for its runs, the model, and no bars in its outputs."""

import tempfile
import warnings
from pathlib import Path

import datasets
import transformers

from alignlab.models import profile

_FOLDERS: list[tempfile.TemporaryDirectory] = []  # each is removed when the kernel ends


def begin() -> tuple[Path, str, dict]:
    """Prepare a notebook that is to print the same on every machine.

    Bars and the libraries' warnings differ from machine to machine, so they are turned off.

    Returns:
        A new folder for runs, which is there as long as the kernel; the model of the profile that
        ``ALIGNLAB_PROFILE`` names (``models.profile``), ``"tiny"`` if it names none; options for
        ``sft``, ``dpo`` and ``reward`` that show no bars.

    Raises:
        ModelError: ``ALIGNLAB_PROFILE`` names no profile.
    """
    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="alignlab-chapter-"))
    return Path(_FOLDERS[-1].name), profile().model, {"progress": False}
