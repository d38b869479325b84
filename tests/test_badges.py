"""badges.py: links name the fork, and nothing else changes."""

import nbformat
import pytest

from alignlab import badges
from alignlab.notebooks import METADATA, check, dumps, read_text

TEXT = """\
# %% [markdown]
# # 9. A title
# [open](https://colab.research.google.com/github/some-one/a.course/blob/main/chapters/09_x.ipynb)

# %%
package = "alignlab @ git+https://github.com/some-one/a.course"
print(package)

# %%
print("https://github.com/some-one/else")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a README and a chapter whose notebook has outputs."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "README.md").write_text("[x](https://colab.research.google.com/github/a/b/blob/)")
    text = tmp_path / "chapters" / "09_x.py"
    text.write_text(TEXT)
    notebook = read_text(text)
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
        cell.outputs = [nbformat.v4.new_output("stream", text=f"output {number}\n")]
    text.with_suffix(".ipynb").write_text(dumps(notebook))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_links_name_the_fork_and_outputs_stay(project, capsys):
    badges.main(["alice/my.fork"])
    assert capsys.readouterr().out.split() == [
        "wrote", "README.md", "wrote", "chapters/09_x.py", "wrote", "chapters/09_x.ipynb",
    ]  # fmt: skip
    text = (project / "chapters" / "09_x.py").read_text()
    assert text == TEXT.replace("some-one/a.course", "alice/my.fork")
    assert "some-one/else" in text
    assert "github/alice/my.fork/blob/" in (project / "README.md").read_text()
    check(project / "chapters" / "09_x.py")  # the notebook is that of the text
    cells = nbformat.read(project / "chapters" / "09_x.ipynb", as_version=4).cells
    shown = [cell.outputs[0].text for cell in cells if cell.cell_type == "code"]
    assert shown == ["output 1\n", "output 2\n"]


def test_a_second_time_changes_nothing(project, capsys):
    badges.main(["alice/my.fork"])
    capsys.readouterr()
    badges.main(["alice/my.fork"])
    assert capsys.readouterr().out == "all links name alice/my.fork already\n"


@pytest.mark.parametrize("name", ["alice", "alice/a/b", "https://github.com/alice/a", "a b/c"])
def test_what_is_no_repository_is_refused(project, capsys, name):
    with pytest.raises(SystemExit):
        badges.main([name])
    assert "expected OWNER/NAME" in capsys.readouterr().err
    assert (project / "chapters" / "09_x.py").read_text() == TEXT


def test_elsewhere_it_says_where_to_run_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        badges.main(["alice/my.fork"])
    assert "run it in the project's folder" in capsys.readouterr().err
