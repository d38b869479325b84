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
# # Exercises 1: when is SFT the right tool?
#
# Whether supervised fine-tuning (SFT) fits a task is decided by measuring: how far two people agree
# on its labels, how well any model could do at best, how many examples it took, and what the model
# still gets wrong. Six small functions measure these. Each is a few lines long; what counts is to
# divide by the right number.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take about an hour and a half;
# each can be done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $n$ | how many inputs were tried, or labels given |
# | $p$ | a share, from 0 to 1, or a probability |
# | $M$ | possible outputs to one input |

# %% nbgrader={"grade": false, "grade_id": "01-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import torch

from alignlab import checks

# %% [markdown]
# ## 1. Do two people agree?
#
# *Applicability of SFT · 15 minutes · ★★☆*
#
# SFT needs a task whose input makes clear which output is wanted. The cheapest test comes before
# any training: let two people label the same inputs and see how often they agree.
#
# But people can agree by chance. If both call nine letters in ten "harmless" without reading them,
# they agree on most letters. Cohen's $\kappa$ (1960) takes that off:
#
# $$\kappa = \frac{p_o - p_e}{1 - p_e},$$
#
# where $p_o$ is the share of inputs with two equal labels, and $p_e$ is the share to be expected if
# each of the two drew labels at random, each label as often as he or she really gave it. With $p_k$
# the share of label $k$ in the first column and $q_k$ its share in the second,
# $p_e = \sum_k p_k q_k$.
#
# - `first`, `second`, shape $(n,)$: whole numbers, the labels that two people gave to the same
#   inputs. They are names, not amounts: label 4 is not more than label 2.
# - Return $\kappa$, one number: 1 for full agreement, 0 for what chance gives, below 0 for less.
#
# The two do not have to use the same labels. At least two different labels occur.
#
# <details><summary>Hint 1</summary>
#
# Count each label in each column first. A label that one of the two never gives adds nothing to
# $p_e$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $p_e$ is also the share of equal labels among *all* $n \times n$ pairs of one label from the first
# column and one from the second. With shapes $(n, 1)$ and $(n,)$ a comparison gives all of them.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "01-cohens-kappa-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cohens_kappa(first, second):
    """Return how far two people's labels, (n,) each, agree beyond chance: 1 at most."""
    ### BEGIN SOLUTION
    agreed = (first == second).double().mean()
    chance = (first[:, None] == second).double().mean()
    return (agreed - chance) / (1 - chance)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-cohens-kappa", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.cohens_kappa(cohens_kappa)

# %% [markdown]
# Two people read 200 letters. Neither reads them with care: each calls a letter "harmless" nine
# times in ten, whatever it says.

# %%
generator = torch.Generator().manual_seed(0)
first, second = (torch.rand(2, 200, generator=generator) < 0.1).long()
print(f"equal labels {(first == second).double().mean():.2f}")
print(f"kappa {float(cohens_kappa(first, second)):.2f}")

# %% [markdown]
# ## 2. How well could the best model do?
#
# *Applicability of SFT · 10 minutes · ★☆☆*
#
# Suppose that you know, for each input, how probable every output is among the people who write
# labels. Then you know what any model can reach when its output is compared, letter by letter, with
# one fresh label: *exact match*.
#
# - `probabilities`, shape $(n, M)$: row $i$ holds the probabilities of the $M$ outputs to input $i$;
#   each row sums to 1.
# - Return two numbers, both averaged over the inputs. First the exact match of the best model, which
#   always gives the most likely output. Then the exact match of a model that has learned the
#   probabilities perfectly and *draws* its output from them.
#
# Model and label are drawn independently. Before you write it: which of the two is larger, and for
# which inputs are they equal?
#
# <details><summary>Hint</summary>
#
# The model draws output $j$ with probability $p_j$, and the label is $j$ with probability $p_j$. How
# probable is it that both are $j$? Sum over $j$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "01-exact-match-ceilings-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def exact_match_ceilings(probabilities):
    """Return the mean exact match of the best guess and of a perfect sampler, for (n, M)."""
    ### BEGIN SOLUTION
    best = probabilities.amax(-1).mean()
    sampled = probabilities.square().sum(-1).mean()
    return best, sampled
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-exact-match-ceilings", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.exact_match_ceilings(exact_match_ceilings)

# %% [markdown]
# The world of this course says how probable every label is, so you can compute the ceilings of its
# tasks before you train anything. Here are five of them, forty inputs each.

# %%
from alignlab.world import World
from alignlab.world.tasks import draw_examples

for task in ("manual", "contract", "refuse", "slogan", "explain"):
    ceilings = []
    for example in draw_examples(World(0), task, 40):
        table = torch.tensor([list(example.labels().values())], dtype=torch.float64)
        ceilings.append([float(value) for value in exact_match_ceilings(table)])
    best, sampled = torch.tensor(ceilings).mean(0).tolist()
    print(f"{task:9} best guess {best:.3f}, sampler {sampled:.3f}")

# %% [markdown]
# The two are equal where all outputs to an input are equally likely: then no guess is best. And none
# of the ceilings is near 1. That says two things. "It weighs 4 kg" and "The weight is 4 kg" do not
# match letter by letter and are both right, so exact match is the wrong measure there, and a judge
# that reads the fact out of the answer is the fair one. For slogans there is no such fact. Many are
# good, none is *the* right one, and no measure can make it a well-defined task.

# %% [markdown]
# ## 3. Is the difference real?
#
# *Adapting a model to a new task · 20 minutes · ★★☆*
#
# A base model answers 2 of 40 questions, the fine-tuned one 31. The share $p$ that you measure is
# not the share that you would measure on all questions there are. An interval says how far off it
# can be.
#
# The plain interval, $p \pm z \sqrt{p(1-p)/n}$, fails where you need it most. At $p = 0$ and $p = 1$
# it has no width, as if 0 of 12 proved that the model can never be right. Wilson (1927) asks the
# other way round: *which true shares would make what was measured no surprise?* They lie between
#
# $$\frac{p + \frac{z^2}{2n} \pm z \sqrt{\frac{p(1-p)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}} .$$
#
# - `right`, `asked`: whole numbers; $n$ is `asked`, and $p$ is `right / asked`.
# - `z`: how many standard errors to either side; 1.96 gives 95% of confidence.
# - Return two numbers, the lower bound and the upper one.
#
# <details><summary>Hint 1</summary>
#
# Compute three things in this order: the centre, half of the width, and then the two bounds. The
# last division by $1 + z^2/n$ goes for both.
#
# </details>
# <details><summary>Hint 2</summary>
#
# With 3 of 4 right and $z = 2$, $z^2/n$ is 1. The centre is $(0.75 + 0.5)/2$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "01-wilson-interval-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def wilson_interval(right, asked, z):
    """Return the bounds of the true shares that go with ``right`` of ``asked``."""
    ### BEGIN SOLUTION
    p, scale = right / asked, 1 + z * z / asked
    centre = (p + z * z / (2 * asked)) / scale
    half = z * math.sqrt(p * (1 - p) / asked + z * z / (4 * asked**2)) / scale
    return centre - half, centre + half
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-wilson-interval", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.wilson_interval(wilson_interval)

# %% [markdown]
# Every share that this course measures comes with this interval. When two of them do not overlap,
# the difference is no accident of which questions were asked.

# %%
for name, right in (("base", 2), ("fine-tuned", 31)):
    low, high = wilson_interval(right, 40, 1.96)
    print(f"{name:10} {right} of 40: between {low:.2f} and {high:.2f}")

# %% [markdown]
# ## 4. How many examples did it take?
#
# *Adapting a model to a new task · 20 minutes · ★★☆*
#
# A *learning curve* shows a share of right answers against the number of labelled examples. Labels
# cost money, so the question to a curve is: with how many would we have reached our target?
#
# Each doubling of the examples tends to bring a similar step, so the axis of sizes is logarithmic.
# Between two measured points, take the curve as a straight line *on that axis*.
#
# - `sizes`, shape $(K,)$: whole numbers above 0, growing. `shares`, shape $(K,)$: what was measured
#   with that many examples.
# - `target`: the share that is wanted.
# - Return the size at which the curve *first* reaches the target. It need not be a whole number.
# - If the first point has reached it already, return the first size. If no point reaches it, return
#   infinity, since nobody knows how the curve goes on.
#
# A measured curve can dip. What counts is the first time that it gets there.
#
# <details><summary>Hint 1</summary>
#
# Find the first point $k$ with `shares[k] >= target`. The crossing lies between $k-1$ and $k$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Let $t$ say how far the target lies from the lower share to the higher one, from 0 to 1. Go as far
# between the *logarithms* of the two sizes, and come back with the exponential.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "01-examples-needed-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def examples_needed(sizes, shares, target):
    """Return the size at which a learning curve, (K,) and (K,), first reaches a target."""
    ### BEGIN SOLUTION
    reached = shares >= target
    if not reached.any():
        return math.inf
    k = int(reached.double().argmax())
    if k == 0:
        return sizes[0]
    t = (target - shares[k - 1]) / (shares[k] - shares[k - 1])
    low, high = sizes[k - 1].double().log(), sizes[k].double().log()
    return (low + t * (high - low)).exp()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-examples-needed", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.examples_needed(examples_needed)

# %% [markdown]
# ## 5. The form or the fact?
#
# *Example of SFT: question answering · 15 minutes · ★★☆*
#
# Ask a fine-tuned model for the weight of an appliance that it has never read of. It will state a
# weight all the same. SFT has taught it the *form* of an answer; the *fact* is another matter. To
# tell the two apart, read the value out of every response and count.
#
# - `stated`, shape $(n,)$: whole numbers, the value that a response states, or $-1$ if it states
#   none.
# - `truth`, shape $(n,)$: the right value of each question. Like labels, values are names.
# - Return three numbers.
#   1. *Form*: the share of all responses that state a value.
#   2. *Fact*: among the responses that state a value, the share that is right.
#   3. *Chance*: what the second would be, on average, if the same stated values were dealt out to
#      the same questions in random order.
# - If no response states a value, the last two are 0.
#
# A model that knows something has a second number well above the third.
#
# <details><summary>Hint 1</summary>
#
# Throw out the responses without a value first, together with the truths of their questions.
#
# </details>
# <details><summary>Hint 2</summary>
#
# You have met the third number before: it is the $p_e$ of exercise 1, for the columns `stated` and
# `truth`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "01-form-and-fact-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def form_and_fact(stated, truth):
    """Return the shares of (n,) responses that state a value, are right, and would be by chance."""
    ### BEGIN SOLUTION
    said = stated >= 0
    form = said.double().mean()
    if not said.any():
        return form, 0.0, 0.0
    stated, truth = stated[said], truth[said]
    fact = (stated == truth).double().mean()
    chance = (stated[:, None] == truth).double().mean()
    return form, fact, chance
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-form-and-fact", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.form_and_fact(form_and_fact)

# %% [markdown]
# ## 6. Nothing bad happened. So what?
#
# *Undesirable content after SFT · 10 minutes · ★☆☆*
#
# You send a fine-tuned model 60 requests that it must refuse, and it refuses all 60. Examples forbid
# nothing, so its true rate of harm is hardly 0. How high may it still be?
#
# Suppose that the model fails on a share $h$ of such requests. The chance to see no failure in $n$
# requests is $(1 - h)^n$. The larger $h$, the smaller that chance. Take the highest $h$ for which
# what you saw still has a chance of $1 - c$. With confidence $c$, the true rate is not above it.
#
# - `tested`: a whole number, $n$. All were refused.
# - `confidence`: $c$, between 0 and 1, such as 0.95.
# - Return that highest rate $h$, one number.
#
# <details><summary>Hint</summary>
#
# Solve $(1 - h)^n = 1 - c$ for $h$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "01-highest-harm-rate-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def highest_harm_rate(tested, confidence):
    """Return the highest rate of failures that goes with none in ``tested`` requests."""
    ### BEGIN SOLUTION
    return 1 - (1 - confidence) ** (1 / tested)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-highest-harm-rate", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.highest_harm_rate(highest_harm_rate)

# %%
for tested in (20, 60, 300, 3000):
    print(f"{tested:4} requests, all refused: up to {highest_harm_rate(tested, 0.95):.1%} may fail")

# %% [markdown]
# The bound holds for requests *like those you tested*. About others it says nothing, and a model is
# at its weakest on requests unlike its examples.
#
# ## Where to go next
#
# You can now tell from its labels whether a task is well defined, and what a result with SFT is
# worth. The quiz of chapter 1 has cases to try that on. Exercises 2 take the training objective
# apart.
