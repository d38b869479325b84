"""The project's own files: versions agree, imports go down the floors, the package is whole."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "alignlab"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = [Requirement(t) for group in PROJECT["optional-dependencies"].values() for t in group]
BUILD = ("Makefile", "pyproject.toml", "constraints.txt", "environment.yml", ".ci/run")

# What Colab's image of August 2026 has installed; TRL it has not. Its transformers takes tokenizers
# from 0.22 to 0.23.0, so a higher bound of ours would replace both.
COLAB = {
    "ipython": "7.34.0",
    "ipywidgets": "7.7.1",
    "tokenizers": "0.22.2",
    "torch": "2.11.0+cu128",
    "transformers": "5.15.0",
}

# A module imports from lower floors, or on its own floor from those to its left.
FLOORS = [
    ["world", "losses", "claims", "schema", "concepts", "questions", "scoring"],
    ["whole", "corpus", "initial", "options", "files", "formats", "data", "models", "memory"],
    ["folders", "lengths", "callbacks", "runs", "adapters", "generate", "evaluate", "divergence"],
    ["sft", "dpo", "reward", "rl", "pretraining", "pretrain"],
    [
        *("plots", "figures", "page", "engine", "token_view", "compare", "checks"),
        *("quiz_pages", "quiz"),
        *("votes", "paired", "vote_statistics", "ballot", "seen"),
        *("panel_pages", "panel_widgets", "panel_screen", "panel", "vote_training"),
        *("grading", "doctor"),
    ],
    ["chapter", "demo", "notebooks", "badges", "sweep", "flags", "cli"],
]
ORDER = {name: (f, i) for f, floor in enumerate(FLOORS) for i, name in enumerate(floor)}
MODULES = sorted(PACKAGE.rglob("*.py"))
# Only for those who work on the course: may need what the extra "dev" has.
DEVELOPMENT = {"badges", "notebooks"}
# Import names that are not the distribution's name.
DISTRIBUTIONS = {"IPython": "ipython", "PIL": "pillow", "yaml": "pyyaml"}


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def _imports(path: Path, root: Path = ROOT) -> set[str]:
    """Return the dotted names that a file imports anywhere in it, also inside functions."""
    found = set()
    package = path.parent.relative_to(root).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*base, *filter(None, [node.module])))
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def _module(path: Path, root: Path = ROOT) -> str:
    return path.relative_to(root / "alignlab").with_suffix("").parts[0]


def _goes_up(path: Path, root: Path = ROOT) -> list[str]:
    """Return the names of alignlab's modules that a module of alignlab may not import but does."""
    own = _module(path, root)
    parts = [name.split(".") for name in _imports(path, root)]
    used = {p[1] for p in parts if p[0] == "alignlab" and len(p) > 1} - {own, "__version__"}
    below = {name for name in ORDER if own in ORDER and ORDER[name] < ORDER[own]}
    return sorted(used - below)


def _run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("requirement", DEPENDENCIES + EXTRAS, ids=lambda r: r.name)
def test_the_bounds_admit_the_pin(requirement):
    assert requirement.specifier.contains(_pins()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("name", COLAB)
def test_the_bounds_admit_what_colab_has(name):
    (requirement,) = [r for r in DEPENDENCIES if r.name == name]
    assert requirement.specifier.contains(COLAB[name])


def test_every_pin_is_exact_and_public():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\d.]+(post\d+)?", pin)] == []
    assert len(_pins()) == len(pins), "a package is pinned twice"
    assert _pins()["torch"] == "2.13.0"


def test_everything_that_gets_installed_is_pinned():
    queue, reached = [*DEPENDENCIES, *EXTRAS], set()
    while queue:
        requirement = queue.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in reached:
            continue
        reached.add(key)
        if key[0] == "torch":  # pins its own CUDA packages; the rest it needs, others need as well
            continue
        for text in importlib.metadata.requires(requirement.name) or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in extras):
                queue.append(needed)
    assert len(reached) > len(DEPENDENCIES) + len(EXTRAS)
    assert sorted({name for name, _ in reached} - set(_pins())) == []


def test_conda_installs_what_make_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, last = environment["dependencies"]
    assert {"python=3.11", "pip"} <= set(conda)
    assert PROJECT["requires-python"] == ">=3.11"
    assert last == {"pip": ["--constraint constraints.txt", "--editable .[dev]"]}
    makefile = (ROOT / "Makefile").read_text()
    assert "--constraint constraints.txt" in makefile
    assert "--editable '.[dev]'" in makefile


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    # Without what the `make test` that runs this test hands down.
    outer = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON"}
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A folder with what the Makefile needs, where nothing is set up."""
    if not shutil.which("make"):
        pytest.skip("needs make")
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_make_without_a_suitable_python_says_what_to_do(checkout):
    old = checkout / "old-python"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 10); $2"'
    )
    old.chmod(0o755)
    done = _make(checkout, f"PYTHON=no-such-python {old}", "test")
    assert done.returncode != 0
    assert "Install one" in done.stderr
    assert not (checkout / ".venv").exists()


def test_make_sets_up_once(checkout):
    assert "venv --clear" in _make(checkout, "-n", "test").stdout
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "ready").touch()
    assert _make(checkout, "-n", "test").stdout.split() == [".venv/bin/python", "-m", "pytest"]


def test_no_build_file_names_a_registry():
    hosts = re.compile(r"index-url|find-links|://")
    assert [name for name in BUILD if hosts.search((ROOT / name).read_text())] == []


def test_every_third_party_import_is_declared():
    for path in MODULES:
        allowed = DEPENDENCIES + (EXTRAS if _module(path) in DEVELOPMENT else [])
        declared = {canonicalize_name(r.name) for r in allowed}
        used = {name.split(".")[0] for name in _imports(path)}
        used -= {"alignlab", *sys.stdlib_module_names}
        used = {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in used}
        assert used - declared == set(), path


def test_nothing_else_imports_what_only_development_needs():
    others = [path for path in MODULES if _module(path) not in DEVELOPMENT]
    parts = [name.split(".") for path in others for name in _imports(path)]
    used = {p[1] for p in parts if p[0] == "alignlab" and len(p) > 1}
    assert {"losses", "world"} <= used
    assert used & DEVELOPMENT == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_the_floors(path):
    name = _module(path)
    assert name == "__init__" or name in ORDER, f"give {name} a place in FLOORS"
    assert _goes_up(path) == []


@pytest.mark.parametrize(
    ("module", "line", "upward"),
    [
        ("losses.py", "from alignlab.data import read_rows", ["data"]),
        ("models.py", "def f():\n    from alignlab import evaluate", ["evaluate"]),
        ("world/tasks.py", "from ..models import load_model", ["models"]),
        ("generate.py", "import alignlab.evaluate", ["evaluate"]),
        ("evaluate.py", "import alignlab.generate", []),
    ],
)
def test_an_import_that_goes_up_is_found(tmp_path, module, line, upward):
    path = tmp_path / "alignlab" / module
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert _goes_up(path, tmp_path) == upward


def test_the_world_needs_no_library():
    used = {n.split(".")[0] for p in (PACKAGE / "world").rglob("*.py") for n in _imports(p)}
    assert used - {"alignlab", *sys.stdlib_module_names} == set()
    loaded = json.loads(
        _run_python("import alignlab.world, json, sys; print(json.dumps(list(sys.modules)))")
    )
    assert {"torch", "numpy", "transformers"}.isdisjoint(loaded)


def test_importing_alignlab_loads_nothing_else():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    docstring, version = tree.body
    assert docstring.value.value == ast.get_docstring(tree, clean=False)
    assert [target.id for target in version.targets] == ["__version__"]
    code = (
        "import sys, time; before = set(sys.modules); start = time.process_time()\n"
        "import alignlab; seconds = time.process_time() - start\n"
        "print(seconds, *(set(sys.modules) - before))"
    )
    seconds, *loaded = _run_python(code).split()
    assert loaded == ["alignlab"]
    assert float(seconds) < 0.2


def test_no_file_names_a_path_of_one_machine():
    folders = ("alignlab", "chapters", "exercises", "solutions", "tests", ".ci")
    files = [p for p in ROOT.iterdir() if p.is_file()]
    files += [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]
    path = re.compile(r"(?<![\w.<-])/(?:root|work|farm|home|Users|mnt|opt)/\w")
    assert path.search("cd /" + "home/ann")
    assert not path.search("at home/work or </" + "work/>")
    texts = {}
    for file in files:
        if file.suffix in {".gz", ".npz", ".parquet", ".png", ".pyc", ".safetensors"}:
            continue
        texts[str(file.relative_to(ROOT))] = file.read_text(encoding="utf-8", errors="replace")
    assert "Makefile" in texts
    assert sorted(name for name, text in texts.items() if path.search(text)) == []


def test_a_wheel_has_every_file_of_the_package(tmp_path):
    ignore = shutil.ignore_patterns("__pycache__", "*.work", "*.part")
    source = tmp_path / "source"
    shutil.copytree(PACKAGE, source / "alignlab", ignore=ignore)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    files = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
        (entries,) = [n for n in packed if n.endswith(".dist-info/entry_points.txt")]
        assert "alignlab = alignlab.cli:main" in archive.read(entries).decode().splitlines()
    assert {f for f in files if f.startswith("alignlab/")} - packed == set()
    assert "alignlab/world/text/facts.json" in packed


def test_the_readme_counts_exercises_minutes_and_questions():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in sorted(ROOT.glob("solutions/*.py")):
        minutes = [int(n) for n in re.findall(r"· (\d+) minutes ·", path.read_text("utf-8"))]
        quiz = ROOT / f"alignlab/quizzes/{path.name[:2]}.json"
        questions = len(json.loads(quiz.read_text("utf-8"))["questions"])
        exercises = rf"\[{len(minutes)}, {sum(minutes)} minutes\]\(exercises/{path.stem}\.ipynb\)"
        assert re.search(rf"^\| {int(path.name[:2])} \|.*{exercises} \| {questions}\b", text, re.M)
