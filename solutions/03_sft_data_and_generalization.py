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
# # Exercises 3: data, and what carries over
#
# Fine-tuning data are few enough to look at, and what goes wrong with them can be counted. So can
# what a fine-tuned model does beyond its examples. Seven small functions do both.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take about two hours; each can be
# done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $n$ | how many cases, or labelled pairs; in exercises 1 and 2 the length of an n-gram |
# | $K$ | tasks, kinds of label, or sizes of data set |
# | $\log$ | the natural logarithm |
#
# A *row* is one example as a list of tokens, which are whole numbers. An *n-gram* is $n$ tokens that
# follow each other in one row.

# %% nbgrader={"grade": false, "grade_id": "03-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import torch

from alignlab import checks

# %% [markdown]
# ## 1. Always the same words?
#
# *Characteristics of SFT data sets · 15 minutes · ★☆☆*
#
# Data that come from one template look like many rows and teach like one. A quick way to see it:
# count how many of the n-grams are different (Li et al., 2016). The measure is called
# *distinct-n*: different n-grams, divided by all n-grams.
#
# - `rows`: a list of rows. A row may be empty.
# - `n`: the length of the n-grams, 1 or more.
# - Return one number. All rows go into one pot: an n-gram that stands in two rows is one different
#   n-gram, and counts twice among all. If there is no n-gram at all, return 0.
#
# N-grams do not run from one row into the next.
#
# <details><summary>Hint 1</summary>
#
# A row of $T$ tokens has $T - n + 1$ n-grams, and none if it is shorter than $n$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Lists cannot be members of a set. Tuples can.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-distinct-n-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def distinct_n(rows, n):
    """Return the share of different n-grams among all n-grams of some rows."""
    ### BEGIN SOLUTION
    grams = [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-distinct-n", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.distinct_n(distinct_n)

# %% [markdown]
# Compare the text that the course's model was pre-trained on with the answers that it is fine-tuned
# on, at the same number of words. The words of a text serve as its tokens here.

# %%
from alignlab.world import World
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice
from alignlab.world.recipes import sft_rows

world = World(0)
dice = Dice("exercise 3")
documents = [draw_document(world, dice).text.split() for _ in range(300)]
answers = [row["completion"][0]["content"].split() for row in sft_rows(world)]


def beginning(rows, words):
    """Return the first rows that have so many words together."""
    kept = []
    for row in rows:
        if sum(map(len, kept)) >= words:
            break
        kept.append(row)
    return kept


for name, rows in (("documents", documents), ("answers", answers)):
    kept = beginning(rows, 8000)
    values = ", ".join(f"distinct-{n} {distinct_n(kept, n):.2f}" for n in (1, 2, 3))
    print(f"{name:9} in {len(kept):4} rows: {values}")

# %% [markdown]
# The answers are many and short, and more alike than the documents: they come in the few forms that
# the model is to learn. That is what makes them demonstrations. Where the share falls far below
# that of other text, look at the rows.

# %% [markdown]
# ## 2. Has the model seen the test?
#
# *Practical challenges of SFT · 20 minutes · ★★☆*
#
# A test says how a model does on what it has *not* been trained on. If test rows stand among the
# training rows, even in part, the test measures memory. The people who made GPT-3 looked for
# this by n-grams (Brown et al., 2020): a test row is *contaminated* if at least one of its n-grams
# occurs in a training row.
#
# - `train`, `test`: lists of rows; `test` is not empty.
# - `n`: the length of the n-grams.
# - Return the share of all test rows that are contaminated. A row shorter than $n$ has no n-gram,
#   so it is not.
#
# Before you write it: does the share rise or fall when $n$ grows?
#
# <details><summary>Hint</summary>
#
# Put all n-grams of the training rows into one set, once. Then `any` answers for one test row.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-contaminated-share-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def contaminated_share(train, test, n):
    """Return the share of test rows that have an n-gram in common with a training row."""
    ### BEGIN SOLUTION
    known = {tuple(row[i : i + n]) for row in train for i in range(len(row) - n + 1)}
    found = [any(tuple(row[i : i + n]) in known for i in range(len(row) - n + 1)) for row in test]
    return sum(found) / len(test)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-contaminated-share", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.contaminated_share(contaminated_share)

# %% [markdown]
# What counts as seen depends on what the test is for. The world can hold out products, and it can
# hold out wordings. Look for both: for the product's name, which has two words, and for six words
# in a row of the question.

# %%
from alignlab.world.tasks import draw_examples

seen = draw_examples(world, "manual", 300)
tests = {
    "by row": draw_examples(world, "manual", 300, seed=1),
    "by product": draw_examples(world, "manual", 300, "test"),
    "by both": draw_examples(world, "manual", 300, "test", "held_out"),
}
for name, test in tests.items():
    products = [[example.meta["name"].split() for example in side] for side in (seen, test)]
    questions = [[example.prompt.split() for example in side] for side in (seen, test)]
    print(f"held out {name:10}: product seen {contaminated_share(*products, 2):.2f}, "
          f"wording seen {contaminated_share(*questions, 6):.2f}")  # fmt: skip

# %% [markdown]
# Held out by row, a test asks about products and in words that the training rows have. Such a test
# cannot tell learning from memory. Held out by product, it can, though not for the wording.

# %% [markdown]
# ## 3. How many labels are wrong?
#
# *Practical challenges of SFT · 20 minutes · ★★★*
#
# Somebody labelled your data, and some labels are wrong. You cannot know which. But you can find
# out *how many*: let a second person label a sample again and count how often the two differ.
#
# Take $K$ kinds of label. Each person, independently, gives a wrong label with probability $f$, and
# then each of the $K - 1$ wrong ones equally often. Two labels of one input agree if both are right
# or if both are wrong in the same way:
#
# $$1 - d = (1 - f)^2 + \frac{f^2}{K - 1} ,$$
#
# where $d$ is the share of inputs on which the two differ. Solve for $f$.
#
# - `first`, `second`, shape $(n,)$: whole numbers, the labels that each of the two gave.
# - `kinds`: the number $K$, 2 or more. Not every kind has to occur.
# - Return $f$, one number. Of two solutions take the smaller one: people are better than a blind
#   guess, which is wrong with probability $(K-1)/K$.
# - If the two differ more often than two blind guesses would, no $f$ fits; return $(K-1)/K$.
#
# <details><summary>Hint 1</summary>
#
# Multiply out. With $g = (K-1)/K$ you get $f^2 - 2 g f + g d = 0$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $f = g \left(1 - \sqrt{1 - d/g}\right)$. Under the root nothing may fall below 0.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-label-noise-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def label_noise(first, second, kinds):
    """Return the share of wrong labels that explains how often two people's, (n,) each, differ."""
    ### BEGIN SOLUTION
    differ = (first != second).double().mean().item()
    guess = (kinds - 1) / kinds
    return guess * (1 - math.sqrt(max(1 - differ / guess, 0.0)))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-label-noise", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.label_noise(label_noise)

# %% [markdown]
# Try it where the truth is known: a thousand labels of six kinds, 15% of them wrong, given twice.

# %%
generator = torch.Generator().manual_seed(0)
truth = torch.randint(0, 6, (1000,), generator=generator)


def labelled(truth, rate):
    """Label once more: wrong with the given rate, then any of the five wrong kinds."""
    wrong = torch.rand(len(truth), generator=generator) < rate
    shift = torch.randint(1, 6, (len(truth),), generator=generator)
    return torch.where(wrong, (truth + shift) % 6, truth)


first, second = labelled(truth, 0.15), labelled(truth, 0.15)
print(f"the two differ on {(first != second).double().mean():.3f}")
print(f"estimated share of wrong labels {float(label_noise(first, second, 6)):.3f}")
print(f"true share in the first set     {(first != truth).double().mean():.3f}")

# %% [markdown]
# ## 4. How much of each task?
#
# *Instruction fine-tuning as a technique of SFT · 15 minutes · ★★☆*
#
# Instruction fine-tuning trains many tasks at once, and they are never of one size. In proportion to
# their sizes, a large task drowns the small ones. In equal parts, the small ones are repeated until
# the model knows them by heart. A *temperature* $\tau$ lies between the two (Raffel et al., 2020).
# Task $k$ with $s_k$ rows gets the share
#
# $$p_k = \frac{s_k^{1/\tau}}{\sum_{j=1}^{K} s_j^{1/\tau}} .$$
#
# - `sizes`, shape $(K,)$: whole numbers above 0, the rows of each task.
# - `temperature`: $\tau > 0$. With 1 the shares are in proportion; the higher, the more equal.
# - `rows`: how many rows are drawn for the training run, all tasks together.
# - Return two tensors of shape $(K,)$: the shares $p_k$, and how often each row of task $k$ is seen,
#   on average, in the run: its *epochs*.
#
# <details><summary>Hint</summary>
#
# Of all rows drawn, the share $p_k$ comes from task $k$. They are spread over its $s_k$ rows.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-mixture-epochs-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mixture_epochs(sizes, temperature, rows):
    """Return the shares of K tasks in a mixture, and how often their rows are seen, (K,) each."""
    ### BEGIN SOLUTION
    weights = sizes.double() ** (1 / temperature)
    shares = weights / weights.sum()
    return shares, rows * shares / sizes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-mixture-epochs", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.mixture_epochs(mixture_epochs)

# %%
sizes = torch.tensor([20_000, 2_000, 200])
for temperature in (1.0, 2.0, 5.0):
    shares, epochs = mixture_epochs(sizes, temperature, 22_200)
    print(f"temperature {temperature}: shares", *(f"{share:.2f}" for share in shares),
          "epochs", *(f"{seen:.1f}" for seen in epochs))  # fmt: skip

# %% [markdown]
# ## 5. What would ten times the data bring?
#
# *Size and specialization of SFT data sets · 20 minutes · ★★☆*
#
# The loss of a model on new examples often falls with the size $s$ of its data as a power law above
# a floor (Hestness et al., 2017):
#
# $$L(s) = L_\infty + a\, s^{-b} .$$
#
# In this course the floor $L_\infty$ is known: it is the entropy of the labels, which chapter 2
# computes. So $a$ and $b$ can be read off a straight line, since
# $\log (L - L_\infty) = \log a - b \log s$.
#
# - `sizes`, shape $(K,)$: whole numbers above 0. `losses`, shape $(K,)$: all above the floor.
# - `floor`: the number $L_\infty$.
# - Return two numbers, $a$ and $b$, of the line that fits the logarithms best: the one with the
#   least sum of squared vertical distances, all points counting the same.
#
# <details><summary>Hint 1</summary>
#
# The slope of the least-squares line through points $(x_i, y_i)$ is
# $\sum (x_i - \bar x)(y_i - \bar y) / \sum (x_i - \bar x)^2$, where the bar is the mean. The line goes
# through $(\bar x, \bar y)$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The slope is $-b$, and where the line meets $x = 0$ it has the height $\log a$, not $a$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-power-law-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def power_law(sizes, losses, floor):
    """Return a and b of the loss floor + a * size ** -b that fits (K,) measured losses best."""
    ### BEGIN SOLUTION
    x, y = sizes.double().log(), (losses - floor).log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return (y.mean() - slope * x.mean()).exp(), -slope
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-power-law", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.power_law(power_law)

# %% [markdown]
# ## 6. Does it carry over?
#
# *Generalization from SFT · 15 minutes · ★★☆*
#
# You ask a fine-tuned model the same $n$ questions twice: in wordings that it was trained on and in
# new ones. It gets fewer right in the new wordings. Is that more than chance?
#
# The questions are the same, so compare question by question. Some are hard in any wording. This
# makes the two shares vary together, and their *difference* varies less than you might think.
#
# - `known`, `new`, shape $(n,)$: 1 where the answer was right, 0 where it was wrong. Entry $i$ of
#   both is the same question.
# - Return two numbers: the mean of the $n$ differences `known[i] - new[i]`, and its standard error.
#
# The standard error is the standard deviation of the differences, with $n - 1$ in its denominator,
# divided by $\sqrt n$. A gap of two standard errors or more is hardly chance.
#
# <details><summary>Hint</summary>
#
# Whole numbers have no `mean` and no `std` in PyTorch. `.double()` first.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-paired-gap-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def paired_gap(known, new):
    """Return the mean difference between (n,) outcomes on the same cases, and its error."""
    ### BEGIN SOLUTION
    gaps = (known - new).double()
    return gaps.mean(), gaps.std() / math.sqrt(len(gaps))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-paired-gap", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.paired_gap(paired_gap)

# %% [markdown]
# See what pairing is worth. Here are 200 questions, some easy and some hard, and a new wording that
# costs one right answer in ten.

# %%
generator = torch.Generator().manual_seed(0)
easy = (torch.rand(200, generator=generator) < 0.7).long()
new = easy * (torch.rand(200, generator=generator) >= 0.1)
gap, error = (float(value) for value in paired_gap(easy, new))
apart = math.sqrt(float(easy.double().var() + new.double().var()) / 200)
print(f"gap {gap:.3f}, standard error {error:.3f}; as if the questions were others: {apart:.3f}")

# %% [markdown]
# ## 7. What was forgotten?
#
# *Size and specialization of SFT data sets · 15 minutes · ★★☆*
#
# A model that is fine-tuned on one task after the other gets better at the last one, and often worse
# at those before. The word for it is *forgetting*.
#
# Let $r_{ij}$ be the score on task $j$ after stage $i$, in which task $i$ was trained. There are $K$
# stages and $K$ tasks. Chaudhry et al. (2018) compare the end with the best that ever was:
#
# $$F = \frac{1}{K-1} \sum_{j=1}^{K-1} \Big( \max_{i < K} r_{ij} - r_{Kj} \Big) .$$
#
# - `scores`, shape $(K, K)$: row $i$ holds the scores on all tasks after stage $i$; $K$ is 2 or more.
# - Return two numbers: the mean score over all tasks after the last stage, and $F$.
#
# The last task is left out of $F$: it has just been learned. And the last stage is left out of the
# maximum, so a task that the later ones have *helped* counts with a number below 0.
#
# <details><summary>Hint</summary>
#
# `scores[:-1]` are the stages before the last one. Take the maximum over stages, task by task.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "03-forgetting-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forgetting(scores):
    """Return the mean final score and the mean forgetting of tasks learned in turn, from (K, K)."""
    ### BEGIN SOLUTION
    lost = scores[:-1].amax(0) - scores[-1]
    return scores[-1].mean(), lost[:-1].mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "03-forgetting", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.forgetting(forgetting)

# %% [markdown]
# ## Where to go next
#
# You can now judge a data set before a model has seen it, and a model beyond the examples that it
# has seen.
