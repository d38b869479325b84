"""The process that loads the libraries once and forks a checker for every submission.

``python -m alignlab.grading.zygote IMPORTS`` writes one line when ready, ``{"level": ...}``; then,
for each line of JSON that it is sent (``notebooks.Reference.job``), the checker's ``{"rows": ...}``
and, when every process of that submission is gone, ``{"status": exit status of the checker}``.
"""

import gc
import json
import os
import signal
import sys
import tempfile

import torch

from alignlab.grading import checker, sandbox

_NO_JOB = 3


def _write(descriptor: int, line: dict) -> None:
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def _check_one(source: int, out: int, level: str, scratch: str) -> None:
    """Read a job, grade it, write the rows.

    Only here is a job read, never before the fork: no submission can find another one, or its
    grades, in the memory that it inherits.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sandbox.adopt_orphans()
    sandbox.die_with_parent()
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(source, 1 << 16)
        if not part:
            os._exit(_NO_JOB)
        line += part
    job = json.loads(line)
    # The limits of a submission end it long before; these end a check that its data keep busy.
    limits = sandbox.Limits(**job["limits"])
    sandbox.limit_memory(2 * limits.memory)
    sandbox.limit_seconds(limits.whole)
    rows = checker.grade(job, level, scratch)
    sandbox.stop_children()
    _write(out, {"rows": rows})


def serve(imports: str) -> None:
    """Serve jobs from standard input until it closes.

    Args:
        imports: the import statements of the reference notebooks.
    """
    source, out, null = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):  # so that nothing which a library prints is taken for a message
        os.dup2(null, descriptor)
    torch.set_num_threads(1)
    sandbox.adopt_orphans()
    sandbox.die_with_parent()  # a grader that is killed cannot say so
    try:
        exec(imports, {})
        level = sandbox.best_level()
        gc.freeze()  # or each child's first collection would copy all that is loaded
    except Exception as error:
        _write(out, {"error": f"{type(error).__name__}: {error}"})
        return
    _write(out, {"level": level})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the scratch folder goes as well
    status = 0
    while os.waitstatus_to_exitcode(status) != _NO_JOB:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            pid = os.fork()
            if not pid:
                try:
                    _check_one(source, out, level, scratch)
                    os._exit(0)
                finally:
                    os._exit(1)
            _, status = os.waitpid(pid, 0)
            sandbox.stop_children()
        _write(out, {"status": status})


if __name__ == "__main__":
    serve(sys.argv[1])
