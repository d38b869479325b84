"""How probable each token of one text is to several models, and where two of them disagree.

After DPO this shows where the probability went: the same text, token by token.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from alignlab.engine import Engine
from alignlab.generate import before_response

# Colours that keep black text on white and white text on black above 4.5:1 (tests/test_token_view).
SURPRISE, MORE, LESS = "230,120,0", "0,114,178", "213,94,0"
STRONGEST = 0.4  # the most that a ground covers what is behind it
CLEAR = math.log(2)  # a difference from which a token is twice or half as probable
HOW_SURPRISING = "The darker a token, the less probable it was; below ½ it is underlined with dots."
HOW_DIFFERENT = (
    "Blue and underlined: at least twice as probable to {second} as to {first}; orange and "
    "underlined with dots: at most half."
)
END = "[end]"  # stands for the end token, which has no text


@dataclass(frozen=True)
class TokenView:
    """One text in pieces, and the log-probability of every piece by the names of the models.

    Attributes:
        pieces: joined they are the text; the last is empty and stands for the end token. A piece
            is a token, or those tokens that make up one character.
        logprobs: for every model's name one log-probability in nats for each piece.
    """

    pieces: Sequence[str]
    logprobs: Mapping[str, Sequence[float]]

    def difference(self, first: str, second: str) -> list[float]:
        """Return log p(second) - log p(first) of every piece, in nats."""
        return [b - a for a, b in zip(self.logprobs[first], self.logprobs[second])]

    def renamed(self, names: Mapping[str, str]) -> "TokenView":
        """Return the view with other names for the models."""
        return TokenView(self.pieces, {names[old]: row for old, row in self.logprobs.items()})


def token_view(
    engine: Engine, names: Sequence[str], prompt: str | list[dict], text: str
) -> TokenView:
    """Let several models judge one text, as the response to a prompt.

    Raises:
        ValueError: models that divide the text into other tokens, which cannot be compared.
    """
    found: dict[str, list[float]] = {}
    common: list[str] | None = None
    for name in names:
        pieces, owners = divide(engine.family(name).tokenizer, text)
        if common is not None and pieces != common:
            raise ValueError(f"{names[0]} and {name} divide the text into different tokens")
        common = pieces
        sums = [0.0] * len(pieces)
        for owner, logprob in zip(owners, engine.logprobs(name, prompt, text), strict=True):
            sums[owner] += logprob
        found[name] = sums
    return TokenView(common or [], found)


def divide(tokenizer, text: str) -> tuple[list[str], list[int]]:
    """Divide a response at the borders of its tokens.

    A space that the chat template puts before it belongs to the first piece, and is not shown.

    Returns:
        The pieces, with an empty one at the end for the end token, and for each token, the end
        token too, the piece to which it belongs. Borders inside a character are none.
    """
    space = before_response(tokenizer)
    offsets = tokenizer(space + text, add_special_tokens=False, return_offsets_mapping=True)
    starts, owners = [], []
    for start, end in offsets["offset_mapping"]:
        start, end = max(start - len(space), 0), end - len(space)
        # Tokens of one character have one place; a token need not own the space before it.
        if end > start and (not starts or start > starts[-1]):
            starts.append(start)
        owners.append(max(0, len(starts) - 1))
    if starts:
        starts[0] = 0
    pieces = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)])]
    return [*pieces, ""], [*owners, len(pieces)]


def probability_spans(pieces: Sequence[str], logprobs: Sequence[float]) -> str:
    """Return a text as HTML with the probability of each piece as its ground and in its title."""
    spans = []
    for piece, logprob in zip(pieces, logprobs):
        p = math.exp(logprob)
        lines = "underline dotted" if p < 0.5 else "none"
        spans.append(_span(piece, SURPRISE, 1 - p, lines, f"probability {p:.3g}"))
    return "".join(spans)


def difference_spans(pieces: Sequence[str], differences: Sequence[float]) -> str:
    """Return a text as HTML with the difference of two log-probabilities as its ground."""
    spans = []
    for piece, gap in zip(pieces, differences):
        lines = "none" if abs(gap) < CLEAR else "underline" if gap > 0 else "underline dotted"
        colour, title = (MORE if gap > 0 else LESS), f"{gap:+.2f} nats, {math.exp(gap):.3g} times"
        spans.append(_span(piece, colour, min(1, abs(gap) / 3), lines, title))
    return "".join(spans)


def _span(piece: str, colour: str, strength: float, lines: str, title: str) -> str:
    ground = f"rgba({colour},{STRONGEST * max(0.0, strength):.2f})"
    style = f"background:{ground};text-decoration:{lines};text-underline-offset:3px"
    return f'<span style="{style}" title="{title}">{escape(piece) or END}</span>'


def view_html(view: TokenView, label: str, pair: tuple[str, str] | None = None) -> str:
    """Return a table that shows the text once for every model, and once for a difference.

    It needs no style sheet and no script, so it can stand in a notebook and in a static page.

    Args:
        label: what the text is, for the caption.
        pair: two models; the last row shows where the second makes tokens more probable.
    """
    rows = [
        _row(name, probability_spans(view.pieces, logprobs), f"{math.fsum(logprobs):.1f} nats")
        for name, logprobs in view.logprobs.items()
    ]
    how = HOW_SURPRISING
    if pair:
        gaps = view.difference(*pair)
        spans, total = difference_spans(view.pieces, gaps), f"{math.fsum(gaps):+.1f} nats"
        rows.append(_row(f"{pair[1]} minus {pair[0]}", spans, total))
        how += " " + HOW_DIFFERENT.format(first=pair[0], second=pair[1])
    how += f" {END} stands for the end of the response. Point at a token for its number."
    cell = "text-align:left;vertical-align:top;padding:4px 10px 4px 0"
    head = "".join(
        f'<th scope="col" style="{cell}">{name}</th>'
        for name in ("Model", "Text", "Log-probability")
    )
    return (
        '<table class="al-token-view" style="border-collapse:collapse;text-align:left">'
        f'<caption style="text-align:left"><strong>{escape(label)}</strong><br>{escape(how)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def sections(
    engine: Engine,
    prompts: Sequence[str | list[dict]],
    responses: Mapping[str, Sequence[str]],
) -> str:
    """Return, folded for every prompt, each response as every model sees it: for a static page.

    Args:
        responses: by the models' names, as in ``compare.Comparison``; the last model is compared
            with the first.
    """
    names, parts = list(responses), []
    for place, prompt in enumerate(prompts):
        views = [
            view_html(
                token_view(engine, names, prompt, texts[place]),
                f"Response of {name}", (names[0], names[-1]),
            )
            for name, texts in responses.items()
        ]  # fmt: skip
        title = f"<summary>Prompt {place + 1}, token by token</summary>"
        parts.append(f"<details>{title}{''.join(views)}</details>\n")
    return "".join(parts)


def _row(name: str, spans: str, total: str) -> str:
    cell = "text-align:left;vertical-align:top;padding:4px 10px 4px 0"
    return (
        f'<tr><th scope="row" style="{cell}">{escape(name)}</th><td style="{cell}">'
        f'<div dir="auto" style="white-space:pre-wrap">{spans}</div></td>'
        f'<td style="{cell};white-space:nowrap">{total}</td></tr>'
    )
