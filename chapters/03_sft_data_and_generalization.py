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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/03_sft_data_and_generalization.ipynb)
#
# # 3. How much data, how specialised, and what carries over?
#
# Chapter 1 asked whether a task suits supervised fine-tuning (SFT). Chapter 2 asked what SFT
# maximises. This chapter asks about the rows: what they are, how many a task needs, what they
# leave out, and what they spoil.

# %% [markdown]
# **When you have worked through it, you can**
#
# - say in numbers how SFT data differ from pre-training data;
# - read a learning curve, and say when a few rows are enough and when they cannot be;
# - show what a model forgets when all its rows are of one task, and how much of it a mixture keeps;
# - measure what carries over to new entities, new wordings and new tasks, each by itself;
# - recognise duplicates, wrong labels and a drifting format by what they do to a model.
#
# **Minutes**: about 60 to read and predict, 3 to compute. **Hardware**: two CPU cores are enough.
#
# **Before**: SFT data and adapting a model to a new task (chapter 1), over-fitting (chapter 2).
# **After**: instruction alignment and preferences (chapter 4).

# %%
import subprocess
import sys

if "google.colab" in sys.modules:
    course = "git+https://github.com/OWNER/alignlab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", course], check=True)

from alignlab import chapter

FOLDER, MODEL, QUIET = chapter.begin()

# %% [markdown]
# ## 3.1 One row
#
# The course's micro-world has a catalogue of products, each with eight facts. Its SFT data set
# mixes thirteen tasks. Here is a row of one of them: an input, and the output that is wanted. The tokens
# in square brackets are those that the loss counts. The others are read and not scored.

# %%
from alignlab.data import show_mask
from alignlab.models import load_tokenizer
from alignlab.world import World
from alignlab.world.recipes import labelled, sft_rows
from alignlab.world.tasks import draw_examples

world, tokenizer = World(0), load_tokenizer(MODEL)
rows = sft_rows(world)
row = labelled(draw_examples(world, "manual", 1), "first")[0]
print(row["prompt"][0], row["completion"][0], sep="\n", end="\n\n")
print(" ".join(f"[{text}]" if counted else text for text, counted in show_mask(tokenizer, row)))

# %% [markdown]
# Beside it, the beginning of a document from pre-training. Nobody asks, nobody answers, and nothing
# in it says what is wanted. Every token of it was scored.

# %%
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice

print(draw_document(world, Dice("chapter 3"), "product").text[:400], "...")

# %% [markdown]
# ## 3.2 Two kinds of data, in numbers
#
# How large is the difference? `pretrain.json` lies beside the bundled model and counts what it was
# trained on. Reading time assumes 200 words a minute. How many words a document of the corpus has is
# estimated from 300 of them, drawn as the corpus was.

# %%
import json
from statistics import fmean

from alignlab.models import BUNDLED

corpus, dice = json.loads((BUNDLED / "pretrain.json").read_text())["train"], Dice("estimate")
length = fmean(len(draw_document(world, dice).text.split()) for _ in range(300))
texts = {part: [row[part][0]["content"] for row in rows] for part in ("prompt", "completion")}
size = {
    part: sum(map(len, tokenizer(found, add_special_tokens=False)["input_ids"]))
    for part, found in texts.items()
}
words = sum(len(text.split()) for found in texts.values() for text in found)
hours = {"pre-training": corpus["documents"] * length / 12_000, "SFT": words / 12_000}
total, counted = sum(size.values()), size["completion"]
print(f"{'':24}{'pre-training':>14}{'SFT':>10}")
print(f"{'texts':24}{corpus['documents']:14,}{len(rows):10,}")
print(f"{'tokens':24}{corpus['tokens']:14,}{total:10,}")
print(f"{'tokens that are scored':24}{corpus['tokens']:14,}{counted:10,}")
print(f"{'hours to read':24}{hours['pre-training']:14,.0f}{hours['SFT']:10,.0f}")

# %% [markdown]
# The two also differ in variety. In pre-training one fact is told in many wordings, so that it can
# be found again whatever the words (Allen-Zhu and Li, 2023). The wanted answers come in few forms.
# Both are written down in the world, so they can be counted.

# %%
from alignlab import claims
from alignlab.world.catalogue import ATTRIBUTES, fact_values, load_text
from alignlab.world.grammar import readings

slots = {"the": "it", "The": "It", "value": "so much"}


def count_wordings(fact, kind):
    """Return in how many ways the world's texts of a kind can state one fact."""
    return sum(len(readings(text, slots)) for text in load_text("facts")[fact][kind])


ways = {f: [count_wordings(f, kind) for kind in ("statements", "answers")] for f in ATTRIBUTES}
for fact, (told, answered) in ways.items():
    print(f"{fact:9} {told:4} wordings in pre-training, {answered} in SFT answers")

# %%
claims.claim(
    "pre-training scored at least 100 times the tokens of SFT",
    corpus["tokens"] >= 100 * counted,
    counted,
)
claims.claim(
    "SFT rows can be read in a working week, pre-training not in half a working year",
    hours["SFT"] < 40 and hours["pre-training"] > 26 * 40,
    hours,
)
claims.claim("each kind of fact has at least 10 times as many wordings in pre-training",
             all(many >= 10 * few for many, few in ways.values()), ways)  # fmt: skip

# %% [markdown]
# What can be read in a week can be checked row by row. And since there are so few rows, each one
# matters.
#
# ## 3.3 The weight of a row
#
# Take one prompt with two possible answers. A share $w$ of its rows has the first answer, the rest
# the second. A model that gives the first with probability $p$ has the mean loss
#
# $$L(p) = -\,w \ln p - (1 - w) \ln (1 - p) .$$
#
# It is smallest at $p = w$ (chapter 2): **the model learns the shares.** It cannot see *why* a row
# is there. Three copies of one row count as much as three rows by three people, and three wrong labels
# as much as three right ones.

# %% [markdown]
# Check it by hand with three rows of the first answer and one of the second. At $p = 3/4$:
# $L = (3 \ln \tfrac43 + \ln 4) / 4 = (0.863 + 1.386) / 4 = 0.562$ nats.

# %%
import torch

from alignlab.losses import sft_loss


def mean_loss(p, first, second):
    """Return the loss where a model gives answer 0 with probability p, on rows of both answers."""
    answer = torch.tensor([0] * first + [1] * second)
    labels = torch.stack([torch.full_like(answer, -100), answer], dim=1)  # the prompt: not scored
    logits = torch.tensor([p, 1 - p]).log().expand(len(answer), 2, 2)
    return float(sft_loss(logits, labels))


grid = [n / 100 for n in range(1, 100)]
best = min(grid, key=lambda p: mean_loss(p, 3, 1))
print({p: round(mean_loss(p, 3, 1), 3) for p in (0.25, 0.5, 0.75, 0.9)}, "best:", best)
claims.claim("the best probability is the share of the rows, 0.75", best == 0.75, best)

# %% [markdown]
# ## 3.4 Before any SFT
#
# Six tasks serve as the test. `manual` asks a fact of a product and wants a sentence; `brief` asks
# the same and wants the bare value. `list`, `capitals`, `ending` and `sentences` are instructions
# whose result a program can check. All test rows are about products, ideas and things that no SFT row
# of this chapter mentions.

# %%
from datasets import Dataset

from alignlab.evaluate import respond, wilson
from alignlab.models import load_model
from alignlab.sft import sft
from alignlab.world.judges import judge

KINDS = ("manual", "brief", "list", "capitals", "ending", "sentences")
tests = {task: draw_examples(world, task, 32, "test") for task in KINDS}
for task, examples in tests.items():
    print(f"{task:10} {examples[0].prompt}")

# %% [markdown]
# Three small functions do all the work of this chapter: train on some rows, let a model respond,
# and score the responses. A score is the share of responses that do what was asked, with its 95%
# interval.


# %%
def train(name, rows, start=MODEL, **options):
    """Fine-tune on some rows and return the run's folder."""
    options = {"per_device_train_batch_size": 8} | QUIET | options
    return sft(start, Dataset.from_list(rows), FOLDER / name, **options)


def responses(source, examples, temperature=0.0):
    """Return what a model responds to some examples."""
    model, tokenizer = load_model(source), load_tokenizer(source)
    return respond(model, tokenizer, examples, temperature=temperature, max_new_tokens=64)[0]


def score(source, examples):
    """Return the share of the examples in which a model does what was asked."""
    texts = responses(source, examples)
    return wilson(sum(judge(e.meta, text) for e, text in zip(examples, texts)), len(examples))


base = {task: score(MODEL, tests[task]) for task in KINDS}
done = fmean(found.value for found in base.values())
claims.claim(
    "before SFT the model does at most 5% of what is asked, all six tasks together",
    done <= 0.05,
    base,
)

# %% [markdown]
# What does it write instead?

# %%
# NBVAL_IGNORE_OUTPUT
for task in ("manual", "list", "ending"):
    print(f"{task}: {tests[task][0].prompt}\n   {responses(MODEL, tests[task][:1])[0][:150]!r}")

# %% [markdown]
# It begins another text, as if the request had been the end of one. Pre-training showed it documents,
# and no document answers the one before it.
#
# ## 3.5 Size: how many rows are enough?
#
# It depends on what pre-training knows. All rows of this section are `manual` questions about one half
# of the catalogue. The tests ask the same of *other* products, of which no row tells: once of the
# other half of the catalogue, which pre-training was full of, and once of products that no text of
# pre-training mentions.

# %%
asked = {
    "known to pre-training": draw_examples(world, "manual", 96, "test"),
    "new to pre-training": draw_examples(world, "new_products", 96, "test"),
}
for name, examples in asked.items():
    print(f"{name}: {examples[1].prompt} -> {examples[1].meta['value']}")

# %% [markdown]
# **Predict.** Four runs get 16, 48, 144 and 432 different rows. All make the same number of steps, so
# the small sets are repeated more often, and only the number of *different* rows varies.

# %%
SIZES = (16, 48, 144, 432)
options = {
    "A": "both kinds of product need about 432 rows, and then both are answered",
    "B": "known products: 16 rows are nearly enough; new ones: no number of rows helps",
    "C": "known products: 16 rows are nearly enough; new ones: 432 are",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
questions = draw_examples(world, "manual", max(SIZES))
sized = {n: train(f"size-{n}", labelled(questions[:n], n), max_steps=54) for n in SIZES}
print(f"{len(sized)} runs of 54 steps")

# %%
import matplotlib.pyplot as plt

from alignlab import figures

curves = {name: [score(sized[n], examples) for n in SIZES] for name, examples in asked.items()}
figure, ax = plt.subplots(figsize=(6.5, 4))
figures.curves(
    SIZES, curves, ax, "different rows (log scale)", "share right, with 95% interval", log_x=True
)
plt.show()

# %% [markdown]
# How to read it: one step to the right is three times the rows. Where a curve is flat, more rows of
# this kind bring nothing: the model has what it needs, or the rows cannot give it. Where a curve
# rises, more rows help.

# %%
known, new = ([found.value for found in row] for row in curves.values())
few = known[0] >= 0.8 * known[3]
claims.reveal(prediction, options, "A" if not few else "C" if new[3] >= 0.5 else "B")
claims.claim("known products: 16 rows bring at least 80% of what 432 rows bring", few, known)
claims.claim("known products: 432 rows bring at least 90% right", known[3] >= 0.9, known)
claims.claim("new products: at most 20% right at every size", max(new) <= 0.2, new)
chance = fmean(1 / len(fact_values(e.meta["attribute"])) for e in asked["new to pre-training"])
print(f"a guess among the values of a fact is right with probability {chance:.2f}")

# %% [markdown]
# So the few right answers about new products can be guesses. Does the model say anywhere that it does
# not know? Look at some of them.

# %%
# NBVAL_IGNORE_OUTPUT
shown = asked["new to pre-training"][:3]
for example, text in zip(shown, responses(sized[432], shown)):
    print(f"{example.prompt}\n   {text}   (truth: {example.meta['value']})")

# %% [markdown]
# The form is right, and the facts are made up: the rows showed how to answer, and could not show what.
# A known result looks the same on a larger scale. LIMA (Zhou et al., 2023) fine-tuned a model of 65
# billion parameters on 1,000 chosen examples and found them enough for the form of an assistant. Its
# authors conclude that nearly all of the knowledge had come from pre-training. A task that needs what
# pre-training lacks has to find it in its rows, or in its prompt.

# %% [markdown]
# ## 3.6 Specialization: one task, or many?
#
# *Instruction fine-tuning* is SFT on many tasks at once, each put into words. First, a generalist:
# 48 rows of each of the six tasks. Then two teams go on with it. One wants better answers to `manual`
# questions and trains on 240 of them. The other takes 120, and 24 of each other task.


# %%
def rows_of(counts, seed):
    """Draw labelled rows of several tasks, so many of each."""
    return [
        row
        for task, count in counts.items()
        for row in labelled(draw_examples(world, task, count, seed=seed), f"{task}:{seed}")
    ]


generalist = train("generalist", rows_of(dict.fromkeys(KINDS, 48), "first"))
both = {"manual": 120} | {task: 24 for task in KINDS if task != "manual"}
print("one task:", {"manual": 240}, "\nmixture: ", both)

# %% [markdown]
# **Predict.** What becomes of the other five tasks when 240 rows of `manual` questions follow?

# %%
options = {
    "A": "they stay as they were: nothing in the new rows speaks against them",
    "B": "some get much worse: at least one loses 30 points or more",
    "C": "they get better: practice in one task helps all",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
specialist = train("specialist", rows_of({"manual": 240}, "second"), generalist)
mixed = train("mixed", rows_of(both, "second"), generalist)
models = {"generalist": generalist, "then one task": specialist, "then a mixture": mixed}
table = {task: {n: score(m, tests[task]) for n, m in models.items()} for task in KINDS}
figure, ax = plt.subplots(figsize=(9, 4))
figures.bars(table, ax, "share done as asked, with 95% interval").legend(
    loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False
)
plt.show()

# %% [markdown]
# How to read it: each group is a task, each bar a model. Compare the second bar with the first: what
# did 240 rows of one task bring, and what did they cost?

# %%
lost = {task: row["generalist"].value - row["then one task"].value for task, row in table.items()}
kept = {task: row["generalist"].value - row["then a mixture"].value for task, row in table.items()}
others = [task for task in KINDS if task != "manual"]
worst, mean = max(lost[task] for task in others), fmean(lost[task] for task in others)
claims.reveal(prediction, options, "B" if worst >= 0.3 else "C" if mean <= -0.05 else "A")
claims.claim("after one task, at least one other has lost 30 points or more", worst >= 0.3, lost)
claims.claim(
    "after the mixture, the others have lost at most a third of that, in the mean",
    fmean(kept[task] for task in others) <= mean / 3,
    (kept, lost),
)
claims.claim("at manual questions, the mixture is within 10 points of the specialist",
             abs(lost["manual"] - kept["manual"]) <= 0.1, table["manual"])  # fmt: skip

# %% [markdown]
# Look at a `brief` question. It asks for the bare value, and it reads like a `manual` question with
# a few words added.

# %%
# NBVAL_IGNORE_OUTPUT
said = {name: responses(source, tests["brief"]) for name, source in models.items()}
right = [judge(e.meta, text) for e, text in zip(tests["brief"], said["then a mixture"])]
place = right.index(True)
print(tests["brief"][place].prompt)
print(*(f"   {name:15} {texts[place]}" for name, texts in said.items()), sep="\n")

# %% [markdown]
# ### How much of each task?
#
# Real mixtures are uneven. In proportion to their sizes, a large task drowns a small one. In equal
# parts, the small one is repeated. A *temperature* $\tau$ lies between (Raffel et al., 2020): with
# $s_k$ rows of task $k$, a row is drawn from task $k$ with probability
#
# $$p_k = s_k^{1/\tau} \Big/ \sum_j s_j^{1/\tau} .$$
#
# By hand, for 400 and 16 rows: $\tau = 1$ gives $400/416 = 0.96$ and $0.04$; $\tau = 2$ gives
# $20/24 = 0.83$ and $0.17$.

# %%
large = labelled(draw_examples(world, "manual", 400, seed="large"), "large")
small = labelled(draw_examples(world, "ending", 16, seed="small"), "small")


def mixture_rows(temperature, count=240):
    """Draw rows from the two tasks, with the shares of a temperature."""
    pools = {"large": large, "small": small}
    weights = {name: len(pool) ** (1 / temperature) for name, pool in pools.items()}
    draw = Dice(f"mixture:{temperature}")
    return [draw.choice(pools[draw.weighted(weights)]) for _ in range(count)]


for temperature in (1, 2, 100):
    share = sum(row in small for row in mixture_rows(temperature)) / 240
    print(f"temperature {temperature:3}: {share:.2f} of 240 rows from the small task, "
          f"each of its rows {share * 240 / len(small):.1f} times")  # fmt: skip

# %% [markdown]
# **Predict.** Two runs draw 240 rows each, one at $\tau = 1$, one at $\tau = 100$, which is nearly
# equal parts. What does the second do to the two tasks?

# %%
options = {
    "A": "the small task gains much, and the large one loses little",
    "B": "the small task gains, and the large one loses as much",
    "C": "the small task gains nothing: its 16 rows are learned by heart",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
mixtures = {f"τ = {t}": train(f"tau-{t}", mixture_rows(t), num_train_epochs=1) for t in (1, 100)}
shares = {
    f"{task} ({count} rows)": {name: score(run, tests[task]) for name, run in mixtures.items()}
    for task, count in (("manual", 400), ("ending", 16))
}
figure, ax = plt.subplots(figsize=(5.5, 4))
figures.bars(shares, ax, "share done as asked, with 95% interval")
plt.show()

# %% [markdown]
# How to read it: left the large task, right the small one. The second bar of each group had fewer
# rows of the large task and more of the small one, 240 in all as before.

# %%
change = [row["τ = 100"].value - row["τ = 1"].value for row in shares.values()]
letter = "C" if change[1] < 0.1 else "A" if change[1] > 2 * -change[0] else "B"
claims.reveal(prediction, options, letter)
claims.claim(
    "in equal parts, the small task is at least 15 points better", change[1] >= 0.15, change
)
claims.claim("in equal parts, the large task is at most 15 points worse",
             change[0] >= -0.15, change)  # fmt: skip

# %% [markdown]
# Repeating 16 rows has a price, which the score does not show. The loss on the rows themselves and
# the loss on new rows of the same task drift apart: over-fitting (chapter 2), on the small task only.

# %%
import math

from alignlab.divergence import response_logprobs


def loss_on(source, rows):
    """Return a model's mean loss on the completions of some rows, in nats per token."""
    model, tokenizer = load_model(source), load_tokenizer(source)
    sides = ([row[part][0]["content"] for row in rows] for part in ("prompt", "completion"))
    return -fmean(x for found in response_logprobs(model, tokenizer, *sides) for x in found)


new = labelled(draw_examples(world, "ending", 48, "test", seed="new"), "new")
gaps = {name: loss_on(run, new) - loss_on(run, small) for name, run in mixtures.items()}
claims.claim("in equal parts, the gap between new rows and the small task's own rows is wider",
             gaps["τ = 100"] > gaps["τ = 1"], gaps)  # fmt: skip

# %% [markdown]
# ## 3.7 What carries over: new entities
#
# Nobody fine-tunes a model to get back the rows. What matters is the rest: *generalization*. It is
# always generalization **to something**, and each something needs a test of its own.
#
# First, to other entities. One run reads twice 256 questions about half of the products that
# pre-training told of, in random order. (Usually the course's runs put rows of like length into one
# batch. In section 3.10, where this run is needed again, batches must be mixed.) Another learns from rows about three products that pre-training never
# mentioned: what it answers about them can only come from its rows.

# %%
pool = draw_examples(world, "new_products", 1800)
few = sorted({example.meta["name"] for example in pool})[:3]
about = list({e.prompt: e for e in pool if e.meta["name"] in few}.values())
kept_out, learned = about[:40], about[40:]
facts = {(example.meta["name"], example.meta["attribute"]) for example in learned}
print(f"{len(learned)} rows about {len(few)} new products and {len(facts)} of their facts")

# %% [markdown]
# Three tests for each run. *Other rows* ask about the same products in the same wordings; this is
# what you get when you shuffle all rows and hold out some. *New wordings* ask about the same products
# in words that no row has. *Other products* ask about products that no row mentions.
#
# **Predict.** Which run will do much better on other rows than on other products?

# %%
options = {
    "A": "both: what stands in no row cannot be known",
    "B": "neither: both have learned to answer",
    "C": "only the run on products that pre-training never mentioned",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
asking = draw_examples(world, "manual", 256, seed="clean")
TWICE = {"num_train_epochs": 2, "train_sampling_strategy": "random"}
clean = train("clean", labelled(asking, "clean"), **TWICE)
memory = train("memory", labelled(learned, "memory"), num_train_epochs=9)
told = {
    "other rows": draw_examples(world, "manual", 96, "train", seed="other"),
    "new wordings": draw_examples(world, "manual", 96, "train", "held_out"),
    "other products": draw_examples(world, "manual", 96, "test"),
}
worded = [e for e in draw_examples(world, "new_products", 1400, "train", "held_out")
          if e.meta["name"] in few]  # fmt: skip
untold = {
    "other rows": kept_out,
    "new wordings": worded[:96],
    "other products": draw_examples(world, "new_products", 96, "test"),
}
print({name: len(examples) for name, examples in untold.items()})

# %%
carried = {
    name: {"known to pre-training": score(clean, told[name]), "new": score(memory, untold[name])}
    for name in told
}
figure, ax = plt.subplots(figsize=(7, 4))
figures.bars(carried, ax, "share right, with 95% interval").legend(
    loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False
)
plt.show()

# %% [markdown]
# How to read it: the first bar of a group is the run on known products, the second the run on new
# ones. Go from left to right: each group is further from the rows.

# %%
step = {
    model: carried["other rows"][model].value - carried["other products"][model].value
    for model in ("known to pre-training", "new")
}
wide = [gap >= 0.3 for gap in step.values()]
claims.reveal(prediction, options, "A" if all(wide) else "C" if wide[1] else "B")
claims.claim(
    "known products: other rows and other products differ by at most 15 points",
    abs(step["known to pre-training"]) <= 0.15,
    step,
)
claims.claim(
    "new products: other rows are at least 40 points better than other products",
    step["new"] >= 0.4,
    step,
)
claims.claim("new products: at most 20% right on other products",
             carried["other products"]["new"].value <= 0.2, carried["other products"])  # fmt: skip

# %% [markdown]
# A test held out by row would have praised both runs. Only the test held out by product shows that
# the second has learned three products, and that the first has learned to answer. What carried over is
# the behaviour; the facts came from pre-training, or from nowhere.

# %% [markdown]
# ## 3.8 What carries over: new wordings
#
# The generalist's rows put each instruction into twelve wordings. Another run gets as many rows of the
# same six tasks, but those of four instructions always in the first of their wordings.

# %%
import re

INSTRUCTIONS = ("list", "capitals", "ending", "sentences")


def in_one_wording(task, count, split, seed):
    """Draw examples of a task that are all in the first of its wordings."""
    wording = load_text("requests")[task]["train"][0]
    pattern = re.sub(r"\\\{\w+\\\}", ".+", re.escape(wording))
    drawn = draw_examples(world, task, 40 * count, split, seed=seed)
    return [example for example in drawn if re.fullmatch(pattern, example.prompt)][:count]


for task in INSTRUCTIONS:
    print(f"in rows: {in_one_wording(task, 1, 'train', 0)[0].prompt}")
    print(f"   held out: {draw_examples(world, task, 1, 'test', 'held_out')[0].prompt}")

# %% [markdown]
# **Predict.** Each run is tested on new ideas and things, once in its usual wordings and once in
# held-out ones. For which run is the score in the usual wordings too good to be trusted?

# %%
options = {
    "A": "nobody's: both do as well in new wordings, to 5 points",
    "B": "above all that of the run with one wording",
    "C": "above all that of the run with twelve wordings",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
ones = [e for task in INSTRUCTIONS for e in in_one_wording(task, 48, "train", "one")]
single = train("single", rows_of({"manual": 48, "brief": 48}, "first") + labelled(ones, "one"))
usual = [e for task in INSTRUCTIONS for e in tests[task]]
first = [e for task in INSTRUCTIONS for e in in_one_wording(task, 32, "test", "usual")]
fresh = [e for task in INSTRUCTIONS for e in draw_examples(world, task, 32, "test", "held_out")]
print(f"{len(ones)} rows in one wording; tests: {len(usual)}, {len(first)} and {len(fresh)} rows")

# %%
wordings = {
    "usual wordings": {"twelve": score(generalist, usual), "one": score(single, first)},
    "new wordings": {"twelve": score(generalist, fresh), "one": score(single, fresh)},
}
figure, ax = plt.subplots(figsize=(6, 4))
figures.bars(wordings, ax, "share done as asked, with 95% interval").legend(
    title="wordings in the rows",
    loc="lower center",
    bbox_to_anchor=(0.5, 1),
    ncols=2,
    frameon=False,
)
plt.show()

# %% [markdown]
# How to read it: left, each run in wordings as in its rows; right, both on the same 128 requests in
# wordings that neither has seen.

# %%
drop = {
    name: wordings["usual wordings"][name].value - wordings["new wordings"][name].value
    for name in ("twelve", "one")
}
losses = [loss_on(generalist, labelled(usual, "test")), loss_on(single, labelled(first, "test"))]
letter = "B" if drop["one"] > drop["twelve"] else "C"
claims.reveal(prediction, options, "A" if max(drop.values()) < 0.05 else letter)
claims.claim(
    "on rows of its usual kind, the run with one wording has no higher loss (to 0.05)",
    losses[1] <= losses[0] + 0.05,
    losses,
)
claims.claim(
    "the run with one wording loses at least 5 points in new wordings",
    drop["one"] >= 0.05,
    wordings,
)
claims.claim("it loses more than the run with twelve", drop["one"] > drop["twelve"], wordings)  # fmt: skip

# %% [markdown]
# The loss did not show it, and could not: it is a mean over rows of the usual kind. How far a
# behaviour carries over is an *outcome* of SFT. It has to be measured, on inputs like those that the
# model will meet.

# %% [markdown]
# ## 3.9 What carries over: new tasks
#
# Four tasks stand in no row so far: `opening` (begin with given words), `required_word` (a sentence
# with a given word), `forbidden_word` (two facts without a given word) and `explain`. Three models meet
# them: the base, `clean` with one task in its rows, the generalist with six.
#
# **Predict.** Instruction fine-tuning on many tasks was found to help on tasks that were not among
# them (Wei et al., 2021; Sanh et al., 2021). What happens here?

# %%
options = {
    "A": "more tasks in the rows, more of the unseen tasks done",
    "B": "the number of tasks makes no difference",
    "C": "six tasks do worse than one on unseen tasks",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
UNSEEN = ("opening", "required_word", "forbidden_word", "explain")
unseen = {task: draw_examples(world, task, 32, "test") for task in UNSEEN}
learners = {"base": MODEL, "one task": clean, "six tasks": generalist}
reach = {task: {n: score(m, unseen[task]) for n, m in learners.items()} for task in UNSEEN}
figure, ax = plt.subplots(figsize=(8, 4))
figures.bars(reach, ax, "share done as asked, with 95% interval").legend(
    loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False
)
plt.show()

# %% [markdown]
# How to read it: no model has a row of any of these tasks. The third bar is the generalist of
# section 3.6; compare it with the second.

# %%
means = {name: fmean(row[name].value for row in reach.values()) for name in learners}
more = means["six tasks"] - means["one task"]
claims.reveal(prediction, options, "A" if more >= 0.1 else "C" if more <= -0.1 else "B")
claims.claim(
    "six tasks do at least 10 points more of the unseen tasks than one", more >= 0.1, means
)
claims.claim("and still they leave at least 20% of the unseen tasks undone",
             means["six tasks"] <= 0.8, means)  # fmt: skip

# %% [markdown]
# ## 3.10 What goes wrong with rows
#
# Section 3.3 says that the model learns the shares of the rows, whatever the reason for them. Now
# spoil the 256 rows of `clean` in three ways, one at a time, and predict from the shares what the
# model will do.
#
# - **Duplicates**: one row, about one product's warranty, is there another 120 times.
# - **Wrong labels**: a quarter, then half, of the rows have a wrong value.
# - **Format drift**: on the way somebody decided on another form, and the last 40% of the rows have it.

# %%
from dataclasses import replace

warranty = next(e for e in asking if e.meta["attribute"] == "warranty")
name, value = warranty.meta["name"], warranty.meta["value"]
copied = replace(warranty, labels=lambda: {f"You have {value} of guarantee with the {name}.": 1.0})
duplicated = labelled(asking + 120 * [copied], "clean")


def bare(example):
    """Return the example with an answer in another form: the value alone, not a sentence."""
    return replace(example, labels=lambda: {example.meta["value"]: 1.0})


start = round(0.6 * len(asking))
drifted = labelled(asking[:start] + [bare(e) for e in asking[start:]], "clean")
for row in (duplicated[-1], drifted[0], drifted[-1]):
    print(row["completion"][0]["content"])

# %% [markdown]
# **Predict.** What do the shares say? Staff answer a warranty question in four forms, equally often. About
# 256 / 8 = 32 rows ask for a warranty, so about 8 have the duplicated form. With the 120 copies it
# is 128 of 152: a share of 0.84. How many answers about *other* products take this form?

# %%
pattern = "You have "
about = sum(e.meta["attribute"] == "warranty" for e in asking)
formed = sum(pattern in row["completion"][0]["content"] for row in duplicated[: len(asking)])
before, after = formed / about, (formed + 120) / (about + 120)
print(f"the duplicated form among warranty rows: {before:.2f} before, {after:.2f} after")
options = {
    "A": "at most half of the answers about other products take it: their own rows count there",
    "B": "more than half of the answers about other products take it, as the count says",
}
prediction = None  # "A" or "B"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %% [markdown]
# The responses are sampled at temperature 1, so that they show the shares that the model has
# learned. All are about products that no row mentions. Beside them stands the probability of the
# copied answer to the copied question itself.

# %%
copies = train("duplicates", duplicated, **TWICE)
warranties = [e for e in draw_examples(world, "manual", 1200, "test", seed="sampled")
              if e.meta["attribute"] == "warranty"][:96]  # fmt: skip
forms, by_heart = {}, {}
for run, source in (("clean", clean), ("duplicates", copies)):
    texts = responses(source, warranties, 1.0)
    forms[run] = wilson(sum(text.startswith(pattern) for text in texts), len(texts))
    question, answer = ([duplicated[-1][part][0]["content"]] for part in ("prompt", "completion"))
    found = response_logprobs(load_model(source), load_tokenizer(source), question, answer)
    by_heart[run] = math.exp(sum(found[0]))
print("asked once more:", question[0])

# %%
claims.reveal(prediction, options, "B" if forms["duplicates"].value > 0.5 else "A")
claims.claim(
    "other products: at most half of the answers take the form of the copies",
    forms["duplicates"].value <= 0.5,
    forms,
)
claims.claim(
    "the copied question gets the copied answer with probability 0.7 or more",
    by_heart["duplicates"] >= 0.7,
    by_heart,
)
claims.claim("from clean rows, that probability is at most 0.5",
             by_heart["clean"] <= 0.5, by_heart)  # fmt: skip

# %% [markdown]
# The shares are those *at a prompt*: at the copied question all rows say one thing, at others the
# other rows do. So 120 copies are not worth 120 rows. The model learned one row by heart, and nearly
# a third of the training went into it. Before you train, look for equal rows (Lee et al., 2022, did so
# for pre-training data), and for rows that are in the test as well.

# %% [markdown]
# Now the wrong labels. With a share $f$ of wrong values, the shares say that a *sampled* answer is
# right with probability $1 - f$ at best. The *most probable* answer should stay right as long as no wrong
# value is more frequent than the right one. Clerks who err at random spread their errors.
#
# **Predict** the most probable answers at $f = 0.5$.

# %%
options = {
    "A": "about half of them are right, like the labels",
    "B": "at least 60% are right: the errors do not agree with each other",
}
prediction = None  # "A" or "B"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
noisy = {0.0: clean}
for f in (0.25, 0.5):
    wrong = draw_examples(world, "manual", 256, seed="clean", disagreement=f)
    noisy[f] = train(f"wrong-{f}", labelled(wrong, "clean"), **TWICE)
drawn = {"most probable": 0.0, "sampled": 1.0}
by_noise = {kind: [] for kind in drawn}
for kind, temperature in drawn.items():
    for source in noisy.values():
        texts = responses(source, asked["known to pre-training"], temperature)
        right = sum(judge(e.meta, text) for e, text in zip(asked["known to pre-training"], texts))
        by_noise[kind].append(wilson(right, len(texts)))
print(f"{len(noisy)} runs, {len(texts)} questions each, asked twice")

# %%
figure, ax = plt.subplots(figsize=(6, 4))
ax.plot([0, 0.5], [1, 0.5], color="#595959", linestyle=(0, (1, 1)), label="share of right labels")
figures.curves(list(noisy), by_noise, ax, "share of wrong labels f",
               "share right, with 95% interval")  # fmt: skip
plt.show()

# %% [markdown]
# How to read it: the dotted line is what the labels themselves would score. A model on the line
# repeats its teachers' errors, one above it has done better than they, and one below it adds errors
# of its own.

# %%
top, sampled = ([found.value for found in by_noise[kind]] for kind in drawn)
claims.reveal(prediction, options, "B" if top[2] >= 0.6 else "A")
claims.claim(
    "with more wrong labels, sampled answers get worse at each step",
    sampled[0] > sampled[1] > sampled[2],
    sampled,
)
claims.claim(
    "every share of sampled answers is within 15 points of 1 - f times that from clean rows",
    all(abs(x - (1 - f) * sampled[0]) <= 0.15 for f, x in zip(noisy, sampled)),
    sampled,
)
claims.claim("at f = 0.5 the most probable answer is right at least 15 points more often",
             top[2] >= sampled[2] + 0.15, by_noise)  # fmt: skip

# %% [markdown]
# Last, the drift. **Predict** what share of sampled answers comes in the new form, a bare value in
# place of a sentence, when 40% of the rows have it, and these were the last to be written.

# %%
options = {
    "A": "nearly none: most rows have the old form",
    "B": "about as many as rows: 25% to 55%",
    "C": "nearly all: the new form came last",
}
prediction = None  # "A", "B" or "C"
print(*(f"{letter}: {text}" for letter, text in options.items()), sep="\n")

# %%
drift = train("drift", drifted, **TWICE)
known_asked = asked["known to pre-training"]
pairs = zip(known_asked, responses(drift, known_asked, 1.0))
share = wilson(sum(e.meta["name"] not in text for e, text in pairs), len(known_asked))
letter = "A" if share.value < 0.25 else "C" if share.value > 0.55 else "B"
claims.reveal(prediction, options, letter)
claims.claim("the new form's share among sampled answers is within 15 points of its share of rows",
             abs(share.value - 0.4) <= 0.15, share)  # fmt: skip

# %%
# NBVAL_IGNORE_OUTPUT
for example, text in zip(known_asked, responses(drift, known_asked[:6], 1.0)):
    print(f"{example.prompt}\n   {text}")

# %% [markdown]
# Training shuffles the rows, so the order in which people wrote them is lost. A user gets sometimes
# one form and sometimes the other. All three flaws have one remedy: before you train, read the rows in
# the order in which they were collected. There are few enough.

# %% [markdown]
# ## 3.11 Side by side
#
# Compare the generalist with the specialist yourself, first blind, then by name. The panel needs a
# running kernel; the table below it does not.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.panel import Panel

prompts = [tests[task][place] for place in (2, 3) for task in KINDS]
pair = {"generalist": generalist, "specialist": specialist}
Panel(pair, prompts, log=FOLDER / "votes.jsonl", max_new_tokens=64)

# %%
# NBVAL_IGNORE_OUTPUT
from IPython.display import HTML

from alignlab import compare
from alignlab.panel_pages import below

HTML(below([compare.respond(pair, prompts[:6], max_new_tokens=64)]))

# %% [markdown]
# ## Exercises
#
# Seven exercises, two hours in all: [exercises/03_sft_data_and_generalization.ipynb](../exercises/03_sft_data_and_generalization.ipynb).
# You measure variety, find test rows among training rows, estimate the share of wrong labels, plan
# a mixture, fit a learning curve, compare wordings pair by pair, and compute forgetting.
#
# ## Quiz

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import quiz

quiz.show(quiz.load("03"))

# %% [markdown]
# ## Summary
#
# - **Two kinds of data.** Pre-training data are vast, raw and various; SFT rows are few, labelled
#   and alike, and one person can read them all.
# - **Size.** Where pre-training holds the facts, sixteen rows brought nearly all that hundreds did.
#   Where it does not, more rows of the same kind brought nothing.
# - **Specialization.** Rows of one task cost other tasks; a mixture of the same size kept most of them.
# - **Generalization** is always to something. The behaviour carried over to other products, facts did
#   not. After rows in one wording, the score in that wording promised too much. Unseen tasks were done
#   in part.
# - **Flaws.** Copies were learned by heart. Wrong labels and a drifting form showed up in sampled
#   answers with their share of the rows. The most probable answer stayed right more often, since the
#   errors did not agree.
#
# Go on to chapter 4, [What can a demonstration say that a comparison cannot, and the reverse?](04_instruction_vs_preference.ipynb)
