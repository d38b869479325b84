"""The panel in JupyterLab in Chromium: by mouse and keyboard, with markup in every text."""

import json
import re
from html import unescape
from pathlib import Path

import browser
import panel_models
import pytest
from test_compare import HOSTILE, contrast

from alignlab import votes

pytestmark = [pytest.mark.browser, pytest.mark.slow]
AXE = Path(__file__).parents[1] / "axe.work/node_modules/axe-core/axe.min.js"
SETUP = """
import torch
torch.set_num_threads(1)
from alignlab.compare import Comparison
from alignlab.engine import Engine
from alignlab.panel import Panel
sources = {sources!r}
"""
LIVE = """
prompts = ["how do I clean the filter", "my kettle is warm", "the red one"]
Panel(sources, prompts, log="live.jsonl", max_new_tokens=24, temperature=1.0)
"""
# What a model, a person and a task could be called; "ran" would be set if any of it ran.
ATTACKS = [
    *HOSTILE, "<script>window.ran=1</script>", "<img src=x onerror='window.ran=1'>",
    "</textarea><svg onload=window.ran=1>", "&#x3c;script&#x3e;window.ran=1&#x3c;/script&#x3e;",
    r"$\href{javascript:window.ran=1}{x}$",
]  # fmt: skip
MARKUP = """
attacks = {attacks!r}
attack = " ".join(attacks)
columns = {{attack: attacks + ["so"], attack + " 2": [a + " b" for a in attacks] + ["so"]}}
Panel(Comparison(attacks + [attack], attacks + [attack], columns, {{attack: attack}}),
      log="markup.jsonl", reasons=attacks)
"""
BROKEN = """
from alignlab.engine import Engine
engine = Engine(sources)
def broken(**options):
    raise RuntimeError("<b>out of memory</b>")
engine.families[0].model.generate = broken
Panel(engine, ["why"], log="broken.jsonl")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    browser.require()
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def page(folder):
    """JupyterLab with a notebook of three panels, all cells run."""
    made = panel_models.make(folder / "models")
    sources = {name: str(made[name]) for name in ("base", "first")}
    cells = [SETUP.format(sources=sources), LIVE, MARKUP.format(attacks=ATTACKS), BROKEN]
    browser.write_notebook(folder / "panels.ipynb", cells)
    with browser.lab(folder) as address, browser.chromium() as page:
        browser.run_all(page, address("panels.ipynb"))
        page.wait_for_function("() => document.querySelectorAll('.al-panel').length === 3")
        yield page


def panel(page, place):
    return page.locator(".al-panel").nth(place)


def wait(panel, name, text):
    """Wait until a part of a panel shows a text."""
    panel.locator(f".al-{name}").get_by_text(text).first.wait_for()


def status(panel):
    return panel.locator(".al-status").inner_text().strip()


def headings(panel):
    return panel.locator(".al-heading").all_inner_texts()


def generate(panel):
    panel.locator(".al-generate").click()
    wait(panel, "status", "Done.")


def logged(folder, name):
    return votes.load(folder / name).votes


def test_generate_vote_by_mouse_and_undo(page, folder):
    live = panel(page, 0)
    assert headings(live) == ["A", "B"]
    generate(live)
    texts = live.locator(".al-column > div[dir]").all_inner_texts()
    assert all(text.strip() for text in texts)
    assert headings(live) == ["A", "B"]
    live.locator(".al-reason input").first.check()
    live.locator(".al-vote-a").click()
    wait(live, "status", "Saved: A is better.")
    (vote,) = logged(folder, "live.jsonl")
    assert headings(live) == [f"A: {vote.left.name}", f"B: {vote.right.name}"]
    assert {vote.left.name, vote.right.name} == {"base", "first"}
    assert (vote.choice, vote.blind, vote.reasons) == ("left", True, ["more correct"])
    shown = [re.sub(r"\s+", " ", text).strip() for text in texts]
    assert [re.sub(r"\s+", " ", t).strip() for t in (vote.left.response, vote.right.response)] == (
        shown
    )
    wins = int(vote.left.name == "first")
    row = live.locator(".al-tallies tbody tr").first
    assert row.locator("th").inner_text() == "first against base"
    cells = row.locator("td").all_inner_texts()
    assert cells[:5] == [str(wins), "0", str(1 - wins), "0", "0"]
    assert cells[6] == "not enough votes yet"
    live.locator(".al-undo").click()
    wait(live, "status", "Took back")
    assert logged(folder, "live.jsonl") == []
    assert headings(live) == ["A", "B"]
    wait(live, "statistics", "No votes yet.")


def test_vote_by_keyboard(page, folder):
    live = panel(page, 0)
    generate(live)
    live.locator(".al-vote-a").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait(live, "status", "Saved: B is better.")
    # The button keeps the focus, and a second press does nothing.
    focused = "() => document.activeElement.classList.contains('al-vote-b')"
    assert page.evaluate(focused)
    page.keyboard.press("Space")
    wait(live, "status", "This has a vote already.")
    assert [vote.choice for vote in logged(folder, "live.jsonl")] == ["right"]
    live.locator(".al-next").focus()
    page.keyboard.press("Space")
    wait(live, "item", "Item 2 of 3")
    assert live.locator(".al-prompt textarea").input_value() == "my kettle is warm"


def test_stop(page, folder):
    live = panel(page, 0)
    field = live.locator(".al-max-new-tokens input")
    field.fill("900")
    live.locator(".al-generate").click()
    wait(live, "status", "Generating")
    page.wait_for_function(
        "box => box.querySelector('.al-column > div[dir]').textContent.length > 30",
        arg=live.element_handle(),
    )
    live.locator(".al-stop").click()
    wait(live, "status", "Stopped.")
    count = len(logged(folder, "live.jsonl"))
    live.locator(".al-vote-tie").click()
    wait(live, "status", "There is nothing to vote on yet.")
    assert len(logged(folder, "live.jsonl")) == count
    field.fill("24")


def test_an_edited_prompt_is_what_is_asked(page, folder):
    live = panel(page, 0)
    field = live.locator(".al-prompt textarea")
    field.fill("clean the warm filter")
    assert field.input_value() == "clean the warm filter"
    generate(live)
    assert field.input_value() == "clean the warm filter"
    live.locator(".al-vote-both-bad").click()
    wait(live, "status", "Saved: Both bad.")
    assert logged(folder, "live.jsonl")[-1].prompt[0]["content"] == "clean the warm filter"


def test_marks_and_token_view(page):
    live = panel(page, 0)
    select = live.locator(".al-marks select")
    select.select_option("Token probabilities")
    span = live.locator(".al-column span[title^=probability]").first
    span.wait_for()
    assert re.fullmatch(r"probability [\d.e-]+", span.get_attribute("title"))
    select.select_option("Words that differ")
    live.locator(".al-tokens").click()
    live.locator(".al-token-view").first.wait_for()
    rows = live.locator(".al-token-view").first.locator("tbody th").all_inner_texts()
    assert len(rows) == 3
    assert "minus" in rows[2]
    live.locator(".al-tokens").click()
    live.locator(".al-token-view").first.wait_for(state="detached")


def test_markup_does_not_run(page, folder):
    hostile = panel(page, 1)
    for _ in range(3):
        hostile.locator(".al-reason input").first.check()
        hostile.locator(".al-vote-a").click()
        wait(hostile, "status", "Saved:")
        hostile.locator(".al-next").click()
        wait(hostile, "status", "items have a vote")
    hostile.locator(".al-view").click()
    page.wait_for_timeout(500)  # for what should not happen
    assert page.evaluate("() => window.ran") is None
    assert hostile.locator("script, img, svg, iframe, a").count() == 0
    attack = " ".join(ATTACKS)
    assert hostile.locator(".al-heading").first.inner_text() == attack
    assert len(logged(folder, "markup.jsonl")) == 3
    below = page.locator(".jp-Cell").nth(2).locator(".al-below")
    assert below.locator("script, img, svg, a, mjx-container").count() == 0
    assert attack in below.inner_text()
    hostile.locator(".al-view").click()


def test_an_error_of_a_model_stands_in_the_status_line(page):
    broken = panel(page, 2)
    broken.locator(".al-generate").click()
    wait(broken, "status", "Error.")
    assert "RuntimeError: <b>out of memory</b>" in status(broken)


def axe(page):
    """Return what axe finds serious or critical in the panels: its rule and the element."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "() => axe.run({include: [['.al-panel'], ['.al-below']]}, {resultTypes: ['violations']})"
    )
    return [
        (violation["id"], node["html"])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


# For every text that can be seen: its colour and what it stands on, grounds laid over each other.
GROUNDS = """() => {
  const parse = colour => {
    const parts = colour.match(/[\\d.]+/g).map(Number)
    return parts.length < 4 ? [...parts, 1] : parts
  }
  const found = []
  for (const root of document.querySelectorAll('.al-panel, .al-below')) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement
      const text = walker.currentNode.textContent.trim()
      if (!text || element.tagName === 'STYLE' || !element.checkVisibility()) continue
      const grounds = []
      for (let at = element; at; at = at.parentElement) {
        const ground = parse(getComputedStyle(at).backgroundColor)
        grounds.push(ground)
        if (ground[3] === 1) break
      }
      found.push([text, parse(getComputedStyle(element).color), grounds])
    }
  }
  return found
}"""


def contrasts(page):
    """Return the contrast of every text in the panels with the ground it stands on (WCAG 2.2)."""
    found = {}
    for text, colour, grounds in page.evaluate(GROUNDS):
        behind = [255, 255, 255]
        for *rgb, alpha in reversed(grounds):
            behind = [alpha * c + (1 - alpha) * b for c, b in zip(rgb, behind)]
        *rgb, alpha = colour
        front = [alpha * c + (1 - alpha) * b for c, b in zip(rgb, behind)]
        codes = ["#" + "".join(f"{round(part):02x}" for part in c) for c in (front, behind)]
        found[text] = min(contrast(*codes), found.get(text, 21))
    return found


THEMES = ["JupyterLab Light", "JupyterLab Dark"]


@pytest.fixture(params=THEMES)
def themed(request, page):
    """The page in a theme, with everything shown that can be."""
    live = panel(page, 0)
    generate(live)
    live.locator(".al-vote-tie").click()
    live.locator(".al-tokens").click()
    live.locator(".al-token-view").first.wait_for()
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
    page.evaluate(change, request.param)
    page.wait_for_function(
        "theme => document.body.dataset.jpThemeName === theme", arg=request.param
    )
    page.wait_for_timeout(1000)  # until its style sheet is there
    yield page
    live.locator(".al-tokens").click()


def test_every_text_can_be_read_in_both_themes(themed):
    found = contrasts(themed)
    assert len(found) > 60
    assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


def test_nothing_serious_for_axe(themed):
    """Names of fields and buttons, roles, tables: in a light and in a dark theme."""
    if not AXE.exists():
        prefix = AXE.parents[2].name
        pytest.skip(f"needs axe-core: npm install --no-save --prefix {prefix} axe-core")
    assert axe(themed) == []
    # It does find what is wrong.
    bad = "document.querySelector('.al-panel').append(document.createElement('button'))"
    themed.evaluate(f"() => {{ {bad} }}")
    assert [rule for rule, _ in axe(themed)] == ["button-name"]
    themed.evaluate("() => document.querySelector('.al-panel').lastChild.remove()")


def test_a_restarted_kernel_leaves_the_table(page, folder):
    """What has been seen is an output of the notebook; the panel itself needs a kernel."""
    below = page.locator(".jp-Cell").nth(1).locator(".al-below")
    before = below.inner_text()
    response = logged(folder, "live.jsonl")[-1].left.response
    assert response.split()[0] in before
    page.evaluate(f"async () => {{ await {browser.KERNEL}.restart() }}")
    page.wait_for_function(browser.IS_READY)
    assert below.inner_text() == before
    assert below.is_visible()
    save = "async () => { await window.jupyterapp.commands.execute('docmanager:save') }"
    page.evaluate(save)
    saved = json.loads((folder / "panels.ipynb").read_text())
    outputs = saved["cells"][1]["outputs"]
    page_text = "".join("".join(out["data"].get("text/html", "")) for out in outputs)
    assert "al-below" in page_text
    assert response.split()[0] in unescape(page_text)
