"""panel.py: what each button does, on ipywidgets 8.1 and 7.7 alike; no text becomes markup."""

import re
import sys
import threading
import time
from html import unescape
from types import ModuleType

import ipywidgets
import panel_models
import pytest
from test_compare import HOSTILE

from alignlab import panel_screen, votes
from alignlab.compare import Comparison
from alignlab.engine import Engine
from alignlab.panel import Panel
from alignlab.panel_widgets import BUTTONS, CHOICES, MARKS
from alignlab.world import World
from alignlab.world.preferences import true_reward
from alignlab.world.tasks import draw_examples

PROMPTS = ["how do I clean the red filter", "my kettle is warm", "the filter of my kettle"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    sources = panel_models.make(tmp_path_factory.mktemp("models"))
    return Engine({name: sources[name] for name in ("base", "first", "second")})


@pytest.fixture(scope="module")
def two(engine):
    return Engine({name: engine.sources[name] for name in ("base", "first")})


@pytest.fixture
def log(tmp_path):
    return tmp_path / "votes.jsonl"


def comparison(count=4, name="SFT"):
    return Comparison(
        [f"prompt {n}" for n in range(count)], ["explain"] * count,
        {
            "base": [f"it says {n} plainly" for n in range(count)],
            name: [f"this says {n}" for n in range(count)],
        },
        {"temperature": 0.0},
    )  # fmt: skip


def live(engine, log, prompts=PROMPTS, **options):
    return Panel(engine, prompts, log=log, max_new_tokens=12, **({"threaded": False} | options))


def press(panel, name):
    (panel.controls.buttons | panel.controls.choices)[name].click()


def html(panel, name):
    return panel.controls.texts[name].value


def text(panel, name):
    return unescape(re.sub(r"<[^>]*>", "\n", html(panel, name)))


def status(panel):
    return text(panel, "status").strip()


def headings(panel):
    return re.findall(r'<strong class="al-heading">([^<]*)', html(panel, "responses"))


def texts(panel):
    found = re.findall(r'<div dir="auto"[^>]*>(.*?)</div>', html(panel, "responses"), re.DOTALL)
    return [unescape(re.sub(r"<[^>]*>", "", part)) for part in found]


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


# --- voting on responses that were made before


def test_a_vote_is_blind_until_it_is_cast_and_then_on_the_disk(log):
    panel = Panel(comparison(), log=log)
    item = panel.ballot.item
    assert headings(panel) == ["A", "B"]
    said = {"base": "it says 0 plainly", "SFT": "this says 0"}
    assert texts(panel) == [said[name] for name in item.sides]
    assert not any(re.search("base|SFT", html(panel, name)) for name in panel.controls.texts)
    press(panel, "left")
    assert headings(panel) == [f"A: {item.left}", f"B: {item.right}"]
    assert status(panel) == f"Saved: A is better. A was {item.left}, B was {item.right}."
    (vote,) = votes.load(log).votes
    assert (vote.choice, vote.left.name, vote.blind) == ("left", item.left, True)
    assert vote.left.response == texts(panel)[0]
    assert vote.sampling == {"temperature": 0.0}
    assert vote.prompt == [{"role": "user", "content": "prompt 0"}]
    assert vote.task == "explain"
    assert vote.seconds < 60


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_is_counted_as_what_it_is(log, choice):
    panel = Panel(comparison(), log=log)
    press(panel, choice)
    assert votes.load(log).votes[0].choice == choice
    (tally,) = panel.ballot.statistics().pairs
    left_wins = panel.ballot.item.left == tally.first
    won = {"left": left_wins, "right": not left_wins}
    kinds = {"tie": "ties", "both_bad": "both_bad", "skip": "skips"}
    kind = kinds[choice] if choice in kinds else "wins" if won[choice] else "losses"
    assert getattr(tally, kind) == 1
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", html(panel, "statistics"))
    expected = [tally.wins, tally.ties, tally.losses, tally.both_bad, tally.skips]
    assert cells[:5] == [str(n) for n in expected]
    assert cells[6] == "not enough votes yet"


def test_a_second_press_changes_nothing(log):
    panel = Panel(comparison(), log=log)
    press(panel, "left")
    press(panel, "right")
    assert "Undo takes it back" in status(panel)
    assert [vote.choice for vote in votes.load(log).votes] == ["left"]


def test_undo_and_next(log):
    panel = Panel(comparison(), log=log)
    press(panel, "undo")
    assert "no vote of this panel" in status(panel)
    press(panel, "tie")
    press(panel, "next")
    assert panel.controls.prompt.value == "prompt 1"
    assert text(panel, "item").strip() == "Item 2 of 4, task explain"
    assert headings(panel) == ["A", "B"]
    assert status(panel) == "1 of 4 items have a vote."
    press(panel, "undo")
    assert status(panel) == "Took back: Tie."
    assert panel.controls.prompt.value == "prompt 0"
    assert headings(panel) == ["A", "B"]
    assert votes.load(log).votes == []
    assert "No votes yet" in text(panel, "statistics")
    press(panel, "previous")
    assert panel.controls.prompt.value == "prompt 3"
    for _ in range(4):
        press(panel, "left")
        press(panel, "next")
    assert status(panel) == "Every item has a vote."


def test_a_new_panel_goes_on(log):
    first = Panel(comparison(), log=log)
    press(first, "left")
    again = Panel(comparison(), log=log)
    assert again.controls.prompt.value == "prompt 1"
    assert again.ballot.statistics() == first.ballot.statistics()
    assert again.seen.comparisons()[0].prompts == ["prompt 0"]
    # Other responses under the same names are other models.
    assert Panel(comparison(3), log=log).controls.prompt.value == "prompt 0"


def test_two_panels_on_one_log_count_each_others_votes(log):
    first, second = Panel(comparison(), log=log), Panel(comparison(), log=log)
    press(first, "tie")
    press(second, "next")
    press(second, "tie")
    assert len(votes.load(log).votes) == 2
    assert second.ballot.statistics().pairs[0].ties == 2


def test_reasons_go_into_the_vote_and_are_cleared(log):
    panel = Panel(comparison(), log=log, reasons=("clearer", "<b>kind</b>"))
    boxes = list(panel.controls.reasons.values())
    assert [box.description for box in boxes] == ["clearer", "b kind b"]
    boxes[1].value = True
    press(panel, "left")
    assert votes.load(log).votes[0].reasons == ["<b>kind</b>"]
    assert not boxes[1].value


def test_marked_words_are_those_that_differ(log):
    panel = Panel(comparison(), log=log)
    marked = re.findall(r"<u [^>]*>([^<]*)</u>", html(panel, "responses"))
    assert sorted(marked) == ["it", "plainly", "this"]
    panel.controls.marks.value = "Nothing"
    assert "<u " not in html(panel, "responses")
    panel.controls.marks.value = "Token probabilities"
    assert "needs the models" in status(panel)


def test_without_models_only_what_can_be_done_is_offered(log):
    panel = Panel(comparison(), log=log)
    assert panel.controls.prompt.disabled
    present = set(tree(panel.controls.box))
    assert panel.controls.buttons["generate"] not in present
    assert panel.controls.buttons["next"] in present
    press(panel, "tokens")
    assert "needs the models" in status(panel)


def test_votes_are_exported_and_the_page_saved(log, tmp_path):
    panel = Panel(comparison(), log=log)
    press(panel, "page")
    assert "nothing to save" in status(panel)
    press(panel, "left")
    press(panel, "next")
    press(panel, "tie")
    press(panel, "export")
    out = tmp_path / "votes.preferences.jsonl"
    assert len(out.read_text().splitlines()) == 1
    assert status(panel) == (
        f"Wrote 1 comparisons to {out}. Left out: tie 1, both_bad 0, skip 0, identical 0, empty 0."
    )
    press(panel, "page")
    page = (tmp_path / "votes.html").read_text()
    assert "prompt 0" in page
    assert "prompt 1" in page
    assert "prompt 2" not in page  # not seen with names yet


def test_the_true_score_shows_with_the_names(log):
    scored = Comparison(
        ["p", "q"], ["", ""], {"a": ["x", "x"], "b": ["y", "y"]}, {}, {"a": [1, 2], "b": [3, 4.5]}
    )
    panel = Panel(scored, log=log)
    assert "score" not in text(panel, "responses")
    press(panel, "skip")
    assert sorted(re.findall(r"true score ([\d.]+)", html(panel, "responses"))) == ["1.00", "3.00"]
    assert panel.seen.comparisons()[0].scores == {"a": [1], "b": [3]}


# --- asking models


def test_generate_asks_the_two_models_of_the_item(engine, log):
    panel = live(engine, log, temperature=1.0)
    assert texts(panel) == ["", ""]
    press(panel, "left")
    assert "Generate first" in status(panel)
    press(panel, "generate")
    assert status(panel) == "Done."
    names = panel.ballot.item.sides
    settings = panel.controls.settings()
    assert (settings.temperature, settings.max_new_tokens, settings.seed) == (1.0, 12, 0)
    answers = engine.respond(PROMPTS[0], engine.names, settings)
    assert texts(panel) == [answers[name] for name in names]
    assert headings(panel) == ["A", "B"]
    press(panel, "right")
    (vote,) = votes.load(log).votes
    assert vote.sampling == {"temperature": 1.0, "max_new_tokens": 12, "seed": 0}
    assert (vote.right.model, vote.right.hash) == (
        engine.sources[names[1]], engine.hashes[names[1]],
    )  # fmt: skip


def test_all_models_can_be_seen_with_their_names(engine, log):
    panel = live(engine, log)
    press(panel, "view")
    assert panel.controls.buttons["view"].description == "Back to blind votes"
    press(panel, "generate")
    assert headings(panel) == ["base", "first", "second"]
    assert all(texts(panel))
    press(panel, "left")
    assert "go back to blind votes" in status(panel)
    assert not log.exists()
    press(panel, "view")
    assert headings(panel) == ["A", "B"]
    press(panel, "left")
    assert not votes.load(log).votes[0].blind
    assert panel.seen.comparisons()[0].responses["second"][0]


def test_the_prompt_can_be_edited_and_settings_count(two, log):
    panel = live(two, log)
    panel.controls.prompt.value = "the warm kettle"
    panel.controls.temperature.value = 0.0
    panel.controls.max_new_tokens.value = 5
    panel.controls.seed.value = 3
    press(panel, "generate")
    press(panel, "tie")
    (vote,) = votes.load(log).votes
    assert vote.prompt == [{"role": "user", "content": "the warm kettle"}]
    assert vote.sampling == {"temperature": 0.0, "max_new_tokens": 5, "seed": 3}
    assert vote.task == ""
    # Generated anew with other settings, it can be voted on anew.
    panel.controls.max_new_tokens.value = 7
    press(panel, "generate")
    assert headings(panel) == ["A", "B"]
    press(panel, "tie")
    assert len(votes.load(log).votes) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -1.0}, "the temperature is -1.0"),
        ({"max_new_tokens": 0}, "the maximum length is 0"),
        ({"prompt": "  "}, "the prompt is empty"),
    ],
)
def test_what_cannot_be_asked_is_said(two, log, change, message):
    panel = live(two, log)
    for name, value in change.items():
        getattr(panel.controls, name).value = value
    press(panel, "generate")
    assert message in status(panel)
    assert status(panel).startswith("Error.")


def test_an_error_in_a_model_is_said_and_the_panel_goes_on(two, log, monkeypatch):
    panel = live(two, log)

    def broken(*args, **kwargs):
        raise RuntimeError("<b>no memory</b>")

    monkeypatch.setattr(two, "respond", broken)
    press(panel, "generate")
    assert status(panel).split("\n")[-1].strip() == "RuntimeError: <b>no memory</b>"
    assert "<b>" not in html(panel, "status")
    monkeypatch.undo()
    press(panel, "generate")
    assert status(panel) == "Done."


def test_a_vote_that_cannot_be_saved_is_said(log, monkeypatch):
    panel = Panel(comparison(), log=log)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(votes.os, "write", full)
    press(panel, "left")
    assert "No space left on device" in status(panel)
    assert headings(panel) == ["A", "B"]


def test_generating_can_be_stopped_and_other_buttons_wait(two, log, monkeypatch):
    panel = live(two, log, threaded=True)
    began, told = threading.Event(), []
    real = two.respond

    def slow(prompt, names, settings, on_update, stop):
        def update(texts):
            on_update(texts)
            told.append(texts)
            began.set()
            time.sleep(0.05)

        return real(prompt, names, settings, update, stop)

    monkeypatch.setattr(two, "respond", slow)
    panel.controls.max_new_tokens.value = 500
    press(panel, "generate")
    assert began.wait(timeout=60)
    for name in ("generate", "next", "left", "undo", "view"):
        press(panel, name)
        assert status(panel) == "Still generating; Stop ends it."
    press(panel, "stop")
    deadline = time.monotonic() + 60
    while not status(panel).startswith("Stopped") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert status(panel) == "Stopped. Generate answers anew."
    assert any(texts(panel))
    press(panel, "left")
    assert "nothing to vote on" in status(panel)
    press(panel, "stop")
    assert status(panel) == "Nothing is being generated."
    assert not log.exists()


def test_a_field_whose_message_comes_just_after_the_click_counts(two, log):
    panel = live(two, log, threaded=True)
    press(panel, "generate")
    panel.controls.prompt.value = "clean the warm filter"
    deadline = time.monotonic() + 60
    while status(panel) != "Done." and time.monotonic() < deadline:
        time.sleep(0.02)
    press(panel, "both_bad")
    (vote,) = votes.load(log).votes
    assert vote.prompt[-1]["content"] == "clean the warm filter"


def test_on_colab_the_handler_itself_generates_and_interrupt_stops(two, log, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    panel = live(two, log, threaded=None)
    assert not panel.threaded
    panel.controls.max_new_tokens.value = 500
    real, seen = two.respond, []

    def interrupted(prompt, names, settings, on_update, stop):
        def update(texts):
            on_update(texts)
            seen.append(threading.current_thread())
            if len(seen) == 2:
                raise KeyboardInterrupt

        return real(prompt, names, settings, update, stop)

    monkeypatch.setattr(two, "respond", interrupted)
    press(panel, "generate")
    assert status(panel) == "Stopped. Generate answers anew."
    assert set(seen) == {threading.main_thread()}
    monkeypatch.delitem(sys.modules, "google.colab")
    assert live(two, log, threaded=None).threaded


def test_token_probabilities_are_the_models(engine, log):
    panel = live(engine, log)
    panel.controls.marks.value = MARKS[1]
    press(panel, "generate")
    titles = re.findall(r'title="probability ([^"]*)"', html(panel, "responses"))
    name = panel.ballot.item.left
    first = engine.logprobs(name, PROMPTS[0], panel.screen.shown.texts[name])[0]
    assert float(titles[0]) == pytest.approx(2.718281828**first, rel=0.01)
    assert "[end]" in texts(panel)[0]


def test_the_saved_page_has_the_token_view(engine, log):
    panel = live(engine, log)
    press(panel, "generate")
    press(panel, "left")
    press(panel, "page")
    page = log.with_suffix(".html").read_text()
    assert page.count('class="al-token-view"') == 2  # the third model was not shown
    assert not re.search(r"<script|https?:|<svg", page)


def test_the_token_view_opens_and_closes_and_keeps_names_hidden(engine, log):
    panel = live(engine, log)
    press(panel, "tokens")
    assert "no responses" in status(panel)
    press(panel, "generate")
    press(panel, "tokens")
    rows = re.findall(r'<th scope="row"[^>]*>([^<]*)', html(panel, "token_views"))
    assert rows == ["A", "B", "B minus A"] * 2
    press(panel, "tokens")
    assert html(panel, "token_views") == ""
    press(panel, "left")
    press(panel, "tokens")
    left, right = (f"{x}: {n}" for x, n in zip("AB", panel.ballot.item.sides))
    rows = re.findall(r'<th scope="row"[^>]*>([^<]*)', html(panel, "token_views"))
    assert rows[:3] == [left, right, f"{right} minus {left}"]
    press(panel, "next")
    assert html(panel, "token_views") == ""


def test_the_worlds_prompts_have_their_task_and_their_truth(two, log):
    examples = draw_examples(World(0), "explain", 2)
    panel = live(two, log, examples)
    assert "task explain" in text(panel, "item")
    press(panel, "generate")
    press(panel, "tie")
    name = panel.ballot.item.left
    reward = true_reward(examples[0].meta, panel.screen.shown.texts[name])
    assert f"true score {reward:.2f}" in text(panel, "responses")


def test_the_turns_before_the_last_are_shown(two, log):
    turns = [
        {"role": "user", "content": "a kettle"}, {"role": "assistant", "content": "<b>which</b>"},
        {"role": "user", "content": "the red one"},
    ]  # fmt: skip
    panel = live(two, log, [turns])
    assert "user: a kettle\n\nassistant: <b>which</b>" in text(panel, "item")
    assert panel.controls.prompt.value == "the red one"
    panel.controls.prompt.value = "the other"
    press(panel, "generate")
    press(panel, "skip")
    assert votes.load(log).votes[0].prompt == [*turns[:2], {**turns[2], "content": "the other"}]


@pytest.mark.parametrize("models", [{"a": "x"}, dict.fromkeys("abcde", "x")])
def test_two_to_four_models(models, log):
    columns = {name: ["so"] for name in models}
    with pytest.raises(ValueError, match=f"two to four models, not {len(models)}"):
        Panel(Comparison(["Why?"], [""], columns), log=log)


def test_a_panel_needs_prompts(two, log):
    with pytest.raises(ValueError, match="at least one prompt"):
        Panel(two, [], log=log)


# --- markup, names and classes


def hostile_panel(attack, log):
    columns = {attack: [attack, "so"], f"{attack} 2": [f"{attack} b", "so"]}
    scored = Comparison([attack, "Why?"], [attack, ""], columns, {attack: attack})
    return Panel(scored, log=log, reasons=(attack, "clear"))


def tags(panel):
    return [
        tag for name in panel.controls.texts for tag in re.findall("<[^>]*>", html(panel, name))
    ]


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_becomes_markup(attack, tmp_path):
    """The panel has the very elements of a harmless one, before and after a vote."""
    harmless = " ".join("x" * len(word) for word in attack.split(" "))
    panels = [hostile_panel(a, tmp_path / f"{n}.jsonl") for n, a in enumerate((attack, harmless))]
    for name in ("left", "page", "view", "tokens"):
        for panel in panels:
            panel.controls.reasons[next(iter(panel.controls.reasons))].value = True
            press(panel, name)
        # In any order: which side a model is on depends on its name.
        bare = [sorted(re.sub(r'"[^"]*"', '""', tag) for tag in tags(panel)) for panel in panels]
        assert bare[0] == bare[1]
    assert attack in text(panels[0], "responses")
    assert attack in text(panels[0], "item")
    (vote,) = votes.load(tmp_path / "0.jsonl").votes
    assert vote.reasons == [attack]
    for widget in tree(panels[0].controls.box):
        assert not re.search(r"[<>&]", getattr(widget, "description", ""))
        assert not isinstance(widget, ipywidgets.HTMLMath)


def test_every_part_has_a_class_and_every_button_words(log):
    panel = Panel(comparison(), log=log)
    classes = {name for widget in tree(panel.controls.box) for name in widget._dom_classes}
    assert {"al-panel", "al-vote-a", "al-vote-b", "al-vote-tie", "al-vote-both-bad",
            "al-vote-skip", "al-undo", "al-next", "al-previous", "al-view", "al-marks",
            "al-tokens", "al-export", "al-page", "al-status", "al-statistics",
            "al-responses", "al-prompt", "al-item", "al-reason"} <= classes  # fmt: skip
    for button in (panel.controls.buttons | panel.controls.choices).values():
        assert re.search(r"[A-Za-z]{3}", button.description)
        assert not button.icon
        assert not button.disabled
    assert set(BUTTONS) == set(panel.controls.buttons)


def test_only_widgets_that_both_versions_have(two, log):
    common = {"VBox", "HBox", "Button", "Textarea", "HTML", "FloatText", "IntText", "Dropdown",
              "Label", "Checkbox"}  # fmt: skip
    panel = live(two, log)
    assert {type(widget).__name__ for widget in tree(panel.controls.box)} == common


def test_it_shows_itself_with_the_table_below(log, monkeypatch):
    shown, updates = [], []

    class Handle:
        update = staticmethod(updates.append)

    def display(thing, **options):
        shown.append((thing, options))
        return Handle

    monkeypatch.setattr(panel_screen, "display", display)
    panel = Panel(comparison(), log=log)
    panel._ipython_display_()
    (box, _), (table, options) = shown
    assert box is panel.controls.box
    assert "Here the responses stay" in table.data
    assert options == {"display_id": True}
    press(panel, "left")
    assert "it says 0 plainly" in re.sub("<[^>]*>", "", updates[-1].data)
    assert "<script" not in updates[-1].data
