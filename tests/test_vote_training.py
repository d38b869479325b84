"""vote_training.py: from votes to a model, and what it learned by the reward that is known."""

import json
import math

import pytest
import tiny_model
from vote_maker import vote

from alignlab import votes
from alignlab.compare import Comparison, respond
from alignlab.data import sft_dataset
from alignlab.divergence import response_logprobs
from alignlab.models import load_model, load_tokenizer
from alignlab.panel import Panel
from alignlab.sft import sft
from alignlab.vote_training import ENOUGH, simulate, two_samples, vote_and_train
from alignlab.world import World
from alignlab.world.preferences import WEIGHTS, Annotator, true_reward
from alignlab.world.tasks import draw_examples


def different(task, count, split, seed):
    """Draw examples of a task, no two with the same prompt."""
    drawn = draw_examples(World(0), task, 8 * count, split, seed=seed)
    return list({example.prompt: example for example in drawn}.values())[:count]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "votes.jsonl"


def liked(log, count, dull=0):
    """Write votes for one sentence over another, each on a prompt of its own, and some ties."""
    for place, prompt in enumerate(tiny_model.prompts(count + dull)):
        turned = place % 2
        texts = (tiny_model.BAD, tiny_model.GOOD) if turned else (tiny_model.GOOD, tiny_model.BAD)
        choice = ("right" if turned else "left") if place < count else "tie"
        votes.append(log, vote(choice, prompt, texts=texts))


# --- the simulated voter


def responses(examples):
    """Return a comparison in which each model gives the true answer to every other prompt."""
    good = [next(iter(example.labels())) for example in examples]
    bad = ["" for _ in examples]
    both = {
        "even": [g if n % 2 == 0 else b for n, (g, b) in enumerate(zip(good, bad))],
        "odd": [g if n % 2 else b for n, (g, b) in enumerate(zip(good, bad))],
    }
    return Comparison([e.prompt for e in examples], [e.task for e in examples], both)


def test_a_sharp_voter_always_prefers_the_truly_better_response(log):
    examples = different("explain", 12, "train", 1)
    panel = Panel(responses(examples), log=log)
    simulate(panel, examples, 12, Annotator(sharpness=math.inf))
    cast = votes.load(log).votes
    assert len(cast) == 12
    metas = {example.prompt: example.meta for example in examples}
    for each in cast:
        meta = metas[each.prompt[0]["content"]]
        texts = (each.chosen.response, each.rejected.response)
        assert true_reward(meta, texts[0]) > true_reward(meta, texts[1])
    assert {each.choice for each in cast} == {"left", "right"}


def test_a_voter_who_cannot_tell_is_as_often_wrong(log):
    examples = different("explain", 40, "train", 2)
    panel = Panel(responses(examples), log=log)
    simulate(panel, examples, 40, Annotator(sharpness=0.0))
    right = sum(bool(each.chosen.response) for each in votes.load(log).votes)
    assert 10 <= right <= 30


def test_identical_texts_are_a_tie_and_the_votes_end_with_the_items(log):
    examples = different("explain", 3, "train", 3)
    same = {name: ["so"] * 3 for name in ("a", "b")}
    panel = Panel(Comparison([e.prompt for e in examples], [""] * 3, same), log=log)
    simulate(panel, examples, 10)
    assert [each.choice for each in votes.load(log).votes] == ["tie"] * 3


def test_two_samples_are_of_two_seeds():
    model, prompts = tiny_model.folder(), tiny_model.prompts(3)
    found = two_samples(model, prompts, temperature=1.0, max_new_tokens=8, seed=4)
    for name, seed in (("one", 4), ("other", 5)):
        alone = respond({"": model}, prompts, temperature=1.0, max_new_tokens=8, seed=seed)
        assert found.responses[name] == alone.responses[""]
    assert found.responses["one"] != found.responses["other"]
    assert found.settings == {"temperature": 1.0, "max_new_tokens": 8, "seed": 4}
    assert found.scores is None
    (example,) = different("explain", 1, "train", 0)
    scored = two_samples(model, [example], max_new_tokens=8)
    assert scored.scores["other"] == [true_reward(example.meta, scored.responses["other"][0])]


# --- training


def test_too_few_votes_are_refused_and_nothing_is_written(log, tmp_path):
    liked(log, ENOUGH - 1, dull=5)
    with pytest.raises(ValueError, match=f"{ENOUGH - 1} votes prefer one .* too few to learn from"):
        vote_and_train(log, tiny_model.folder(), tmp_path / "run", ["Why?"])
    assert [path.name for path in tmp_path.iterdir()] == ["votes.jsonl"]


@pytest.mark.slow
def test_votes_teach_what_was_voted_for(log, tmp_path):
    liked(log, 24, dull=3)
    model, fresh = tiny_model.folder(), tiny_model.prompts(40)[-4:]
    options = {"max_new_tokens": 8, "progress": False, "learning_rate": 1e-2}
    lesson = vote_and_train(log, model, tmp_path / "run", fresh, **options)
    assert (lesson.comparisons, lesson.dropped["tie"]) == (24, 3)
    config = json.loads((lesson.run / "config.json").read_text())
    assert (config["method"], config["pairs"], config["data"]) == ("dpo", 24, str(log))
    tokenizer, margins = load_tokenizer(model), []
    for source in (model, lesson.run):
        good, bad = (
            response_logprobs(load_model(source), tokenizer, fresh, [text] * len(fresh))
            for text in (tiny_model.GOOD, tiny_model.BAD)
        )
        margins.append([sum(g) - sum(b) for g, b in zip(good, bad)])
    assert all(after > before + 1 for before, after in zip(*margins))
    # The reward of these prompts is not known; the panel goes on in the same log.
    assert lesson.win_rate is None
    assert "not known" in lesson.report()
    assert list(lesson.panel.ballot.models) == ["before", "after"]
    assert lesson.panel.ballot.log == log
    assert lesson.panel.ballot.notices == [f"27 votes in {log} are about other models"]
    assert lesson.before_after.models == ["before", "after"]


@pytest.mark.slow
def test_what_was_learned_is_told_by_the_true_reward(log, tmp_path):
    liked(log, 16)
    examples = different("explain", 5, "test", 0)
    options = {"max_new_tokens": 8, "progress": False, "max_steps": 1}
    lesson = vote_and_train(log, tiny_model.folder(), tmp_path / "run", examples, **options)
    before, after = (lesson.before_after.scores[name] for name in ("before", "after"))
    wins = (
        sum(a > b for a, b in zip(after, before)) + sum(a == b for a, b in zip(after, before)) / 2
    )
    assert (lesson.win_rate.value, lesson.win_rate.n) == (wins / 5, 5)
    assert lesson.parts["reward"] == pytest.approx((sum(before) / 5, sum(after) / 5))
    assert set(lesson.parts) == {"correct", "clear", "friendly", "short", "safe", "reward"}
    report = lesson.report()
    assert "16 votes trained on; left out: none" in report
    assert "on 5 prompts" in report
    assert f"reward     {lesson.parts['reward'][0]:.2f}" in report


def test_it_shows_the_report_and_the_panel(log, tmp_path, monkeypatch, capsys):
    liked(log, 16)
    options = {"max_new_tokens": 4, "progress": False, "max_steps": 1}
    lesson = vote_and_train(log, tiny_model.folder(), tmp_path / "run", ["Why?"], **options)
    shown = []
    monkeypatch.setattr(Panel, "_ipython_display_", lambda panel: shown.append(panel))
    lesson._ipython_display_()
    assert shown == [lesson.panel]
    assert "16 votes trained on" in capsys.readouterr().out


# One who wishes for short answers, beside what every voter wants.
SHORT = {"correct": 3.0, "clear": 0.0, "friendly": 0.0, "short": 12.0, "safe": 3.0}


@pytest.mark.bundled
@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "wishes"),
    [
        pytest.param(24, SHORT, id="short"),
        pytest.param(
            24, WEIGHTS, id="true reward",
            marks=pytest.mark.xfail(
                reason="0.49 (0.43 to 0.55): 24 votes move this model little", strict=False
            ),
        ),
    ],
)  # fmt: skip
def test_a_voter_of_known_reward_is_obeyed(log, tmp_path, count, wishes):
    """The whole loop on the bundled model: better by the voter's own reward."""
    start = sft("tiny", sft_dataset("world:sft"), tmp_path / "sft", progress=False)
    asked = different("explain", count, "train", "votes")
    panel = Panel(two_samples(start, asked), log=log)
    simulate(panel, asked, count, Annotator(sharpness=2.0, weights=tuple(wishes.items())))
    lesson = vote_and_train(
        log, start, tmp_path / "run", different("explain", 200, "test", "check"), weights=wishes,
        progress=False,
    )  # fmt: skip
    assert lesson.win_rate.low > 0.5, lesson.report()
    before, after = lesson.parts["short" if wishes is SHORT else "reward"]
    assert after > before
