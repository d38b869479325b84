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
# # Exercises 2: what SFT maximises, and where its floor is
#
# Twelve small functions lead from a mask to a training run that cannot get any better, and to what
# happens when a run goes on too long. All of it runs on a laptop, most of it on tensors that you
# can check by hand.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take some three and a half hours;
# each can be done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $B$ | rows in a batch; a row is one example: a prompt, its completion, and perhaps padding |
# | $T$ | tokens in a row |
# | $V$ | words in the vocabulary; a word here is whatever a token can be, often a piece of a word |
# | $z$ | logits: one number for each word of the vocabulary, before the softmax turns them into probabilities |
# | $\log$ | the natural logarithm, so that every loss is in nats |
#
# The label $-100$ marks a token that the loss leaves out, as in PyTorch and Transformers.

# %% nbgrader={"grade": false, "grade_id": "02-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import torch
import torch.nn.functional as F

from alignlab import checks

# %% [markdown]
# ## 1. Which tokens are trained
#
# *Loss masking · 10 minutes · ★☆☆*
#
# In SFT the model learns to write the completion. The prompt is given to it, so its tokens are
# read but not trained. The padding that brings all rows to one length is not trained either. The
# end-of-text token that closes a completion *is* trained, since from it the model learns to stop.
#
# Write the labels of a batch: the token itself where it belongs to the completion, $-100$
# everywhere else.
#
# - `input_ids`, shape $(B, T)$: whole numbers, the tokens. Padding stands on the right.
# - `prompt_lengths`, shape $(B,)$: how many tokens of each row, from the left, are prompt.
# - `attention_mask`, shape $(B, T)$: 1 on the tokens of prompt and completion, 0 on padding.
# - Return whole numbers of shape $(B, T)$. Leave `input_ids` as it is.
#
# A completion may be empty. Many tokenizers pad with the end-of-text token itself.
#
# <details><summary>Hint 1</summary>
#
# Compare the positions 0 to $T-1$ with the length of each row's prompt. With shapes $(T,)$ and
# $(B, 1)$ the comparison gives $(B, T)$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A token is left out if it is prompt *or* padding. `masked_fill` takes a mask of booleans and
# returns a new tensor. Do not look for the padding by its id.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-completion-labels-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def completion_labels(input_ids, prompt_lengths, attention_mask):
    """Return the labels of a batch, (B, T): the completion's tokens, -100 everywhere else."""
    ### BEGIN SOLUTION
    positions = torch.arange(input_ids.shape[1])
    is_prompt = positions < prompt_lengths[:, None]
    return input_ids.masked_fill(is_prompt | (attention_mask == 0), -100)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-completion-labels", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.completion_labels(completion_labels)

# %% [markdown]
# ## 2. What predicts what
#
# *Maximum likelihood as SFT's objective · 5 minutes · ★☆☆*
#
# At position $t$ a language model has read the tokens up to $t$, token $t$ included. Its logits
# there are a guess at token $t+1$. So logits and labels have to be moved against each other before
# they are compared.
#
# - `logits`, shape $(B, T, V)$; `labels`, shape $(B, T)$, in the order of the tokens.
# - Return two tensors: `predictions`, shape $(B, T-1, V)$, and `targets`, shape $(B, T-1)$, such
#   that `predictions[:, i]` is the guess at `targets[:, i]`.
#
# Nothing is predicted from the last position, and nothing predicts the first token.
#
# <details><summary>Hint</summary>
#
# One of the two loses its first position, the other its last. Write down a row of three tokens and
# draw an arrow from each position to the token that it predicts.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-shift-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shift(logits, labels):
    """Return predictions (B, T-1, V) and the targets (B, T-1) that stand beside them."""
    ### BEGIN SOLUTION
    return logits[:, :-1], labels[:, 1:]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-shift", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.shift(shift)

# %% [markdown]
# ## 3. The loss of one token
#
# *Maximum likelihood as SFT's objective · 20 minutes · ★★☆*
#
# With logits $z_1, \dots, z_V$ the model gives word $v$ the probability
#
# $$p_v = \frac{e^{z_v}}{\sum_{w=1}^{V} e^{z_w}},$$
#
# the softmax of $z$. If the demonstration has word $y$ there, the loss of the position is the
# negative log-likelihood
#
# $$\ell = -\log p_y = \log \sum_{w=1}^{V} e^{z_w} - z_y .$$
#
# Write this loss for a whole batch, at best from `exp`, `log` and `sum` alone.
#
# - `logits`, shape $(B, N, V)$, for $N$ positions that are already shifted; `targets`, shape $(B,
#   N)$.
# - Return shape $(B, N)$: the loss at each position, and 0 where the target is $-100$.
# - It must be differentiable with respect to the logits.
#
# Logits of $10^4$ or $-10^4$ must give the right loss as well. Try `torch.tensor(1e4).exp()` to
# see why that takes some care.
#
# <details><summary>Hint 1</summary>
#
# Adding the same number to all logits of a position changes no probability. Choose that number so
# that no `exp` can become infinite, and so that not all of them can become 0. One number for the
# whole batch will not do.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `gather` picks one logit for each position, but fails on the index $-100$. Replace $-100$ by some
# allowed word first, and set those positions to 0 in the end.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-token-nll-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def token_nll(logits, targets):
    """Return the negative log-likelihood of each target in nats, (B, N), 0 where it is -100."""
    ### BEGIN SOLUTION
    scores = logits - logits.amax(-1, keepdim=True)
    log_normaliser = scores.exp().sum(-1).log()
    ignored = targets == -100
    picked = scores.gather(-1, targets.masked_fill(ignored, 0)[..., None])[..., 0]
    return (log_normaliser - picked).masked_fill(ignored, 0.0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-token-nll", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.token_nll(token_nll)

# %% [markdown]
# ## 4. One number for a batch
#
# *Maximum likelihood as SFT's objective · 10 minutes · ★☆☆*
#
# A trainer minimises one number. The usual choice is the mean over all tokens of the batch that
# count, so that every token weighs the same and a long completion weighs more than a short one.
#
# - `losses`, shape $(B, N)$: the loss at each position.
# - `mask`, shape $(B, N)$: booleans, true where a position counts.
# - Return the mean of the losses that count, a single number that can be differentiated.
# - A batch in which nothing counts costs 0.
#
# What stands at positions that do not count must not matter, even if it is infinite.
#
# <details><summary>Hint 1</summary>
#
# `0 * math.inf` is not 0. Pick out what counts instead of multiplying by the mask.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The mean of nothing is 0 divided by 0. What could you divide by instead, when nothing counts?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-token-mean-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def token_mean(losses, mask):
    """Return the mean of the losses (B, N) over the positions where the mask is true."""
    ### BEGIN SOLUTION
    return losses[mask].sum() / mask.sum().clamp(min=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-token-mean", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.token_mean(token_mean)

# %% [markdown]
# ## 5. A batch that does not fit into memory
#
# *Maximum likelihood as SFT's objective · 15 minutes · ★★☆*
#
# With gradient accumulation a batch is cut into $M$ micro-batches. Each gets its own forward pass
# and its own `backward()`; the gradients add up, and then the optimiser takes one step. The step
# should be the same as if the batch had been whole. Until 2024 widely used trainers took each
# micro-batch's own mean and divided by $M$. That is the same only if all micro-batches have
# equally many tokens that count.
#
# - `losses`: a list of $M$ tensors. That of micro-batch $i$ has shape $(B_i, N_i)$, for its $B_i$
#   rows of $N_i$ positions.
# - `masks`: a list of $M$ tensors of booleans of the same shapes.
# - Return a list of $M$ numbers, the ones to call `backward()` on. They add up to the token mean
#   of the whole batch.
#
# A micro-batch may have no token that counts, and so may all of them.
#
# <details><summary>Hint</summary>
#
# Write down the token mean of the whole batch as one fraction. Its numerator is a sum over the
# micro-batches. What is each micro-batch's part of it, and what is the denominator?
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-accumulation-losses-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accumulation_losses(losses, masks):
    """Return one loss for each micro-batch; together they are the token mean of the batch."""
    ### BEGIN SOLUTION
    total = max(sum(int(mask.sum()) for mask in masks), 1)
    return [part[mask].sum() / total for part, mask in zip(losses, masks)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-accumulation-losses", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.accumulation_losses(accumulation_losses)

# %% [markdown]
# ## 6. Perplexity
#
# *Maximum likelihood as SFT's objective · 10 minutes · ★☆☆*
#
# A mean loss of $\ell$ nats per token is often reported as the perplexity $e^{\ell}$. A model that
# hesitates between $k$ equally likely words at every token has perplexity $k$.
#
# An evaluation went through a data set in batches and kept two plain numbers for each.
#
# - `total_losses`: a list of numbers, the losses of each batch, summed over its tokens.
# - `token_counts`: a list of whole numbers, how many tokens of each batch counted. Some may be 0,
#   but not all.
# - Return the perplexity of the model on the whole data set.
#
# <details><summary>Hint</summary>
#
# The order matters: first the mean over *all* tokens, then the exponential, once.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-perplexity-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def perplexity(total_losses, token_counts):
    """Return the perplexity on all batches together, a number."""
    ### BEGIN SOLUTION
    return math.exp(sum(total_losses) / sum(token_counts))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-perplexity", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.perplexity(perplexity)

# %% [markdown]
# ## 7. What a step changes
#
# *Maximum likelihood as SFT's objective · 20 minutes · ★★☆*
#
# How does the loss change when one logit is raised a little? Differentiate $\ell = \log \sum_w
# e^{z_w} - z_y$ from exercise 3 with respect to $z_v$, once for $v = y$ and once for any other
# $v$. The two results differ by 1, and together they are a vector with a short name. Find it on
# paper first.
#
# Then write the gradient of the *mean* loss of a batch, without `backward()`:
#
# - `logits`, shape $(B, N, V)$; `targets`, shape $(B, N)$, with $-100$ at positions that do not
#   count. At least one counts.
# - Return shape $(B, N, V)$: the derivative of the token mean with respect to every logit.
#
# The check raises and lowers every single logit by $10^{-4}$ and watches what PyTorch's own loss
# does.
#
# <details><summary>Hint 1</summary>
#
# The derivative of $\log \sum_w e^{z_w}$ with respect to $z_v$ is $e^{z_v} / \sum_w e^{z_w}$. You
# know that fraction.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `F.one_hot` makes a vector with a single 1. It does not take $-100$. Positions that do not count
# have gradient 0, and the others share a factor, since the loss is a mean.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-logit-gradient-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def logit_gradient(logits, targets):
    """Return the gradient of the mean loss with respect to the logits, (B, N, V)."""
    ### BEGIN SOLUTION
    counted = targets != -100
    one_hot = F.one_hot(targets.masked_fill(~counted, 0), logits.shape[-1])
    difference = logits.softmax(-1) - one_hot
    return difference * counted[..., None] / counted.sum()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-logit-gradient", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.logit_gradient(logit_gradient)

# %% [markdown]
# ## 8. Maximum likelihood is minimum divergence
#
# *Likelihood and KL divergence · 20 minutes · ★★☆*
#
# A question has $M$ possible answers. Annotators wrote answer $i$ in $n_i$ examples, so its share
# in the data is $p_i = n_i / \sum_j n_j$. A model gives it the probability $q_i$. The mean loss of
# the model on the examples is the cross-entropy
#
# $$H(p, q) = -\sum_i p_i \log q_i .$$
#
# It has two parts. One is the entropy of the data, $H(p) = -\sum_i p_i \log p_i$, which no model
# can change. The other is the Kullback–Leibler divergence from the data to the model,
#
# $$\mathrm{KL}(p \,\|\, q) = \sum_i p_i \log \frac{p_i}{q_i} \ge 0,
# \qquad H(p, q) = H(p) + \mathrm{KL}(p \,\|\, q).$$
#
# So whoever maximises the likelihood of the data minimises this divergence, and it is 0 only for
# $q = p$.
#
# - `counts`, shape $(M,)$: whole numbers, the $n_i$. Some may be 0.
# - `log_q`, shape $(M,)$: the $\log q_i$. Some may be $-\infty$: the model holds the answer
#   impossible.
# - Return three numbers: $H(p, q)$, $H(p)$, $\mathrm{KL}(p \,\|\, q)$.
#
# An answer that is not in the data adds 0 to all three. One that is in the data and impossible for
# the model makes the first and the third infinite.
#
# <details><summary>Hint</summary>
#
# `0 * math.log(0)` is an error, and for tensors `0 * -inf` is not a number. Leave out the answers
# with count 0 before you take any logarithm.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-entropy-and-kl-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def entropy_and_kl(counts, log_q):
    """Return cross-entropy H(p, q), entropy H(p) and KL(p || q) in nats, three numbers."""
    ### BEGIN SOLUTION
    seen = counts > 0
    p = counts[seen].double() / counts.sum()
    cross_entropy = -(p * log_q[seen]).sum()
    entropy = -(p * p.log()).sum()
    return cross_entropy, entropy, cross_entropy - entropy
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-entropy-and-kl", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.entropy_and_kl(entropy_and_kl)

# %% [markdown]
# ## 9. The floor
#
# *The entropy floor · 20 minutes · ★★★*
#
# By exercise 8 the loss of the best possible model is the entropy of what it predicts. Usually
# nobody knows that entropy. Here you do, because you know the source of the text: its first token
# is drawn from fixed probabilities, and every further token from probabilities that depend on the
# token just before it.
#
# - `first`, shape $(V,)$: the probabilities of the first token.
# - `following`, shape $(V, V)$: row $v$ holds the probabilities of what follows $v$. Some may be
#   0.
# - `length`: a whole number $T \ge 1$, the tokens in a sequence.
# - Return the floor of the loss in nats per token: the entropy of the whole sequence, divided by
#   $T$.
#
# The entropy of a sequence is a sum over its tokens. Each token adds the mean entropy of the row
# that it is drawn from; the mean runs over the words that may stand just before it, each weighed
# by its probability there.
#
# <details><summary>Hint 1</summary>
#
# If the row vector $s$ holds the probabilities of the word at one position, then $s$ times
# `following` holds those at the next.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A sequence of $T$ tokens has one first token and $T-1$ further ones. `torch.special.entr(p)` is
# $-p \log p$, and 0 where $p$ is 0.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-entropy-floor-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def entropy_floor(first, following, length):
    """Return the least possible loss on sequences of this length, in nats per token."""
    ### BEGIN SOLUTION
    row_entropies = torch.special.entr(following).sum(-1)
    share, total = first, torch.special.entr(first).sum()
    for _ in range(length - 1):
        total = total + share @ row_entropies
        share = share @ following
    return total / length
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-entropy-floor", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.entropy_floor(entropy_floor)

# %% [markdown]
# ## 10. Train until the loss meets the floor
#
# *The entropy floor · 40 minutes · ★★★*
#
# Now train a model on such a source. It is the smallest language model there is: a table of
# logits, with one row for each word that may stand just before, and one more row for the
# beginning, where nothing stands before. The data are not drawn: you get *every* sequence together
# with its probability. So the loss is exact, there is nothing to learn by heart, and its floor is
# the one of exercise 9.
#
# - `sequences`, shape $(N, T)$: all $N$ sequences of $T$ tokens.
# - `probabilities`, shape $(N,)$: how probable each is. They add up to 1.
# - `vocabulary`: the number of words $V$.
# - `floor`: the least possible loss, in nats per token.
# - Return two things. First `logits`, shape $(V+1, V)$: row $v$ predicts what follows word $v$,
#   and the last row predicts the first token. Then `losses`, a list of plain numbers: the loss at
#   each step, in nats per token.
#
# The loss is the mean over the $T$ tokens of each sequence, and sequences are weighed by their
# probability. Use any optimiser of `torch.optim`. Stop once the loss is within $10^{-4}$ of the
# floor, and after 2,000 steps in any case, so that a mistake cannot keep you waiting for ever. It
# takes a few seconds at most.
#
# Before you run it, guess: with which loss does a table of zeros begin?
#
# <details><summary>Hint 1</summary>
#
# Make a tensor of what stands before each token: a first column that is $V$ everywhere, then all
# tokens but the last of each sequence. Indexing the table with it gives logits of shape
# $(N, T, V)$. Your `token_nll` takes them, and so does `F.cross_entropy`, which wants the
# vocabulary in the second place.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Adam with a learning rate of 0.1 needs about 50 steps. If the loss goes below the floor,
# something is given away that should be predicted, or a token is not counted.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-train-to-floor-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_to_floor(sequences, probabilities, vocabulary, floor):
    """Return the trained logits, (V+1, V), and the list of the losses in nats per token."""
    ### BEGIN SOLUTION
    beginning = torch.full_like(sequences[:, :1], vocabulary)
    before = torch.cat([beginning, sequences[:, :-1]], dim=1)
    logits = torch.zeros(vocabulary + 1, vocabulary, dtype=torch.float64, requires_grad=True)
    optimizer, losses = torch.optim.Adam([logits], lr=0.1), []
    for _ in range(2000):
        loss = (probabilities * token_nll(logits[before], sequences).mean(-1)).sum()
        losses.append(loss.item())
        if losses[-1] < floor + 1e-4:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach(), losses
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-train-to-floor", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.train_to_floor(train_to_floor)

# %% [markdown]
# Look at it once more, on a source of your own: two words, the second of which likes to come
# twice.

# %%
first = torch.tensor([0.5, 0.5], dtype=torch.float64)
following = torch.tensor([[0.6, 0.4], [0.1, 0.9]], dtype=torch.float64)
sequences = torch.cartesian_prod(*[torch.arange(2)] * 3)
before, after = sequences[:, :-1], sequences[:, 1:]
probabilities = first[sequences[:, 0]] * following[before, after].prod(-1)
floor = float(entropy_floor(first, following, 3))

logits, losses = train_to_floor(sequences, probabilities, 2, floor)
print(f"loss {losses[0]:.3f} at the beginning, {losses[-1]:.3f} at the end, floor {floor:.3f}")
print("learned probabilities of what follows each word:")
print(torch.round(logits[:2].softmax(-1), decimals=1).tolist())

# %% [markdown]
# A table of zeros holds both words equally likely, so the loss begins at $\log 2$. Where it meets
# the floor, the table's probabilities are those of the source. Change the source and run the cell
# again.

# %% [markdown]
# ## 11. Below the floor
#
# *Over-fitting · 20 minutes · ★★☆*
#
# In exercise 10 there was nothing to learn by heart. With real data there is: a few examples, seen
# again and again. A model with room enough then learns the shares of its examples instead of the
# true probabilities, and you can say exactly what it loses.
#
# There are $N$ prompts with $M$ possible responses each. Among the training examples of prompt $i$
# response $j$ stands $n_{ij}$ times. Take a model that has learned them by heart, all but a little:
# it holds response $j$ as probable as if every response had stood there $\lambda$ times more,
#
# $$q_{ij} = \frac{n_{ij} + \lambda}{\sum_{k=1}^{M} (n_{ik} + \lambda)} .$$
#
# With $\lambda = 0$ it is sure that it has seen all there is. The larger $\lambda$, the less it
# trusts its examples. Compare its loss on them with its loss on new ones.
#
# - `counts`, shape $(N, M)$: whole numbers, the $n_{ij}$. Every prompt has at least one example.
# - `truth`, shape $(N, M)$: the true probabilities of the responses to each prompt.
# - `smoothing`: a number, $\lambda \ge 0$.
# - Return two numbers, in nats. First the mean loss of a *training example*, $-\log q$ of its
#   response. Then the expected loss of a *new example*, whose prompt is each of the $N$ equally
#   often, and whose response is drawn from the true probabilities.
#
# What never comes adds 0. What comes and is impossible for the model makes the loss infinite.
#
# Before you write it: on which side of the entropy of `truth` will each of the two lie?
#
# <details><summary>Hint 1</summary>
#
# Both are cross-entropies with the same $\log q$. Only the weights differ: the counts for the
# first, the true probabilities for the second.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Divide the first by the number of all examples, and the second by the number of prompts.
# `torch.where` keeps a 0 beside an infinite logarithm.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-memoriser-losses-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def memoriser_losses(counts, truth, smoothing):
    """Return the mean loss on the training examples and the expected loss on new ones, in nats."""
    ### BEGIN SOLUTION
    smoothed = counts.double() + smoothing
    nats = -(smoothed / smoothed.sum(-1, keepdim=True)).log()
    seen = torch.where(counts > 0, counts * nats, 0.0).sum() / counts.sum()
    new = torch.where(truth > 0, truth * nats, 0.0).sum(-1).mean()
    return seen, new
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-memoriser-losses", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.memoriser_losses(memoriser_losses)

# %% [markdown]
# See it on four responses of known probability, each prompt with six examples. The floor is the
# entropy of the truth.

# %%
truth = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64).expand(50, 4)
drawn = torch.multinomial(truth, 6, replacement=True, generator=torch.Generator().manual_seed(0))
counts = F.one_hot(drawn, 4).sum(1)
print(f"floor {torch.special.entr(truth[0]).sum():.2f}")
for smoothing in (0.01, 0.1, 1.0, 10.0, 1000.0):
    seen, new = memoriser_losses(counts, truth, smoothing)
    print(f"smoothing {smoothing:7.2f}: training {seen:.2f}, new {new:.2f}")

# %% [markdown]
# The training loss is lowest where the model trusts its examples most, and there it is worst on new
# ones: it has gone far below the floor on the one side and far above it on the other. Best on new
# ones is a model in between. With a language model, the usual way to stay there is to stop training
# before it has learned every example by heart.

# %% [markdown]
# ## 12. Two thin matrices
#
# *LoRA and full fine-tuning · 15 minutes · ★★☆*
#
# A linear layer of a language model maps $I$ inputs to $O$ outputs by a weight matrix $W$ of
# $O \times I$ numbers. Full fine-tuning changes them all. LoRA (Hu et al., 2022) freezes $W$ and
# trains two thin matrices, $A$ with $r$ rows and $B$ with $r$ columns. The small number $r$ is the
# rank. For an input $x$ the layer then gives
#
# $$W x + \frac{\alpha}{r} B A x .$$
#
# The number $\alpha$ sets how strongly the update counts. After training, the update can be added
# to $W$ once and for all: the layer is merged and costs no more than before.
#
# - `x`, shape $(N, I)$: one input in each row, as in PyTorch.
# - `weight`, shape $(O, I)$: the frozen $W$. Leave it as it is.
# - `a`, shape $(r, I)$; `b`, shape $(O, r)$; `alpha`: a number.
# - Return two tensors: the layer's outputs, shape $(N, O)$, and the merged weight, shape $(O, I)$.
# - Both must be differentiable with respect to `a` and `b`.
#
# <details><summary>Hint 1</summary>
#
# With inputs in rows the formula is transposed: $W x$ becomes `x @ weight.T`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Let the shapes guide you: only one order of $A$ and $B$ gives a matrix of shape $(O, I)$. And $r$
# can be read off either of them.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "02-lora-linear-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lora_linear(x, weight, a, b, alpha):
    """Return the outputs of a linear layer with LoRA, (N, O), and its merged weight, (O, I)."""
    ### BEGIN SOLUTION
    scale = alpha / a.shape[0]
    outputs = x @ weight.T + scale * (x @ a.T) @ b.T
    return outputs, weight + scale * (b @ a)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "02-lora-linear", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.lora_linear(lora_linear)

# %% [markdown]
# PEFT, the library that puts LoRA on real models, computes the same. Here it adapts a layer of 512
# by 512 with rank 8; $B$ starts at zero there, so it gets some numbers first.

# %%
import peft

model = torch.nn.Sequential(torch.nn.Linear(512, 512, bias=False))
model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=["0"]))
layer = model.base_model.model[0]
torch.nn.init.normal_(layer.lora_B["default"].weight)

x = torch.randn(3, 512)
a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
outputs, merged = lora_linear(x, layer.base_layer.weight, a, b, alpha=16)
print("same outputs as PEFT:", torch.allclose(outputs, model(x), rtol=1e-3, atol=1e-3))
layer.merge()
print("same merged weight:", torch.allclose(merged, layer.base_layer.weight, rtol=1e-3, atol=1e-3))
print(f"trained numbers: {a.numel() + b.numel():,} of {merged.numel():,}")

# %% [markdown]
# ## Where to go next
#
# You have built the objective of SFT from its parts and seen it stop where it must. Chapter 2 does
# the same with a language model, on labels whose entropy is known, and shows what happens when the
# examples are few and are seen often. Try its quiz next.
