"""engine.py: a response does not depend on its company, and generation can be watched and ended."""

import threading
import time
from itertools import pairwise

import panel_models
import pytest
import torch
from peft import PeftModel

from alignlab import engine
from alignlab.divergence import response_logprobs
from alignlab.engine import INTERVAL, Engine, Settings
from alignlab.generate import generate
from alignlab.models import ModelError, load_model, load_tokenizer

PROMPT = "how do I clean the red filter"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return panel_models.make(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def loaded(sources):
    return Engine(sources)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prompt", [PROMPT, [{"role": "user", "content": "my kettle"}]])
def test_a_response_is_what_the_model_gives_alone(loaded, sources, prompt, temperature):
    settings = Settings(temperature, max_new_tokens=20, seed=3)
    answers = loaded.respond(prompt, loaded.names, settings)
    assert list(answers) == list(sources)
    for name, source in sources.items():
        alone = generate(
            load_model(source), load_tokenizer(source), [prompt],
            temperature=temperature, max_new_tokens=20, seed=3,
        )  # fmt: skip
        assert answers[name] == alone[0]
    assert len(set(answers.values())) == 5


def test_order_and_company_do_not_matter(loaded):
    settings = Settings(1.0, 20, 0)
    every = loaded.respond(PROMPT, loaded.names, settings)
    for names in (["second", "base"], ["first"], ["dora", "first"]):
        some = loaded.respond(PROMPT, names, settings)
        assert some == {name: every[name] for name in names}
    assert loaded.respond(PROMPT, loaded.names, Settings(1.0, 20, 1)) != every


def test_models_of_one_base_share_it(loaded):
    groups = [sorted(family.adapters) for family in loaded.families]
    assert groups == [["base", "first", "second"], ["dora"], ["other"]]
    assert isinstance(loaded.families[0].model, PeftModel)


def test_the_same_weights_have_the_same_hash(sources, loaded):
    assert len(set(loaded.hashes.values())) == 5
    assert all(digest.startswith("sha256:") for digest in loaded.hashes.values())
    again = Engine({"renamed": sources["first"]})
    assert again.hashes["renamed"] == loaded.hashes["first"]
    assert again.sources == {"renamed": str(sources["first"])}


def test_texts_grow_at_most_ten_times_a_second(loaded):
    told, times = [], []

    def on_update(texts):
        told.append(texts)
        times.append(time.monotonic())

    start = time.monotonic()
    final = loaded.respond(PROMPT, ["base", "first"], Settings(1.0, 200, 0), on_update)
    seconds = time.monotonic() - start
    assert told[-1] == final
    assert times[0] - start < 1 or seconds > 2  # the first token is shown when it comes
    assert len(told) <= seconds / INTERVAL + 2
    assert len(told) > 2
    for before, after in pairwise(told[:-1]):
        for name in before:
            # A character whose bytes are not all there yet is not shown.
            assert after[name].startswith(before[name])


def test_generation_ends_when_told_from_another_thread(loaded):
    stop, first = threading.Event(), threading.Event()
    result = {}

    def work():
        result["texts"] = loaded.respond(
            PROMPT, ["base", "other"], Settings(1.0, 500, 0), lambda texts: first.set(), stop
        )

    worker = threading.Thread(target=work)
    worker.start()
    assert first.wait(timeout=60)
    stop.set()
    worker.join(timeout=60)
    assert not worker.is_alive()
    whole = loaded.respond(PROMPT, ["base"], Settings(1.0, 500, 0))
    assert result["texts"]["base"] != whole["base"]
    assert whole["base"].startswith(result["texts"]["base"].rstrip("\ufffd"))
    # The other base had not begun.
    assert result["texts"]["other"] == ""


def test_an_interrupt_keeps_what_was_there(loaded):
    stop, told = threading.Event(), []

    def on_update(texts):
        told.append(texts)
        if len(told) == 2:
            raise KeyboardInterrupt

    texts = loaded.respond(PROMPT, ["base", "first"], Settings(1.0, 400, 0), on_update, stop)
    assert stop.is_set()
    assert texts == told[1]
    assert texts["base"]
    # Nothing of the interrupted call is left in the model.
    settings = Settings(0.0, 8, 0)
    assert (
        loaded.respond(PROMPT, ["base"], settings)["base"]
        == loaded.respond(PROMPT, loaded.names, settings)["base"]
    )


def test_an_error_in_a_model_reaches_the_caller_and_frees_the_engine(loaded, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("out of memory")

    family = loaded.families[0]
    monkeypatch.setattr(family.model, "generate", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        loaded.respond(PROMPT, ["first"], Settings())
    monkeypatch.undo()
    assert loaded.respond(PROMPT, ["first"], Settings(0.0, 4, 0))["first"]


def test_logprobs_are_those_of_each_model_alone(loaded, sources):
    text = "fill the kettle"
    for name in ("base", "second", "dora", "other"):
        model, tokenizer = load_model(sources[name]), load_tokenizer(sources[name])
        (alone,) = response_logprobs(model, tokenizer, [PROMPT], [text])
        assert loaded.logprobs(name, PROMPT, text) == pytest.approx(alone, abs=1e-5)


def test_a_hub_model_is_known_by_its_commit():
    config = type("Config", (), {"_commit_hash": "abc"})()
    model = type("Model", (), {"config": config})()
    found = engine.Source("owner/name")
    first = engine._digest(found, model)
    config._commit_hash = "def"
    assert engine._digest(found, model) != first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"max_new_tokens": 0}, "maximum length is 0"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Settings(**settings)


def test_models_that_are_not_there():
    with pytest.raises(ValueError, match="at least one model"):
        Engine({})
    with pytest.raises(ModelError, match="no such folder"):
        Engine({"a": "./nowhere"})
    assert torch.is_grad_enabled()
