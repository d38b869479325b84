"""claims.py: what holds is printed, what does not stops the notebook."""

import pytest
import torch

from alignlab.claims import ClaimFailed, claim, reveal

OPTIONS = {"A": "it rises", "B": "it falls"}


def test_what_holds_is_printed_without_the_figure(capsys):
    claim("accuracy of at least 0.9", 0.93 >= 0.9, 0.93)
    claim("both agree", torch.tensor([1.0, 2.0]).max() > 1.5)
    assert capsys.readouterr().out == "holds: accuracy of at least 0.9\nholds: both agree\n"


def test_what_does_not_hold_raises_with_the_figure(capsys):
    with pytest.raises(ClaimFailed, match=r"hold: accuracy of at least 0\.9; measured 0\.7"):
        claim("accuracy of at least 0.9", 0.7 >= 0.9, 0.7)
    with pytest.raises(ClaimFailed, match="not a number"):
        claim("not a number is above nothing", float("nan") > 0)
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_the_failed_statement_and_no_frames(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    result = shell.run_cell("from alignlab.claims import claim\nclaim('1 > 2', 1 > 2, 1)")
    assert isinstance(result.error_in_exec, ClaimFailed)
    shown = capsys.readouterr().out
    assert "ClaimFailed: does not hold: 1 > 2; measured 1" in shown
    assert "claims.py" not in shown


def test_a_prediction_stands_beside_the_measurement(capsys):
    reveal("A", OPTIONS, "B")
    assert capsys.readouterr().out == (
        "your prediction: A, it rises\nmeasured:        B, it falls\n"
    )
    reveal(None, OPTIONS, "B")
    assert "none (set prediction above" in capsys.readouterr().out


@pytest.mark.parametrize(("prediction", "measured"), [("C", "A"), ("A", "C"), ("a", "A")])
def test_a_letter_that_there_is_not_is_refused(prediction, measured):
    with pytest.raises(ValueError, match="there are A, B"):
        reveal(prediction, OPTIONS, measured)
