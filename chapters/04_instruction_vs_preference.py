# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/04_instruction_vs_preference.ipynb)
#
# # 4. What can a demonstration say that a comparison cannot, and the reverse?
#
# A demonstration shows a response that somebody wrote. A comparison shows two, and says which of
# them is better. In this chapter the same prompts are turned into both kinds of data, and the
# same model is trained on each. First the wish is that instructions are kept, then that a correct
# answer is also understood.
#
# **Afterwards you can**
#
# - turn a wish into demonstrations or into comparisons, and say what each kind of row can tell a
#   model;
# - measure whether instructions are kept, with programs as judges;
# - write Bradley and Terry's model of a choice from an empty cell, and fit a reward with it;
# - say why "correct, but people do not like to read it" asks for comparisons;
# - tell what is optimised from what is wanted, and see where the two part.
#
# **Time**: 75 minutes to read and think, about 3 minutes to run. **Hardware**: two CPU cores and
# 2 GB of memory; with a GPU, set `ALIGNLAB_PROFILE` to `t4` or `gpu` for a real model.
#
# **Concepts before**: instruction fine-tuning (chapter 3), undesirable content after SFT (1),
# maximum likelihood (2). **Here**: instruction alignment, preference tuning, the Bradley–Terry
# model, differing motivations of the two, clarity and friendliness over mere correctness,
# surrogate objectives. **After**: alignment via reward models and their over-optimisation (5),
# DPO (6), which stage is responsible for which behaviour (7).

# %%
import subprocess
import sys

if "google.colab" in sys.modules:
    course = "git+https://github.com/OWNER/alignlab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", course], check=True)

from alignlab import chapter

FOLDER, MODEL, QUIET = chapter.begin()

# %%
import math
from itertools import combinations, pairwise
from statistics import fmean
from textwrap import fill

import matplotlib.pyplot as plt
import torch
from datasets import Dataset

from alignlab import claims, compare, figures, plots
from alignlab.models import load_model, load_tokenizer
from alignlab.world import World

world, tokenizer = World(0), load_tokenizer(MODEL)
print(f"world 0: {len(world.everyone('ideas'))} ideas that can be explained")

# %% [markdown]
# ## One prompt, said in two ways
#
# The company's support desk explains everyday ideas to its customers. Here is one request, and
# what a member of staff wrote in answer. Prompt $x$ and response $y$ together are a
# *demonstration*.

# %%
from alignlab.world.grammar import Dice
from alignlab.world.tasks import draw_examples, explanations, plain_tellings

example = draw_examples(world, "explain", 1, seed="chapter 4")[0]
demonstration = example.draw(Dice("chapter 4"))
print("prompt:  ", example.prompt)
print("response:", fill(demonstration, 88, subsequent_indent=" " * 10))

# %% [markdown]
# Every word of it is right. Now four responses to the same prompt, ranked. In this course's world
# the *true reward* of a text is known: it adds up how correct, clear, friendly, short and safe a
# response is. With people you never see this number; you only see which response they prefer.

# %%
from alignlab.world.judges import find_idea
from alignlab.world.preferences import Annotator, true_reward

meta, dice = example.meta, Dice("chapter 4")
idea = find_idea(meta["idea"])
told = {"technical": dice.weighted(explanations(idea, "technical")), **plain_tellings(idea, dice)}
rewards = {style: true_reward(meta, text) for style, text in told.items()}
ranked = sorted(told, key=rewards.get, reverse=True)
for rank, style in enumerate(ranked, 1):
    print(f"{rank}. {style}, true reward {rewards[style]:.2f}")
    print(fill(told[style], 88, initial_indent="   ", subsequent_indent="   "))

# %% [markdown]
# A ranking of $K$ responses holds $K(K-1)/2$ comparisons. Each becomes a row of *preference
# data*: the prompt, the chosen response $y_c$ and the rejected one $y_r$. The last column is the
# chance that one who compares just these two agrees with the ranking. You will derive it below.

# %%
for better, worse in combinations(ranked, 2):
    chance = Annotator().prefers_first(meta, told[better], told[worse])
    print(f"chosen {better:11}  rejected {worse:9}  chance {chance:.3f}")

# %% [markdown]
# Nobody had to write a better answer to make these rows. Somebody had to read two and choose.
#
# ### What the model is trained on
#
# Both kinds of rows go through the chat template. The loss counts the tokens of responses only,
# never those of the prompt. A demonstration has one response. A comparison has two, and counts
# the tokens of both.

# %%
from alignlab.data import show_mask
from alignlab.world.recipes import chat

rows = {"demonstration": demonstration, "chosen": told[ranked[0]], "rejected": told[ranked[-1]]}
for name, text in rows.items():
    tokens = show_mask(tokenizer, chat(example.prompt, text))
    start = [counted for _, counted in tokens].index(1)
    print(f"{name}: {start} tokens not counted, {len(tokens) - start} counted")
    print("   ", *(f"[{token}]" for token, _ in tokens[:start]), "|",
          *(f"[{token}]" for token, _ in tokens[start : start + 5]), "...")  # fmt: skip

# %% [markdown]
# ### The two objectives
#
# A demonstration makes its response probable (chapter 2). With $\pi(y_t \mid \cdot)$ for the
# model's probability of token $t$ of the response, given the prompt and the tokens before it, the
# loss is
#
# $$-\log \pi(y \mid x) = -\sum_t \log \pi(y_t \mid x, y_{<t}) .$$
#
# A comparison makes a *choice* probable. With $r(x, y)$ for a reward that is learned, and
# $\sigma(u) = 1 / (1 + e^{-u})$ for the logistic function, its loss is
#
# $$-\log \sigma\big(r(x, y_c) - r(x, y_r)\big) .$$
#
# Work both out by hand first: three tokens of probability 0.5, 0.8 and 0.25; and two pairs, with
# rewards 2 against 1, and 9 against 8.

# %%
from alignlab.losses import bradley_terry_loss, sft_loss

chances = torch.tensor([0.5, 0.8, 0.25, 0.5])  # the last one predicts a token that is not there
logits = torch.stack([chances, 1 - chances], dim=-1).log()[None]
loss = sft_loss(logits, torch.zeros(1, 4, dtype=torch.long), "sequence_sum")
print(f"demonstration: -log(0.5 · 0.8 · 0.25) = {-math.log(0.1):.3f}, the function {loss[0]:.3f}")
losses = bradley_terry_loss(torch.tensor([2.0, 9.0]), torch.tensor([1.0, 8.0]))
print(f"comparisons: {losses[0]:.3f} and {losses[1]:.3f}")

# %% [markdown]
# The two comparisons cost the same, since only the difference of rewards counts. So whatever is
# added to all responses of a prompt goes unnoticed: comparisons cannot say how good an answer is,
# only how much better than another.
#
# ### How much one row says
#
# A choice has two outcomes, so hearing it tells you at most $\log 2 = 0.69$ nats. A demonstration
# tells as much as the text is surprising. How surprising is it to the base model, which has been
# pre-trained and never seen an answer in chat format? Take 40 requests of the validation split.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.divergence import response_logprobs

base = load_model(MODEL)
asked = draw_examples(world, "explain", 40, "validation", seed="chapter 4")
dice = Dice("how much one row says")
written = [example.draw(dice) for example in asked]
rows = response_logprobs(base, tokenizer, [example.prompt for example in asked], written)
surprise = fmean(-sum(row) for row in rows)
print(f"a demonstration: {surprise:.0f} nats, over {fmean(map(len, rows)):.0f} tokens")
print(f"a comparison: at most {math.log(2):.2f} nats")

# %%
claims.claim(
    "a demonstration tells the base model more than twenty times what a comparison can",
    surprise > 20 * math.log(2),
    surprise,
)

# %% [markdown]
# So a demonstration says *what to write*, token by token, whether or not the model could ever
# have written it. A comparison says one thing, and it is about two texts that are there already.
# That sounds like a bad bargain. The rest of the chapter shows what the one thing is good for.

# %% [markdown]
# ## Bradley and Terry's model, from scratch
#
# People who choose between two responses do not always agree. Bradley and Terry (1952) say that
# the chance of a choice depends on one number, the difference of the two rewards:
#
# $$\Pr(y_1 \text{ is preferred to } y_2 \mid x) = \sigma\big(r(x, y_1) - r(x, y_2)\big) .$$
#
# Before you compute it, guess. One response has a reward that is higher by about 0.9. In what
# share of comparisons will it be preferred?

# %%
options = {"A": "about 55%", "B": "about 72%", "C": "about 90%", "D": "always: it is better"}
prediction = None  # your letter, in quotes

# %% [markdown]
# The model is one line. The second block puts two results together, as you do with models that
# were never compared: if A is preferred to B in 70% of cases, and B to C in 70%, what of A and C?
# Chances do not add. Differences of rewards do, and $\log\frac{p}{1-p}$ turns a chance into one.


# %%
def chance_of(difference):
    """Return the chance that a response is preferred whose reward is higher by ``difference``."""
    return 1 / (1 + math.exp(-difference))


for difference in (-2, 0, 0.5, 1, 2, 4):
    p = chance_of(difference)
    print(f"difference {difference:+.1f}: chance {p:.3f}, loss if chosen {-math.log(p):.3f}")
step = math.log(0.7 / 0.3)
print(f"70% is a difference of {step:.2f}; twice that is a chance of {chance_of(2 * step):.3f}")

# %% [markdown]
# Now let somebody compare. The annotator of this course chooses by the true reward and Bradley
# and Terry's chance, 2,000 times, between explanations in different styles. How often did the one
# with the higher true reward win? The pairs fall into five groups by their difference.

# %%
from alignlab.evaluate import bootstrap, wilson
from alignlab.world.preferences import draw_pairs

pairs = draw_pairs(world, "style", 2000, seed="chapter 4")
groups = {}
for pair in pairs:
    groups.setdefault(round(abs(pair.margin)), []).append(pair)
gaps, shares = [], []
for _, group in sorted(groups.items()):
    gaps.append(fmean(abs(pair.margin) for pair in group))
    shares.append(wilson(sum(pair.margin > 0 for pair in group), len(group)))
    print(f"difference {gaps[-1]:.2f}, {len(group)} pairs: won {shares[-1].value:.3f}, "
          f"Bradley and Terry {chance_of(gaps[-1]):.3f}")  # fmt: skip

# %%
figure, ax = plt.subplots(figsize=(6.5, 4))
figures.curves(
    gaps, {"2,000 comparisons": shares}, ax, "difference of the true rewards",
    "share won by the better response",
)  # fmt: skip
line = torch.linspace(0, 5.5, 100)
ax.plot(line, torch.sigmoid(line), color="#595959", linestyle="--", label="σ(difference)")
ax.set_ylim(0.45, 1.02)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# *How to read it*: each dot is a group of pairs with its 95% interval. The dashed line is the
# model's chance, with nothing fitted; a dot on it means that the annotator chose as often as the
# model says.

# %%
said = {"A": 0.55, "B": 0.72, "C": 0.9, "D": 1.0}
nearest = min(said, key=lambda letter: abs(said[letter] - shares[0].value))
claims.reveal(prediction, options, nearest)
off = max(abs(share.value - chance_of(gap)) for gap, share in zip(gaps, shares))
claims.claim("each group's share is within 0.04 of the logistic function", off < 0.04, off)

# %% [markdown]
# ### Back from choices to rewards
#
# With people the rewards are not known, the choices are. So go backwards: which reward makes the
# 2,000 choices most probable? Let it be a weighted sum of four things that can be read off a
# text: whether it is correct, clear, friendly, and how many tens of words it has. With $d$ for
# the difference of these four numbers, chosen minus rejected, and $w$ for the weights, the
# gradient of $\log \sigma(w \cdot d)$ is $(1 - \sigma(w \cdot d))\, d$: a pair counts as much as
# it surprises.

# %%
from alignlab.world.judges import judge
from alignlab.world.preferences import form_parts
from alignlab.world.statements import words


def features(meta, text):
    """Return what the fitted reward sees of a response."""
    form = form_parts(meta, text)
    return [judge(meta, text), form["clear"], form["friendly"], len(words(text)) / 10]


print("a technical answer:", [round(x, 2) for x in features(meta, told["technical"])])
print("the friendliest:   ", [round(x, 2) for x in features(meta, told["friendliest"])])

# %% [markdown]
# The fit starts with all weights at 0, where every pair is a coin, and takes 1,500 steps of equal
# size up the mean gradient.


# %%
def fit(pairs, steps=1500):
    """Return the weights that make the choices most probable, by steps up the gradient."""
    chosen, rejected = (
        torch.tensor([features(pair.meta, getattr(pair, side)) for pair in pairs]).double()
        for side in ("chosen", "rejected")
    )
    weights, differences = torch.zeros(4, dtype=torch.float64), chosen - rejected
    for _ in range(steps):
        surprise_of_pair = 1 - torch.sigmoid(differences @ weights)
        weights += 2 * (surprise_of_pair[:, None] * differences).mean(0)
    return weights


# %%
names = ("correct", "clear", "friendly", "ten words more")
fitted = fit(pairs)
for name, weight, true in zip(names, fitted.tolist(), (3, 3, 2, -1 / 6)):
    print(f"{name:14}  fitted {weight:+.1f}   true {true:+.1f}")

# %%
claims.claim("the weight of clear is within 0.5 of the true 3", abs(fitted[1] - 3) < 0.5, fitted)
claims.claim("that of friendly is within 0.5 of the true 2", abs(fitted[2] - 2) < 0.5, fitted)
claims.claim("that of correct is still 0, where the fit began", fitted[0] == 0, fitted)

# %% [markdown]
# From choices alone, without a single score, the fit has found how much one part counts against
# another. No list of demonstrations holds that: a clear text and a technical one would stand in
# it side by side, as equals. But look at *correct*. In truth it weighs 3; the fit says 0, since
# both responses of every pair were correct. What never differs between two responses, comparisons
# cannot teach. At the end of the chapter this will matter.

# %% [markdown]
# ## Explicit instructions
#
# "Three things, one on each line." "Without the word *watts*." Such wishes can be written down,
# whoever knows the rule can write an answer that keeps it, and a program can verify it. Zhou et
# al. (2023) test language models with instructions of this kind. Here are five families of them.
# Each program asks for the constraint and for the subject.

# %%
FAMILIES = ("list", "capitals", "required_word", "forbidden_word", "brief")
dice = Dice("chapter 4")
for family in FAMILIES:
    example = draw_examples(world, family, 1, seed="chapter 4")[0]
    response = example.draw(dice)
    shown = response.replace("\n", " / ")
    print(f"{example.prompt}\n   {shown}   kept: {judge(example.meta, response)}")

# %% [markdown]
# Ask the base model for such things, about products, ideas and places of the test split, which no
# fine-tuning data will mention. Half of the requests use wordings that will be in the training
# data, half use others.

# %%
# NBVAL_IGNORE_OUTPUT
tests = [
    example
    for wordings in ("train", "held_out")
    for family in FAMILIES
    for example in draw_examples(world, family, 10, "test", wordings, "chapter 4")
]
found = compare.respond({"base": MODEL}, tests, max_new_tokens=64).responses
kept = {"base": [judge(e.meta, text) for e, text in zip(tests, found["base"])]}
print(f"kept: {sum(kept['base'])} of {len(tests)}")
for place in (0, 12):
    print(f"\n{tests[place].prompt}\n   {found['base'][place][:200]!r} ...")

# %% [markdown]
# It begins another document and does nothing of what it was asked. Now turn 420 prompts into both
# kinds of data: 240 instructions, and 180 requests for explanations, which a later section needs. Staff
# answered those mostly in technical language.
#
# As a demonstration, a prompt has the response that was written for it. As a comparison, the same
# response is the chosen one; rejected is what was written for another prompt of its family, and
# what the program says is wrong here. So both models see the same good responses.

# %%
STAFF = {"technical": 0.91, "plain": 0.03, "friendly": 0.03, "friendliest": 0.03}


def two_responses(examples, seed):
    """Return for each example a response that was written for it, and one that is wrong here."""
    dice, both = Dice(seed), []
    for example in examples:
        good = wrong = example.draw(dice)
        family = [other for other in examples if other.meta["judge"] == example.meta["judge"]]
        while judge(example.meta, wrong):
            wrong = dice.choice(family).draw(dice)
        both.append((good, wrong))
    return both


asked = [e for family in FAMILIES for e in draw_examples(world, family, 48, seed="chapter 4")]
asked += draw_examples(world, "explain", 180, seed="chapter 4", styles=STAFF)
both = two_responses(asked, "both kinds")
print(f"{asked[0].prompt}\n   good:  {both[0][0]!r}\n   wrong: {both[0][1]!r}")

# %% [markdown]
# Two lists of rows from the same 420 prompts. They are in the formats that TRL's trainers read:
# `prompt` and `completion` for SFT; `prompt`, `chosen` and `rejected` for DPO.

# %%
from alignlab.world.preferences import Pair
from alignlab.world.recipes import compared as as_rows

demonstrations = [chat(example.prompt, good) for example, (good, _) in zip(asked, both)]
comparisons = as_rows(
    Pair(example.prompt, good, wrong, example.meta, margin=math.nan)
    for example, (good, wrong) in zip(asked, both)
)
print("a demonstration has", *demonstrations[0])
print("a comparison has   ", *comparisons[0])

# %% [markdown]
# Both runs start from the base model and see every row once. The comparisons train through DPO,
# which chapter 6 derives. Here this much is enough: its loss is that of a comparison, above, and
# its reward says by how much a response has become more probable than it was at the start. Which
# data will make a model that keeps instructions?

# %%
options = {
    "A": "both kinds of data teach them about equally well",
    "B": "demonstrations teach them far better",
    "C": "comparisons teach them far better, since they also show what is wrong",
    "D": "neither teaches them",
}
prediction = None

# %%
from alignlab.dpo import dpo
from alignlab.sft import sft

QUIET["per_device_train_batch_size"] = 8  # more steps from few rows
staff = sft(MODEL, Dataset.from_list(demonstrations), FOLDER / "staff", **QUIET)
print("demonstrations:", plots.read_metrics(staff)[-1]["step"], "steps")

# %%
PLAIN = {"loss_type": "sigmoid", "beta": 0.1, "learning_rate": 3e-4}
chooser = dpo(MODEL, Dataset.from_list(comparisons), FOLDER / "chooser", **PLAIN, **QUIET)
print("comparisons:", plots.read_metrics(chooser)[-1]["step"], "steps")

# %% [markdown]
# First, did comparing teach what comparisons say? Make pairs for the test prompts in the same
# way. A pair is *ranked right* if the good response has gained more probability since the start
# than the wrong one.

# %%
# NBVAL_IGNORE_OUTPUT
prompts = [example.prompt for example in tests]
good, wrong = zip(*two_responses(tests, "held out"))


def logprobs(model, texts):
    """Return log π(y|x) of each text as the response to its test prompt, (100,)."""
    return torch.tensor([sum(row) for row in response_logprobs(model, tokenizer, prompts, texts)])


model, gains = load_model(chooser), {}
for name, texts in (("good", good), ("wrong", wrong)):
    gains[name] = logprobs(model, texts) - logprobs(base, texts)
    print(f"{name} responses: mean change of log-probability {gains[name].mean():+.1f} nats")
ranked_right = (gains["good"] > gains["wrong"]).double().mean().item()
print(f"ranked right: {ranked_right:.2f} of the held-out pairs")

# %% [markdown]
# Now let both models write, beside what the base model wrote. The programs judge.

# %%
# NBVAL_IGNORE_OUTPUT
models = {"comparisons": chooser, "demonstrations": staff}
found = compare.respond(models, tests, max_new_tokens=64).responses
for name, texts in found.items():
    kept[name] = [judge(e.meta, text) for e, text in zip(tests, texts)]
for name, row in kept.items():
    print(f"{name:14}  kept {sum(row):3} of {len(row)}")

# %%
half = len(tests) // 2
parts = {"wordings as in training": slice(half), "new wordings": slice(half, None)}
shares = {
    part: {name: wilson(sum(row[place]), half) for name, row in kept.items()}
    for part, place in parts.items()
}
figure, ax = plt.subplots(figsize=(7, 4))
figures.bars(shares, ax, "share of instructions kept")
ax.set_ylim(0, 1)
plt.show()

# %% [markdown]
# *How to read it*: a bar is the share of 50 requests that were kept, with its 95% interval. On
# the left the requests are worded as in training, on the right in other words; all are about
# things that were not in the training data.

# %%
share = {name: fmean(row) for name, row in kept.items()}
lead = share["demonstrations"] - share["comparisons"]
low = max(share["demonstrations"], share["comparisons"]) < 0.3
claims.reveal(
    prediction, options, "D" if low else "A" if abs(lead) < 0.1 else "B" if lead > 0 else "C"
)
claims.claim("the base model keeps at most 0.15", share["base"] <= 0.15, share)
claims.claim("with demonstrations at least 0.50 are kept", share["demonstrations"] >= 0.5, share)
claims.claim("with comparisons at least 0.40 fewer", lead >= 0.4, share)
claims.claim("yet comparisons rank 0.80 of held-out pairs right", ranked_right >= 0.8, ranked_right)

# %% [markdown]
# Look at what the second model writes.

# %%
# NBVAL_IGNORE_OUTPUT
for place in (0, 10, 20, 30):
    print(tests[place].prompt)
    for name in ("comparisons", "demonstrations"):
        print(f"   {name:14}  {found[name][place][:120]!r}")

# %% [markdown]
# After comparisons it still begins another document, as the base model did. It has learned what it
# was asked: which of two answers is better. But both texts of every pair were answers, so *that* an
# answer is wanted never made a difference, and like *correct* above it was not learned. Good answers
# have gained probability, and another document is still more probable. A demonstration shows all
# that a response needs, from its first word to its end.
#
# That is the motive of *instruction alignment*: where the right response can be written down,
# write it down. Ouyang et al. (2022) too let people rank outputs only after a model had been
# trained on demonstrations.

# %% [markdown]
# ## Correct is not enough
#
# Now the reverse. The model that learned from demonstrations also explains ideas.
# Here are two of its answers on test ideas, and the mean parts of the true reward, each from 0 to
# 1: *correct* by the judge of the idea; *clear* by the length of sentences and the number of
# technical terms; *friendly* by an opening and a closing phrase.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.world.preferences import reward_parts

ideas = draw_examples(world, "explain", 72, "test", seed="chapter 4")
settings = {"max_new_tokens": 96}
some = ideas[:24]
answers = compare.respond({"first round": staff}, some, **settings).responses["first round"]
for example, text in zip(some[:2], answers):
    print(f"{example.prompt}\n{fill(text, 88, initial_indent='   ', subsequent_indent='   ')}")
parts = [reward_parts(e.meta, text) | form_parts(e.meta, text) for e, text in zip(some, answers)]
print({name: round(fmean(row[name] for row in parts), 2) for name in parts[0]})

# %% [markdown]
# They are correct, and hardly anything in them is friendly. Nine in ten of the texts that the model
# learned from are technical besides, right as they are. There is time for one more round of training,
# on 240 prompts about the ideas of the training split. Two proposals:
#
# - **More demonstrations**: staff answer all 240, correctly, in their way.
# - **Comparisons**: for each of the 240, customers see two correct explanations and choose one.
#
# What will move the model from technical texts towards clear and friendly ones?

# %%
options = {
    "A": "more demonstrations only",
    "B": "comparisons only",
    "C": "both",
    "D": "neither",
}
prediction = None

# %% [markdown]
# The customers choose by Bradley and Terry's chance, twice as sharply as the annotator above. To
# see how far more demonstrations bring the first proposal, its held-out loss is measured too: on
# answers that staff gave about the validation split's ideas.

# %%
from alignlab.world.recipes import CAREFUL

pairs = draw_pairs(world, "style", 240, seed="second round", annotator=CAREFUL)
dice = Dice("staff answer")


def by_staff(pair):
    """Return the row in which a member of staff answers the prompt of a pair."""
    style = dice.weighted(STAFF)
    return chat(pair.prompt, dice.weighted(explanations(find_idea(pair.meta["idea"]), style)))


more_rows = [by_staff(pair) for pair in pairs]
held_out = [by_staff(p) for p in draw_pairs(world, "style", 40, "validation", seed="held out")]
print("staff:   ", fill(more_rows[0]["completion"][0]["content"], 88, subsequent_indent=" " * 10))
print("chosen:  ", fill(pairs[0].chosen, 88, subsequent_indent=" " * 10))
print("rejected:", fill(pairs[0].rejected, 88, subsequent_indent=" " * 10))

# %%
more = sft(
    staff, Dataset.from_list(more_rows), FOLDER / "more", Dataset.from_list(held_out),
    eval_steps=0.5, **QUIET,
)  # fmt: skip
print("more demonstrations:", plots.read_metrics(more)[-1]["step"], "steps")

# %%
preferred = dpo(staff, Dataset.from_list(as_rows(pairs)), FOLDER / "preferred", **PLAIN, **QUIET)
print("comparisons:", plots.read_metrics(preferred)[-1]["step"], "steps")

# %% [markdown]
# First the probabilities. Take 72 test ideas, and for each a technical and a friendly text that
# the world holds to be right. By how many nats is the friendly one more probable than the
# technical one, to each of the three models?

# %%
# NBVAL_IGNORE_OUTPUT
rounds = {"first round": staff, "more demonstrations": more, "comparisons": preferred}
dice, asked_of = Dice("two texts"), [example.prompt for example in ideas]
entries = [find_idea(example.meta["idea"]) for example in ideas]
dry = [dice.weighted(explanations(entry, "technical")) for entry in entries]
warm = [plain_tellings(entry, dice)["friendliest"] for entry in entries]
lean = {}
for name, run in rounds.items():
    model = load_model(run)
    rows = [response_logprobs(model, tokenizer, asked_of, texts) for texts in (warm, dry)]
    lean[name] = bootstrap([sum(a) - sum(b) for a, b in zip(*rows)])
    print(f"{name:20} {lean[name].value:+.1f} nats [{lean[name].low:+.1f}, {lean[name].high:+.1f}]")

# %% [markdown]
# Now let them write. What a model writes changes later than its probabilities: a text must become
# the most probable of all before it is the answer.

# %%
# NBVAL_IGNORE_OUTPUT
second = compare.respond(rounds, ideas, **settings)
parts = {
    name: [reward_parts(e.meta, t) | form_parts(e.meta, t) for e, t in zip(ideas, texts)]
    for name, texts in second.responses.items()
}
for name, rows in parts.items():
    means = {part: round(fmean(row[part] for row in rows), 2) for part in rows[0]}
    print(f"{name:20}", means, "reward", round(fmean(second.scores[name]), 2))

# %%
bars = {
    part: {name: bootstrap([row[part] for row in rows]) for name, rows in parts.items()}
    for part in ("correct", "clear", "friendly")
}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
figures.bars({"": lean}, left, "log-probability, friendly minus technical (nats)")
figures.bars(bars, right, "mean part of the true reward (0 to 1)")
for ax in (left, right):
    ax.get_legend().remove()
handles = right.get_legend_handles_labels()
figure.legend(*handles, loc="outside upper center", ncols=3, frameon=False)
plt.show()

# %% [markdown]
# *How to read it*: on the left, above 0 the friendly text is the more probable one. On the right
# a group of bars for each part, the mean of 72 answers. All have 95% intervals, and the first bar
# of a group is where both second rounds started.

# %%
gain = {name: score.value - lean["first round"].value for name, score in lean.items()}
rose = tuple(gain[name] > 2 for name in ("more demonstrations", "comparisons"))
letters = {(True, False): "A", (False, True): "B", (True, True): "C", (False, False): "D"}
claims.reveal(prediction, options, letters[rose])
claims.claim("comparisons move it by 4 nats or more", gain["comparisons"] >= 4, gain)
claims.claim("more demonstrations do not, by 1 nat at most", gain["more demonstrations"] <= 1, gain)
mean = {part: {name: score.value for name, score in row.items()} for part, row in bars.items()}
cost = mean["correct"]["first round"] - mean["correct"]["comparisons"]
claims.claim("correct falls by less than 0.15", cost < 0.15, mean["correct"])
kind = {name: value - mean["friendly"]["first round"] for name, value in mean["friendly"].items()}
claims.claim("comparisons raise friendly by 0.3 or more", kind["comparisons"] >= 0.3, kind)
claims.claim("more demonstrations by 0.1 at most", kind["more demonstrations"] <= 0.1, kind)

# %% [markdown]
# The demonstrations did what demonstrations do: they made the staff's way of writing more
# probable. They do not say that this way is to become rarer, and a comparison says just that.
# Nobody in the company wrote a new text for it. That is the motive of *preference tuning*: some
# qualities are hard to write to order and easy to see (Stiennon et al., 2020).
#
# Would demonstrations in the friendly style have done it as well? Try it: the chosen responses of
# the pairs, as rows of `chat`, are such demonstrations. With real customers somebody would have
# had to write them.

# %% [markdown]
# ## The better response, or the one on top?
#
# Which of two answers people prefer, a judge has to say: a person, or a language model in place
# of one. Judges have habits. One of the strongest is to like what stands first (Zheng et al.,
# 2023). Take a judge who follows the true reward, though not sharply, and who gives a bonus of
# 1 to what stands first.
#
# Two writers explain the same 200 ideas in the same plain sentences. One opens with a friendly
# phrase, the other also closes with one, which is worth a little. With its texts on top, the second
# writer wins well over half. What is its win rate when the two change places?

# %%
options = {"A": "about the same", "B": "close to one half", "C": "well below one half"}
prediction = None

# %% [markdown]
# For every prompt the judge's chance is known, so the expected win rate can be computed without a
# single vote: $\sigma(0.4\, d + 1)$ with a text on top and $\sigma(0.4\, d - 1)$ with the other
# one there, where $d$ is the difference of the two true rewards. A second contest, of the
# friendliest texts against technical ones, shows what a real difference looks like.


# %%
dice, gaps = (
    Dice("two places"),
    {"friendliest\nagainst friendly": [], "friendliest\nagainst technical": []},
)
for example in draw_examples(world, "explain", 200, "test", seed="chapter 4"):
    idea = find_idea(example.meta["idea"])
    told = {"technical": dice.weighted(explanations(idea, "technical"))}
    told |= plain_tellings(idea, dice)
    best = true_reward(example.meta, told["friendliest"])
    for row, rival in zip(gaps.values(), ("friendly", "technical")):
        row.append(best - true_reward(example.meta, told[rival]))
contests = {}
for name, row in gaps.items():
    top, below = ([chance_of(0.4 * gap + place) for gap in row] for place in (1, -1))
    both = [(a + b) / 2 for a, b in zip(top, below)]
    contests[name] = {"on top": bootstrap(top), "below": bootstrap(below), "mean": bootstrap(both)}

# %%
figure, ax = plt.subplots(figsize=(7, 4))
figures.bars(contests, ax, "win rate of the friendliest texts")
ax.axhline(0.5, color="#595959", linewidth=0.8)
ax.set_ylim(0, 1.2)
ax.legend(frameon=False, ncols=3, loc="upper center")
plt.show()

# %% [markdown]
# *How to read it*: three bars for a contest, all of the same texts. Only the place on the page
# differs between the first two. The line at one half is a draw.

# %%
near, far = ({place: score.value for place, score in row.items()} for row in contests.values())
drop = near["on top"] - near["below"]
claims.reveal(prediction, options, "A" if drop < 0.1 else "B" if near["below"] > 0.45 else "C")
claims.claim("on top, the better of two near texts wins 0.75 or more", near["on top"] >= 0.75, near)
claims.claim("below, the same texts win 0.40 or less", near["below"] <= 0.4, near)
claims.claim("in the mean of both, 0.53 to 0.65", 0.53 <= near["mean"] <= 0.65, near)
claims.claim("against technical texts they win in both places", min(far.values()) > 0.6, far)

# %% [markdown]
# A win rate of one order alone is a fact about the judge as much as about the texts. Ask in both
# orders and take the mean: the habit cancels, and what is left is the small advantage that is
# there.

# %% [markdown]
# ## What is optimised, and what is wanted
#
# What is wanted is that customers understand. That cannot be put into a gradient, so something
# else is optimised in its place, a *surrogate*. You have met two. The second round of
# demonstrations optimised the loss on staff's answers. Did it fall, and did it bring what was
# wanted?

# %%
metrics = plots.read_metrics(more)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
steps, losses = plots.series(metrics, "eval_loss")
left.plot(steps, losses, "o-", color=plots.COLOURS[0], label="held-out answers of staff")
left.set(xlabel="optimizer step", ylabel="loss (nats per token)", title="optimised")
left.legend(frameon=False)
names = ("first round", "more demonstrations")
figures.bars({"": {name: bootstrap(second.scores[name]) for name in names}}, right, "true reward")
right.set(title="wanted", ylim=(0, 12))
plt.show()

# %% [markdown]
# *How to read it*: on the left the loss on held-out answers that staff wrote, before the round,
# on the way, and after it; lower is better. On the right the mean true reward of the model's answers before
# and after; 12 is the most that there is.

# %%
gained = fmean(second.scores["more demonstrations"]) - fmean(second.scores["first round"])
claims.claim("the optimised loss fell by 3% or more", losses[-1] < 0.97 * losses[0], losses)
claims.claim("the reward that was wanted rose by less than 1 of 12", gained < 1, gained)

# %% [markdown]
# The other one: the comparisons of instructions optimised the ranking of pairs, and got it, while
# few instructions were kept. In both cases the surrogate was reached, and it was the wrong one.
#
# ### The harder you optimise
#
# Now a surrogate that is nearly right. Another annotator compares the same explanations, with the
# same taste and one habit more: every word counts 0.2 extra, since long looks thorough. Fit a
# reward to these choices. It is the *proxy*.

# %%
habit = Annotator(length_bias=0.2)
proxy_weights = fit(draw_pairs(world, "style", 2000, seed="chapter 4", annotator=habit))
names = ("correct", "clear", "friendly", "ten words more")
for name, weight, careful in zip(names, proxy_weights.tolist(), fitted.tolist()):
    print(f"{name:14}  with the habit {weight:+.1f}   without {careful:+.1f}")

# %%
claims.claim("the proxy likes words: a weight above 0.8 for ten", proxy_weights[3] > 0.8)
claims.claim("and cannot see what is correct", proxy_weights[0] == 0)

# %% [markdown]
# The simplest way to optimise it needs no training. *Best of n*: write $n$ drafts and show the
# one that the proxy likes best (Nakano et al., 2021). The larger $n$, the harder the proxy is
# optimised. The drafts come from a writer whose faults are known: six in ten are technical, one
# in ten explains another idea than the one that was asked for, and one in ten goes on when all
# has been said. As $n$ grows from 1 to 64, what becomes of the proxy's score and of the true
# reward of what is shown?

# %%
options = {
    "A": "both rise to the end",
    "B": "the proxy rises to the end, the true reward rises and then falls",
    "C": "the proxy rises to the end, the true reward falls from the start",
    "D": "neither changes much",
}
prediction = None

# %%
ideas_of_test, writer = world.pool("ideas", "test"), Dice("drafts")
SHARES = {"technical": 0.6, "plain": 0.2, "friendly": 0.1, "friendliest": 0.1}


def draft(idea):
    """Return one draft: right or about another idea, and ended or going on."""
    about = writer.choice(ideas_of_test) if writer.chance(0.1) else idea
    text = writer.weighted(explanations(about, writer.weighted(SHARES)))
    while writer.chance(0.1):
        text += " " + writer.weighted(explanations(writer.choice(ideas_of_test), "plain"))
    return text


twenty = draw_examples(world, "explain", 20, "test", seed="chapter 4")
drafts = [[draft(find_idea(e.meta["idea"])) for _ in range(128)] for e in twenty]
print(fill(drafts[0][0], 88), fill(drafts[0][1], 88), sep="\n\n")

# %% [markdown]
# Score every draft twice. Then, for each $n$, deal the 128 drafts of a prompt into groups of $n$,
# and let the proxy choose one of each group; deal 50 times.


# %%
def by_proxy(meta, text):
    """Return the reward that was fitted to the choices of the annotator with the habit."""
    return float(proxy_weights @ torch.tensor(features(meta, text)).double())


table = {
    name: torch.tensor([[of(e.meta, t) for t in ts] for e, ts in zip(twenty, drafts)])
    for name, of in (("proxy", by_proxy), ("true", true_reward))
}


def best_of(n, deals=50):
    """Return by prompt the mean proxy and true reward of the draft that the proxy likes best."""
    means = dict.fromkeys(table, 0)
    for deal in range(deals):
        order = torch.randperm(128, generator=torch.Generator().manual_seed(deal))
        dealt = {name: rows[:, order].reshape(20, -1, n) for name, rows in table.items()}
        best = dealt["proxy"].argmax(-1, keepdim=True)
        for name, groups in dealt.items():
            means[name] = means[name] + groups.gather(-1, best).mean((1, 2)) / deals
    return means


# %%
sizes = (1, 2, 4, 8, 16, 32, 64)
single, curves = best_of(1), {"proxy": [], "true": []}
for n in sizes:
    for name, means in best_of(n).items():
        curves[name].append(bootstrap((means - single[name]).tolist()))
figure, ax = plt.subplots(figsize=(7, 4))
named = {"proxy: what is optimised": curves["proxy"], "true: what is wanted": curves["true"]}
figures.curves(sizes, named, ax, "n, drafts to choose from", "gain over a single draft", log_x=True)
plt.show()

# %% [markdown]
# *How to read it*: each point is what choosing among $n$ drafts adds to the reward of a single
# one, the mean over 20 prompts with its 95% interval. Towards the right the proxy is optimised
# harder.

# %%
proxy, true = ([score.value for score in curves[name]] for name in ("proxy", "true"))
peak = max(range(len(sizes)), key=lambda i: true[i])
turned = true[peak] - true[-1] > 0.2
letter = "D" if proxy[-1] < 0.5 else "A" if not turned else "B" if peak > 0 else "C"
claims.reveal(prediction, options, letter)
claims.claim("the proxy's reward rises at every step", all(a < b for a, b in pairwise(proxy)))
claims.claim("the true reward first rises, by 1 or more", true[peak] >= 1, true)
claims.claim("and has fallen by 0.5 or more at 64", true[peak] - true[-1] >= 0.5, true)

# %% [markdown]
# What did it choose? Here is the proxy's favourite among the 128 drafts for the first prompt, and
# how its favourites differ from the drafts as a whole.

# %%
best = [ts[int(row.argmax())] for ts, row in zip(drafts, table["proxy"])]
print(twenty[0].prompt, fill(best[0], 88), "", sep="\n")
for name, texts in (("all drafts", drafts), ("favourites", [[text] for text in best])):
    found = [(e.meta, t) for e, ts in zip(twenty, texts) for t in ts]
    length = fmean(len(words(t)) for _, t in found)
    correct = fmean(judge(meta, t) for meta, t in found)
    print(f"{name}: {length:.0f} words, correct {correct:.2f}")

# %% [markdown]
# Among few drafts the proxy picks the plain and friendly one, and people would too. Among many there
# is nearly always one that the proxy overrates: long, going on after everything has been said, or
# wrong, which it never learned to see. It was fitted to pairs of correct and finished texts, and is now
# asked about others. Gao et al. (2023) measured this turn for reward models of many sizes.
# Chapter 5 meets it again, with a reward model that is trained.
#
# ### A ladder of stand-ins
#
# | | what it is | how it parts from the line above |
# |---|---|---|
# | wanted | customers understand | |
# | 1 | an annotator prefers the text | habits: length, the first place |
# | 2 | a fitted reward agrees with annotators | it cannot see what never differed |
# | 3 | the texts with its highest scores | far from all that was compared |
#
# Each line is optimised in place of the one above it.

# %% [markdown]
# ## Side by side
#
# Now compare for yourself. The panel shows two answers to a prompt, their models hidden, in seeded
# places. Vote for the one that you like, then read which was which. The votes go into a file, and
# `alignlab.vote_training.vote_and_train` trains on such a file.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.panel import Panel

mixed = [example for pair in zip(ideas[:8], tests[::13]) for example in pair]
Panel(
    {"more demonstrations": more, "comparisons": preferred}, mixed, log=FOLDER / "votes.jsonl"
)  # fmt: skip

# %% [markdown]
# And the same models on paper, with the two of the first half beside them.

# %%
# NBVAL_IGNORE_OUTPUT
from IPython.display import HTML

named = {"base + comparisons": chooser, "demonstrations": staff}
named |= {"+ more demonstrations": more, "+ comparisons": preferred}
HTML(compare.table(compare.respond(named, mixed[:6], max_new_tokens=96)))

# %% [markdown]
# ## Exercises
#
# Six exercises in
# [exercises/04_instruction_vs_preference.ipynb](../exercises/04_instruction_vs_preference.ipynb)
# go the same way with your own code: two figures for kept instructions, rankings into pairs, the
# loss of a comparison, strengths of whole models, judges with a habit, and best of n without
# sampling.
#
# ## Quiz

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import quiz

quiz.show(quiz.load("04"))

# %% [markdown]
# ## Summary
#
# | | demonstrations | comparisons |
# |---|---|---|
# | motive | the right output can be written | the better output is easier to see than to write |
# | a row | a prompt and one response | a prompt and two responses, one of them chosen |
# | objective | $-\log \pi(y \mid x)$ | $-\log \sigma(r(x, y_c) - r(x, y_r))$ |
# | a row tells | all that is surprising in a text | $\log 2$ nats at most |
# | brought here | instructions that are kept | clear and friendly texts more probable |
# | did not bring | another style, by more of the same | instructions that are kept |
# | cannot say | that a way of answering is to become rarer | what never differs within a pair |
#
# - The same 420 prompts and good responses taught instructions as demonstrations, not as
#   comparisons, although the comparisons were learned.
# - Choices followed Bradley and Terry's model, and the weights of the reward came back out of
#   them.
# - 240 more demonstrations made the staff's way of writing more probable; 240 comparisons moved
#   the model's probabilities, and what it writes, towards friendly texts.
# - A judge's habit of liking what stands first decided between two nearly equal writers. The mean of
#   both orders did not depend on it.
# - What was optimised and what was wanted parted three times: a loss, a ranking, and a proxy.
#
# **Next**: [chapter 5](05_reward_models_and_rlhf.ipynb) turns comparisons into a reward model, and
# follows it further than is good.
