"""What Colab's image of August 2026 has stays as it is when the course is installed there."""

import importlib.metadata

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from test_project import COLAB, DEPENDENCIES, PROJECT

PYTHON = "3.13"
# No dependencies of the course, but what it installs may depend on them.
KERNEL = {"anywidget": "0.9.21", "ipykernel": "6.17.1"}


def test_colab_has_a_python_that_the_course_takes():
    assert SpecifierSet(PROJECT["requires-python"]).contains(PYTHON)


@pytest.mark.parametrize("name", [d.name for d in DEPENDENCIES if d.name not in COLAB])
def test_what_the_course_installs_replaces_nothing_that_colab_has(name):
    """TRL above all, which is not there."""
    present = COLAB | KERNEL
    for text in importlib.metadata.requires(name) or []:
        needed = Requirement(text)
        if needed.marker and not needed.marker.evaluate({"extra": "", "python_version": PYTHON}):
            continue
        if needed.name in present:
            assert needed.specifier.contains(present[needed.name]), text
