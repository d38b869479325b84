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
# # Exercises 4: what is asked for, and what is preferred
#
# Whether a response has three sentences can be looked up. Whether it is the clearer of two, somebody
# has to say. Six small functions go from the first kind of question to the second: instructions that
# a program can verify, rankings that become pairs, Bradley and Terry's model of a choice, judges with
# a habit, and what happens when the best score is taken for the best response.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take about two and a half hours;
# each can be done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $x$, $y$ | a prompt, and a response to it |
# | $y_c$, $y_r$ | of two responses, the chosen and the rejected one |
# | $r(x, y)$ | the reward of a response: how good it is |
# | $I$ | instructions |
# | $P$, $K$ | prompts, and responses to each that somebody has ranked |
# | $B$ | pairs of responses |
# | $M$, $s_i$ | models that are compared with each other, and the strength of model $i$ |
# | $N$, $n$ | responses to one prompt that have been scored, and how many of them are drawn |
# | $\log$, $\sigma$ | the natural logarithm; the logistic function, $\sigma(u) = 1 / (1 + e^{-u})$ |

# %% nbgrader={"grade": false, "grade_id": "04-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import torch
import torch.nn.functional as F

from alignlab import checks

# %% [markdown]
# ## 1. Did it do as it was told?
#
# *Instruction alignment · 15 minutes · ★☆☆*
#
# "Answer in two sentences. Do not use a comma." Whether a response keeps such instructions, a program
# can say, and nobody's taste comes into it. Zhou et al. (2023) test models on prompts with one
# instruction or several of this kind, and report two figures: the share of all *instructions* that
# were kept, and the share of *prompts* all of whose instructions were kept.
#
# - `kept`, shape $(I,)$: 1 where the instruction was kept, 0 where it was not.
# - `prompt_ids`, shape $(I,)$: whole numbers, 0 or more. Instructions with the same number belong to
#   one prompt. The numbers are names: they come in any order, and some may be missing.
# - Return two numbers: the share of instructions kept, and the share of prompts with all of theirs
#   kept. There is at least one instruction.
#
# Before you write it: can the second be larger than the first?
#
# <details><summary>Hint 1</summary>
#
# A prompt is out as soon as one of its instructions was not kept.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `prompt_ids[kept == 0]` are the prompts that are out, some of them several times. A set, or `unique`,
# has each of them once.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "04-follow-rates-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def follow_rates(kept, prompt_ids):
    """Return the share of instructions kept, and that of prompts with all of theirs kept."""
    ### BEGIN SOLUTION
    broken = prompt_ids[kept == 0].unique()
    return kept.double().mean(), 1 - len(broken) / len(prompt_ids.unique())
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "04-follow-rates", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.follow_rates(follow_rates)

# %% [markdown]
# Here are three responses, each with the instructions of its prompt as little programs.

# %%
cases = [
    ("Steam needs a way out. Leave the lid ajar.", [
        lambda text: text.count(".") == 2, lambda text: "," not in text]),
    ("Descale the kettle once a month, with lemon juice if you have any.", [
        lambda text: text.count(".") == 1, lambda text: "," not in text,
        lambda text: "lemon" in text, lambda text: len(text.split()) < 15]),
    ("SWITCH IT OFF FIRST.", [str.isupper]),
]  # fmt: skip
found = [(int(keeps(text)), i) for i, (text, programs) in enumerate(cases) for keeps in programs]
kept, ids = torch.tensor(found).T
print("kept", kept.tolist(), "of prompts", ids.tolist())
print("instructions {:.2f}, prompts {:.2f}".format(*map(float, follow_rates(kept, ids))))

# %% [markdown]
# And a model that keeps nine instructions in ten, whatever else stands in the prompt.

# %%
generator = torch.Generator().manual_seed(0)
for count in (1, 2, 4, 8):
    kept = (torch.rand(2000 * count, generator=generator) < 0.9).long()
    rates = follow_rates(kept, torch.arange(2000).repeat_interleave(count))
    one, whole = map(float, rates)
    print(f"{count} in each prompt: instructions {one:.2f}, prompts {whole:.2f}")

# %% [markdown]
# The same model, and the second figure has fallen to less than half. So before you compare two models,
# see which of the two figures was reported, and how many instructions a prompt had. The second can
# also be the larger one: if all goes wrong in one long prompt, many instructions are lost, and one
# prompt.

# %% [markdown]
# ## 2. From a ranking to pairs
#
# *Preference tuning · 25 minutes · ★★☆*
#
# No program says which of two explanations is better. People do, and a person who has read $K$
# responses to one prompt can rank them all. A ranking holds a comparison of every two responses, up to
# $K(K-1)/2$ pairs of a chosen and a rejected one.
#
# These pairs are no independent data: they share their prompt and their responses. Ouyang et al.
# (2022) shuffled the pairs of all prompts, and the reward model over-fitted in a single pass. So they
# kept the pairs of a prompt together and divided by their number, and every prompt counts as 1.
#
# - `ranks`, shape $(P, K)$: whole numbers. 1 is the best. Only their order counts, and some may be
#   missing. Two equal ranks are a tie, which gives no pair. 0 means that nobody ranked this response,
#   and it is in no pair.
# - Return `weights`, shape $(P, K, K)$: `weights[p, i, j]` is the weight of the pair in which response
#   $i$ to prompt $p$ was chosen and response $j$ rejected, and 0 if there is no such pair. All pairs
#   of a prompt weigh the same, and together they weigh 1. A prompt without pairs has zeros.
#
# <details><summary>Hint 1</summary>
#
# `ranks[:, :, None] < ranks[:, None, :]` compares every response with every other, for all prompts at
# once. What does it say of rank 0?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `sum((1, 2), keepdim=True)` counts the pairs of each prompt. The count can be 0; `clamp(min=1)`
# keeps you from dividing by it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "04-ranking-pairs-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def ranking_pairs(ranks):
    """Return the weight of every pair (chosen, rejected) that P rankings of K give, (P, K, K)."""
    ### BEGIN SOLUTION
    better = (ranks[:, :, None] < ranks[:, None, :]) & (ranks[:, :, None] > 0)
    return better / better.sum((1, 2), keepdim=True).clamp(min=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "04-ranking-pairs", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.ranking_pairs(ranking_pairs)

# %%
weights = torch.as_tensor(ranking_pairs(torch.tensor([[2, 1, 4, 2]])))[0]
for i, j in weights.nonzero().tolist():
    print(f"{'ABCD'[i]} chosen, {'ABCD'[j]} rejected: weight {float(weights[i, j]):.2f}")
for size in (2, 4, 9):
    whole = torch.as_tensor(ranking_pairs(torch.arange(1, size + 1)[None]))
    print(f"{size} responses: {int((whole > 0).sum()):2} pairs of weight {float(whole.max()):.3f}")

# %% [markdown]
# ## 3. How sure was the choice?
#
# *The Bradley–Terry model · 15 minutes · ★☆☆*
#
# People who choose between two responses do not always agree, least of all where the two are about
# equally good. Bradley and Terry (1952) have a model for this: the chance of a choice depends on the
# *difference* of two rewards alone,
#
# $$\Pr(y_c \text{ is preferred to } y_r \mid x) = \sigma\big(r(x, y_c) - r(x, y_r)\big) .$$
#
# To learn rewards from choices, make the choices that people made probable: the loss of a pair is the
# negative log-likelihood $-\log \sigma\big(r(x, y_c) - r(x, y_r)\big)$. Reward models are trained with
# it, and DPO's loss is the same with another reward.
#
# - `chosen_rewards`, `rejected_rewards`, shape $(B,)$: the rewards of the two responses of each pair.
# - Return shape $(B,)$: the loss of each pair in nats. It must be differentiable with respect to both.
#
# Rewards of $10^4$ must work too. Before you run it: what becomes of the loss if both rewards of a pair
# rise by 5?
#
# <details><summary>Hint</summary>
#
# `F.logsigmoid` is the logarithm of $\sigma$, and does not compute $\sigma$ on the way.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "04-bradley-terry-loss-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bradley_terry_loss(chosen_rewards, rejected_rewards):
    """Return the negative log-likelihood of each choice, (B,), in nats."""
    ### BEGIN SOLUTION
    return -F.logsigmoid(chosen_rewards - rejected_rewards)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "04-bradley-terry-loss", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.bradley_terry_loss(bradley_terry_loss)

# %%
gaps = torch.tensor([-2.0, 0.0, 1.0, 2.0, 4.0], dtype=torch.float64)
pair_losses = bradley_terry_loss(3 + gaps, torch.full_like(gaps, 3))
for gap, loss in zip(gaps.tolist(), pair_losses.tolist()):
    print(f"difference {gap:+.0f}: chosen with probability {math.exp(-loss):.3f}, loss {loss:.3f}")

# %% [markdown]
# A difference of 0 is a coin, and costs $\log 2 = 0.693$ nats. A pair that is right by far costs next to
# nothing. And if both rewards rise by 5, all this stays: no data of this kind can say where the zero of
# the rewards is. The package has the loss too, as `alignlab.losses.bradley_terry_loss`.

# %% [markdown]
# ## 4. Who is the strongest?
#
# *The Bradley–Terry model · 40 minutes · ★★★*
#
# The same model ranks whole language models. Let $w_{ij}$ count how often people preferred model $i$'s
# response to model $j$'s, and give each model a strength $s_i$ such that $i$ is preferred to $j$ with
# probability $\sigma(s_i - s_j)$. The strengths that make the counts most probable have the largest
#
# $$\sum_{i, j} w_{ij} \log \sigma(s_i - s_j) .$$
#
# At the maximum every model has won exactly as often as the strengths say that it should:
#
# $$\sum_j w_{ij} = \sum_j\, (w_{ij} + w_{ji})\; \sigma(s_i - s_j) \qquad \text{for each } i .$$
#
# Adding a constant to all strengths changes nothing, so their mean is set to 0.
#
# - `wins`, shape $(M, M)$: `wins[i, j]` is $w_{ij}$. Counts may be fractions, 0 on the diagonal. Two
#   models may never have met. A chain of wins leads from each model to every other; without one, no
#   finite strengths are the best.
# - Return the strengths, shape $(M,)$, of mean 0. The check allows an error of $10^{-4}$ in each.
#
# Any method will do. The sum is concave, so every way uphill leads to the one maximum.
#
# <details><summary>Hint 1</summary>
#
# With gradients: `s[:, None] - s` is the table of all differences. Minimise minus the sum above,
# divided by `wins.sum()`. Adam with a learning rate of 0.05 gets there in a thousand steps.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Without gradients (Hunter, 2004): with $p_i = e^{s_i}$ the second formula says
# $p_i = \sum_j w_{ij} \big/ \sum_j \frac{w_{ij} + w_{ji}}{p_i + p_j}$. Start with all $p_i = 1$, put them
# in on the right, and repeat with what comes out on the left.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "04-fit-strengths-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit_strengths(wins):
    """Return the strengths (M,), of mean 0, that make a table of wins (M, M) most probable."""
    ### BEGIN SOLUTION
    games, powers = wins + wins.T, torch.ones(len(wins), dtype=torch.float64)
    for _ in range(1000):
        powers = wins.sum(1) / (games / (powers[:, None] + powers)).sum(1)
        powers = powers / powers.log().mean().exp()
    return powers.log()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "04-fit-strengths", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.fit_strengths(fit_strengths)

# %% [markdown]
# Why not simply count wins? Let four models meet unequally often: A mostly meets B, which is nearly as
# good, and C mostly meets D, which is weak. Each wins as often as its true strength says.

# %%
true_strengths = torch.tensor([0.9, 0.5, 0.1, -1.5], dtype=torch.float64)
meetings = torch.tensor([[0, 400, 30, 30], [400, 0, 30, 30], [30, 30, 0, 400], [30, 30, 400, 0]])
wins = meetings * torch.sigmoid(true_strengths[:, None] - true_strengths)
shares, fitted = wins.sum(1) / meetings.sum(1), fit_strengths(wins)
for row in zip("ABCD", shares.tolist(), fitted.tolist(), true_strengths.tolist()):
    print("{}: share of wins {:.2f}, fitted strength {:+.2f}, true {:+.2f}".format(*row))

# %% [markdown]
# C wins most often, and is the third of four: its opponents were weak. The fitted strengths are right.

# %% [markdown]
# ## 5. The better response, or the one on top?
#
# *Clarity and friendliness over mere correctness · 25 minutes · ★★☆*
#
# Two explanations can both be correct, and one of them clear and friendly. Which one people prefer, a
# judge has to say: a person, or a language model in place of one. Judges have habits, and one of the
# strongest is to like what they read first (Zheng et al., 2023). So ask twice, the second time
# with the two responses in changed-over places.
#
# - `first`, shape $(B,)$: verdicts with model A's response in the first place. `swapped`, shape
#   $(B,)$: verdicts on the same pairs with model B's response in the first place.
# - A verdict is +1 if the response in the *first place* is better, −1 if the one in the second place
#   is, and 0 for a tie.
# - Model A wins a pair if both verdicts are for its response, and loses it if both are for B's. All
#   else is a tie: two verdicts that contradict each other, and those with a 0.
# - Return three numbers: A's win rate, in which a tie counts one half; the share of all pairs in which
#   the first place won both times; and the share in which the second place did.
#
# <details><summary>Hint</summary>
#
# In `swapped` A stands in the second place. So `-swapped` are the verdicts seen from A.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "04-win-rate-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def win_rate(first, swapped):
    """Return A's win rate, and the shares of pairs in which a place, 1st or 2nd, won twice."""
    ### BEGIN SOLUTION
    won, lost = (first == 1) & (swapped == -1), (first == -1) & (swapped == 1)
    scores = (1 + won.double() - lost.double()) / 2
    places = [((first == place) & (swapped == place)).double().mean() for place in (1, -1)]
    return scores.mean(), *places
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "04-win-rate", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.win_rate(win_rate)

# %% [markdown]
# In the world of this course the true reward of a text is known: it has a part for being correct, and
# others for being clear and friendly. Model A explains plainly, with a friendly word before and after.
# One rival writes technical texts, the other just leaves out the friendly word after. The judge
# follows the true reward, if not sharply, and likes the first place.

# %%
from alignlab.world import World
from alignlab.world.grammar import Dice
from alignlab.world.judges import find_idea
from alignlab.world.preferences import reward_parts, true_reward
from alignlab.world.tasks import draw_examples, explanations, plain_tellings

dice = Dice("exercise 4")
metas = [example.meta for example in draw_examples(World(0), "explain", 500)]
for style in ("technical", "friendly"):
    verdicts, correct = {1: [], -1: []}, 0
    for meta in metas:
        idea = find_idea(meta["idea"])
        told = {"technical": dice.weighted(explanations(idea, "technical"))}
        told |= plain_tellings(idea, dice)
        correct += reward_parts(meta, told[style])["correct"] / 500
        gap = 0.4 * (true_reward(meta, told["friendliest"]) - true_reward(meta, told[style]))
        for sign, row in verdicts.items():
            row.append(1 if dice.chance(1 / (1 + math.exp(-sign * gap - 1))) else -1)
    first, swapped = map(torch.tensor, verdicts.values())
    rate, *places = (f"{float(x):.2f}" for x in win_rate(first, swapped))
    print(f"{style}: correct {correct:.2f}, first verdicts alone {(first == 1).double().mean():.2f}, "
          f"win rate {rate}, a place won twice", *places)  # fmt: skip

# %% [markdown]
# The technical texts are all correct, and lose. Against the nearly equal rival, the first verdicts
# alone look like a clear win. With places changed over most of it is gone, and the last two figures
# say why.

# %% [markdown]
# ## 6. The best score is not the best response
#
# *Surrogate objectives · 30 minutes · ★★★*
#
# What is wanted cannot be computed, so something else is scored in its place: a *proxy*, such as a
# reward model. A simple way to use it is *best of n*: draw $n$ responses to a prompt, and give the one
# that the proxy likes best. The larger $n$, the harder the proxy is optimised.
#
# To see what that does, score $N$ responses once by the proxy and once by the true reward. Then no
# sampling is needed: the mean over *all* ways to draw $n$ of the $N$, without replacement, can be
# computed exactly. Nakano et al. (2021) and Gao et al. (2023) draw their curves in this way.
#
# - `proxy`, `true`, shape $(N,)$: two rewards of each response. No two of the proxy's are equal.
# - `n`: a whole number from 1 to $N$. All sets of $n$ responses are equally likely to be drawn.
# - Return two numbers: the expected proxy reward and the expected true reward of the response that
#   the proxy likes best among the $n$ drawn.
#
# $N$ may be 1,500, and then there are too many sets to list.
#
# <details><summary>Hint 1</summary>
#
# Sort by the proxy. When is the response at place $k$, counted from the worst, the one that is given?
# It must be drawn itself, and the other $n - 1$ must come from the $k - 1$ below it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Its chance is $\binom{k-1}{n-1} \big/ \binom{N}{n}$. `math.comb` gives both as whole numbers of any
# size; divide one by the other before anything is turned into a tensor.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "04-best-of-n-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_of_n(proxy, true, n):
    """Return the expected proxy and true reward of the best of n, by the proxy, out of (N,)."""
    ### BEGIN SOLUTION
    order, draws = proxy.argsort(), math.comb(len(proxy), n)
    chances = [math.comb(below, n - 1) / draws for below in range(len(proxy))]
    chances = torch.tensor(chances, dtype=torch.float64)
    return chances @ proxy[order], chances @ true[order]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "04-best-of-n", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.best_of_n(best_of_n)

# %% [markdown]
# Take 2,000 responses. Their quality varies, and so does their length: most are about as long as usual,
# a few far longer. Readers want quality, and neither too few words nor too many. The proxy has learned
# to like quality, and length as well.

# %%
generator = torch.Generator().manual_seed(0)
quality = torch.randn(2000, generator=generator, dtype=torch.float64)
longer = -torch.rand(2000, generator=generator, dtype=torch.float64).log() - 1
true, proxy = quality - 0.1 * longer**2, quality + longer
for n in (1, 2, 4, 8, 16, 64, 256):
    scored, worth = map(float, best_of_n(proxy, true, n))
    words = float(best_of_n(proxy, longer, n)[1])
    print(f"best of {n:3}: proxy {scored:+.2f}, true {worth:+.2f}, longer than usual {words:+.2f}")

# %% [markdown]
# At first both rewards rise: among ordinary responses the proxy is a good one. Then it goes on rising
# while the true reward turns, and nothing in the proxy's own figures shows where. What is optimised is
# a *surrogate* of what is wanted, and the harder it is optimised, the more the difference between
# the two decides. Chapter 5 follows a reward model that was trained too far.

# %% [markdown]
# ## Where to go next
#
# You can now measure what demonstrations teach, turn what people prefer into pairs and into a loss,
# and tell a judge's taste from a habit. Chapter 4 trains one model on both kinds of data. Its quiz
# asks which of the two you would take for what.
