"""The parts of the comparison panel that are text: HTML that runs nothing, all of it escaped.

Colours are the notebook's own; what is marked has a thin ground that keeps the text readable in a
light and in a dark theme, and a line or a word that says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from alignlab.compare import Comparison, table
from alignlab.page import STYLE, differing, preformatted
from alignlab.token_view import probability_spans
from alignlab.vote_statistics import (
    ENOUGH,
    NOT_ENOUGH,
    Statistics,
    Tally,
    habits,
    interval,
)

MARK = "background:rgba(255,193,7,0.28);text-decoration-thickness:2px;text-underline-offset:3px"
# Below a panel the page's style gives way to the notebook's theme, which is not the system's; the
# class is named twice or three times to outweigh what JupyterLab says of tables.
BELOW = """
.al-below.al-below { --text:currentColor; --dim:currentColor; --page:transparent;
  --head:rgba(128,128,128,0.18); --mark:rgba(255,193,7,0.28); font-size:14px; color-scheme:inherit;
  padding:0; }
.al-below.al-below.al-below tr { background:transparent; }
.al-below.al-below.al-below :is(th, td) { text-align:left; vertical-align:top;
  white-space:normal; }
.al-below.al-below.al-below th { background:var(--head); }
"""
CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


@dataclass(frozen=True)
class Column:
    """One response: what stands above it, the text, its tokens where they are shown, and below."""

    heading: str
    text: str
    tokens: tuple[Sequence[str], Sequence[float]] | None = None  # pieces, log-probabilities
    facts: str = ""


def styled(content: str) -> str:
    """Return HTML in the panel's type."""
    # Widgets set a line height and a font size of their own, which suit a single line.
    return f'<div style="line-height:1.5;font-size:14px;white-space:normal">{content}</div>'


def item(place: str, before: Sequence[Mapping[str, str]]) -> str:
    """Return where the voter is, and the turns before the last one of a conversation."""
    turns = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in before)
    return styled(escape(place) + (preformatted(escape(turns)) if turns else ""))


def columns(shown: Sequence[Column], mark_words: bool) -> str:
    """Return the responses side by side.

    Args:
        mark_words: mark the words that no other column has.
    """
    pieces = differing([column.text for column in shown])
    parts = []
    for column, words in zip(shown, pieces):
        if column.tokens:
            text = probability_spans(*column.tokens)
        elif mark_words and len(shown) > 1:
            marked = ((escape(word), differs) for word, differs in words)
            text = "".join(f'<u style="{MARK}">{w}</u>' if d else w for w, d in marked)
        else:
            text = escape(column.text)
        parts.append(
            f'<section class="al-column" aria-label="{escape(column.heading)}" '
            'style="flex:1 1 15em;min-width:0;border:1px solid #8a9099;border-radius:4px;'
            f'padding:6px 10px"><strong class="al-heading">{escape(column.heading)}</strong>'
            f"{preformatted(text)}"
            f'<div class="al-facts" style="margin-top:6px">{escape(column.facts)}</div></section>'
        )
    row = f'<div style="display:flex;flex-wrap:wrap;gap:10px">{"".join(parts)}</div>'
    return styled(f'<div style="overflow-wrap:anywhere">{row}</div>')


def status(text: str, error: bool = False) -> str:
    """Return the status line; an error is named one."""
    content = f"<strong>Error.</strong> {escape(text)}" if error else escape(text)
    return styled(f'<div role="status" style="white-space:pre-wrap">{content}</div>')


def statistics_html(found: Statistics, notices: Sequence[str] = ()) -> str:
    """Return the running counts: wins, ties and losses first, then what they are worth."""
    notes = "".join(f"<p>{escape(notice)}</p>" for notice in notices)
    if not found.pairs:
        return styled(f"{notes}<p>No votes yet.</p>")
    content = _tallies("Votes", found.pairs)
    if found.strengths:
        listed = "; ".join(f"{name} {interval(score)}" for name, score in found.strengths.items())
        content += f"<p>Bradley–Terry strength in log-odds: {escape(listed)}.</p>"
    elif len(found.pairs) > 1:
        content += f"<p>No Bradley–Terry strengths: {escape(found.no_strengths)}.</p>"
    content += "".join(f"<p>{escape(habit[0].upper() + habit[1:])}.</p>" for habit in habits(found))
    if found.by_task:
        tables = (_tallies(task or "no task", part) for task, part in found.by_task.items())
        content += f"<details><summary>By task</summary>{''.join(tables)}</details>"
    return styled(notes + content)


def _tallies(caption: str, tallies: Sequence[Tally]) -> str:
    names = ("Pair", "Wins", "Ties", "Losses", "Both bad", "Skipped", "Win rate", "Verdict")
    head = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in names)
    rows = "".join(_tally(tally) for tally in tallies)
    return (
        '<table class="al-tallies" style="border-collapse:collapse">'
        f'<caption style="text-align:left"><strong>{escape(caption)}</strong></caption>'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _tally(tally: Tally) -> str:
    counts = (tally.wins, tally.ties, tally.losses, tally.both_bad, tally.skips)
    rate = interval(tally.win_rate) if tally.win_rate else "–"
    cells = [*map(str, counts), rate, ENOUGH if tally.decided else NOT_ENOUGH]
    data = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
    pair = escape(f"{tally.first} against {tally.second}")
    return f'<tr><th scope="row" style="{CELL}">{pair}</th>{data}</tr>'


def tables(comparisons: Sequence[Comparison]) -> str:
    """Return the tables of several comparisons, one below the other."""
    return "".join(map(table, comparisons))


def below(comparisons: Sequence[Comparison]) -> str:
    """Return what is shown below the panel, which stays when no kernel answers any more."""
    content = tables(comparisons) or "<p>Here the responses stay whose models you have seen.</p>"
    # The last two keep MathJax (3, and 2 in nbviewer) from what stands between dollar signs.
    classes = "al-compare al-below mathjax_ignore tex2jax_ignore"
    return f'<style>{STYLE}{BELOW}</style><div class="{classes}">{content}</div>'
