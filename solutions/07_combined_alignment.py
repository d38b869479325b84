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
# # Exercises 7: both stages, and data to trust
#
# Three small functions say what each stage is good for: what SFT and DPO do alone and together, how
# far a preference carries, and which of them a request needs. Three more look at the comparisons
# before anything is trained on them: who labels by place, who labels well, who just likes length.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take two and a half hours; each can
# be done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $n$, $m$ | how many prompts, requests, or pairs of responses |
# | $A$ | annotators |
# | $\bar x$ | the mean of the numbers $x_1, \dots, x_n$ |
# | $\sigma$ | the logistic function, $\sigma(u) = 1 / (1 + e^{-u})$ |
#
# The *standard error* of a mean is the standard deviation of the $n$ numbers, with $n - 1$ in its
# denominator, divided by $\sqrt n$. `torch.float64` tensors come in and may go out; labels and votes
# are whole numbers.

# %% nbgrader={"grade": false, "grade_id": "07-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import torch

from alignlab import checks

# %% [markdown]
# ## 1. Which stage did it?
#
# *Which stage is responsible for which behaviour · 15 minutes · ★☆☆*
#
# Four models answer the same $n$ prompts: the base model, one with SFT alone, one with DPO alone,
# and one with SFT and then DPO. So there are two stages, each there or not. For one prompt, call the
# four scores $o$, $s$, $d$ and $b$ (neither, SFT, DPO, both).
#
# - SFT gains $s - o$ where there is no DPO, and $b - d$ where there is. The mean of the two is SFT's
#   *main effect*. DPO's main effect is the mean of $d - o$ and $b - s$.
# - The *interaction* is the difference between DPO's gain after SFT and its gain without:
#   $(b - s) - (d - o)$. It is 0 if the stages do not depend on each other, and above 0 if DPO needs
#   what SFT has taught.
#
# Your function:
#
# - `neither`, `sft`, `dpo`, `both`, shape $(n,)$, $n \ge 2$: the scores of the four models. Entry $i$
#   of all four is the same prompt.
# - Return four numbers, each a mean over the prompts or its error: the main effect of SFT, that of
#   DPO, the interaction, and the standard error of the interaction.
#
# A hard prompt is hard for all four models. So compute the interaction prompt by prompt, and let its
# error come from these $n$ numbers.
#
# <details><summary>Hint</summary>
#
# The means may be taken before or after you subtract. The standard deviation may not: it needs one
# interaction for each prompt.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "07-stage-effects-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stage_effects(neither, sft, dpo, both):
    """Return the main effects of SFT and DPO, their interaction and its error, from (n,) scores."""
    ### BEGIN SOLUTION
    of_sft = ((sft - neither) + (both - dpo)) / 2
    of_dpo = ((dpo - neither) + (both - sft)) / 2
    together = (both - sft) - (dpo - neither)
    error = together.std() / math.sqrt(len(together))
    return of_sft.mean(), of_dpo.mean(), together.mean(), error
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "07-stage-effects", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.stage_effects(stage_effects)

# %% [markdown]
# Try it on made-up models, in which you know what each stage does. Here SFT alone makes the model
# answer at all, on 90% of the prompts instead of 10%. DPO alone makes its answers liked, on 80%
# instead of 20%. A score is 0 without an answer, 1 with one, and 2 with one that is liked.

# %%
generator = torch.Generator().manual_seed(0)
hard, picky = torch.rand(2, 300, generator=generator, dtype=torch.float64)


def scores(answered, liked):
    """Score 300 prompts, of which these shares are answered, and liked if they are answered."""
    return (hard < answered) * (1 + (picky < liked).double())


found = stage_effects(scores(0.1, 0.2), scores(0.9, 0.2), scores(0.1, 0.8), scores(0.9, 0.8))
for name, value in zip(("SFT", "DPO", "interaction", "its error"), found):
    print(f"{name:12}{float(value):5.2f}")

# %% [markdown]
# Half the interaction on either side of DPO's main effect gives its two gains: 0.32 + 0.27 after SFT,
# and 0.32 − 0.27 without. It is worth little to be liked where there are no answers. This is why SFT
# comes first.

# %% [markdown]
# ## 2. Does the preference carry over?
#
# *Preference models as a sequential step for generalization · 20 minutes · ★★☆*
#
# People have compared responses to some kinds of prompt. The model that was trained on this wins
# against the SFT model on prompts of these kinds. Does it win on others too? Ouyang et al. (2022) saw
# their model follow instructions in languages and on matters that hardly occurred in its data.
#
# Against itself a model wins half of the time. So its *gain* is its win rate less ½. With a gain of
# $g_1$ on prompts like those compared and of $g_2$ on prompts unlike them, the share that carries
# over is $t = g_2 / g_1$.
#
# Both gains are measured, with standard errors $e_1$ and $e_2$. If they were off by small amounts
# $\delta_1$ and $\delta_2$, the share would be off by
#
# $$\frac{\delta_2 - t\, \delta_1}{g_1}$$
#
# to first order. To take the standard error of $t$ from this is called the *delta method*. The two
# sets of prompts were drawn apart, so $\delta_1$ and $\delta_2$ are independent.
#
# - `near`, shape $(n,)$, and `far`, shape $(m,)$, $n, m \ge 2$: for each prompt like those compared,
#   and for each unlike them, 1 if the trained model won, 0.5 for a tie, 0 if it lost. The mean of
#   `near` is above ½; that of `far` may be anything.
# - Return two numbers: $t$, and its standard error by the delta method.
#
# <details><summary>Hint</summary>
#
# If you multiply an independent error by a number, its square is multiplied by the number's square.
# If you add or subtract two of them, their squares add up.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "07-transfer-share-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def transfer_share(near, far):
    """Return which share of a gain carries over to other prompts, and its standard error."""
    ### BEGIN SOLUTION
    gain = near.mean() - 0.5
    share = (far.mean() - 0.5) / gain
    square = far.var() / len(far) + share**2 * near.var() / len(near)
    return share, square.sqrt() / gain
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "07-transfer-share", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.transfer_share(transfer_share)

# %% [markdown]
# How many prompts does such a statement need? Here the true win rates are 0.85 and 0.70, so that a
# share of 0.57 carries over.

# %%
for prompts in (50, 200, 1000, 5000):
    near = (torch.rand(prompts, generator=generator) < 0.85).double()
    far = (torch.rand(prompts, generator=generator) < 0.70).double()
    share, error = (float(value) for value in transfer_share(near, far))
    print(f"{prompts:5} prompts of each kind: {share:.2f}, standard error {error:.2f}")

# %% [markdown]
# A ratio of two gains needs far more prompts than each gain by itself. With 50 of each kind, one
# cannot tell half from nothing.

# %% [markdown]
# ## 3. Which stage does this request need?
#
# *Choosing a strategy for a chatbot · 25 minutes · ★★☆*
#
# A chatbot has to do many things, and not each needs training. Before you train, measure. For each
# kind of request you have six figures:
#
# - `prompted`, `retrieved`: the share of inputs with a good response if the model is only told what to
#   do, and if the text that holds the facts is put into the prompt as well;
# - `reached`: the share of inputs for which at least one of 16 sampled responses is good;
# - `label_agreement`: the share of inputs for which two people write the same in substance;
# - `choice_agreement`: the share of pairs of responses of which two people choose the same one;
# - `comparison_cost`: what a comparison costs, where a demonstration costs 1.
#
# Two numbers are the same for all: the `target`, the share of good responses that you want, and how
# much agreement is `trusted`. Demonstrations are *usable* if `label_agreement` is at least `trusted`.
# Two people who choose blindly agree on half of all pairs. So comparisons are usable if twice
# `choice_agreement`, less 1, is at least `trusted`. The rule:
#
# 1. If the better of `prompted` and `retrieved` is at least `target`: **neither** stage. Facts that
#    change every week end here, since what is retrieved can change as well.
# 2. Otherwise, if `reached` is at least `target`, the model *can* do it and only has to do it
#    always. If one kind of data is usable, take its stage. If both are, take the cheaper one:
#    **preference tuning** if a comparison costs less than a demonstration, otherwise **SFT**. If none
#    is, **neither**.
# 3. Otherwise there is too little to choose from, and demonstrations have to show what is good. If
#    they are not usable: **neither**. If they are: **SFT**. Demonstrations that differ leave open
#    which is best. So if `label_agreement` is below `target` and comparisons are usable, take
#    **both**.
#
# - The six figures come in this order, each of shape $(n,)$ for $n$ requests; then `target` and
#   `trusted`.
# - Return $n$ whole numbers: 0 for neither, 1 for SFT, 2 for preference tuning, 3 for both.
#
# It is a rule for an exercise. A real one has more figures, but it should be as easy to check.
#
# <details><summary>Hint 1</summary>
#
# A loop over the requests with `if` and `return` in a small function of its own is as good as
# anything.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In step 2, comparisons are taken if they are usable and either they cost less or demonstrations are
# not usable.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "07-choose-stage-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_stage(
    prompted,
    retrieved,
    reached,
    label_agreement,
    choice_agreement,
    comparison_cost,
    target,
    trusted,
):
    """Return for each of n requests 0 (neither), 1 (SFT), 2 (preference tuning) or 3 (both)."""
    ### BEGIN SOLUTION
    missing = torch.maximum(prompted, retrieved) < target
    able = reached >= target
    write = label_agreement >= trusted
    compare = 2 * choice_agreement - 1 >= trusted
    choose = able & compare & ((comparison_cost < 1) | ~write)
    finish = ~able & write & compare & (label_agreement < target)
    return missing * ((write & ~choose) + 2 * (choose | finish))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "07-choose-stage", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.choose_stage(choose_stage)

# %% [markdown]
# Six requests to a maker of appliances. The figures are invented; before you run the cell, decide
# for each request yourself.

# %%
requests = {
    "today's price of a spare part": (0.05, 0.95, 0.10, 0.99, 0.98, 0.5),
    "a contract into its three fields": (0.30, 0.30, 0.55, 0.97, 0.92, 1.2),
    "a fault code into plain words": (0.55, 0.60, 0.93, 0.96, 0.90, 1.5),
    "an idea, explained so that it is liked": (0.40, 0.45, 0.96, 0.15, 0.88, 0.1),
    "a letter in the desk's new form, kindly": (0.10, 0.15, 0.30, 0.75, 0.86, 0.2),
    "a slogan that makes people laugh": (0.20, 0.20, 0.60, 0.05, 0.56, 0.1),
}
figures = torch.tensor(list(requests.values()), dtype=torch.float64).T
stages = choose_stage(*figures, 0.9, 0.6)
for name, stage in zip(requests, stages):
    print(f"{name:41}{('neither', 'SFT', 'preference tuning', 'both')[int(stage)]}")

# %% [markdown]
# The first and the last get the same answer for different reasons. The price is solved without
# training. For the slogan nobody can say yet what is wanted, and no stage can learn it before
# somebody does.

# %% [markdown]
# ## 4. The first place
#
# *Preference data quality · 20 minutes · ★★☆*
#
# Whoever compares two responses, a person or a language model, sees one of them first. Some take the
# first one more often than they should (Zheng et al., 2023, on language models as judges). To find
# out, let every pair be labelled twice, the second time with the responses in changed-over places.
# Somebody who judges by what is written takes the other place then.
#
# - `choices`, `swapped`, shape $(n,)$, $n \ge 1$: the place taken in the first and in the second round,
#   1 for the first place and 0 for the second. Entry $i$ of both is the same pair.
# - Return two numbers. The first is the share of all pairs in which the *same place* was taken both
#   times.
# - The second looks at these $k$ pairs alone. Say that the first place was taken in $f$ of them. If
#   places did not matter, $f$ would be as random as the heads in $k$ throws of a fair coin. Return
#   the exact two-sided *p-value*: the probability that the number of heads is at least as far from
#   $k/2$ as $f$ is, on either side. With $k = 0$ it is 1.
#
# It must be exact for thousands of pairs too.
#
# <details><summary>Hint 1</summary>
#
# $i$ heads in $k$ throws have the probability $\binom{k}{i} / 2^k$, and `math.comb` gives the number
# on top. The coin is fair, so both ends are equally probable.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Add up whole numbers and divide once, at the end. Python divides whole numbers of any size. Where
# $f = k/2$ the two ends overlap: the p-value is 1 there, and never above.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "07-position-bias-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def position_bias(choices, swapped):
    """Return how often one place was taken twice, and the p-value of the first place there."""
    ### BEGIN SOLUTION
    same = choices == swapped
    count, first = int(same.sum()), int(choices[same].sum())
    ways = sum(math.comb(count, i) for i in range(max(first, count - first), count + 1))
    return count / len(choices), min(1.0, 2 * ways / 2**count)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "07-position-bias", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.position_bias(position_bias)

# %% [markdown]
# Three judges label 1,500 pairs twice. They choose by the model of Bradley and Terry, and add a number,
# their *lean*, to the reward of whatever stands first.

# %%
gap = torch.randn(1500, generator=generator, dtype=torch.float64)
for lean in (0.0, 0.3, 1.0):
    draws = torch.rand(2, 1500, generator=generator, dtype=torch.float64)
    chances = torch.sigmoid(torch.stack([gap + lean, -gap + lean]))
    share, p_value = (float(x) for x in position_bias(*(draws < chances).long()))
    print(f"lean {lean}: one place both times in {share:.0%} of the pairs, p-value {p_value:.3f}")

# %% [markdown]
# Even the judge without a lean takes one place twice in many pairs: that much is noise. The p-value
# tells noise from a habit. Noise can be paid for with more labels. A habit stays, however many there
# are, unless places are changed over and the two labels are put together.

# %% [markdown]
# ## 5. Who labels well?
#
# *Preference data quality · 35 minutes · ★★★*
#
# $A$ annotators have voted on $n$ pairs, and nobody knows the right answers. Still you can find out
# who is careful: careful people agree with each other, careless ones with nobody. Dawid and Skene
# (1979) made a method of this. In its simplest form annotator $i$ is right with one probability, the
# accuracy $a_i$, independently on every pair; and before the votes both answers are equally likely.
#
# If we knew the accuracies, the votes would tell the answers, and if we knew the answers, they would
# tell the accuracies. So start somewhere and alternate. This is the *EM algorithm*. Let $q_j$ be the
# probability that the answer to pair $j$ is 1.
#
# - **Start:** $q_j$ is the share of 1s among the votes on pair $j$.
# - **Accuracies:** $a_i$ is the mean over the pairs that $i$ has voted on of the probability that the
#   vote is right: $q_j$ where it is 1, and $1 - q_j$ where it is 0. Then raise $a_i$ to 0.01 if it is
#   smaller, and lower it to 0.99 if it is larger, so that nobody counts as never wrong.
# - **Answers:** by Bayes, a vote adds $\log \frac{a_i}{1 - a_i}$ to the log-odds of the answer that
#   it is for. So
#   $$q_j = \sigma\Big( \sum_i v_{ij} \log \frac{a_i}{1 - a_i} \Big) ,$$
#   where $v_{ij}$ is 1 for a vote of 1, −1 for a vote of 0, and 0 if there is none.
#
# Your function:
#
# - `votes`, shape $(A, n)$: 1 or 0, and −1 where an annotator has not voted. Everybody has voted on
#   something, and every pair has a vote.
# - Return two tensors, the accuracies, shape $(A,)$, and the probabilities $q_j$, shape $(n,)$, after
#   20 rounds. One round is first the accuracies, then the answers.
#
# There may be thousands of annotators.
#
# <details><summary>Hint 1</summary>
#
# `votes >= 0` says where there is a vote. As a factor it removes the missing ones from a sum.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.logit(a)` is $\log \frac{a}{1 - a}$. Where a vote is given, $v$ is twice the vote, less 1.
#
# </details>
# <details><summary>Hint 3</summary>
#
# PyTorch divides whole numbers in single precision. `.double()` before you divide.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "07-annotator-accuracies-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def annotator_accuracies(votes):
    """Return each annotator's accuracy (A,) and the probability of answer 1 (n,), by EM."""
    ### BEGIN SOLUTION
    given = (votes >= 0).double()
    signs = (2 * votes - 1) * given
    answers = (votes == 1).sum(0) / given.sum(0)
    for _ in range(20):
        agreed = torch.where(votes == 1, answers, 1 - answers) * given
        accuracies = (agreed.sum(1) / given.sum(1)).clamp(0.01, 0.99)
        answers = torch.sigmoid(torch.logit(accuracies) @ signs)
    return accuracies, answers
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "07-annotator-accuracies", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.annotator_accuracies(annotator_accuracies)

# %% [markdown]
# Seven annotators, two good, four poor, one who has read the instructions the wrong way round. Each
# has voted on about 70% of 500 pairs. The function sees the votes alone.

# %%
skill = torch.tensor([[0.95], [0.85], [0.7], [0.6], [0.6], [0.55], [0.3]])
truth = torch.rand(500, generator=generator) < 0.5
right = torch.rand(7, 500, generator=generator) < skill
votes = torch.where(right, truth, ~truth).long()
votes = votes.masked_fill(torch.rand(7, 500, generator=generator) < 0.3, -1)
votes = votes[:, (votes >= 0).any(0)]
accuracies, answers = annotator_accuracies(votes)
print("true accuracy     ", " ".join(f"{x:.2f}" for x in skill[:, 0].tolist()))
print("estimated accuracy", " ".join(f"{float(x):.2f}" for x in accuracies))
share = (votes == 1).sum(0) / (votes >= 0).sum(0)
for name, chance in (("majority of votes", share), ("EM", torch.as_tensor(answers))):
    # A tie is right half of the time.
    hits = torch.where(chance == 0.5, 0.5, ((chance > 0.5) == truth).double())
    print(f"{name:18}right on {float(hits.mean()):.0%} of the pairs")

# %% [markdown]
# A majority counts all votes alike. EM counts the good ones more, and the seventh annotator's the
# other way round. It needs people who vote on the *same* pairs: where each pair has one vote there is
# nobody to agree with.

# %% [markdown]
# ## 6. Better, or longer?
#
# *Bias in preference data · 35 minutes · ★★★*
#
# Your annotators take the longer of two responses most of the time. Is that a habit? Perhaps the
# longer ones are better. If you have a trusted judge's reward for each response, you can tell the
# two apart. Let $\Delta r$ be the reward of the first response less that of the second, and
# $\Delta l$ the same for their lengths, in tens of words. Suppose that the first is chosen with
# probability
#
# $$p = \sigma(w_r\, \Delta r + w_l\, \Delta l) .$$
#
# This is *logistic regression* without an intercept: two responses that are alike in both are chosen
# equally often. It is the model of Bradley and Terry with a taste for length. If there is none, $w_l$
# is 0. If there is, ten more words are worth $w_l / w_r$ units of reward. Dubois et al. (2024) take
# the advantage of length out of a leaderboard with such a regression.
#
# - `reward_gap`, `length_gap`, shape $(n,)$: $\Delta r$ and $\Delta l$ of $n$ pairs.
# - `chosen_first`, shape $(n,)$: whole numbers, 1 where the first response was chosen, otherwise 0.
# - Return four numbers: the weights $w_r$ and $w_l$ of greatest likelihood, the standard error of
#   $w_l$, and $w_l / w_r$. The check allows errors of $10^{-4}$.
#
# With $X$ the matrix of shape $(n, 2)$ whose columns are the two gaps, and $y$ the choices, the
# log-likelihood has the gradient $X^\top (y - p)$, and the *information matrix*
#
# $$I = X^\top D X , \qquad D \text{ diagonal with the entries } p (1 - p) .$$
#
# *Newton's method* starts at $w = 0$ and adds $I^{-1} X^\top (y - p)$ until nothing changes. The
# standard error of $w_l$ is the root of the second diagonal entry of $I^{-1}$. In the check's data a
# maximum exists, and Newton's method finds it.
#
# <details><summary>Hint 1</summary>
#
# You need not build $D$. To multiply $X$ by it is to multiply each row of $X$ by its own
# $p (1 - p)$. `torch.linalg.solve(I, b)` gives $I^{-1} b$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Ten steps are enough for most data, and fifty cost nothing. $I$ depends on the weights: the one for
# the standard error belongs to the last ones.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "07-audit-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def audit(reward_gap, length_gap, chosen_first):
    """Return the weights of reward and length in n choices, the latter's error, and their ratio."""
    ### BEGIN SOLUTION
    gaps = torch.stack([reward_gap, length_gap], 1)
    weights = torch.zeros(2, dtype=torch.float64)
    for _ in range(50):
        chance = torch.sigmoid(gaps @ weights)
        information = gaps.T @ (gaps * (chance * (1 - chance))[:, None])
        weights = weights + torch.linalg.solve(information, gaps.T @ (chosen_first - chance))
    error = information.inverse()[1, 1].sqrt()
    return weights[0], weights[1], error, weights[1] / weights[0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "07-audit", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.audit(audit)

# %% [markdown]
# Now audit three annotators of the course's world, whose true reward is known. Each compares 1,000
# pairs of explanations. The pairs are stored with the chosen response first. This does not matter:
# without an intercept, a pair says the same in either order.

# %%
from alignlab.world import World
from alignlab.world.preferences import Annotator, draw_pairs
from alignlab.world.statements import words

annotators = {
    "careful": Annotator(),
    "careless": Annotator(flips=0.2),
    "likes length": Annotator(length_bias=0.1),
}
for name, annotator in annotators.items():
    pairs = draw_pairs(World(0), "style", 1000, annotator=annotator)
    better = torch.tensor([pair.margin for pair in pairs], dtype=torch.float64)
    longer = [len(words(pair.chosen)) - len(words(pair.rejected)) for pair in pairs]
    share = sum(x > 0 for x in longer) / sum(x != 0 for x in longer)
    longer = torch.tensor(longer, dtype=torch.float64) / 10
    reward, length, error, worth = map(float, audit(better, longer, torch.ones(1000).long()))
    print(f"{name:13}longer one chosen {share:.0%}, weight of reward {reward:.2f}, "
          f"of ten words {length:.2f} ± {error:.2f}")  # fmt: skip

# %% [markdown]
# The share of longer responses alone says little: here what is friendly is longer, and so the careful
# annotator takes the longer response most of the time too. The weights say more. The careless
# annotator has a small weight of reward, and no liking for length. Only the third has a weight of
# length that is several standard errors above 0, and DPO would learn it along with the rest.

# %% [markdown]
# ## Where to go next
#
# You can now say which stage a behaviour comes from, which one a request needs, and whether the
# comparisons for it can be trusted. Chapter 7 measures all this on the course's model, and turns your
# own votes from the comparison panel into a data set. Try its quiz next.
