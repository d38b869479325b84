"""ballot.py, seen.py: who stands where, what is asked next, and what may be shown with names."""

import json
from collections import Counter

import pytest

from alignlab import votes
from alignlab.ballot import Ballot, Identity, messages
from alignlab.compare import Comparison
from alignlab.files import DataError
from alignlab.seen import Seen, Shown, key, of_vote, text_of, truth_in, truth_of
from alignlab.world import World
from alignlab.world.preferences import true_reward
from alignlab.world.tasks import draw_examples

SAMPLING = {"temperature": 0.7, "max_new_tokens": 64, "seed": 0}


def models(*names):
    return {name: Identity(f"runs/{name}", f"sha256:{name}") for name in names}


@pytest.fixture
def log(tmp_path):
    return tmp_path / "votes.jsonl"


def make(log, names=("base", "SFT"), count=4, seed=0, **fields):
    prompts = [f"prompt {n}" for n in range(count)]
    return Ballot(models(*names), prompts, ["task"] * count, log, seed, **fields)


def fill(ballot, choice="left", count=1):
    for _ in range(count):
        ballot.cast(choice, {name: f"{name} says" for name in ballot.models}, SAMPLING)
        ballot.move(1)


# --- items


def test_each_prompt_is_asked_once_with_every_pair(log):
    ballot = make(log, ("a", "b", "c"), count=6)
    asked = Counter((i.prompt[0]["content"], frozenset(i.sides)) for i in ballot.items)
    assert len(ballot.items) == len(asked) == 18
    # The first round already compares every pair, so few votes connect all models.
    first = [frozenset(item.sides) for item in ballot.items[:6]]
    assert Counter(first) == dict.fromkeys(map(frozenset, ("ab", "ac", "bc")), 2)
    assert len({item.prompt[0]["content"] for item in ballot.items[:6]}) == 6


def test_sides_are_drawn_by_the_seed(log):
    ballot = make(log, count=400)
    lefts = [item.left for item in ballot.items]
    assert 160 < lefts.count("base") < 240
    assert lefts == [item.left for item in make(log, ("SFT", "base"), count=400).items]
    assert lefts != [item.left for item in make(log, count=400, seed=1).items]


def test_a_vote_keeps_who_stood_where(log):
    ballot = make(log)
    item = ballot.item
    texts = {"base": "one two three", "SFT": "four"}
    vote = ballot.cast("right", texts, SAMPLING, ["clear"], 3.14159)
    assert (vote.left.name, vote.right.name) == item.sides
    assert vote.chosen.name == item.right
    assert (vote.left.model, vote.left.hash) == (f"runs/{item.left}", f"sha256:{item.left}")
    assert {s.name: (s.response, s.words) for s in (vote.left, vote.right)} == {
        "base": ("one two three", 3), "SFT": ("four", 1),
    }  # fmt: skip
    assert (vote.task, vote.sampling, vote.reasons) == ("task", SAMPLING, ["clear"])
    assert (vote.seconds, vote.blind) == (3.1, True)
    assert votes.load(log).votes == [vote] == ballot.votes


# --- going on


def test_a_new_ballot_goes_on_where_the_last_one_ended(log):
    first = make(log)
    fill(first, count=2)
    again = make(log)
    assert again.place == 2
    assert [again.voted(item) for item in again.items] == [True, True, False, False]
    # Other weights under the same names are other models, and are asked everything.
    retrained = {name: Identity("runs", f"sha256:new {name}") for name in ("base", "SFT")}
    other = Ballot(retrained, ["prompt 0"], [""], log)
    assert not other.voted(other.item)
    assert other.votes == []
    assert other.notices == [f"2 votes in {log} are about other models"]


def test_next_goes_to_what_has_no_vote_and_previous_one_back(log):
    ballot = make(log)
    assert ballot.move(1)
    assert ballot.place == 1
    fill(ballot)
    assert ballot.place == 2
    assert ballot.move(-1)
    assert ballot.place == 1
    assert ballot.move(1)
    assert ballot.place == 2
    fill(ballot, count=2)
    assert ballot.place == 0
    ballot.cast("tie", {"base": "", "SFT": ""}, SAMPLING)
    assert not ballot.move(1)
    assert ballot.place == 1


def test_undo_takes_back_and_returns(log):
    ballot = make(log)
    fill(ballot, count=3)
    assert ballot.place == 3
    undone = ballot.undo()
    assert undone.prompt == ballot.item.prompt == messages("prompt 2")
    assert ballot.place == 2
    assert [v.prompt[0]["content"] for v in ballot.votes] == ["prompt 0", "prompt 1"]
    assert len(votes.load(log).votes) == 2
    assert len(log.read_text().splitlines()) == 4  # only ever appended to
    # Its names have been seen, so the next vote on it is not blind.
    assert not ballot.cast("tie", {"base": "", "SFT": ""}, SAMPLING).blind
    for _ in range(3):
        assert ballot.undo()
    assert ballot.undo() is None
    assert ballot.votes == []


def test_undo_leaves_the_votes_of_others(log):
    mine, theirs = make(log), make(log)
    fill(mine)
    theirs.move(1)
    fill(theirs)
    assert mine.undo().prompt == messages("prompt 0")
    assert [v.prompt for v in votes.load(log).votes] == [messages("prompt 1")]
    assert mine.undo() is None


def test_a_prompt_can_be_edited(log):
    conversation = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Why?"},
    ]
    ballot = Ballot(models("a", "b"), [conversation], ["explain"], log)
    ballot.ask("Why?")
    assert ballot.item == ballot.items[0]
    ballot.ask("How?")
    assert ballot.item.prompt == [conversation[0], {"role": "user", "content": "How?"}]
    assert ballot.item.task == ""
    assert {*ballot.item.sides} == {"a", "b"}
    ballot.cast("left", {"a": "x", "b": "y"}, SAMPLING)
    assert not ballot.voted(ballot.items[0])
    assert ballot.undo().prompt[1]["content"] == "How?"
    assert ballot.items[0].prompt == conversation


def test_the_vote_on_these_very_responses_is_found(log):
    ballot = make(log)
    texts = {"base": "one", "SFT": "two"}
    vote = ballot.cast("left", texts, SAMPLING)
    assert ballot.vote_on(ballot.item, texts) == vote
    assert ballot.vote_on(ballot.item, {"base": "one", "SFT": "other"}) is None
    assert ballot.vote_on(ballot.item, {}) is None
    assert ballot.vote_on(ballot.items[1], texts) is None


def test_what_was_seen_with_names_is_not_blind(log):
    ballot = make(log)
    ballot.peek()
    assert not ballot.cast("left", {"base": "a", "SFT": "b"}, SAMPLING).blind
    ballot.move(1)
    assert ballot.cast("left", {"base": "a", "SFT": "b"}, SAMPLING).blind


def test_a_broken_log_is_named(log):
    log.write_text("{}\n")
    with pytest.raises(DataError, match="line 1"):
        make(log)
    log.write_text('{"version"')
    assert make(log).notices == [f"{log}, line 1: skipped, a vote that was cut off"]


def test_the_statistics_are_those_of_the_votes(log):
    ballot = make(log)
    for _ in range(4):
        better = "left" if ballot.item.left == "SFT" else "right"
        ballot.cast(better, {"base": "a", "SFT": "b"}, SAMPLING)
        ballot.move(1)
    (tally,) = ballot.statistics().pairs
    assert (tally.first, tally.second, tally.wins, tally.losses) == ("SFT", "base", 4, 0)


# --- what was seen


def test_seen_puts_together_what_was_shown_of_the_same_models():
    seen = Seen(["a", "b", "c"], {key("p"): "explain"}, {})
    assert seen.comparisons() == []
    seen.add(Shown(messages("p"), {"b": "2", "a": "1"}, SAMPLING, True))
    seen.add(Shown(messages("q"), {"b": "3", "c": "4"}, SAMPLING, True))
    pairs = seen.comparisons()
    assert [pair.responses for pair in pairs] == [
        {"a": ["1"], "b": ["2"]},
        {"b": ["3"], "c": ["4"]},
    ]
    assert [(pair.prompts, pair.tasks) for pair in pairs] == [(["p"], ["explain"]), (["q"], [""])]
    seen.add(Shown(messages("p"), {"b": "5", "c": "6"}, SAMPLING, True))
    seen.add(Shown(messages("r"), {"a": "7", "b": "8", "c": "9"}, SAMPLING, True))
    every, pair = seen.comparisons()
    assert every.responses == {"a": ["1", "7"], "b": ["5", "8"], "c": ["6", "9"]}
    assert pair.prompts == ["q"]
    assert every.settings == SAMPLING
    assert every.scores is None
    seen.add(Shown(messages("r"), {}, {"temperature": 1.0}, True))
    assert seen.comparisons()[0].settings == {}


def test_only_a_single_request_is_shown_as_text():
    assert text_of(messages("Why?")) == "Why?"
    conversation = [{"role": "system", "content": "Be kind."}, *messages("Why?")]
    assert text_of(conversation) == conversation
    assert text_of([{"role": "system", "content": "x"}]) == [{"role": "system", "content": "x"}]


def test_the_true_reward_is_known_for_the_worlds_prompts_and_for_scores():
    (example,) = draw_examples(World(0), "explain", 1)
    response = next(iter(example.labels()))
    reward = true_reward(example.meta, response)
    seen = Seen(["a", "b"], {}, truth_of([example, "another"]))
    shown = Shown(messages(example.prompt), {"a": response, "b": ""}, SAMPLING, True)
    assert seen.score(shown, "a") == reward
    assert seen.score(Shown(messages("another"), {"a": ""}, {}, True), "a") is None
    seen.add(shown)
    assert seen.comparisons()[0].scores == {
        "a": [reward], "b": [true_reward(example.meta, "")],
    }  # fmt: skip
    scored = Comparison(["p", "q"], ["", ""], {"a": ["x", "y"]}, {}, {"a": [1.0, 2.5]})
    assert truth_in(scored)[key("q")]("a", "y") == 2.5
    assert truth_in(Comparison(["p"], [""], {"a": ["x"]})) == {}


def test_a_vote_shows_again_what_it_was_about(log):
    vote = make(log).cast("left", {"base": "a", "SFT": "b"}, SAMPLING)
    shown = of_vote(vote)
    assert (shown.prompt, shown.texts, shown.sampling, shown.complete) == (
        messages("prompt 0"), {"base": "a", "SFT": "b"}, SAMPLING, True,
    )  # fmt: skip
    assert json.loads(shown.key) == messages("prompt 0")
