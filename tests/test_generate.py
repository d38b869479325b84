"""Generation: a response depends on its prompt, model, temperature and seed, and nothing else."""

import math
from collections import Counter
from functools import wraps

import pytest
import tiny_model
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from alignlab import generate as module
from alignlab.generate import GumbelSampling, generate, generate_ids, prompt_seed, render

PROMPTS = tiny_model.prompts(6, seed=3)
LONG = "clean the filter " * 20


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(tiny_model.folder())


@pytest.fixture(scope="module")
def llama():
    return AutoModelForCausalLM.from_pretrained(tiny_model.folder(), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def gpt2(tokenizer):
    """Absolute positions: a response moves with the padding unless positions count real tokens."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=256,
        initializer_range=0.3, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


@pytest.fixture(params=["llama", "gpt2"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_response_does_not_depend_on_its_neighbours(model, tokenizer, temperature):
    def responses(prompts, **options):
        options |= {"temperature": temperature, "max_new_tokens": 12}
        return dict(zip(prompts, generate_ids(model, tokenizer, prompts, **options)))

    alone = {prompt: responses([prompt])[prompt] for prompt in PROMPTS}
    assert len({tuple(ids) for ids in alone.values()}) > 3  # else equality would show nothing
    assert responses(PROMPTS) == alone
    assert responses(PROMPTS[::-1], batch_size=4) == alone
    beside = responses([LONG, *PROMPTS])
    assert {prompt: beside[prompt] for prompt in PROMPTS} == alone


def test_greedy_takes_the_most_probable_token_each_time(llama, tokenizer):
    prompt = PROMPTS[0]
    ids = tokenizer(render(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    (response,) = generate_ids(llama, tokenizer, [prompt], max_new_tokens=6)
    for token in response:
        with torch.inference_mode():
            assert llama(torch.tensor([ids])).logits[0, -1].argmax() == token
        ids.append(token)


def test_the_seed_and_the_prompt_fix_the_sample(llama, tokenizer):
    def sample(seed):
        return generate(llama, tokenizer, PROMPTS, temperature=1.0, max_new_tokens=8, seed=seed)

    assert sample(0) == sample(0)
    assert all(a != b for a, b in zip(sample(0), sample(1)))
    seeds = {prompt_seed(prompt, seed) for prompt in PROMPTS for seed in range(1000)}
    assert len(seeds) == 1000 * len(PROMPTS)


def _first_token_logits(model, tokenizer, prompt):
    ids = tokenizer(render(tokenizer, prompt), add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        return model(ids["input_ids"]).logits[:, -1]


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_samples_follow_the_softmax(llama, tokenizer, temperature):
    logits, draws = _first_token_logits(llama, tokenizer, PROMPTS[0]), 4000
    seeds = [prompt_seed(PROMPTS[0], seed) for seed in range(draws)]
    noisy = GumbelSampling(temperature, seeds)(None, logits.expand(draws, -1))
    counts = torch.bincount(noisy.argmax(-1), minlength=logits.shape[-1])

    def too_far(temperature):
        expected = draws * torch.softmax(logits[0].double() / temperature, -1)
        common = expected >= 5  # where the statistic is chi-square; the rest is one more cell
        observed = torch.cat([counts[common], counts[~common].sum()[None]])
        expected = torch.cat([expected[common], expected[~common].sum()[None]])
        statistic = ((observed - expected) ** 2 / expected).sum().item()
        freedom = len(expected) - 1
        assert freedom >= 5
        return statistic > freedom + 4 * math.sqrt(2 * freedom)

    assert not too_far(temperature)
    assert too_far(1.5 - temperature)  # the other of the two: the bound tells them apart


def test_generate_draws_with_the_seed_of_the_prompt(llama, tokenizer):
    for prompt in PROMPTS:
        logits = _first_token_logits(llama, tokenizer, prompt)
        seed = prompt_seed(render(tokenizer, prompt), 7)
        expected = GumbelSampling(1.0, [seed])(None, logits).argmax().item()
        options = {"temperature": 1.0, "seed": 7, "max_new_tokens": 1}
        assert generate_ids(llama, tokenizer, [prompt], **options) == [[expected]]


def test_several_adapters_share_a_batch(tokenizer):
    model = AutoModelForCausalLM.from_pretrained(tiny_model.folder(), dtype=torch.float32)
    config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(model, config, adapter_name="a")
    model.add_adapter("b", config)
    model.eval()
    apart = {}
    for name in ("a", "b"):
        model.set_adapter(name)
        apart[name] = generate_ids(model, tokenizer, PROMPTS, max_new_tokens=8)
    with model.disable_adapter():
        apart["__base__"] = generate_ids(model, tokenizer, PROMPTS, max_new_tokens=8)
    assert apart["a"] != apart["b"] != apart["__base__"] != apart["a"]
    names = ["a", "b", "__base__"] * 2
    together = generate_ids(model, tokenizer, PROMPTS, adapters=names, max_new_tokens=8)
    assert together == [apart[name][i] for i, name in enumerate(names)]


def test_a_response_ends_where_the_end_token_comes(llama, tokenizer):
    options = {"temperature": 1.0, "max_new_tokens": 6}
    before = generate_ids(llama, tokenizer, PROMPTS, **options)
    stop = before[0][2]  # a token that comes in the middle becomes the end
    end = {"eos_token": tokenizer.convert_ids_to_tokens(stop)}
    other = AutoTokenizer.from_pretrained(tiny_model.folder(), **end)
    after = generate_ids(llama, other, PROMPTS, **options)
    for old, new in zip(before, after):
        assert new == (old[: old.index(stop) + 1] if stop in old else old)
    assert len(after[0]) == before[0].index(stop) + 1


def test_text_can_be_continued_without_the_chat_template(llama, tokenizer):
    text = render(tokenizer, PROMPTS[0])
    assert text == f"<|user|>{PROMPTS[0]}<|assistant|>"
    assert generate(llama, tokenizer, [text], max_new_tokens=5, chat=False) == generate(
        llama, tokenizer, [PROMPTS[0]], max_new_tokens=5
    )


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("cache", ["cut", "computed anew"])
def test_rows_that_have_ended_leave_the_batch(model, tokenizer, temperature, cache, monkeypatch):
    """With a batch from which rows go one by one, every response is the one of its prompt alone."""
    options = {"temperature": temperature, "max_new_tokens": 48}
    prompts = tiny_model.prompts(12, seed=3)
    before = generate_ids(model, tokenizer, prompts, **options)
    # The token that most of them say becomes the end.
    stop, count = Counter(token for ids in before for token in set(ids)).most_common(1)[0]
    assert count >= 4
    end = {"eos_token": tokenizer.convert_ids_to_tokens(stop)}
    tokenizer = AutoTokenizer.from_pretrained(tiny_model.folder(), **end)
    alone = [generate_ids(model, tokenizer, [prompt], **options)[0] for prompt in prompts]
    lengths = [len(ids) for ids in alone]
    sizes, forward = [], model.forward

    @wraps(forward)  # its signature says whether it takes positions
    def note(*args, **kwargs):
        sizes.append(tuple(kwargs["input_ids"].shape))
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", note)
    if cache == "computed anew":
        monkeypatch.setattr(module, "_selected", lambda cache, rows: None)
    assert generate_ids(model, tokenizer, prompts, **options) == alone
    rows = [size for size, _ in sizes]
    assert (rows[0], len(rows)) == (12, max(lengths))
    assert len(set(rows)) >= 2
    assert rows == sorted(rows, reverse=True)
    # At most a quarter of the rows that are computed have ended.
    for step, size in enumerate(rows):
        going = sum(length > step for length in lengths)
        assert going <= size
        assert size - going < max(1, size / 4)
    assert all(width == 1 for _, width in sizes[1:]) == (cache == "cut")


def test_a_batch_has_prompts_of_like_length(monkeypatch):
    assert module._batches([5, 3, 4, 3], size=3) == [[1, 3, 2], [0]]
    monkeypatch.setattr(module, "PROMPT_TOKENS", 12)
    assert module._batches([4, 30, 4, 13, 4, 4, 12], size=9) == [[0, 2, 4], [5], [6], [3], [1]]
    assert module._batches([], size=3) == []
