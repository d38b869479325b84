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
# # Exercises 5: a reward model, and the policy that follows it
#
# Before DPO, comparisons took two steps to reach a language model: a reward model learned from them,
# and reinforcement learning followed the reward model. Seven small functions go this way: what a
# reward model can reach, how a policy follows it, what that costs, and where it has to stop.
#
# **How it works.** Each exercise has a cell for your answer and a cell that checks it. Put your
# code in place of `raise NotImplementedError()`, run the cell, then run the check below it. If the
# answer is right, the check prints one line. If not, it shows you the input, what it expected,
# what came, and often which mistake it is. Change your function, run both cells again, and go on
# until the line appears.
#
# **Hints** are folded: open one when you are stuck, not before. Each exercise gives the minutes
# that it takes and its difficulty, from ★☆☆ to ★★★. Together they take some two and a half hours; each
# can be done alone.
#
# **Symbols**, used throughout:
#
# | symbol | meaning |
# |---|---|
# | $y$, $r(y)$ | a response to a prompt, and its reward: how good it is, or is taken to be |
# | $\pi(y)$ | the probability that the *policy*, the model in training, gives to the response $y$ |
# | $\pi_{\text{ref}}(y)$ | the same for the *reference*, the model that training began with |
# | $\mathrm{KL}(\pi \,\|\, \pi_{\text{ref}})$ | how far the policy has moved: the mean of $\log \frac{\pi(y)}{\pi_{\text{ref}}(y)}$ over responses $y$ of the policy, in nats |
# | $\log$, $\sigma$ | the natural logarithm; the logistic function, $\sigma(u) = 1 / (1 + e^{-u})$ |
#
# `torch.float64` tensors come in and may go out.

# %% nbgrader={"grade": false, "grade_id": "05-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import torch
import torch.nn.functional as F

from alignlab import checks

# %% [markdown]
# ## 1. How good can a reward model get?
#
# *Human preference alignment via reward models · 15 minutes · ★☆☆*
#
# A reward model is tested on comparisons that it has not seen: how often does it give the chosen
# response the higher reward? No model reaches 100%, since people do not always choose the same. Take
# annotators who choose as Bradley and Terry have it. Of two responses with the true rewards $r_1$ and
# $r_2$ they choose the first with probability
#
# $$\sigma\big(s\, (r_1 - r_2)\big) .$$
#
# The *sharpness* $s$ says how surely they see a difference. The best possible reward model knows the
# true rewards, and names the response of higher reward each time. How often is it right?
#
# - `first`, `second`, shape $(N,)$: the true rewards of the two responses of $N$ pairs.
# - `sharpness`: the number $s$, from 0 (they guess) to `math.inf` (they never err).
# - Return one number: the expected share of the $N$ choices that the best model gets right. Where
#   the two rewards are equal, nobody can do better than guess, and the chance is 1/2, whatever $s$.
#
# <details><summary>Hint 1</summary>
#
# Only the size of the difference matters: the best model always bets on the better response.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Infinity times 0 is not a number. `torch.where` chooses a value for equal rewards.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-accuracy-ceiling-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accuracy_ceiling(first, second, sharpness):
    """Return the expected accuracy of the best possible reward model on noisy choices."""
    ### BEGIN SOLUTION
    gaps = (first - second).abs()
    chances = torch.where(gaps == 0, 0.5, torch.sigmoid(sharpness * gaps))
    return chances.mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-accuracy-ceiling", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.accuracy_ceiling(accuracy_ceiling)

# %% [markdown]
# Now 500 pairs of the course's world, whose true rewards are known. For each sharpness, two annotators
# choose a hundred times. How often is a judge right who knows the rewards, and how often do the two
# annotators agree?

# %%
from alignlab.world import World
from alignlab.world.preferences import draw_pairs

generator = torch.Generator().manual_seed(0)
margins = torch.tensor([pair.margin for pair in draw_pairs(World(0), "both", 500)]).double()
print("sharpness  ceiling  judge who knows  two annotators agree")
for sharpness in (0.05, 0.2, 0.5, 2.0):
    chance = torch.sigmoid(sharpness * margins)
    one, two = torch.rand(2, 100, 500, generator=generator) < chance
    judge = (one == (margins > 0)).double().mean()
    agree = (one == two).double().mean()
    ceiling = accuracy_ceiling(margins, torch.zeros(500), sharpness)
    print(f"{sharpness:9} {ceiling:8.2f} {judge:16.2f} {agree:21.2f}")

# %% [markdown]
# A test accuracy means little without its ceiling. And the ceiling is not the rate at which people
# agree: two people both choose by chance, the judge does not.

# %% [markdown]
# ## 2. The loss, and the constant that it leaves open
#
# *Human preference alignment via reward models · 20 minutes · ★☆☆*
#
# A reward model is trained by maximum likelihood: it should make the choices that people made
# probable. With $r_c$ for the chosen response's reward and $r_r$ for the rejected one's, a pair's loss
# is $-\log \sigma(r_c - r_r)$. It looks at a difference, so any constant could be added to all
# rewards. If they are to have a level of their own, something must hold it. Eisenstein et al. (2023)
# add the square of the *sum* of the two rewards, with a small coefficient $c$. The loss of $B$ pairs is
#
# $$\frac{1}{B} \sum_{i=1}^{B} \Big( -\log \sigma(r_{c,i} - r_{r,i}) + c\, (r_{c,i} + r_{r,i})^2 \Big) .$$
#
# In TRL $c$ is `center_rewards_coefficient` of `RewardConfig`.
#
# - `chosen`, `rejected`, shape $(B,)$: the rewards that the model gives. `centre`: the number $c$.
# - Return one number, differentiable with respect to both tensors.
#
# Rewards that are 10,000 apart must give the right loss, too.
#
# Before you run it: which of the two parts changes when 5 is added to all rewards?
#
# <details><summary>Hint</summary>
#
# For large negative $u$ the number $\sigma(u)$ is too small to be stored, and its logarithm infinite.
# `F.logsigmoid` never computes $\sigma(u)$.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-reward-model-loss-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reward_model_loss(chosen, rejected, centre):
    """Return the mean loss of B pairs of rewards, with a term that holds their level."""
    ### BEGIN SOLUTION
    choices = -F.logsigmoid(chosen - rejected)
    return (choices + centre * (chosen + rejected) ** 2).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-reward-model-loss", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.reward_model_loss(reward_model_loss)

# %% [markdown]
# Suppose that training has left the rewards of 500 pairs at a level of about 4. Shift them all.

# %%
chosen, rejected = 4 + torch.randn(2, 500, generator=generator, dtype=torch.float64)
chosen = chosen + 1
print("shift  mean reward  loss, centre 0  loss, centre 0.01")
for shift in (-9.0, -4.5, 0.0, 4.5):
    shifted = chosen + shift, rejected + shift
    mean = torch.cat(shifted).mean()
    plain, centred = (reward_model_loss(*shifted, centre) for centre in (0.0, 0.01))
    print(f"{shift:5} {mean:12.2f} {plain:15.3f} {centred:18.3f}")

# %% [markdown]
# Without the second part all four are equally good, and where a run ends is chance. So a single
# reward says nothing: two rewards to the same prompt, from the same model, can be compared.

# %% [markdown]
# ## 3. Better than its siblings?
#
# *RLHF · 15 minutes · ★☆☆*
#
# Reinforcement learning makes responses with a high reward more probable. High compared with what?
# Subtracting a *baseline* from the reward takes nothing from the direction on average, as long as
# the baseline does not depend on the response itself. And it takes away much of the noise.
#
# RLOO (REINFORCE leave-one-out; Ahmadian et al., 2024) samples $K$ responses to each prompt. The
# baseline of each is the mean reward of the $K - 1$ *others*. The reward less its baseline is called
# the *advantage*.
#
# - `rewards`, shape $(N, K)$: one row for each of $N$ prompts; $K$ is 2 or more.
# - Return the advantages, shape $(N, K)$.
#
# <details><summary>Hint</summary>
#
# The sum of the others is the row's sum less the response's own reward.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-rloo-advantages-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rloo_advantages(rewards):
    """Return each reward less the mean of the others to the same prompt, (N, K)."""
    ### BEGIN SOLUTION
    others = rewards.sum(-1, keepdim=True) - rewards
    return rewards - others / (rewards.shape[-1] - 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-rloo-advantages", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.rloo_advantages(rloo_advantages)

# %% [markdown]
# GRPO (Shao et al., 2024), its nearest relative, takes off the mean of all $K$ rewards and then divides
# by their standard deviation. Look at two prompts: one whose responses are nearly equally good, and
# one where the choice matters.

# %%
rewards = torch.tensor([[0.50, 0.51, 0.50, 0.49], [0.10, 0.90, 0.20, 0.80]], dtype=torch.float64)
scaled = (rewards - rewards.mean(-1, keepdim=True)) / rewards.std(-1, keepdim=True)
for row, ours, theirs in zip(rewards, rloo_advantages(rewards), scaled):
    for name, values in (("rewards", row), ("RLOO", ours), ("GRPO", theirs)):
        print(f"{name:8}", " ".join(f"{round(x, 2) + 0.0:+.2f}" for x in values.tolist()))

# %% [markdown]
# In RLOO the first prompt has next to no say. Divided by its own spread it has as much as the second:
# a reward 0.01 above the others' level then moves the policy more than one 0.4 above it.

# %% [markdown]
# ## 4. Uphill, exactly
#
# *RLHF · 25 minutes · ★★☆*
#
# Take one prompt with $M$ responses that can all be listed. The policy has a logit $z_i$ for each:
# $\pi = \operatorname{softmax}(z)$. What is to grow is the *expected reward*
#
# $$J = \sum_{i=1}^{M} \pi(y_i)\, r(y_i) .$$
#
# Find its derivative with respect to each logit: the *policy gradient*.
#
# - `logits`, shape $(M,)$; one may be $-\infty$, for a response that the policy never gives.
# - `rewards`, shape $(M,)$.
# - Return shape $(M,)$: the derivatives of $J$. Write them as a formula, without `backward()`.
#
# The check raises and lowers every logit by $10^{-4}$ and watches what $J$ does. Logits of $10^4$ must
# work, too.
#
# <details><summary>Hint 1</summary>
#
# The derivative of $\pi(y_j)$ in $z_i$ is $\pi(y_j)\, (1 - \pi(y_i))$ if $i = j$, and
# $-\pi(y_j)\, \pi(y_i)$ otherwise.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Sum over $j$. The result is one product for each response: how probable it is, times how much better
# it is than something.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-policy-gradient-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def policy_gradient(logits, rewards):
    """Return the derivative of the expected reward in each logit, (M,)."""
    ### BEGIN SOLUTION
    probabilities = logits.softmax(-1)
    return probabilities * (rewards - probabilities @ rewards)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-policy-gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.policy_gradient(policy_gradient)

# %% [markdown]
# A language model's responses cannot be listed. REINFORCE (Williams, 1992) samples some and takes the
# mean of reward times the gradient of $\log \pi(y)$, which is one-hot minus $\pi$ in the logits. Draw
# four responses at a time, 200,000 times. Is the estimate right on average, and how much does it
# scatter: with plain rewards, and with your advantages?

# %%
logits = torch.randn(5, generator=generator, dtype=torch.float64)
rewards = torch.rand(5, generator=generator, dtype=torch.float64)
policy = logits.softmax(0)
exact = policy_gradient(logits, rewards)
drawn = torch.multinomial(policy, 800_000, replacement=True, generator=generator).view(-1, 4)
directions = F.one_hot(drawn, 5) - policy
print("exact", " ".join(f"{x:+.3f}" for x in exact.tolist()))
for raised in (0, 10):
    got = (rewards + raised)[drawn]
    for name, weights in (("reward", got), ("advantage", rloo_advantages(got))):
        steps = (weights[..., None] * directions).mean(1)
        print("mean ", " ".join(f"{x:+.3f}" for x in steps.mean(0).tolist()), end="")
        print(f"  variance {steps.var(0).sum():6.3f}  ({name}, rewards raised by {raised})")

# %% [markdown]
# Both are right on average. Raising all rewards by 10 changes nothing about which response is better,
# yet it drowns the plain estimate in noise. The leave-one-out estimate does not notice.

# %% [markdown]
# ## 5. How far has it moved?
#
# *RLHF · 25 minutes · ★★☆*
#
# RLHF takes a price for moving away from the reference: $\beta$ for each nat of
# $\mathrm{KL}(\pi \,\|\, \pi_{\text{ref}})$. The divergence is a mean over all responses, so it has
# to be estimated from responses that the policy has sampled. With
#
# $$w(y) = \frac{\pi_{\text{ref}}(y)}{\pi(y)}$$
#
# Schulman (2020) compares three quantities whose means over the samples are estimates:
#
# $$k_1 = -\log w, \qquad k_2 = \tfrac12 (\log w)^2, \qquad k_3 = w - 1 - \log w .$$
#
# - `policy_logps`, `ref_logps`, shape $(S,)$: $\log \pi(y)$ and $\log \pi_{\text{ref}}(y)$ of $S$
#   responses sampled from the policy.
# - Return three numbers: the means of $k_1$, $k_2$ and $k_3$ over the samples.
#
# Long responses have log-probabilities of −2,000 nats. The result must be right there, too. Where
# the reference never gives a response, its log-probability is $-\infty$, and all three are infinite.
#
# Before you run it: which of the three can come out below 0? Which are right on average?
#
# <details><summary>Hint</summary>
#
# $e^{-2000}$ is 0 on a computer. Take $\log w$ as a difference first, and only its exponential.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-kl-estimates-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def kl_estimates(policy_logps, ref_logps):
    """Return the means of k1, k2 and k3 over samples of the policy."""
    ### BEGIN SOLUTION
    log_w = ref_logps - policy_logps
    k3 = torch.expm1(log_w) - log_w
    return -log_w.mean(), 0.5 * log_w.square().mean(), k3.mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-kl-estimates", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.kl_estimates(kl_estimates)

# %% [markdown]
# Your prediction against the measurement: a prompt with 50 responses, policies that have moved a
# little and a lot, and 5,000 estimates from 20 samples each.

# %%
start, move = torch.randn(2, 50, generator=generator, dtype=torch.float64)
log_ref = start.log_softmax(0)
for size in (0.1, 0.5, 1.5):
    log_policy = (start + size * move).log_softmax(0)
    policy = log_policy.exp()
    samples = torch.multinomial(policy, 100_000, replacement=True, generator=generator)
    found = torch.tensor([
        [float(k) for k in kl_estimates(log_policy[some], log_ref[some])]
        for some in samples.view(-1, 20)
    ])  # fmt: skip
    print(f"KL divergence {policy @ (log_policy - log_ref):.3f}")
    for name, k in zip(("k1", "k2", "k3"), found.double().T):
        below = (k < 0).double().mean()
        print(f"  {name}: mean {k.mean():.3f}, spread {k.std():.3f}, below 0 in {below:.0%}")

# %% [markdown]
# $k_1$ is right on average, and often below 0 while the policy is near. $k_2$ is never below 0, and
# wrong once the policy has moved far. $k_3$ is never below 0 and right on average, up to the noise of
# these samples: far out it scatters more than $k_1$.
# In TRL the RLOO trainer takes $k_1$ off the reward, and the GRPO trainer adds $k_3$ to the loss.
#
# Now put exercises 4 and 5 together: follow the gradient of the reward less $\beta$ times the
# log-ratio. The policy that maximises the penalised objective is known: it is
# $\pi_{\text{ref}}(y)\, e^{r(y) / \beta}$, divided by its sum (chapter 6 derives it).

# %%
beta = 0.2
log_ref = torch.randn(5, generator=generator, dtype=torch.float64).log_softmax(0)
best = (log_ref + rewards / beta).log_softmax(0)
moving = log_ref.clone()
for step in range(1001):
    log_policy = moving.log_softmax(0)
    if step in (0, 10, 100, 1000):
        away = best.exp() @ (best - log_policy)
        reward = log_policy.exp() @ rewards
        print(f"step {step:4}: reward {reward:.3f}, {away:.4f} nats from the best policy")
    moving = moving + policy_gradient(moving, rewards - beta * (log_policy - log_ref))

# %% [markdown]
# This is the policy that DPO reaches from comparisons alone, without rewards and without samples.

# %% [markdown]
# ## 6. What has to fit into memory
#
# *Training cost of each · 25 minutes · ★★☆*
#
# SFT trains one model. DPO also needs a frozen *reference*. RLHF needs a frozen *reward model* as well;
# RLOO and GRPO leave it at that, and PPO trains a *value model* too, which estimates the baseline.
# Count the bytes that their weights take, with these conventions:
#
# - All models have the same number of weights. A *frozen* weight takes `frozen_bytes`: 2 in 16 bits.
# - A *trained* weight takes `trained_bytes` in all. With Adam in mixed precision it is 16 (Rajbhandari
#   et al., 2020): 2 for the weight, 2 for its gradient, and 4 each for a 32-bit copy and Adam's two
#   means. The 2 of the weight itself are among them.
# - *Full fine-tuning* trains all weights of the policy, and of the value model if there is one. The
#   reference is a frozen copy.
# - *LoRA* leaves these weights frozen and adds adapters to each trained model, whose weights are
#   trained. The reference needs no copy then: it is the policy with its adapters switched off. The
#   reward model keeps a copy of its own.
#
# What the model computes on the way (activations, caches) comes on top and is not counted.
#
# - `parameters`: the weights of one model. `adapters`: the adapter weights of each trained model, and
#   0 for full fine-tuning. `frozen_bytes`, `trained_bytes`: numbers.
# - Return shape $(4,)$: the GiB ($2^{30}$ bytes) that SFT, DPO, RLHF without a value model, and RLHF
#   with one need.
#
# Before you run it: how much more than SFT does DPO take, in full fine-tuning and with LoRA?
#
# <details><summary>Hint</summary>
#
# Work out four sizes: policy, reference, reward model, value model. Each figure is the one before it
# plus one more of these.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-memory-gib-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def memory_gib(parameters, adapters, frozen_bytes, trained_bytes):
    """Return the GiB of SFT, DPO, and RLHF without and with a value model, (4,)."""
    ### BEGIN SOLUTION
    frozen = parameters * frozen_bytes
    trained = frozen + adapters * trained_bytes if adapters else parameters * trained_bytes
    reference = 0 if adapters else frozen
    sizes = torch.tensor([trained, reference, frozen, trained], dtype=torch.float64)
    return sizes.cumsum(0) / 2**30
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-memory-gib", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.memory_gib(memory_gib)

# %% [markdown]
# A model of 7 billion weights, with 40 million in adapters. A graphics card with 80 GB has 74.5 GiB.

# %%
rows = {
    "full fine-tuning": (7e9, 0, 2, 16),
    "LoRA": (7e9, 4e7, 2, 16),
    "LoRA on 4-bit weights": (7e9, 4e7, 0.5, 16),
}
print(f"{'GiB':22}{'SFT':>7}{'DPO':>7}{'RLOO':>7}{'PPO':>7}")
for name, arguments in rows.items():
    print(f"{name:22}" + "".join(f"{float(size):7.1f}" for size in memory_gib(*arguments)))

# %% [markdown]
# With LoRA, DPO takes no more room than SFT. Memory is one part of the cost: RLHF also writes
# new responses in every step, token by token, and DPO writes none: its pairs are there before training
# begins.

# %% [markdown]
# ## 7. Where to stop
#
# *Over-optimising a reward model · 25 minutes · ★★★*
#
# A reward model is right about most responses, and wrong about some. The harder a policy is driven
# towards its high scores, the more of these it finds: the learned reward goes on rising while the
# *true* reward turns round. Gao, Schulman and Hilton (2023) measured it. With
# $d = \sqrt{\mathrm{KL}(\pi \,\|\, \pi_{\text{ref}})}$, for policies that sample $n$ responses and keep
# the one with the highest learned reward (*best of* $n$), the true reward is about
#
# $$R(d) = d\, (a - b\, d) ,$$
#
# counted from the reference, so that $R(0) = 0$. For reinforcement learning they found
# $d\, (a - b \log d)$ instead. Take the first form: fit $a$ and $b$ by least squares, that is, with the
# smallest sum of squared errors in $R$, and say where to stop.
#
# - `kl`, shape $(N,)$: the KL divergence of $N$ policies, 0 or more, in any order.
# - `rewards`, shape $(N,)$: the true reward of each, less that of the reference.
# - Return three numbers: $a$, $b$, and the KL divergence (not $d$) at which $R$ is highest. If
#   $b \le 0$, the curve rises without end: return `math.inf` for the third. If $b > 0$ and
#   $a \le 0$, it falls from the start: return 0.
#
# <details><summary>Hint 1</summary>
#
# $R$ is linear in $a$ and $b$: its two columns are $d$ and $-d^2$. `torch.linalg.lstsq` does the rest.
#
# </details>
# <details><summary>Hint 2</summary>
#
# At the top the derivative $a - 2 b d$ is 0.
#
# </details>


# %% nbgrader={"grade": false, "grade_id": "05-best-stop-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_stop(kl, rewards):
    """Return a and b of the fit d (a - b d), and the KL divergence at its top."""
    ### BEGIN SOLUTION
    columns = torch.stack([kl.sqrt(), -kl], dim=1)
    a, b = torch.linalg.lstsq(columns, rewards[:, None]).solution[:, 0].tolist()
    if b <= 0:
        return a, b, math.inf
    return a, b, (max(a, 0.0) / (2 * b)) ** 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-best-stop", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.best_stop(best_stop)

# %% [markdown]
# Watch a reward model being over-optimised. Every response has some quality and some flattery. People
# want quality, and dislike too much flattery as well as too little; the reward model takes more of
# either for better. Draw 400,000 responses, keep the best of $n$ by the reward model as in chapter 4,
# and look at the truth. The KL divergence is known: $\log n - (n - 1) / n$ (Stiennon et al., 2020).
# The fit sees the first six policies only.

# %%
quality, flattery = torch.randn(2, 400_000, generator=generator, dtype=torch.float64)
learned, true = quality + 0.8 * flattery, quality - 0.4 * flattery**2
learned, order = learned.sort()
rank = torch.arange(400_001).double() / 400_000
numbers = 2.0 ** torch.arange(1, 12, dtype=torch.float64)
kl = numbers.log() - (numbers - 1) / numbers
chances = torch.stack([(rank**n).diff() for n in numbers])  # of being the best of n
gained = chances @ true[order] - true.mean()
a, b, stop = best_stop(kl[:6], gained[:6])
print("   n    KL  learned  true   fit")
for n, k, score, value in zip(numbers, kl, chances @ learned, gained):
    d = k.sqrt()
    print(f"{n:4.0f} {k:5.2f} {score:8.2f} {value:5.2f} {d * (a - b * d):5.2f}")
print(f"fitted on n up to 64: stop at a KL divergence of {float(stop):.1f}")
print(f"measured: the best is n = {numbers[gained.argmax()]:.0f}, at {kl[gained.argmax()]:.1f}")

# %% [markdown]
# The learned reward rises in every row. The six policies of the fit all still gain, and yet they say
# where the turn will come. Far beyond it the curve is only roughly right: a fit of this kind says
# where to look, and a look at true rewards decides.
#
# ## Where to go next
#
# You have gone the long way: a reward model and its ceiling, the policy gradient with its baseline,
# the price of moving, the memory, the turn. Chapter 5 measures the ceiling, the gradient and the price
# on the course's language model, and how far a run can fall. Try its quiz next; chapter 6 then does
# without the reward model.
