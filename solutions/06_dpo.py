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
# # Exercises 6: DPO from an empty file
#
# Nine small functions lead from the probability of one response to a policy that has learned from
# comparisons alone and is, to four places, the best one there is. On the way you meet the reference,
# $\beta$, and two of the ways in which DPO fails.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take some three hours; each can be
# done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $x$, $y$ | a prompt, and a response to it |
# | $y_c$, $y_r$ | of two responses, the chosen and the rejected one |
# | $\pi(y \mid x)$ | the probability that the *policy*, the model in training, gives to the response $y$ |
# | $\pi_{\text{ref}}(y \mid x)$ | the same for the *reference*, the model that training began with; it stays as it is |
# | $r(x, y)$ | the reward of a response: how good it is |
# | $\beta$ | the price of moving away from the reference, above 0 |
# | $B$ | pairs in a batch |
# | $N$, $M$ | prompts, and possible responses to each, where all of them can be listed |
# | $\log$, $\sigma$ | the natural logarithm; the logistic function, $\sigma(u) = 1 / (1 + e^{-u})$ |
#
# All log-probabilities are in nats. `torch.float64` tensors come in and may go out.

# %% nbgrader={"grade": false, "grade_id": "06-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch
import torch.nn.functional as F

from alignlab import checks

# %% [markdown]
# ## 1. How probable is a whole response?
#
# *Direct preference optimization · 15 minutes · ★☆☆*
#
# DPO compares how probable two responses are, each as a whole. A response is a sequence of tokens, and
# its probability is a product: that of its first token, times that of the second given the first, and
# so on. So its logarithm is a *sum* over tokens:
#
# $$\log \pi(y \mid x) = \sum_t \log \pi(y_t \mid x, y_{<t}) .$$
#
# - `logits`, shape $(B, T, V)$, for $B$ rows of $T$ tokens out of $V$ words; those at position $t$
#   predict token $t+1$.
# - `input_ids`, shape $(B, T)$: prompt, response and padding.
# - `completion_mask`, shape $(B, T)$: 1 on the tokens of the response, 0 elsewhere.
# - Return shape $(B,)$: $\log \pi(y \mid x)$ of each row, and 0 where the mask is empty. It must be
#   differentiable with respect to the logits.
#
# What stands outside the response must not matter, even if it is impossible there and has the
# log-probability $-\infty$.
#
# <details><summary>Hint 1</summary>
#
# Logits, ids and mask lose one position each, and not all of them the same one.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `gather` picks the log-probability of each token. Then choose with `torch.where` or `masked_fill`:
# 0 times infinity is not a number.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-sequence-logprobs-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sequence_logprobs(logits, input_ids, completion_mask):
    """Return log π(y | x) of each row's response, (B,)."""
    ### BEGIN SOLUTION
    logprobs = logits[:, :-1].log_softmax(-1)
    found = logprobs.gather(-1, input_ids[:, 1:, None])[..., 0]
    return found.masked_fill(completion_mask[:, 1:] == 0, 0.0).sum(-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-sequence-logprobs", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.sequence_logprobs(sequence_logprobs)

# %% [markdown]
# ## 2. The best policy
#
# *No separate reward model, no RL loop · 20 minutes · ★★☆*
#
# Suppose that every response has a known reward. What is the best policy? One that always says the
# response of highest reward would forget everything else that the reference can do. So moving away
# from the reference has a price, and the best policy is the one with the largest
#
# $$\mathbb{E}_{y \sim \pi}\, r(x, y) - \beta\, \mathrm{KL}(\pi \,\|\, \pi_{\text{ref}}) .$$
#
# It can be written down (Rafailov et al., 2023, equation 4):
#
# $$\pi^*(y \mid x) = \frac{1}{Z(x)}\, \pi_{\text{ref}}(y \mid x)\, e^{r(x, y) / \beta},
# \qquad Z(x) = \sum_y \pi_{\text{ref}}(y \mid x)\, e^{r(x, y) / \beta} .$$
#
# Here all $M$ responses to a prompt are listed, so $Z$ can be computed. For a language model it cannot:
# the sum runs over all texts.
#
# - `log_ref`, shape $(N, M)$: $\log \pi_{\text{ref}}(y \mid x)$, one row for each prompt. Some may be
#   $-\infty$.
# - `rewards`, shape $(N, M)$; `beta`: a number.
# - Return two tensors: $\log \pi^*$, shape $(N, M)$, and $\log Z$, shape $(N,)$.
#
# Rewards of $10^4$ must work too.
#
# <details><summary>Hint</summary>
#
# Take the logarithm of both formulas first. `torch.logsumexp` is the logarithm of a sum of
# exponentials, without computing the exponentials.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-optimal-policy-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def optimal_policy(log_ref, rewards, beta):
    """Return log π* (N, M) and log Z (N,)."""
    ### BEGIN SOLUTION
    scores = log_ref + rewards / beta
    log_z = scores.logsumexp(-1)
    return scores - log_z[:, None], log_z
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-optimal-policy", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.optimal_policy(optimal_policy)

# %% [markdown]
# Is it really the best? Take one prompt with six responses, move the policy a little in 1,000 random
# directions, and look at the objective each time.

# %%
generator = torch.Generator().manual_seed(0)
log_ref = torch.randn(1, 6, generator=generator, dtype=torch.float64).log_softmax(-1)
rewards = torch.rand(1, 6, generator=generator, dtype=torch.float64)
beta = 0.2


def objective(log_policy):
    """Return the expected reward less beta times the KL divergence, for each row."""
    return (log_policy.exp() * (rewards - beta * (log_policy - log_ref))).sum(-1)


best, log_z = optimal_policy(log_ref, rewards, beta)
moves = torch.randn(1000, 6, generator=generator, dtype=torch.float64)
others = (best + 0.1 * moves).log_softmax(-1)
print("better than all others:", bool((objective(best) > objective(others)).all()))
print("its objective is beta log Z:", torch.allclose(objective(best), beta * log_z))

# %% [markdown]
# ## 3. The reward that a policy implies
#
# *No separate reward model, no RL loop · 15 minutes · ★★☆*
#
# Now turn the formula round. Solved for the reward it says (equation 5 of the same paper)
#
# $$r(x, y) = \beta \log \frac{\pi^*(y \mid x)}{\pi_{\text{ref}}(y \mid x)} + \beta \log Z(x) .$$
#
# So a policy *implies* a reward: the one for which it would be the best policy. The second part is
# the same for all responses to a prompt. Comparisons of two responses never see it, which is why DPO
# can do without it.
#
# - `log_policy`, `log_ref`, shape $(N, M)$: log-probabilities of all responses; `beta`: a number.
# - Return shape $(N, M)$: the implied rewards, each prompt's shifted by a constant such that their
#   plain mean over its $M$ responses is 0.
#
# <details><summary>Hint</summary>
#
# You do not need $Z$: it is gone when the mean is taken off.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-implied-rewards-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def implied_rewards(log_policy, log_ref, beta):
    """Return the implied rewards (N, M), of mean 0 for each prompt."""
    ### BEGIN SOLUTION
    rewards = beta * (log_policy - log_ref)
    return rewards - rewards.mean(-1, keepdim=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-implied-rewards", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.implied_rewards(implied_rewards)

# %% [markdown]
# Exercise 2 went from rewards to a policy, and this one comes back.

# %%
implied = implied_rewards(best, log_ref, beta)
print("true rewards   ", " ".join(f"{x:+.3f}" for x in (rewards - rewards.mean())[0].tolist()))
print("implied rewards", " ".join(f"{x:+.3f}" for x in implied[0].tolist()))

# %% [markdown]
# ## 4. The loss
#
# *Direct preference optimization · 25 minutes · ★★☆*
#
# People have said which of two responses they prefer. Chapter 4's model of how they choose, that of
# Bradley and Terry, has $y_c$ preferred to $y_r$ with probability $\sigma(r(x, y_c) - r(x, y_r))$. Put
# the implied reward in place of $r$. The constant goes away, and what is left depends on the policy
# alone. With
#
# $$h = \log \frac{\pi(y_c \mid x)}{\pi_{\text{ref}}(y_c \mid x)}
# - \log \frac{\pi(y_r \mid x)}{\pi_{\text{ref}}(y_r \mid x)}$$
#
# the negative log-likelihood of the choice is DPO's loss (equation 7):
#
# $$\ell = -\log \sigma(\beta h) .$$
#
# - `policy_chosen_logps`, `policy_rejected_logps`, `ref_chosen_logps`, `ref_rejected_logps`, each of
#   shape $(B,)$: log-probabilities of whole responses, as from exercise 1. `beta`: a number.
# - Return shape $(B,)$: the loss of each pair. It must be differentiable with respect to the first
#   two.
#
# A policy may be thousands of nats away from its reference. The loss must still be right.
#
# Before you run it: what is the loss of every pair before the first step of training, when policy and
# reference are the same?
#
# <details><summary>Hint 1</summary>
#
# For large negative $u$ the number $\sigma(u)$ is too small to be stored and becomes 0.
# `F.logsigmoid` does not compute it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $-\log \sigma(u) = \log(1 + e^{-u})$, which is `F.softplus(-u)`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-dpo-loss-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dpo_loss(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """Return DPO's loss of each pair, (B,), in nats."""
    ### BEGIN SOLUTION
    chosen = policy_chosen_logps - ref_chosen_logps
    rejected = policy_rejected_logps - ref_rejected_logps
    return -F.logsigmoid(beta * (chosen - rejected))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-dpo-loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.dpo_loss(dpo_loss)

# %% [markdown]
# The package has this loss as well, with its variants: `alignlab.losses.dpo_loss`. It gives the losses
# and the implied rewards of the two responses. Yours agrees with it.

# %%
from alignlab import losses

logps = [-30 * torch.rand(8, generator=generator, dtype=torch.float64) for _ in range(4)]
theirs, chosen_rewards, rejected_rewards = losses.dpo_loss(*logps, beta=0.1)
print("same losses:", torch.allclose(dpo_loss(*logps, 0.1), theirs))
same = [logps[0], logps[1], logps[0], logps[1]]
print(f"before the first step: {float(dpo_loss(*same, 0.1).mean()):.4f} nats for every pair")

# %% [markdown]
# ## 5. What a step changes
#
# *Direct preference optimization · 20 minutes · ★★☆*
#
# Differentiate $\ell = -\log \sigma(\beta h)$ with respect to $\log \pi(y_c \mid x)$, and with respect to
# $\log \pi(y_r \mid x)$. The two derivatives differ in their sign alone. Their size is the weight with
# which the pair counts in a step: large where the implied reward has the pair the wrong way round,
# next to nothing where it is right by far.
#
# - The arguments are those of exercise 4.
# - Return two tensors of shape $(B,)$: the derivatives of the *mean* loss of the batch with respect to
#   `policy_chosen_logps` and to `policy_rejected_logps`. Write them as a formula, without
#   `backward()`.
#
# The check raises and lowers every log-probability by $10^{-4}$ and watches what the loss does.
#
# <details><summary>Hint</summary>
#
# The derivative of $\log \sigma(u)$ is $1 - \sigma(u) = \sigma(-u)$. By the chain rule $\beta$ comes
# before it.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-dpo-gradient-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dpo_gradient(
    policy_chosen_logps, policy_rejected_logps, ref_chosen_logps, ref_rejected_logps, beta
):
    """Return the derivatives of the mean loss in both policy log-probabilities, (B,) each."""
    ### BEGIN SOLUTION
    chosen = policy_chosen_logps - ref_chosen_logps
    rejected = policy_rejected_logps - ref_rejected_logps
    weight = beta * torch.sigmoid(-beta * (chosen - rejected)) / len(chosen)
    return -weight, weight
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-dpo-gradient", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.dpo_gradient(dpo_gradient)

# %% [markdown]
# ## 6. What $\beta$ buys
#
# *β and the reference · 20 minutes · ★★☆*
#
# For each $\beta$ there is a best policy. A smaller $\beta$ makes moving cheap: the policy goes further
# and gets more reward. Plotted against each other, reward and distance make a *frontier*, and no policy
# lies above it. The paper draws it to compare DPO with its rivals, and chapter 6 measures it on the
# course's model.
#
# - `log_ref`, `rewards`, shape $(M,)$: one prompt with its responses. Some of the $\log
#   \pi_{\text{ref}}$ may be $-\infty$.
# - `betas`, shape $(K,)$, all above 0.
# - Return two tensors of shape $(K,)$: for the best policy of each $\beta$, its expected reward
#   $\sum_y \pi^*(y)\, r(y)$, and
#   $\mathrm{KL}(\pi^* \,\|\, \pi_{\text{ref}}) = \sum_y \pi^*(y) \log \frac{\pi^*(y)}{\pi_{\text{ref}}(y)}$.
#
# A response that the policy never gives adds 0 to both.
#
# <details><summary>Hint</summary>
#
# `betas[:, None]` has shape $(K, 1)$. Divide the rewards by it, and one `log_softmax` gives all $K$
# policies.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-frontier-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def frontier(log_ref, rewards, betas):
    """Return the expected reward and the KL divergence of the best policy of each beta, (K,)."""
    ### BEGIN SOLUTION
    log_policy = (log_ref + rewards / betas[:, None]).log_softmax(-1)
    policy = log_policy.exp()
    gaps = torch.where(policy > 0, policy * (log_policy - log_ref), 0.0)
    return policy @ rewards, gaps.sum(-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-frontier", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.frontier(frontier)

# %%
betas = torch.tensor([10.0, 1.0, 0.3, 0.1, 0.03, 0.01], dtype=torch.float64)
reward, kl = frontier(log_ref[0], rewards[0], betas)
for row in zip(betas.tolist(), reward.tolist(), kl.tolist()):
    print("beta {:5.2f}: expected reward {:.3f}, {:.3f} nats from the reference".format(*row))

# %% [markdown]
# Every further nat buys less reward than the one before. With a very small $\beta$ nothing is left but
# the response of highest reward, and everything then hangs on whether the reward is the true one.

# %% [markdown]
# ## 7. Learned, and yet less probable
#
# *How DPO fails · 20 minutes · ★★☆*
#
# The loss looks at $h$ alone, a *difference*. It falls when the chosen response gains, and also when
# both lose and the rejected one loses more. Then the pair is learned while the chosen response itself
# has become less probable. This is *likelihood displacement* (Razin et al., 2024), and the probability
# that both have lost went to responses that nobody compared.
#
# - `chosen_before`, `chosen_after`, `rejected_before`, `rejected_after`, shape $(N,)$: the
#   log-probabilities of $N$ pairs of responses, under the reference and under the trained policy.
# - A pair is *learned* if chosen minus rejected is larger after than before.
# - A learned pair is *displaced* if its chosen response is less probable after than before.
# - Return two numbers: the share of all pairs that was learned, and the share *of these* that is
#   displaced. If none was learned, the second is 0.
#
# <details><summary>Hint</summary>
#
# Booleans have no mean in PyTorch: `.double()` first. The mean of nothing is not a number.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-displacement-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def displacement(chosen_before, chosen_after, rejected_before, rejected_after):
    """Return the share of pairs learned, and the share of these that is displaced."""
    ### BEGIN SOLUTION
    learned = chosen_after - rejected_after > chosen_before - rejected_before
    fell = chosen_after < chosen_before
    return learned.double().mean(), (learned & fell).sum() / learned.sum().clamp(min=1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-displacement", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.displacement(displacement)

# %% [markdown]
# ## 8. When some labels are wrong
#
# *How DPO fails · 25 minutes · ★★★*
#
# Annotators slip. Suppose that each label has been flipped with probability $\varepsilon < \tfrac12$, so
# that chosen and rejected stand the wrong way round. With $\ell(h) = -\log \sigma(\beta h)$ for the
# label as it is, the flipped label would have the loss $\ell(-h)$. Two ways of using $\varepsilon$:
#
# - *Conservative* DPO (Mitchell, 2023) trains towards being right with probability $1 - \varepsilon$
#   only:
#   $$\ell_{\text{conservative}} = (1 - \varepsilon)\, \ell(h) + \varepsilon\, \ell(-h) .$$
# - *Robust* DPO (Chowdhury et al., 2024) takes off what the flipped labels add on average:
#   $$\ell_{\text{robust}} = \frac{(1 - \varepsilon)\, \ell(h) - \varepsilon\, \ell(-h)}{1 - 2 \varepsilon} .$$
#
# Write both.
#
# - `h`, shape $(B,)$: as in exercise 4. `beta`, `flipped`: the numbers $\beta$ and $\varepsilon$.
# - Return two tensors of shape $(B,)$, the conservative and the robust loss, both differentiable with
#   respect to `h`.
#
# <details><summary>Hint</summary>
#
# $\ell(-h)$ is $-\log(1 - \sigma(\beta h))$. It is not $1 - \ell(h)$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-robust-losses-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def robust_losses(h, beta, flipped):
    """Return the conservative and the robust loss of each pair, (B,) each."""
    ### BEGIN SOLUTION
    kept, turned = -F.logsigmoid(beta * h), -F.logsigmoid(-beta * h)
    conservative = (1 - flipped) * kept + flipped * turned
    robust = ((1 - flipped) * kept - flipped * turned) / (1 - 2 * flipped)
    return conservative, robust
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-robust-losses", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.robust_losses(robust_losses)

# %% [markdown]
# What "takes off" means can be measured. Flip 30% of the labels of 200,000 pairs whose true margins are
# known, and compare the mean of each loss on the flipped labels with the plain loss on the right ones.

# %%
margins = 2 * torch.randn(200_000, generator=generator, dtype=torch.float64) + 1
wrong = torch.rand(200_000, generator=generator) < 0.3
labelled = torch.where(wrong, -margins, margins)
conservative, robust = robust_losses(labelled, 0.5, 0.3)
print(f"plain loss, right labels      {F.softplus(-0.5 * margins).mean():.2f}")
print(f"plain loss, flipped labels    {F.softplus(-0.5 * labelled).mean():.2f}")
print(f"robust loss, flipped labels   {robust.mean():.2f}")
print(f"conservative, flipped labels  {conservative.mean():.2f}")

# %% [markdown]
# The robust loss of flipped labels is, on average, the plain loss of right ones. It pays for that with
# noise: its single values scatter more, and some are below 0.

# %% [markdown]
# ## 9. From comparisons to the best policy
#
# *No separate reward model, no RL loop · 40 minutes · ★★★*
#
# Put everything together. There are $N$ prompts with $M$ responses each, a reference, and a table of
# comparisons. Nobody tells you the rewards. Train a policy on the comparisons with DPO's loss until it
# gets no better.
#
# The policy is a table of logits, one row for each prompt; its `log_softmax` over a row gives the
# log-probabilities of the responses. So the gradient reaches every response, and the optimum is
# known: if responses $i$ and $j$ win against each other as often as their true rewards say, the best
# policy for these rewards is the one with the lowest loss.
#
# - `log_ref`, shape $(N, M)$: $\log \pi_{\text{ref}}$.
# - `wins`, shape $(N, M, M)$: `wins[n, i, j]` counts how often response $i$ to prompt $n$ was preferred
#   to response $j$. Counts may be fractions; a response is never compared with itself.
# - `beta`: a number.
# - Return $\log \pi$ of the trained policy, shape $(N, M)$. Each row's probabilities add up to 1. The
#   check allows $10^{-4}$ nats of KL divergence from the best policy.
#
# Start anywhere. Adam with a learning rate of 0.05 needs less than a thousand steps.
#
# <details><summary>Hint 1</summary>
#
# For all pairs at once: with `gain = log_policy - log_ref`, the table of all $h$ is
# `gain[:, :, None] - gain[:, None, :]`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Every comparison is one pair of the data set. So the loss of the data set is the mean of
# $-\log \sigma(\beta h_{nij})$, each weighed by `wins[n, i, j]`.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "06-train-dpo-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_dpo(log_ref, wins, beta):
    """Return the log-probabilities (N, M) of a policy trained with DPO on counted comparisons."""
    ### BEGIN SOLUTION
    logits = log_ref.clone().requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.05)
    for _ in range(800):
        gain = logits.log_softmax(-1) - log_ref
        h = gain[:, :, None] - gain[:, None, :]
        loss = -(wins * F.logsigmoid(beta * h)).sum() / wins.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return logits.detach().log_softmax(-1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-train-dpo", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
checks.train_dpo(train_dpo)

# %% [markdown]
# Now with comparisons that somebody really drew, in finite number. The rewards are those of exercise 2,
# and no line of the training has seen them.

# %%
chance = torch.sigmoid(rewards[:, :, None] - rewards[:, None, :])
for comparisons in (20, 2_000, 200_000):
    first = torch.binomial(torch.full_like(chance, comparisons), chance, generator=generator)
    wins = first.triu(1) + (comparisons - first).triu(1).mT
    policy = train_dpo(log_ref, wins, 0.2)
    best, _ = optimal_policy(log_ref, rewards, 0.2)
    kl = float((best.exp() * (best - policy)).sum())
    print(f"{comparisons:7,} comparisons of every two: {kl:.4f} nats from the best policy")

# %% [markdown]
# ## Where to go next
#
# You have written DPO from an empty file: the probability of a response, the loss, its gradient, the
# policy that it leads to. Chapter 6 runs the same loss through TRL on the course's language model, where
# the responses can no longer be listed, and measures what is left of all this there. Try its quiz next.
