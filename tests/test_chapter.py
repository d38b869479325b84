"""chapter.py: what a chapter starts from."""

import warnings

import datasets
import pytest
import transformers

from alignlab import chapter
from alignlab.models import ModelError


@pytest.fixture(autouse=True)
def bars():
    """Leave the libraries' settings to other tests as they were."""
    verbosity = transformers.logging.get_verbosity()
    with warnings.catch_warnings():
        yield
    datasets.enable_progress_bars()
    transformers.logging.enable_progress_bar()
    transformers.logging.set_verbosity(verbosity)


def test_each_chapter_has_a_new_folder(monkeypatch):
    monkeypatch.delenv("ALIGNLAB_PROFILE", raising=False)
    (one, model, options), (other, _, _) = chapter.begin(), chapter.begin()
    assert one.is_dir()
    assert other.is_dir()
    assert one != other
    assert list(one.iterdir()) == []
    assert (model, options) == ("tiny", {"progress": False})
    assert datasets.are_progress_bars_disabled()


def test_the_profile_names_the_model(monkeypatch):
    monkeypatch.setenv("ALIGNLAB_PROFILE", "gpu")
    assert chapter.begin()[1] == "Qwen/Qwen3-0.6B-Base"
    monkeypatch.setenv("ALIGNLAB_PROFILE", "gpuu")
    with pytest.raises(ModelError, match="did you mean 'gpu'"):
        chapter.begin()
