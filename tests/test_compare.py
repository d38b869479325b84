"""compare.py: columns do not depend on each other, and nothing of a response becomes markup."""

import json
import os
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from alignlab import compare
from alignlab.compare import Comparison, respond, to_html, world_prompts
from alignlab.generate import generate
from alignlab.models import load_model, load_tokenizer
from alignlab.page import differing
from alignlab.world import World
from alignlab.world.instructions import FAMILIES
from alignlab.world.preferences import true_reward
from alignlab.world.statements import has_phrase

HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "</textarea></td></table></title></style>",
    "&#x3c;script&#x3e; &lt;b&gt; &amp;",
    "\"' onload='x' <!-- --> <![CDATA[ ]]>",
)
VOID = {"meta", "br"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of each kind of element."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.text, self.stack = [], {}, []
        self.feed(page)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        for tag in set(self.stack):
            self.text[tag][-1] += data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    unknown_decl = handle_comment


def page_of(comparison, tmp_path, title="Title"):
    return Page(to_html(comparison, tmp_path / "page.html", title).read_text("utf-8"))


# --- asking the models ---------------------------------------------------------------------------


def tiny_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
    text = "the quick brown fox jumps over the lazy dog while seven wizards box with a jug of oil?"
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>"
    )
    fast.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    return fast


def tiny_model(seed):
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=128, initializer_range=0.3,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A base, two LoRA runs and a DoRA run on it, and a model with a base of its own."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("base", "other")):
        tiny_model(seed).save_pretrained(folder / name)
        tiny_tokenizer().save_pretrained(folder / name)
    for seed, name in enumerate(("first", "second", "dora")):
        base = tiny_model(0)
        torch.manual_seed(10 + seed)
        config = LoraConfig(
            r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False,
            use_dora=name == "dora", task_type="CAUSAL_LM",
        )  # fmt: skip
        get_peft_model(base, config).save_pretrained(folder / name / "adapter")
        settings = {"base": str(folder / "base")}
        folder.joinpath(name, "config.json").write_text(json.dumps(settings))
    return {name: folder / name for name in ("base", "first", "other", "second", "dora")}


PROMPTS = [
    "the fox",
    "why does the lazy dog jump over the quick brown fox with a jug of oil?",
    [{"role": "user", "content": "box"}],
    "seven wizards",
]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_column_is_what_the_model_gives_alone(sources, temperature):
    options = {"temperature": temperature, "max_new_tokens": 24, "seed": 3}
    comparison = respond(sources, PROMPTS, **options)
    assert comparison.models == list(sources)
    for name, source in sources.items():
        alone = generate(load_model(source), load_tokenizer(source), PROMPTS, **options)
        assert comparison.responses[name] == alone
    # Five models that all say the same would prove nothing.
    assert len({tuple(texts) for texts in comparison.responses.values()}) == 5
    assert comparison.settings == options
    assert comparison.scores is None
    assert comparison.tasks == ["", "", "", ""]


def test_order_and_company_do_not_matter(sources):
    options = {"temperature": 1.0, "max_new_tokens": 16, "seed": 0}
    names = ("second", "base", "first")
    turned = respond({name: sources[name] for name in names}, PROMPTS, **options)
    one = respond({"again": sources["first"]}, PROMPTS[1:2], **options)
    both = respond({"a": sources["base"], "b": sources["base"]}, PROMPTS, **options)
    assert turned.models == ["second", "base", "first"]
    assert one.responses["again"] == turned.responses["first"][1:2]
    assert both.responses["a"] == both.responses["b"] == turned.responses["base"]


def test_one_base_is_loaded_once_and_asked_in_one_batch(sources, monkeypatch):
    """Of five models on two bases, three share a batch; PEFT cannot mix DoRA with them."""
    loaded, asked = [], []

    def loading(source, *args, **kwargs):
        loaded.append(str(source))
        return load_model(source, *args, **kwargs)

    def generating(model, tokenizer, prompts, **options):
        asked.append((len(prompts), sorted(set(options["adapters"] or []))))
        return generate(model, tokenizer, prompts, **options)

    monkeypatch.setattr(compare, "load_model", loading)
    monkeypatch.setattr(compare, "generate", generating)
    respond(sources, PROMPTS, max_new_tokens=2)
    assert loaded == [str(sources[name]) for name in ("base", "other", "base")]
    assert asked == [(12, ["__base__", "adapter1", "adapter2"]), (4, []), (4, [])]


def test_examples_are_scored_by_the_true_reward(sources):
    examples = world_prompts(World(0), count=3)
    comparison = respond({"base": sources["base"]}, examples, max_new_tokens=8)
    texts = comparison.responses["base"]
    assert comparison.scores["base"] == [
        true_reward(example.meta, text) for example, text in zip(examples, texts)
    ]
    assert comparison.tasks == ["manual", "manual, new wording", "unknown product"]
    assert comparison.prompts == [example.prompt for example in examples]


@pytest.mark.parametrize(("models_", "prompts"), [({}, ["a"]), ({"base": "tiny"}, [])])
def test_nothing_to_compare_is_refused(models_, prompts):
    with pytest.raises(ValueError, match="at least one model and one prompt"):
        respond(models_, prompts)


def test_columns_must_fit():
    with pytest.raises(ValueError, match="2 entries"):
        Comparison(["a", "b"], ["", ""], {"m": ["one"]})
    with pytest.raises(ValueError, match="for every model or for none"):
        Comparison(["a"], [""], {"m": ["one"], "n": ["two"]}, scores={"m": [1.0]})


# --- what is asked -------------------------------------------------------------------------------


def test_world_prompts_are_of_every_kind():
    world = World(0)
    examples = world_prompts(world)
    assert len(examples) == len({example.prompt for example in examples}) == 24
    others = {"fact", "unknown", "contract", "idea", "slogan", "unsafe", "safe"}
    assert {example.meta["judge"] for example in examples} == set(FAMILIES) | others
    tasks = [example.task for example in examples]
    assert len(set(tasks)) == 18
    # Neighbours: each label begins once.
    assert sum(a != b for a, b in pairwise(tasks)) == 17
    assert world_prompts(world) == examples
    assert world_prompts(world, seed=1) != examples


def test_world_prompts_ask_about_their_split():
    world = World(0)
    products = {name: world.pool("products", name) for name in ("test", "validation")}
    for split, pool in products.items():
        names = {product.name for product in pool}
        asked = [e for e in world_prompts(world, 40, split) if e.task.startswith("manual")]
        assert len(asked) >= 4
        assert {example.meta["name"] for example in asked} <= names
    unknown = [e for e in world_prompts(world) if e.task == "unknown product"]
    everyone = {product.name for product in world.everyone("products")}
    assert not {example.meta["name"] for example in unknown} & everyone
    assert all(has_phrase(example.prompt, example.meta["name"]) for example in unknown)


def test_world_prompts_say_when_there_are_too_few(monkeypatch):
    monkeypatch.setattr(compare, "_KINDS", compare._KINDS[:1])
    draw = compare.draw_examples
    monkeypatch.setattr(compare, "draw_examples", lambda *a, **k: draw(*a, **k)[:3])
    with pytest.raises(ValueError, match="only 3 different prompts here, not 5"):
        world_prompts(World(0), count=5)


# --- the page ------------------------------------------------------------------------------------


def marked(texts):
    return [[text for text, differs in pieces if differs] for pieces in differing(texts)]


def test_differing_words_by_hand():
    texts = ["It costs 40 crowns, no more.", "Costs: 55 crowns.", "(It costs 55 crowns.)"]
    assert marked(texts) == [["40", "no more."], [], []]
    assert marked(["a b c", "a x c", "a x d"]) == [["b"], [], ["d"]]
    assert marked(["weighs 1.5 - so", "weighs 15 * so"]) == [["1.5 -"], ["15 *"]]
    assert marked(["same words", "Words,  same\n"]) == [[], []]
    assert marked(["", "some thing"]) == [[], ["some thing"]]


@pytest.mark.parametrize("text", ["", " ", "a", "  a b\n\n- c\t", "\u3000x\u00a0y\x85z\x1c"])
def test_pieces_join_to_the_text(text):
    texts = [text, "other b words", text + " more"]
    joined = ["".join(piece for piece, _ in pieces) for pieces in differing(texts)]
    assert joined == texts


def hostile(words):
    """A comparison in which every string of a stranger is ``words``, alike and different."""
    return Comparison(
        [words, [{"role": words, "content": words}, {"role": "user", "content": words}], "Why?"],
        [words, words, words],
        {words: [words, words + " a", words], words + " 2": [words, "b " + words, "so"]},
        {words: words},
    )


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_becomes_markup(tmp_path, attack):
    """The page has the very elements of a harmless page with as many words."""
    harmless = " ".join("x" * len(word) for word in attack.split(" "))
    page = page_of(hostile(attack), tmp_path, attack)
    assert page.elements == page_of(hostile(harmless), tmp_path, harmless).elements
    # It is all there to be read, letter for letter.
    assert page.text["title"] == page.text["h1"] == [attack]
    assert [text for text in page.text["th"] if attack in text] == [
        attack, attack + " 2", "1" + attack, "2" + attack, "3" + attack,
    ]  # fmt: skip
    prompts, responses = page.text["div"][::3], page.text["div"][1::3] + page.text["div"][2::3]
    assert prompts == [attack, f"{attack}: {attack}\n\nuser: {attack}", "Why?"]
    assert responses == [attack, attack + " a", attack, attack, "b " + attack, "so"]
    assert page.text["u"] == ["a", "b", attack, "so"]
    assert attack in page.text["p"][0]


def test_the_page_is_whole_and_needs_nothing(tmp_path):
    scores = {"m": [3.0, 12.0], "n": [0.5, 4.25]}
    comparison = Comparison(
        ["Name two.", "Why?"], ["list", "explain"],
        {"m": ["- tea\n- rice", "One"], "n": ["", "Two words"]}, {"temperature": 0.7}, scores,
    )  # fmt: skip
    raw = to_html(comparison, tmp_path / "new" / "page.html", "Two models").read_text("utf-8")
    page = Page(raw)
    tags = {tag for tag, _ in page.elements}
    assert tags == {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "table", "caption",
        "thead", "tbody", "tr", "th", "td", "details", "summary", "div", "u", "br",
    }  # fmt: skip
    names = {name for _, attributes in page.elements for name, _ in attributes}
    assert names == {
        "lang", "charset", "name", "content", "class", "style", "scope", "rowspan", "colspan",
        "open", "dir",
    }  # fmt: skip
    assert not re.search(r"https?:|//|url\(|@import|@font-face", raw)
    heads = [dict(attributes)["scope"] for tag, attributes in page.elements if tag == "th"]
    assert heads == ["col", "col", "col", "row", "rowgroup", "rowgroup"]
    assert page.text["caption"][0].startswith("2 prompts")
    assert "0 to 12" in page.text["caption"][0]
    boxes = [dict(attributes)["style"] for tag, attributes in page.elements if tag == "div"]
    assert boxes == ["white-space:pre-wrap"] * 6
    assert page.text["td"] == [
        "2.5 words, true score 7.50", "1.0 words, true score 2.38",
        "PromptName two.", "- tea\n- rice4 words, true score 3.00", "0 words, true score 0.50",
        "PromptWhy?", "One1 words, true score 12.00", "Two words2 words, true score 4.25",
    ]  # fmt: skip
    assert page.text["th"][-2:] == ["1list", "2explain"]
    assert "temperature 0.7" in page.text["p"][0]
    # Underlined, which print and any colour vision keep.
    assert page.text["u"] == ["- tea\n- rice", "One", "Two words"]


def test_scores_that_are_not_known_are_not_spoken_of(tmp_path):
    page = page_of(Comparison(["Why?"], [""], {"m": ["So"]}), tmp_path)
    assert "score" not in page.text["table"][0]
    # One column has nothing to differ from.
    assert "u" not in page.text


def luminance(colour):
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_in_light_and_dark(tmp_path):
    """Every text on every ground it stands on has 4.5:1, in both colour schemes (WCAG 1.4.3)."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    page = page_of(Comparison(["Why?"], [""], {"m": ["So"]}), tmp_path)
    style = page.text["style"][0]
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)")
    schemes = [dict(re.findall(r"--(\w+):(#\w{6})", part)) for part in (light, dark)]
    for scheme in schemes:
        for ground in ("page", "head", "mark"):
            assert contrast(scheme["text"], scheme[ground]) >= 4.5
        assert contrast(scheme["dim"], scheme["page"]) >= 4.5
        assert contrast(scheme["line"], scheme["page"]) >= 3
    assert schemes[0] != schemes[1]
    # No colour outside the two lists that were just checked.
    rest = re.sub(r"--\w+:#\w{6}", "", style)
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb|hsl|opacity", rest)


def test_half_a_surrogate_pair_does_not_cost_the_page(tmp_path):
    comparison = Comparison(["Why?"], [""], {"m": [json.loads('"a\\ud800b"')]})
    assert page_of(comparison, tmp_path).text["div"] == ["Why?", "a?b"]


def test_a_page_is_whole_or_absent(tmp_path, monkeypatch):
    comparison = Comparison(["Why?"], [""], {"m": ["So"]})
    before = to_html(comparison, tmp_path / "page.html", "Before").read_text()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        to_html(comparison, tmp_path / "page.html", "After")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == before
