"""Claims and predictions of the chapters: what was measured must bear out what is said."""

from collections.abc import Mapping


class ClaimFailed(AssertionError):
    """A statement that the measurement does not bear out."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of the frames: the statement and the figure are what counts.
        return [f"ClaimFailed: {self}"]


def claim(statement: str, holds: bool, measured: object = None) -> None:
    """Print a statement that holds, or raise: a notebook whose claims fail does not pass.

    What is printed depends on the statement alone, so it is the same on every machine on which it
    holds, however the last digits fall.

    Args:
        holds: whether the measurement bears the statement out; a number or tensor of one truth
            value will do.
        measured: what was found, for the message of a failure.

    Raises:
        ClaimFailed: it does not hold.
    """
    if not holds:
        found = "" if measured is None else f"; measured {measured}"
        raise ClaimFailed(f"does not hold: {statement}{found}")
    print(f"holds: {statement}")


def reveal(prediction: str | None, options: Mapping[str, str], measured: str) -> None:
    """Print a reader's prediction beside what was measured.

    Args:
        prediction: the letter of an option, or None where the reader did not choose.
        options: what each letter stands for.
        measured: the letter that the measurement speaks for.

    Raises:
        ValueError: a letter that is not among the options.
    """
    for letter in (prediction, measured):
        if letter is not None and letter not in options:
            raise ValueError(f"no option {letter!r}; there are {', '.join(options)}")
    said = "none (set prediction above, and run both cells again)"
    if prediction is not None:
        said = f"{prediction}, {options[prediction]}"
    print(f"your prediction: {said}\nmeasured:        {measured}, {options[measured]}")
