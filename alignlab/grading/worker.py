"""The caller's side of ``zygote``: a process that grades one submission after the other."""

import contextlib
import json
import os
import subprocess
import sys

from alignlab.grading.notebooks import GradingError, NotebookError

_KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "VIRTUAL_ENV")
# One thread for each submission, since as many run at a time as there are cores. What else the
# environment holds, tokens among it, is not handed down.
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "", "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1",
    "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip


class Worker:
    """A process with the libraries loaded, started when first needed and again when it was lost."""

    def __init__(self, imports: str) -> None:
        """Begin without a process.

        Args:
            imports: import statements to run once, before any submission.
        """
        self.imports = imports
        self.process: subprocess.Popen | None = None

    def start(self) -> str:
        """Start the process; return the level of isolation (``sandbox.LEVELS``) it has.

        Raises:
            GradingError: it did not start, as where an import fails.
        """
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "alignlab.grading.zygote", self.imports],
            env=kept | _ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        ready = self._line()
        if "level" not in ready:
            self.close()
            raise GradingError(f"grading cannot start: {ready.get('error', 'its process ended')}")
        return ready["level"]

    def _line(self) -> dict:
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else {}

    def grade(self, job: dict) -> list[dict]:
        """Return the rows of ``checker.grade``.

        Raises:
            NotebookError: there are none, with the reason.
        """
        if self.process is None:
            self.start()
        rows = None
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
            while "status" not in (line := self._line()):
                rows = line["rows"]
        except (BrokenPipeError, KeyError):
            self.close()
            raise NotebookError("ended the process that graded it") from None
        if rows is None:
            raise NotebookError("its checks took too long, or too much memory, on what it returned")
        return rows

    def close(self) -> None:
        """End the process; the kernel ends those below it."""
        process, self.process = self.process, None
        if process:
            process.terminate()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            process.wait()
