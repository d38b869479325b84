"""Grade many notebooks: several at a time, on disk after each, resumed where it was left."""

import concurrent.futures
import dataclasses
import queue
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from alignlab.grading import namespaces, notebooks, table
from alignlab.grading.notebooks import GradingError, NotebookError, Reference
from alignlab.grading.sandbox import LEVELS, Limits
from alignlab.grading.worker import Worker


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the notebooks that are named or lie in folders that are named.

    Raises:
        GradingError: no such path, or no notebook in a folder.
    """
    files = []
    for path in map(Path, paths):
        inside = [
            file for file in sorted(path.rglob("*.ipynb"))
            if not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]  # fmt: skip
        if not path.exists() or not (inside or path.is_file()):
            raise GradingError(f"{path}: no notebook there; expected .ipynb files or their folder")
        files += inside or [path]
    return list(dict.fromkeys(files))


def grade(
    paths: Iterable[Path], out: Path, *, json_file: Path | None = None,
    solutions: Path = Path("solutions"), jobs: int = 1, limits: Limits | None = None,
    overwrite: bool = False, progress: bool | None = None,
) -> list[dict]:  # fmt: skip
    """Grade notebooks and write one row for each exercise of each.

    A submission that cannot be graded at all has one row, without an exercise, that says why.

    Args:
        paths: notebooks, or folders that are searched for them.
        out: the CSV to write; what it says already of an unchanged file, or of one that is not
            among the paths, is kept.
        json_file: the same as JSON, also written.
        solutions: the reference notebooks, as a folder or one file.
        jobs: how many submissions run at a time.
        limits: of each submission.
        overwrite: grade again what has been graded.
        progress: show a bar; None shows it on a terminal.

    Returns:
        The rows, by ``table.COLUMNS``.

    Raises:
        GradingError: nothing to grade, unusable references, or an ``out`` that holds other data.
    """
    references, files = notebooks.read_references(Path(solutions)), find(paths)
    rows = table.read(out) if out.exists() else {}
    hidden = _hidden([*files, out], references)
    todo: dict[str, tuple[dict, dict]] = {}
    for file in files:
        first = {"submission": table.plain(file.as_posix()), "chapter": "", "digest": ""}
        name = first["submission"]
        try:
            cells = notebooks.read_cells(file)
            reference = notebooks.match(cells, references, file)
        except NotebookError as error:
            rows[name] = [_refused(first, "", 0, error)]
            continue
        first |= {"chapter": reference.name, "digest": reference.digest(file)}
        old = rows.pop(name, [{}])
        if old[0].get("digest") == first["digest"] and not overwrite:
            rows[name] = old
            continue
        job = reference.job(cells, dataclasses.asdict(limits or Limits()), hidden)
        todo[name] = first, job

    def save() -> list[dict]:
        found = [row for name in sorted(rows) for row in rows[name]]
        table.write_csv(out, found)
        return found

    save()
    level, graded = _grade_all(todo, jobs, progress)
    for name, found in graded:
        rows[name] = found
        save()
    if json_file:
        table.write_json(json_file, save(), level)
    return save()


def _hidden(files: list[Path], references: list[Reference]) -> list[str]:
    beside = [file for r in references for file in r.path.parent.glob(f"{r.path.stem}.*")]
    seen = namespaces.visible().values()
    found = {file.resolve() for file in [*files, *beside]}
    return sorted(str(file) for file in found if any(file.is_relative_to(path) for path in seen))


def _refused(first: dict, exercise: str, points: float, error: Exception) -> dict:
    return first | {
        "exercise": exercise, "points": 0, "max_points": points, "status": "could not run",
        "message": table.plain(str(error)),
    }  # fmt: skip


def _grade_all(
    todo: dict[str, tuple[dict, dict]], jobs: int, progress: bool | None
) -> tuple[str, Iterator[tuple[str, list[dict]]]]:
    if not todo:
        return "", iter(())
    imports = "\n".join(dict.fromkeys(job["imports"] for _, job in todo.values()))
    workers = [Worker(imports) for _ in range(min(jobs, len(todo)))]
    level = workers[0].start()
    if LEVELS[level]:
        print(f"alignlab grade: {LEVELS[level]}", file=sys.stderr)
    return level, _parallel(workers, todo, progress)


def _parallel(workers: list[Worker], todo: dict, progress: bool | None):
    free: queue.Queue[Worker] = queue.Queue()
    for worker in workers:
        free.put(worker)

    def run(name: str) -> tuple[str, list[dict]]:
        first, job = todo[name]
        worker = free.get()
        try:
            rows = worker.grade(job)
        except NotebookError as error:
            checks = job["checks"]
            return name, [_refused(first, c["id"], c["points"], error) for c in checks]
        finally:
            free.put(worker)
        return name, [first | row | {"message": table.plain(row["message"])} for row in rows]

    pool = concurrent.futures.ThreadPoolExecutor(len(workers))
    disable = None if progress is None else not progress
    try:
        futures = [pool.submit(run, name) for name in todo]
        done = concurrent.futures.as_completed(futures)
        for future in tqdm(done, total=len(futures), unit=" notebooks", disable=disable):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.close()
        pool.shutdown()
