"""What a side-by-side page is made of: its style, its frame, and texts laid out as they stand."""

import re
from collections.abc import Sequence
from html import escape

# Every colour is here, so that a test can work out the contrasts. In print it is always light.
_LIGHT = "--text:#1b1b1b;--dim:#55595f;--page:#ffffff;--head:#e9edf2;--mark:#fff1b8;--line:#8a9099"
_DARK = "--text:#ececec;--dim:#b6bbc2;--page:#16181c;--head:#272b32;--mark:#4d4114;--line:#7d838c"
STYLE = f"""
.al-compare {{ {_LIGHT}; color-scheme: light dark; color: var(--text); background: var(--page);
  font: 1rem/1.45 system-ui, sans-serif; margin: 0; padding: 1rem; }}
@media screen and (prefers-color-scheme: dark) {{ .al-compare {{ {_DARK} }} }}
.al-compare table {{ border-collapse: collapse; table-layout: fixed; width: 100%; }}
.al-compare caption {{ text-align: left; font-weight: 600; padding: .4rem 0; }}
.al-compare th, .al-compare td {{ border: 1px solid var(--line); padding: .45rem .6rem;
  text-align: left; vertical-align: top; overflow-wrap: anywhere; color: var(--text); }}
.al-compare th {{ background: var(--head); font-weight: 600; }}
.al-compare thead th {{ position: sticky; top: 0; }}
.al-compare tbody {{ border-top: 3px solid var(--line); break-inside: avoid; }}
.al-compare summary, .al-compare .al-facts {{ color: var(--dim); font-size: .875em; }}
.al-compare .al-facts {{ margin: .5rem 0 0; }}
.al-compare .al-facts:first-child {{ margin: 0; }}
.al-compare u {{ background: var(--mark); text-decoration-thickness: 2px;
  text-underline-offset: 3px; }}
@media print {{ .al-compare {{ padding: 0 2px; font-size: 10pt; }}
  .al-compare table {{ min-width: 0 !important; }} }}
"""


def document(title: str, body: str) -> str:
    """Return a whole page that needs no other file.

    Args:
        title: plain text.
        body: HTML, in which every text from outside has gone through ``html.escape``.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body class="al-compare">\n<main>\n<h1>{escape(title)}</h1>\n'
        f"{body}</main>\n</body>\n</html>\n"
    )


def preformatted(escaped: str) -> str:
    """Return escaped text as an element that keeps its line breaks and spaces."""
    # The style is on the element, because some viewers drop style sheets. dir="auto" keeps
    # right-to-left text, and marks that turn the direction round, inside the cell.
    return f'<div dir="auto" style="white-space:pre-wrap">{escaped}</div>'


def differing(texts: Sequence[str]) -> list[list[tuple[str, bool]]]:
    """Split texts into pieces and say of each whether its words stand in no other text.

    A word is what stands between spaces; case and the punctuation around it do not count.
    Joined, the pieces of a text are the text.
    """
    words = [{_key(word) for word in re.findall(r"\S+", text)} for text in texts]
    results = []
    for place, text in enumerate(texts):
        elsewhere = set().union(*words[:place], *words[place + 1 :])
        pieces: list[tuple[str, bool]] = []
        # Each word comes with the space before it, so that neighbours join in one piece.
        for space, word in re.findall(r"(\s*)(\S+)", text):
            differs = _key(word) not in elsewhere
            if pieces and pieces[-1][1] == differs:
                pieces[-1] = (pieces[-1][0] + space + word, differs)
            else:
                pieces += [(space, False), (word, differs)]
        rest = text[len(text.rstrip()) :]
        results.append([piece for piece in [*pieces, (rest, False)] if piece[0]])
    return results


def _key(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", word).casefold() or word
