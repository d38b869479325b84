"""token_view.py: the numbers are the models', the pieces are the text, and nothing is markup."""

import math
import re
from html import unescape

import panel_models
import pytest
from test_compare import HOSTILE, contrast

from alignlab.engine import Engine
from alignlab.models import load_tokenizer
from alignlab.token_view import (
    END,
    LESS,
    MORE,
    STRONGEST,
    SURPRISE,
    TokenView,
    difference_spans,
    divide,
    probability_spans,
    sections,
    token_view,
    view_html,
)

PROMPT = "how do I clean the red filter"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    sources = panel_models.make(tmp_path_factory.mktemp("models"))
    return Engine({name: sources[name] for name in ("base", "first", "second")})


TEXTS = [
    "",
    " ",
    "fill the kettle",
    "  two  spaces\n\n- list",
    "caffè \U0001f600\U0001f1e9 ½",
    "\t",
]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text_and_every_token_has_one(engine, text):
    tokenizer = engine.families[0].tokenizer
    pieces, owners = divide(tokenizer, text)
    ids = tokenizer(" " + text, add_special_tokens=False)["input_ids"]  # the template's space
    assert "".join(pieces) == text
    assert pieces[-1] == ""
    assert all(pieces[:-1])
    assert len(owners) == len(ids) + 1
    assert owners == sorted(owners)
    assert set(owners) == set(range(len(pieces)))


def test_a_piece_has_the_probability_of_its_tokens(engine):
    text = "fill the kettle \U0001f600 now"
    view = token_view(engine, ["base", "second"], PROMPT, text)
    for name in ("base", "second"):
        tokens = engine.logprobs(name, PROMPT, text)
        assert math.fsum(view.logprobs[name]) == pytest.approx(math.fsum(tokens))
        assert len(view.pieces) < len(tokens)  # the face is of several tokens
        assert view.logprobs[name][0] == tokens[0]
        assert view.logprobs[name][-1] == tokens[-1]
    gaps = view.difference("base", "second")
    assert gaps[1] == view.logprobs["second"][1] - view.logprobs["base"][1]
    assert any(abs(gap) > 0.01 for gap in gaps)


def test_other_tokens_cannot_be_compared(engine, monkeypatch):
    other = engine.families[0]

    class Characters:
        apply_chat_template = other.tokenizer.apply_chat_template

        def __call__(self, text, **_):
            return {"offset_mapping": [(i, i + 1) for i in range(len(text))]}

    class Other:
        tokenizer = Characters()

    monkeypatch.setattr(
        engine, "family", lambda name: Other if name == "first" else other, raising=False
    )
    with pytest.raises(ValueError, match="base and first divide the text into different tokens"):
        token_view(engine, ["base", "first"], PROMPT, "fill the kettle")


def spans(html):
    return re.findall(r'<span style="([^"]*)" title="([^"]*)">([^<]*)</span>', html)


def test_the_number_is_in_the_title_and_the_line_says_what_the_colour_says():
    found = spans(probability_spans(["a", " b", ""], [math.log(0.9), math.log(0.1), 0.0]))
    assert [(title, text) for _, title, text in found] == [
        ("probability 0.9", "a"), ("probability 0.1", " b"), ("probability 1", END),
    ]  # fmt: skip
    styles = [style for style, _, _ in found]
    assert ["underline dotted" in style for style in styles] == [False, True, False]
    grounds = [float(re.search(r",(\d\.\d+)\)", style)[1]) for style in styles]
    assert grounds == [0.04, 0.36, 0.0]


def test_a_difference_says_which_way():
    found = spans(difference_spans(["up", "down", "same"], [1.0, -1.0, 0.1]))
    assert [title for _, title, _ in found] == [
        "+1.00 nats, 2.72 times", "-1.00 nats, 0.368 times", "+0.10 nats, 1.11 times",
    ]  # fmt: skip
    styles = [style for style, _, _ in found]
    assert MORE in styles[0]
    assert LESS in styles[1]
    lines = [re.search(r"text-decoration:([\w ]+)", style)[1] for style in styles]
    assert lines == ["underline", "underline dotted", "none"]


def test_a_table_has_a_row_for_each_model_and_one_for_the_difference():
    view = TokenView(["a", ""], {"SFT": [-1.0, -2.0], "DPO": [-0.5, -3.0]})
    page = view_html(view, "Response of SFT", ("SFT", "DPO"))
    assert re.findall(r'<th scope="row"[^>]*>([^<]*)', page) == ["SFT", "DPO", "DPO minus SFT"]
    assert re.findall(r">([+-][\d.]+ nats)</td>", page) == ["-3.0 nats", "-3.5 nats", "-0.5 nats"]
    assert "Response of SFT" in page
    assert "twice as probable to DPO as to SFT" in page
    assert "minus" not in view_html(view, "Response")
    assert view.renamed({"SFT": "A", "DPO": "B"}).logprobs == {"A": [-1.0, -2.0], "B": [-0.5, -3.0]}


def test_a_page_has_every_response_as_every_model_sees_it(engine):
    responses = {"base": ["fill it", "wait"], "second": ["no idea", "so"]}
    page = sections(engine, [PROMPT, "my kettle"], responses)
    assert page.count("<details>") == page.count("</details>") == 2
    assert re.findall("<summary>(.*?)</summary>", page) == [
        "Prompt 1, token by token", "Prompt 2, token by token",
    ]  # fmt: skip
    captions = re.findall(r"<strong>(Response of \w+)", page)
    assert captions == ["Response of base", "Response of second"] * 2
    alone = view_html(
        token_view(engine, ["base", "second"], "my kettle", "so"), "Response of second",
        ("base", "second"),
    )  # fmt: skip
    assert page.endswith(alone + "</details>\n")


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_becomes_markup(attack):
    harmless = "x" * len(attack)
    pages = [
        view_html(TokenView([text, ""], {text: [-1.0, 0.0], "b": [-1.0, 0.0]}), text, (text, "b"))
        for text in (attack, harmless)
    ]
    tags = [re.findall(r"<[^>]*>", page) for page in pages]
    assert tags[0] == tags[1]
    assert unescape(re.sub(r"<[^>]*>", "", pages[0])).count(attack) == 7


def test_text_stays_readable_on_every_ground():
    """The strongest ground over white and over a dark theme's, with the text of each theme."""
    for colour in (SURPRISE, MORE, LESS):
        for behind, text in (((255, 255, 255), "#212121"), ((17, 17, 17), "#e0e0e0")):
            parts = [int(part) for part in colour.split(",")]
            mixed = [round(STRONGEST * c + (1 - STRONGEST) * b) for c, b in zip(parts, behind)]
            assert contrast(text, "#" + "".join(f"{part:02x}" for part in mixed)) >= 4.5


def test_the_bundled_tokenizers_offsets_are_as_divide_expects():
    tokenizer = load_tokenizer(panel_models.tiny_model.folder())
    offsets = tokenizer("é x", add_special_tokens=False, return_offsets_mapping=True)
    assert all(start <= end for start, end in offsets["offset_mapping"])
