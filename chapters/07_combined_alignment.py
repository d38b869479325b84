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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/07_combined_alignment.ipynb)
#
# # 7. Why SFT then DPO, and how do we build preference data we can trust?
#
# You know both stages by now. This chapter puts them together and asks what each one is for. Then
# it turns to the comparisons themselves: who made them, how far to believe them, and what a model
# learns from people who choose badly. At the end you sort six requests of a product team by the
# stage that serves them, each by a figure that you have measured.
#
# **After this chapter you can**
#
# - say what SFT and DPO each bring, alone and together, and why the order matters;
# - measure whether a preference carries over to tasks that nobody compared;
# - audit annotators before anything is trained on their choices, and name what is wrong with them;
# - turn your own votes into a DPO data set, and measure what it taught;
# - choose SFT, DPO, both or neither for a new project, and name the measurement behind the choice.
#
# **Time**: 75 minutes to read and predict; the code runs for about three of them on two CPU cores.
# **Hardware**: a laptop. Nothing is downloaded.
#
# **Before**: SFT (chapters 1 to 3), comparisons and Bradley–Terry (chapter 4), DPO (chapter 6).
# **Here**: combined use of both, preferences as a step for generalization, which stage is
# responsible for which behaviour, preference data quality, bias in preference data, choosing a
# strategy for a chatbot. **After**: your own project.
#
# | symbol | meaning |
# |---|---|
# | $x$, $y$ | a prompt and a response to it |
# | $\pi_\text{ref}$, $\pi$ | the reference model, from which DPO starts, and the trained model |
# | $r(x, y)$ | the reward of a response: how much it is liked |
# | $\beta$ | the price of moving away from the reference |
# | $\sigma$ | the logistic function, $\sigma(u) = 1 / (1 + e^{-u})$ |

# %%
import subprocess
import sys

if "google.colab" in sys.modules:
    course = "git+https://github.com/OWNER/alignlab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", course], check=True)

from alignlab import chapter

FOLDER, MODEL, QUIET = chapter.begin()

# %% [markdown]
# ## Two kinds of rows
#
# Both stages see the same prompts. A demonstration holds one response; a comparison holds two, and
# says which was preferred. Here is a demonstration; a comparison follows further below. The staff of
# our invented company explain ideas in their own styles: half of them write technically, the others
# plainly, some with a friendly word before or after.

# %%
from alignlab.world import World
from alignlab.world.grammar import Dice
from alignlab.world.recipes import labelled
from alignlab.world.tasks import draw_examples

world = World(0)
example = draw_examples(world, "explain", 1, seed=3)[0]
row = labelled([example], "look")[0]
print(f"prompt          {example.prompt}")
print(f"demonstration   {row['completion'][0]['content']}")

# %% [markdown]
# What does each loss count of such a row? The tokens with a 1 below, which are the response and the
# sign that ends it. The prompt is read and not scored. DPO applies the same mask to both of its
# responses.

# %%
from alignlab.data import show_mask
from alignlab.models import load_model, load_tokenizer

tokenizer = load_tokenizer(MODEL)
for token, counted in show_mask(tokenizer, row)[:24]:
    print(f"{counted} {token!r}", end="  ")

# %% [markdown]
# ## Why two stages, on paper
#
# Chapter 6 showed what DPO aims at. If $r$ is the reward behind the comparisons, the best policy is
#
# $$\pi(y \mid x) = \frac{1}{Z(x)}\, \pi_\text{ref}(y \mid x)\, e^{r(x, y) / \beta} ,$$
#
# where $Z(x)$ makes the probabilities add up to 1 (Rafailov et al., 2023). So DPO *multiplies* what
# the reference already gives. Three things can come after a prompt: a plain answer with reward 1,
# a technical answer with reward −1, or no answer at all, of which no comparison tells: reward 0.
# Take $\beta = \tfrac12$.

# %%
import torch

reward = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)


def best_policy(reference, beta=0.5):
    """Return the policy that DPO aims at, for the probabilities of a reference."""
    weight = reference * torch.exp(reward / beta)
    return weight / weight.sum()


references = {"base model": [1e-6, 1e-6, 1 - 2e-6], "SFT model": [0.49, 0.49, 0.02]}
for name, reference in references.items():
    plain, technical, none = best_policy(torch.tensor(reference).double()).tolist()
    print(f"from the {name}: plain {plain:.3f}, technical {technical:.3f}, no answer {none:.3f}, "
          f"plain : technical {plain / technical:.1f}")  # fmt: skip

# %% [markdown]
# Check it by hand: $e^2 = 7.39$ and $e^{-2} = 0.135$, so from the SFT model the weights are 3.62,
# 0.066 and 0.02. In both rows plain beats technical by $e^4 = 54.6$, which is all that the
# comparisons ask for. Yet from the base model you still get no answer: seven times one in a million
# is nothing. The comparisons are content, and the user is not.
#
# To say this of four real models we need one more number. Let $o$, $s$, $d$ and $b$ be the scores
# with neither stage, with SFT, with DPO, and with both. The *interaction* is what DPO gains after
# SFT less what it gains without:

# %%


def interaction(neither, sft, dpo, both):
    """Return DPO's gain after SFT less its gain without."""
    return (both - sft) - (dpo - neither)


print(f"each adds the same:    {interaction(0.1, 0.6, 0.3, 0.8):+.2f}")
print(f"DPO needs SFT first:   {interaction(0.1, 0.6, 0.1, 0.8):+.2f}")

# %% [markdown]
# ## The data of both stages
#
# The demonstrations are a small mixture: explanations in all styles, questions about products,
# instructions that a program can check (a notice in capitals, a list, a number of sentences, given
# words at the start), and requests to refuse or to help with. All entities come from the training
# split.

# %%
from datasets import Dataset

MIX = {"explain": 160, "manual": 100, "capitals": 60, "list": 120, "sentences": 90,
       "opening": 120, "refuse": 50}  # fmt: skip
rows = [
    row
    for task, count in MIX.items()
    for row in labelled(draw_examples(world, task, count, seed=7), task)
]
demonstrations = Dataset.from_list(Dice("mix").shuffled(rows))
print(len(demonstrations), "demonstrations of", len(MIX), "tasks")

# %% [markdown]
# The comparisons are about explanations alone, and only about ideas of every second topic; the
# others are kept for a later question.

# %%
from alignlab.world.judges import find_idea

TOPICS = sorted({idea["topic"] for idea in world.everyone("ideas")})
COMPARED = TOPICS[::2]


def topic(example):
    """Return what the idea of an example is about, such as weather or law."""
    return find_idea(example.meta["idea"])["topic"]


print("compared:    ", ", ".join(COMPARED))
print("not compared:", ", ".join(TOPICS[1::2]))

# %% [markdown]
# `draw_pool` draws prompts with two responses each and no label yet. Both responses of a pair tell
# the same plain explanation. They differ in what is round it: nothing, a friendly word before it,
# friendly words on both sides, or one technical sentence more at the end, which looks thorough. A
# pool is drawn once and can be labelled by anybody. The first pair:

# %%
from alignlab.world.grammar import expand
from alignlab.world.tasks import plain_tellings


def draw_pool(count, seed, split="train"):
    """Draw examples with two responses each, (example, first, second), not labelled yet."""
    dice, pool = Dice(f"pool:{seed}"), []
    for example in draw_examples(world, "explain", 3 * count, split, seed=f"pool{seed}"):
        if topic(example) in COMPARED and len(pool) < count:
            idea = find_idea(example.meta["idea"])
            told = list(plain_tellings(idea, dice).values())
            told.append(f"{told[0]} {expand(idea['technical'][0], dice)}")
            pool.append((example, *dice.sample(told, 2)))
    return pool


pool = draw_pool(160, "train")
print("\n\n".join(pool[0][1:]))

# %% [markdown]
# Now an annotator chooses. The first one is careful: the probability of a choice is
# $\sigma(2 (r_1 - r_2))$, where $r$ is the true reward, with marks for being correct, clear,
# friendly, short and safe. `label` asks for a choice on each pair; you will meet other annotators
# below. `round_` stands for one sitting: the same round gives the same choices.

# %%
from alignlab.world.recipes import CAREFUL

TEAM = {"careful": (CAREFUL, 0.0)}  # who compares, and how often without reading


def label(pool, name, round_=1, swapped=False):
    """Let one of the team choose on each pair: True where its first response was chosen."""
    annotator, unread = TEAM[name]
    dice, choices = Dice(f"{name}:{round_}"), []
    for example, first, second in pool:
        shown = (second, first) if swapped else (first, second)
        took_left = dice.chance(unread) or dice.chance(
            annotator.prefers_first(example.meta, *shown)
        )
        choices.append(took_left != swapped)
    return torch.tensor(choices)


chose_first = label(pool, "careful")
print(f"{int(chose_first.sum())} of {len(pool)} choices went to the first response")

# %% [markdown]
# With the labels the pool becomes a data set for DPO: rows of a prompt, the response that was
# chosen and the one that was rejected. These are the columns that TRL reads.

# %%
from alignlab.world.preferences import Pair
from alignlab.world.recipes import compared


def preferences(pool, choices):
    """Return labelled pairs as a data set for DPO."""
    pairs = []
    for (example, first, second), chose_first in zip(pool, choices.tolist()):
        two = (first, second) if chose_first else (second, first)
        pairs.append(Pair(example.prompt, *two, example.meta, 0.0))
    return Dataset.from_list(compared(pairs))


careful = preferences(pool, chose_first)
print(len(careful), "rows with", ", ".join(careful.column_names))

# %% [markdown]
# ## Where the base model stands
#
# Everything is measured on held-out cases: ideas, products and notices that no training row
# mentions; for the ideas, the wordings of the requests are held out as well. `about` takes one
# request for each idea, and `ask` lets a model respond to examples.

# %%
from alignlab import evaluate


def about(topics, count, seed):
    """Return requests to explain held-out ideas of some topics, one for each idea."""
    drawn = draw_examples(world, "explain", 16 * count, "test", "held_out", seed=seed)
    return list({e.meta["idea"]: e for e in drawn if topic(e) in topics}.values())[:count]


ideas = about(COMPARED, 50, "main")
instructed = [e for family in ("capitals", "list", "sentences", "opening")
              for e in draw_examples(world, family, 18, "test", seed=7)]  # fmt: skip
products = draw_examples(world, "manual", 60, "test", seed=7)


def ask(run, examples, **options):
    """Return a model's responses to examples, and which of them ended by themselves."""
    return evaluate.respond(load_model(run), tokenizer, examples, **options)


print(len(ideas), "ideas,", len(instructed), "instructions,", len(products), "products")

# %% [markdown]
# Before any training, look at what the base model makes of three of the requests.

# %%
# NBVAL_IGNORE_OUTPUT
asked = [ideas[0], products[0], instructed[0]]
for example, text in zip(asked, ask(MODEL, asked, max_new_tokens=40)[0]):
    print(f"{example.prompt}\n>>> {text}\n")

# %% [markdown]
# Whatever is asked, it writes a page of a kind that it has read, or nothing. It was never shown
# what an answer is, or that one is wanted of it.
#
# ## Four models
#
# Now train three more: SFT alone, DPO alone on the base model, and DPO after SFT. The comparisons
# are the same in both DPO runs. Ouyang et al. (2022) ran SFT first; a team in a hurry might ask why
# not to skip it. What do you expect?

# %%
prediction_alone = None
OPTIONS_ALONE = {
    "A": "DPO alone gains nearly as much as after SFT: the chosen responses are answers too",
    "B": "DPO alone gains hardly anything: there is nothing yet to choose from",
    "C": "DPO alone gets about half-way",
}

# %% [markdown]
# Leave `prediction_alone` empty, or write a letter, and go on. The next cell trains. Each run is a
# folder, and DPO takes such a folder as the model to start from, which is also its reference. The
# recipe is the one of the bundled preferences: DPO's loss plus 4 times the mean negative
# log-likelihood of the chosen response, a term that keeps DPO from pushing both responses down
# (Pang et al., 2024). It was chosen on ideas of the validation split; all figures below are of the
# test split.

# %%
from alignlab.dpo import ANCHORED, dpo
from alignlab.sft import sft

DPO_OPTIONS = ANCHORED | QUIET
runs = {
    "base": MODEL,
    "SFT": sft(MODEL, demonstrations, FOLDER / "sft", **QUIET),
    "DPO only": dpo(MODEL, careful, FOLDER / "dpo_only", **DPO_OPTIONS),
}
runs["SFT + DPO"] = dpo(runs["SFT"], careful, FOLDER / "both", **DPO_OPTIONS)
print("trained:", ", ".join(list(runs)[1:]))

# %% [markdown]
# Two scores for each model. The *instruction score* is the share of instructions that a program
# finds kept. The *preference win rate* is how often a response to a held-out idea has a higher true
# reward than the SFT model's, with ties as a half. So the SFT model itself stands at ½.

# %%
from alignlab.world.judges import judge
from alignlab.world.preferences import true_reward


def kept(examples, texts):
    """Return the share of responses that do what was asked, with its interval."""
    return evaluate.wilson(sum(judge(e.meta, t) for e, t in zip(examples, texts)), len(texts))


def rewards(examples, texts):
    """Return the true reward of each response."""
    return torch.tensor([true_reward(e.meta, t) for e, t in zip(examples, texts)])


def win_rate(ours, theirs):
    """Return how often the first rewards are the higher ones; ties count half."""
    gap = ours - theirs
    return evaluate.bootstrap(torch.where(gap.abs() < 1e-6, 0.5, (gap > 0).double()).numpy())


GREEDY = {"max_new_tokens": 80}
of_sft = ask(runs["SFT"], ideas, **GREEDY)[0]
reference = rewards(ideas, of_sft)

# %% [markdown]
# All four answer the same prompts, with the most probable token each time.

# %%
instructions, explained, wins = {}, {}, {}
for name, run in runs.items():
    instructions[name] = kept(instructed, ask(run, instructed, max_new_tokens=64)[0])
    explained[name] = ask(run, ideas, **GREEDY)
    wins[name] = win_rate(rewards(ideas, explained[name][0]), reference)
print("answered by:", ", ".join(explained))

# %% [markdown]
# *How to read the figure*: four bars for each score, one for each model; a bar's whisker is its 95%
# interval, and the thin line is ½, the win rate of a model against its like.

# %%
import matplotlib.pyplot as plt

from alignlab import figures


def above(ax, line=None):
    """Put the legend above the bars, and draw a thin line to compare them with."""
    ax.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    if line is not None:
        ax.axhline(line, color="#595959", linewidth=0.8)


fig, ax = plt.subplots(figsize=(8, 4))
stages = {"instruction score": instructions, "win rate against SFT": wins}
figures.bars(stages, ax, "share of prompts, with 95% interval")
above(ax, 0.5)
plt.show()

# %% [markdown]
# The same in figures, each with its interval:

# %%
# NBVAL_IGNORE_OUTPUT
print(evaluate.format_scores(
    {name: {key: score[name] for key, score in stages.items()} for name in runs}
))  # fmt: skip

# %% [markdown]
# Your prediction beside what was measured, and what may be claimed from it. A claim that does not
# hold stops the notebook.

# %%
from alignlab.claims import claim, reveal

share = (wins["DPO only"].value - wins["base"].value) / (wins["SFT + DPO"].value - 0.5)
reveal(prediction_alone, OPTIONS_ALONE, "A" if share > 0.75 else "B" if share < 0.25 else "C")
claim(
    "SFT alone keeps at least 6 in 10 instructions, the base model at most 2",
    instructions["SFT"].value >= 0.6 and instructions["base"].value <= 0.2,
    instructions,
)
claim(
    "SFT, then DPO: it wins against the SFT model on over half of the ideas, interval included",
    wins["SFT + DPO"].low > 0.5,
    wins["SFT + DPO"],
)
claim(
    "DPO without SFT wins on less than half, interval included, and keeps at most 2 in 10",
    wins["DPO only"].high < 0.5 and instructions["DPO only"].value <= 0.2,
    wins["DPO only"],
)

# %% [markdown]
# The interaction says it in one number. It is computed idea by idea, since an idea that is hard is
# hard for all four. The score of an idea is 1 for a win against the SFT model, ½ for a tie, 0 for a
# loss; the interval is a bootstrap over the ideas.

# %%
each = {
    name: torch.sign((rewards(ideas, texts) - reference).round(decimals=5)) / 2 + 0.5
    for name, (texts, _) in explained.items()
}
found = evaluate.bootstrap(
    interaction(each["base"], each["SFT"], each["DPO only"], each["SFT + DPO"]).numpy()
)
claim(
    "DPO needs what SFT has taught: the interaction is above 0, interval included",
    found.low > 0,
    found,
)

# %% [markdown]
# One bar has gone the other way. Look at the left group of the figure again, at SFT and at both.
# Nobody compared responses to instructions, and many of the responses chosen for other requests begin
# or end with a friendly word. In a notice in capitals, or where exactly two sentences are asked for,
# that would be a mistake.

# %%
claim(
    "DPO on explanations alone costs instructions: at least 10 points fewer than after SFT",
    instructions["SFT + DPO"].value <= instructions["SFT"].value - 0.1,
    instructions,
)

# %% [markdown]
# Ouyang et al. (2022) call what alignment costs elsewhere an alignment tax. Whoever trains on
# comparisons has to measure what was not compared; further below you will do so for more kinds of
# request.

# %% [markdown]
# ## Did DPO alone learn nothing?
#
# Its comparisons were the same. So ask it what DPO trains: of two written responses, which one has
# gained more probability, compared with the model it started from? On held-out pairs, how often is
# that the preferred one? This share is the accuracy of its *implied reward*.

# %%
from alignlab.divergence import response_logprobs

unseen = draw_pool(80, "unseen", "test")
held_out = preferences(unseen, label(unseen, "careful"))


def scored(run, column):
    """Return log π(y | x) of the responses in one column of the held-out pairs."""
    prompts = [row["prompt"] for row in held_out]
    responses = [row[column][0]["content"] for row in held_out]
    return torch.tensor(
        [sum(x) for x in response_logprobs(load_model(run), tokenizer, prompts, responses)]
    )


gained = {
    column: scored(runs["DPO only"], column) - scored(MODEL, column)
    for column in ("chosen", "rejected")
}
ranked = evaluate.wilson(int((gained["chosen"] > gained["rejected"]).sum()), len(held_out))
claim(
    "the implied reward of DPO alone ranks over half of the pairs as chosen, interval included",
    ranked.low > 0.5,
    ranked,
)

# %% [markdown]
# And what do the four say, when they are asked? The first of the held-out ideas:

# %%
# NBVAL_IGNORE_OUTPUT
for name in runs:
    print(f"--- {name}\n{explained[name][0][0]}\n")

# %% [markdown]
# It learned something of how to rank answers, and gives hardly any that is liked. This is the calculation
# from the beginning, in a real model: the comparisons moved probability among texts that the base
# model hardly ever writes. Not even the likelihood term in the recipe, which treats the 160 chosen
# responses as demonstrations, made up for it in one pass at this rate. SFT first makes answers
# probable; then DPO's choice among them shows.
#
# ## Which stage is responsible for which behaviour?
#
# Four behaviours, four models. *Knows*: shown the beginning of a sentence from the catalogue, in
# plain text, it continues with the right fact. *Answers*: asked the same as a question, it states
# this fact. *Explains*: asked for an idea, it gives an explanation that the judge finds
# right, and ends by itself. *Preferred*: the win rate from above.


# %%
def beginning(example):
    """Return a sentence that states the fact, up to the fact."""
    name, value = example.meta["name"], example.meta["value"]
    texts = [text for text in example.labels() if text.find(name) < text.find(value)]
    return texts[0].split(value)[0].rstrip()


begun = [beginning(example) for example in products]
print(begun[0], "... ->", products[0].meta["value"])

# %% [markdown]
# Such a beginning is not a chat: no template is laid round it. The other three behaviours are asked
# for as in any chat.

# %%
from alignlab.generate import generate


def finishes(run):
    """Return how often a model continues the catalogue's sentences with the right fact."""
    texts = generate(load_model(run), tokenizer, begun, chat=False, max_new_tokens=12)
    facts = [example.meta["value"] for example in products]
    return evaluate.wilson(sum(t.strip().startswith(f) for t, f in zip(texts, facts)), len(facts))


knows = {name: finishes(run) for name, run in runs.items()}
answered = {name: ask(run, products, max_new_tokens=40)[0] for name, run in runs.items()}
answers = {name: kept(products, texts) for name, texts in answered.items()}
explains = {
    name: evaluate.wilson(sum(e and judge(i.meta, t) for i, t, e in zip(ideas, *two)), len(ideas))
    for name, two in explained.items()
}

# %% [markdown]
# *How to read the figure*: find for each behaviour the first bar that is high. The stage that this
# bar has and the bar before it lacks is the one responsible.

# %%
fig, ax = plt.subplots(figsize=(9, 4))
behaviours = {"knows": knows, "answers": answers, "explains": explains, "preferred": wins}
figures.bars(behaviours, ax, "share of cases, with 95% interval")
above(ax)
plt.show()

# %% [markdown]
# Four claims, one for each behaviour. The quiz asks you to tell such behaviours apart without a
# figure.

# %%
claim(
    "pre-training brings the facts: the base model finishes at least 7 in 10 sentences rightly",
    knows["base"].value >= 0.7,
    knows,
)
claim(
    "SFT brings the answers: from at most 3 in 10 questions to at least 7 in 10",
    answers["base"].value <= 0.3 and answers["SFT"].value >= 0.7,
    answers,
)
claim(
    "SFT brings the explanation: from at most 2 in 10 that are right and end to at least 7 in 10",
    explains["base"].value <= 0.2 and explains["SFT"].value >= 0.7,
    explains,
)
claim(
    "DPO brings what is preferred: after it the win rate is above that of SFT alone",
    wins["SFT + DPO"].low > wins["SFT"].value,
    wins,
)

# %% [markdown]
# ## Does the order matter?
#
# The other way round: the DPO-only model goes on to SFT, on the same demonstrations as before. Half
# of these are technical, as the staff write. What will its win rate against the SFT model be?

# %%
prediction_order = None
OPTIONS_ORDER = {
    "A": "as high as after SFT and then DPO, within 10 points: both data sets have been seen",
    "B": "lower than that, but not below one half",
    "C": "below one half: DPO has done harm that SFT cannot mend",
}

# %% [markdown]
# `sft` goes on in the adapter that DPO has trained. The new model answers the same ideas.

# %%
runs["DPO, then SFT"] = sft(runs["DPO only"], demonstrations, FOLDER / "reversed", **QUIET)
texts, _ = ask(runs["DPO, then SFT"], ideas, **GREEDY)
wins["DPO, then SFT"] = win_rate(rewards(ideas, texts), reference)
swapped = wins["DPO, then SFT"]
lower = swapped.value < wins["SFT + DPO"].value - 0.1
reveal(prediction_order, OPTIONS_ORDER, "C" if swapped.high < 0.5 else "B" if lower else "A")
last = win_rate(rewards(ideas, explained["SFT + DPO"][0]), rewards(ideas, texts))
claim(
    "the same two data sets: DPO last wins against SFT last, interval included",
    last.low > 0.5,
    last,
)

# %% [markdown]
# SFT pulls the model towards the demonstrations, wherever it starts (chapter 2: it minimises the
# divergence from the data to the model), and half of these explain technically. By the same
# argument SFT last should keep what else the demonstrations show. Do the instructions come back?

# %%
texts, _ = ask(runs["DPO, then SFT"], instructed, max_new_tokens=64)
instructions["DPO, then SFT"] = kept(instructed, texts)
claim(
    "and SFT last keeps at least 10 points more instructions than DPO last",
    instructions["DPO, then SFT"].value >= instructions["SFT + DPO"].value + 0.1,
    instructions,
)

# %%
# NBVAL_IGNORE_OUTPUT
orders = ("SFT + DPO", "DPO, then SFT")
print(evaluate.format_scores({o: {k: s[o] for k, s in stages.items()} for o in orders}))

# %% [markdown]
# Each score was higher where the stage that is about it came last. If you want both, what matters
# to you has to be in the data of the last stage.
#
# ## Does the preference carry over?
#
# Nobody has compared anything but explanations of ideas from every second topic. Three kinds of
# prompt lie further and further away: ideas of the *other topics*; *questions* about products, in
# whose demonstrations nobody was ever friendly; and explanations in *exactly so many sentences*,
# where one friendly sentence more breaks the instruction.

# %%
prediction_transfer = None
OPTIONS_TRANSFER = {
    "A": "the gain on other topics is less than a third of that on the topics compared",
    "B": "it is between one and two thirds",
    "C": "it is more than two thirds",
}

# %% [markdown]
# Both models, before and after DPO, answer prompts of all four kinds, and the true reward compares
# them. It counts a friendly word as better in a right answer to a question, too.

# %%
kinds = {
    "topics compared": ideas,
    "other topics": about(TOPICS[1::2], 50, "other"),
    "questions": products,
    "exact sentences": draw_examples(world, "sentences", 60, "test", seed=8),
}
before_after = {"topics compared": (of_sft, explained["SFT + DPO"][0])}
for name, examples in list(kinds.items())[1:]:
    before_after[name] = tuple(
        ask(runs[stage], examples, **GREEDY)[0] for stage in ("SFT", "SFT + DPO")
    )
transfer = {
    name: win_rate(*(rewards(kinds[name], texts) for texts in reversed(two)))
    for name, two in before_after.items()
}

# %% [markdown]
# *How to read the figure*: on the left, how far a bar reaches above the line at ½ is the gain; from
# left to right the prompts are less and less like those compared. On the right, whether the
# friendly phrases came along.

# %%
from alignlab.world.preferences import form_parts


def phrased(examples, texts):
    """Return the share of responses with a friendly phrase, be they right or wrong."""
    return evaluate.wilson(
        sum(form_parts(e.meta, t)["friendly"] > 0 for e, t in zip(examples, texts)), len(texts)
    )


phrases = {
    name: {stage: phrased(kinds[name], texts) for stage, texts in zip(("SFT", "SFT + DPO"), two)}
    for name, two in before_after.items()
}
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
figures.bars({name: {"SFT + DPO": score} for name, score in transfer.items()}, left,
             "win rate against SFT, with 95% interval")  # fmt: skip
figures.bars(phrases, right, "share with a friendly phrase, with 95% interval")
for ax, line in ((left, 0.5), (right, None)):
    above(ax, line)
    ax.tick_params("x", rotation=15)
plt.show()

# %% [markdown]
# Before you read the claims: what would you tell the owner of a product whose users ask for exactly
# two sentences?

# %%
gain = {name: score.value - 0.5 for name, score in transfer.items()}
share = gain["other topics"] / gain["topics compared"]
reveal(
    prediction_transfer, OPTIONS_TRANSFER, "A" if share < 1 / 3 else "B" if share < 2 / 3 else "C"
)
claim(
    "topics never compared: the win rate is above one half, interval included",
    transfer["other topics"].low > 0.5,
    transfer,
)
claim(
    "questions: a friendly phrase in at most one answer in five",
    phrases["questions"]["SFT + DPO"].value <= 0.2,
    phrases,
)
claim(
    "exact sentences: the win rate is below one half, interval included",
    transfer["exact sentences"].high < 0.5,
    transfer,
)

# %% [markdown]
# A friendly word is liked in any topic, and no list of answers had to be learned for it: the
# preference went over to ideas that nobody compared. It did not reach the questions, where it would
# have done no harm. It did reach the explanations of a given length, where it breaks the instruction.
# Where a preference goes, and whether that is good, has to be measured kind by kind.
#
# ## Who labels?
#
# So far one careful annotator has chosen. Here are three more. One is *careless*: 40% of the labels
# are turned round at random. One *likes length*: every word more counts as much as 0.7 units of
# reward. One *takes the first*: in 60% of the pairs whatever is shown first is chosen unread. From
# outside, all four deliver the same thing, a column of choices.

# %%
from alignlab.world.preferences import Annotator

TEAM |= {
    "careless": (Annotator(sharpness=2.0, flips=0.4), 0.0),
    "likes length": (Annotator(length_bias=0.7), 0.0),
    "takes the first": (CAREFUL, 0.6),
}
for name in TEAM:
    example, first, second = pool[0]
    chose = label(pool[:1], name)[0]
    print(f"{name:16} chose: ... {(first if chose else second)[-70:]}")

# %% [markdown]
# ## An audit, before anything is trained
#
# The team lays 200 pairs aside whose truth is known, for instance because three experts have
# settled them: the *gold* pairs. Everybody labels them twice, the second time with the two
# responses in changed-over places (Zheng et al., 2023, found language models that judge to favour a
# place). Four figures come out of it:
#
# - *right*: how often the truly better response was chosen;
# - *same response*: how often both rounds chose the same one;
# - *first place*: of the pairs in which one *place* was chosen twice, how often it was the first;
# - *length*: what ten more words are worth, as a weight beside that of the reward.
#
# The last one needs a small fit. Let $\Delta r$ be the reward of the chosen response less that of
# the other one, and $\Delta l$ the same for length in tens of words.

# %%
from alignlab.world.statements import words


def gaps(pool):
    """Return reward and tens of words of each first response, less those of the second, (n, 2)."""
    return torch.tensor([
        [true_reward(e.meta, a) - true_reward(e.meta, b), (len(words(a)) - len(words(b))) / 10]
        for e, a, b in pool
    ]).double()  # fmt: skip


gold = draw_pool(200, "gold")
gold_gaps = gaps(gold)
print(f"the longer response is the better one in "
      f"{(gold_gaps.sign().prod(1) > 0).double().mean():.0%} of the gold pairs")  # fmt: skip

# %% [markdown]
# By Bradley and Terry, with a taste for length, the choice had the probability $\sigma(w_r \Delta r
# + w_l \Delta l)$. The weights $w_r$ and $w_l$ that make all choices most probable say what went
# into them, and the curvature there gives their standard errors. The loss is chapter 4's.

# %%
from torch.autograd.functional import hessian, jacobian

from alignlab.losses import bradley_terry_loss


def fit(chosen_gaps):
    """Return the two weights of greatest likelihood and their standard errors."""

    def loss(w):
        return bradley_terry_loss(chosen_gaps @ w, torch.zeros(len(chosen_gaps))).sum()

    weights = torch.zeros(2, dtype=torch.float64)
    for _ in range(50):  # Newton's method
        slope = jacobian(loss, weights)
        weights = weights - torch.linalg.solve(hessian(loss, weights), slope)
    return weights, hessian(loss, weights).inverse().diagonal().sqrt()


four = torch.tensor([[1, 0.1], [1, -0.1], [1, 0], [-1, 0]], dtype=torch.float64)
# Adding 0.0 makes 0.0 of -0.0.
print("weights of four choices:", [round(weight, 3) + 0.0 for weight in fit(four)[0].tolist()])

# %% [markdown]
# Check it by hand: three of the four choices went to the response that is better by 1, and length
# favours neither side. So $\sigma(w_r) = \tfrac34$, which gives $w_r = \log 3 = 1.099$, and $w_l =
# 0$. Now the audit itself. Everybody labels the gold pairs twice.


# %%
def audit(name):
    """Return what two rounds of labels on the gold pairs say of an annotator."""
    one, two = label(gold, name, 1), label(gold, name, 2, swapped=True)
    same_place = one[one != two]
    weights, errors = fit(torch.where(one[:, None], gold_gaps, -gold_gaps))
    return {
        "right": evaluate.wilson(int((one == (gold_gaps[:, 0] > 0)).sum()), len(gold)),
        "same response": evaluate.wilson(int((one == two).sum()), len(gold)),
        "first place": evaluate.wilson(int(same_place.sum()), max(len(same_place), 1)),
        "length": (float(weights[1]), float(errors[1])),
    }


audits = {name: audit(name) for name in TEAM}
print("audited:", ", ".join(audits))

# %% [markdown]
# Before you look: one of the four agrees with its own second labels nearly always, and is wrong all
# the same. Which one?

# %%
prediction_audit = None
OPTIONS_AUDIT = dict(zip("ABCD", TEAM))

# %% [markdown]
# Here is what the two rounds say. Look for the odd figure in each row.

# %%
print(f"{'':16}{'right':>7}{'same response':>16}{'first place':>22}{'length':>17}")
for name, found in audits.items():
    place, (weight, error) = found["first place"], found["length"]
    print(
        f"{name:16}{found['right'].value:7.2f}{found['same response'].value:16.2f}"
        f"{place.value:10.2f} [{place.low:.2f}, {place.high:.2f}]{weight:10.1f} ± {error:.1f}"
    )

# %% [markdown]
# Rules make a verdict of the figures, so that two people who audit come to the same one. They are
# asked in this order, since an annotator who goes by place also contradicts himself:
#
# 1. The interval of *first place* leaves out ½: a habit of **place**.
# 2. *Length* is more than three standard errors above 0: a liking for **length**.
# 3. *Same response* in fewer than 80%: **noise**.
# 4. None of these: **fit** to label.


# %%
def verdict(found):
    """Return what is wrong with an annotator, by the rules above."""
    place, (weight, error) = found["first place"], found["length"]
    if not place.low <= 0.5 <= place.high:
        return "place"
    if weight > 3 * error:
        return "length"
    return "noise" if found["same response"].value < 0.8 else "fit"


verdicts = {name: verdict(found) for name, found in audits.items()}
for name, found in verdicts.items():
    print(f"{name:16}{found}")

# %% [markdown]
# The rules know nothing of how the four were made. You do, so compare.

# %%
steady = [n for n, f in audits.items() if f["same response"].low > 0.8 and f["right"].high < 0.8]
reveal(prediction_audit, OPTIONS_AUDIT, "ABCD"[list(TEAM).index(steady[0])])
claim(
    "400 labels a head name what is wrong with each of the four, before any training",
    list(verdicts.values()) == ["fit", "noise", "length", "place"],
    verdicts,
)
claim(
    "agreement alone does not: who likes length is steady in over 9 of 10 pairs, right in under 7",
    audits["likes length"]["same response"].value > 0.9
    and audits["likes length"]["right"].value < 0.7,
    audits["likes length"],
)

# %% [markdown]
# ## What would a model have learned from them?
#
# Now do what the audit is there to prevent. The careless annotator and the one who likes length
# label the same pairs as the careful one did, and the SFT model is trained on their choices. Only
# the labels differ. The true reward compares each of the three models with the SFT model.

# %%
prediction_labels = None
OPTIONS_LABELS = {
    "A": "noise costs more: 40% of the careless labels are turned round, the other's are steady",
    "B": "the liking for length costs more, though those labels are steady",
    "C": "both cost about the same: within 5 points",
}

# %% [markdown]
# The settings are those of the careful run.

# %%
for name in ("careless", "likes length"):
    labels = preferences(pool, label(pool, name))
    runs[name] = dpo(runs["SFT"], labels, FOLDER / name.replace(" ", "_"), **DPO_OPTIONS)
taught = {"careful": (explained["SFT + DPO"][0], wins["SFT + DPO"])}
for name in ("careless", "likes length"):
    texts, _ = ask(runs[name], ideas, **GREEDY)
    taught[name] = texts, win_rate(rewards(ideas, texts), reference)
print("trained on the labels of:", ", ".join(taught))

# %% [markdown]
# *How to read the figure*: one bar for each annotator, how often the model that learned from those
# labels beats the SFT model by the true reward. The line at ½ is the SFT model itself.

# %%
fig, ax = plt.subplots(figsize=(6, 4))
figures.bars(
    {name: {"win rate against SFT": score} for name, (_, score) in taught.items()},
    ax,
    "share of ideas, with 95% interval",
)
above(ax, 0.5)
plt.show()

# %%
careless, length = (taught[name][1].value for name in ("careless", "likes length"))
duel = win_rate(rewards(ideas, taught["likes length"][0]), rewards(ideas, taught["careful"][0]))
reveal(
    prediction_labels,
    OPTIONS_LABELS,
    "C" if abs(careless - length) < 0.05 else "A" if careless < length else "B",
)
claim(
    "labels with a liking for length lose against careful ones, interval included",
    duel.high < 0.5,
    duel,
)
claim(
    "careless labels teach less: the win rate against SFT is at least 5 points below careful",
    careless <= taught["careful"][1].value - 0.05,
    careless,
)

# %% [markdown]
# And what has the model learned that was trained by who likes length? Its answer to the first idea:

# %%
# NBVAL_IGNORE_OUTPUT
print(ideas[0].prompt, taught["likes length"][0][0], sep="\n>>> ")

# %% [markdown]
# ## Can labels be mended?
#
# The annotator who takes the first did read 40% of the pairs. Let every pair be labelled twice,
# with the places changed over, and keep those in which both rounds chose the same response. Two
# choices by place contradict each other, so they are gone, at the cost of pairs.

# %%
one, two = (label(gold, "takes the first", n, swapped=n == 2) for n in (1, 2))
agreed = one == two
better = gold_gaps[:, 0] > 0
print(f"once: {len(gold)} pairs, {(one == better).double().mean():.0%} right")
print(
    f"twice, where they agree: {int(agreed.sum())} pairs, "
    f"{(one == better)[agreed].double().mean():.0%} right"
)

# %%
mended = (one == better)[agreed].double().mean()
liked, again = (label(gold, "likes length", n, swapped=n == 2) for n in (1, 2))
claim(
    "taking the first: agreed pairs are right in 90% or more, all pairs in 80% or fewer",
    mended >= 0.9 and (one == better).double().mean() <= 0.8,
    mended,
)
steady_right = (liked == better)[liked == again].double().mean()
claim(
    "liking length: agreed pairs are right in 65% or fewer, so asking twice mends nothing",
    steady_right <= 0.65,
    steady_right,
)

# %% [markdown]
# Asking twice finds the choices that hang on the place. A liking that pulls the same way each time
# passes unseen: for that it takes gold pairs, or the fit.
#
# ## Your own votes
#
# Comparisons need not come from a file. Let the SFT model answer 48 requests twice, and choose
# yourself: *A*, *B*, a tie, or both bad. Have one wish in mind, and vote by it. Run the next cell,
# vote on as many as you like (at least eight that prefer one side), and only then run the cell after
# it. If you have not voted by then, a simulated voter does: one in a hurry, who wishes for right and
# short answers and cares for nothing else.

# %%
# NBVAL_IGNORE_OUTPUT
from IPython.display import HTML, display

from alignlab.panel import Panel
from alignlab.vote_training import simulate, two_samples, vote_and_train
from alignlab.world.preferences import WEIGHTS

drawn = draw_examples(world, "explain", 160, "train", seed="votes")
to_vote_on = list({example.prompt: example for example in drawn}.values())[:48]
VOTES = FOLDER / "votes.jsonl"
panel = Panel(two_samples(runs["SFT"], to_vote_on, max_new_tokens=80), log=VOTES)
display(panel)

# %% [markdown]
# Each vote is one line of a log, with all that is needed to check it later. The panel writes it
# when you press a button, and the simulated voter uses the same log.

# %%
wishes = WEIGHTS
if not panel.ballot.votes:  # nobody has voted
    wishes = {"correct": 3.0, "clear": 0.0, "friendly": 0.0, "short": 12.0, "safe": 3.0}
    hurried = Annotator(sharpness=2.0, weights=tuple(wishes.items()))
    simulate(panel, to_vote_on, len(to_vote_on), hurried)
cast = panel.ballot.votes
print("votes in the log:", len(cast))
print("fields of a vote:", ", ".join(list(cast[0].model_dump())[:8]), "...")

# %% [markdown]
# Votes deserve the audit too. The log knows which side was chosen and how long both responses were,
# so habits of place and of length show up here as well.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.vote_statistics import habits

print("\n".join(habits(panel.ballot.statistics())))

# %% [markdown]
# `vote_and_train` turns the log into comparisons (ties and the like drop out), runs DPO with the
# SFT model as policy and reference, and lets the model from before and the model from after answer
# new requests. A reward that the training never sees says what was learned: the simulated voter's
# own, or for your votes the true one.

# %%
# NBVAL_IGNORE_OUTPUT
fresh = about(TOPICS, 40, "fresh")
lesson = vote_and_train(
    VOTES, runs["SFT"], FOLDER / "voted", fresh, at_least=8, weights=wishes, max_new_tokens=80,
    **QUIET,
)  # fmt: skip
print(lesson.report())

# %% [markdown]
# Did the model take up the votes? Its implied reward should have come to rank the voted pairs as
# they were voted. Whether new answers come nearer to the wish, the report above tells; with so few
# votes, do not expect a wide margin. Look at its other rows too: what nobody asks for may go.

# %%
from alignlab.plots import read_metrics, series

_, margins = series(read_metrics(lesson.run), "rewards/margins")
claim(
    "on the votes, the implied reward's margin ends above 0.1 nats, from 0 at the start",
    abs(margins[0]) < 1e-3 and sum(margins[-3:]) / 3 > 0.1,
    margins,
)

# %% [markdown]
# ## Six requests
#
# A product team brings six requests. Decide for each what serves it, before you measure:
#
# 1. **Ledger.** Fill in facts of products that came out this morning; their ledger is at hand.
# 2. **Catalogue.** Finish the sentences about known products that a clerk begins to type.
# 3. **Openings.** Answer in one sentence that begins with the words that a form prescribes. The base
#    model is all there is.
# 4. **Explainer.** Explain ideas to callers, so that they like it. The base model is all there is.
# 5. **Dry assistant.** The SFT model of this chapter is in service, right, and too dry: make it
#    friendlier.
# 6. **Wit.** Be witty. Two people who are asked which of two responses is wittier agree about as
#    often as coins do.

# %%
predictions = {1: None, 2: None, 3: None, 4: None, 5: None, 6: None}
STRATEGIES = {
    "A": "neither: prompt the model, or put the facts into the prompt",
    "B": "SFT",
    "C": "preference tuning",
    "D": "SFT, then preference tuning",
    "E": "none of these yet: settle what is wanted, or take a model that can do it",
}

# %% [markdown]
# Three figures are still missing. *With the sheet*: a product that exists nowhere is made up; four
# lines of a stock ledger tell of it, and the base model is to begin one of them again. *With
# examples*: the base model is shown three such answers and goes on. *Asked nicely*: the SFT model's
# prompt ends in a wish for friendliness.

# %%
from alignlab.world.catalogue import ATTRIBUTES, make_product
from alignlab.world.drills import entry

dice, ledgers = Dice("ledgers"), []
for name in world.pool("unknown", "test")[:60]:
    product, told = make_product(name, dice), dice.sample(ATTRIBUTES, 4)
    lines = "\n".join(entry(product, attribute) for attribute in told)
    asked = dice.choice(told)
    value = product.value(asked)
    ledgers.append((f"{lines}\n\n{entry(product, asked).removesuffix(f' {value}')}", asked, value))
print(ledgers[0][0])

# %% [markdown]
# Nothing that the model has read names these products. `go_on` continues a page of plain text to
# the end of the line. The last words of the page alone, without the ledger, are the comparison.

# %%
from alignlab.world.examples import Example


def go_on(pages, run=MODEL, **options):
    """Return how a model continues plain text, up to the end of the line."""
    texts = generate(load_model(run), tokenizer, pages, chat=False, **options)
    return [text.strip().split("\n")[0] for text in texts]


def right(pages, run=MODEL):
    """Return how often a model continues these pages with the right value."""
    texts = go_on(pages, run, max_new_tokens=12)
    return evaluate.wilson(sum(t.startswith(v) for t, (*_, v) in zip(texts, ledgers)), len(texts))


pages = [page for page, *_ in ledgers]
with_sheet, without_sheet = right(pages), right([page.split("\n\n")[1] for page in pages])
claim(
    "the ledger in the prompt is not enough for this base model: right in fewer than half",
    with_sheet.high < 0.5,
    with_sheet,
)

# %% [markdown]
# Retrieval puts the facts before the model, which then has to read them. So small a base model
# hardly does: measure this for yours before you count on retrieval. The other two figures, and the
# opening words of the fine-tuned models:

# %%
begin = draw_examples(world, "opening", 40, "test", seed="forms")
shown = draw_examples(world, "opening", 3, seed="shown")
head = "".join(f"{e.prompt}\n{e.draw(dice)}\n\n" for e in shown)
few_shot = kept(begin, go_on([f"{head}{e.prompt}\n" for e in begin], max_new_tokens=40))
begins = {
    name: kept(begin, ask(runs[name], begin, max_new_tokens=40)[0])
    for name in ("SFT", "DPO only", "SFT + DPO")
}
wish = [Example(e.task, f"{e.prompt} Please be friendly.", e.meta, e.labels) for e in ideas]
nicely = win_rate(rewards(ideas, ask(runs["SFT"], wish, **GREEDY)[0]), reference)

# %% [markdown]
# Now the scorecard: for each of the first five requests what no training, SFT, preference tuning
# alone and both bring. No training has told of the new products (1), so the figure without their
# ledger stands for all three. Where the SFT model is in service already (5), no training means to ask
# nicely, SFT means to end on demonstrations, as the reversed order did, and preference tuning starts
# from the SFT model. For wit (6) there is no bar, since nobody can say what a good response is.

# %%
STAGES = ("no training", "SFT", "preferences", "both")
scorecard = {
    1: (with_sheet, *[without_sheet] * 3),
    2: tuple(knows[name] for name in ("base", "SFT", "DPO only", "SFT + DPO")),
    3: (few_shot, *begins.values()),
    4: tuple(wins[name] for name in ("base", "SFT", "DPO only", "SFT + DPO")),
    5: (nicely, wins["DPO, then SFT"], wins["SFT + DPO"], wins["SFT + DPO"]),
}
fig, ax = plt.subplots(figsize=(11, 4))
figures.bars(
    {f"request {n}": dict(zip(STAGES, row)) for n, row in scorecard.items()},
    ax,
    "share that is good, with 95% interval",
)
above(ax, 0.7)
plt.show()

# %% [markdown]
# *How to read it*: a group is a request, a bar what one strategy brings, and the thin line the 70%
# that the team wants. Take the *first* bar of a group that reaches the line: strategies stand in
# the order of what they cost. Before that, ask whether people agree on what is good. In the audit
# the careful annotator agreed with himself; two who see no wit in anything agree as coins do, and
# below 65% no bar would be believed.

# %%
TEAM["wit"] = (Annotator(sharpness=0.0), 0.0)  # to these eyes no response is wittier
wit = (label(gold, "wit", 1) == label(gold, "wit", 2)).double().mean().item()
agreement = dict.fromkeys(scorecard, audits["careful"]["same response"].value) | {6: wit}


def strategy(request, wanted=0.7):
    """Return the cheapest strategy that reaches what is wanted."""
    if agreement[request] < 0.65:
        return "E"
    good = [letter for letter, score in zip("ABCD", scorecard[request]) if score.value >= wanted]
    return good[0] if good else "E"


for number, guess in predictions.items():
    measured = strategy(number)
    print(f"request {number}: you said {guess or 'nothing'}; {measured}, {STRATEGIES[measured]}")

# %% [markdown]
# Where you chose another letter, look at the group of bars again, and ask which bar you trusted.

# %%
found = {number: strategy(number) for number in predictions}
claim(
    "ledger: nothing serves yet; catalogue: no training; openings: SFT; explainer: both; "
    "dry assistant: preference tuning; wit: nothing yet",
    "".join(found[number] for number in sorted(found)) == "EABDCE",
    found,
)

# %% [markdown]
# ## A guide for a new project
#
# Ask these questions in this order, and stop at the first that settles it. Each points to
# a measurement of this chapter; in your project, measure the same on a hundred cases of your own.
#
# | ask | if so | measured under |
# |---|---|---|
# | Do two people agree on what is good, or on which of two is better? | if hardly more than coins: **settle that first** | *An audit*: same response, careless |
# | Does the text that holds the facts fit into the prompt, or do the facts change? | **retrieval**, no training, if your model reads what it is given | request 1: with the ledger and without |
# | Does the base model do it already when it may simply go on writing? | **prompting**, no training | *Which stage …?*: knows; request 2 |
# | Can people write down the right output, and is its form what is missing? | **SFT** | *Four models*: instruction score; request 3 |
# | Does the model give good answers among others, and do people know the better one when they see it? | **preference tuning** | request 5 |
# | Is the form missing and the style too? | **SFT, then preference tuning**, with what matters most in the data of the last stage | *Four models*: the interaction; *Does the order matter?* |
# | Should the style hold where nobody compared? | measure it there; keep those requests apart whose form it could break | *Does the preference carry over?* |
# | Who made the comparisons? | **audit** with gold pairs, both orders, length | *An audit*; *Can labels be mended?* |
#
# ## Side by side
#
# Ask the three models yourself. In the panel, *Generate* lets two of them answer, in blind order;
# vote, and see who was who. The table below it holds answers that were made before, for readers
# without a running kernel.

# %%
# NBVAL_IGNORE_OUTPUT
three = {name: runs[name] for name in ("base", "SFT", "SFT + DPO")}
prompts = [ideas[0], ideas[5], products[0], instructed[0], kinds["exact sentences"][0]]
Panel(three, prompts, log=FOLDER / "side_by_side.jsonl", max_new_tokens=80)

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import compare

HTML(compare.table(compare.respond(three, prompts, max_new_tokens=80)))

# %% [markdown]
# ## Exercises and quiz
#
# [Exercises 7](../exercises/07_combined_alignment.ipynb): six small functions, among them the effects
# of two stages with their error, the share of a gain that carries over, and an audit of your own.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import quiz

quiz.show(quiz.load("07"))

# %% [markdown]
# ## Summary
#
# What was measured here:
#
# - DPO multiplies what its reference gives. On the base model it came to rank held-out pairs better
#   than chance, and its answers hardly ever won; after SFT the same comparisons brought a win rate
#   well above one half. The interaction is above 0.
# - Pre-training brought the facts, SFT the answers and the explanations, DPO what is preferred.
# - The same DPO cost instructions, which nobody had compared. In the other order the instructions
#   were kept, and less of the preference was left: what came last had the last word.
# - The preference held on topics that nobody compared. It did not reach questions about products,
#   and it reached explanations of a given length, where it did harm.
# - Gold pairs, changed places and a fit of length named noise, a liking for length and a habit of
#   place, before anything was trained. Agreement alone did not: who likes length agreed with his own
#   labels, and what he taught a model lost against careful labels. Asking twice mended the habit of
#   place and not the liking for length.
# - Votes on a model's own samples were trained on like any other comparisons: the model came to rank
#   them as they were voted.
# - Six requests were sorted by what each strategy brought, cheapest first.
#
# This is the last chapter. [Back to the first](01_sft_applicability.ipynb), to
# [DPO](06_dpo.ipynb), or to the concept map in the [README](../README.md); and then to a project of
# your own, with a hundred gold cases before the first run.
