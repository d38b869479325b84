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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/06_dpo.ipynb)
#
# # 6 Why does DPO work, what does β do, how does it fail?
#
# Chapter 5 took two steps from comparisons to a policy: it learned a reward model, and then
# followed it by reinforcement learning. Direct preference optimization (DPO; Rafailov et al., 2023)
# takes one step. It is a loss on pairs of responses, and you minimise it like any other. Here you
# derive it in five lines, check each line with numbers, write the whole method yourself, and then
# make it fail.
#
# **After this chapter you can**
#
# - derive DPO's loss from the aim of RLHF, and say at which line the reward model drops out;
# - write DPO from an empty file, and show that TRL computes the same;
# - say what $\beta$ buys and costs, from a frontier that you have measured;
# - recognise four failures: a chosen response that grows *less* probable, labels that were flipped,
#   labels that never disagree, and length that stands in for quality;
# - name the one line of TRL's configuration that answers each.
#
# **Time**: 75 minutes to read and predict; the code runs for about 3 minutes on two CPU cores.
# **Hardware**: a laptop. Nothing is downloaded.
#
# **Before**: KL divergence (chapter 2), Bradley–Terry (chapter 4), RLHF and its cost (chapter 5).
# **Here**: direct preference optimization; no separate reward model, no RL loop; β and the
# reference; how DPO fails. **After**: the two stages combined, and data to trust (chapter 7).
#
# | symbol | meaning |
# |---|---|
# | $x$, $y$ | a prompt, and a response to it |
# | $y_c$, $y_r$ | of two responses, the chosen and the rejected one |
# | $\pi(y \mid x)$ | the probability that the *policy*, the model in training, gives to $y$ |
# | $\pi_{\text{ref}}(y \mid x)$ | the same for the *reference*, where training began |
# | $r(x, y)$ | the reward of a response: how good it is |
# | $\beta$ | the price of a nat of distance from the reference, above 0 |
# | $\log$, $\sigma$ | the natural logarithm; the logistic $\sigma(u) = 1 / (1 + e^{-u})$ |

# %%
import subprocess
import sys

if "google.colab" in sys.modules:
    course = "git+https://github.com/OWNER/alignlab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", course], check=True)

from alignlab import chapter

FOLDER, MODEL, QUIET = chapter.begin()

# %% [markdown]
# ## One comparison
#
# A row of preference data has a prompt and two responses, of which somebody chose one. Our
# annotator follows Bradley and Terry: of two responses, the first is chosen with probability
# $\sigma(s\,(r_1 - r_2))$. We know the reward $r$ of this world exactly. It values most that an
# explanation is correct and clear, then that it is friendly, then that it is short. The sharpness
# $s$ is 2, so the annotator is careful, and still errs at times.

# %%
from alignlab.models import load_model, load_tokenizer
from alignlab.world import World
from alignlab.world.preferences import draw_pairs
from alignlab.world.recipes import CAREFUL, compared

world, tokenizer = World(0), load_tokenizer(MODEL)
pairs = draw_pairs(world, "style", 320, annotator=CAREFUL)
rows = compared(pairs)
for name in ("prompt", "chosen", "rejected"):
    print(f"{name:10}{getattr(pairs[0], name)}\n")
print(f"true reward of the chosen response less that of the rejected one: {pairs[0].margin:+.2f}")

# %% [markdown]
# Which tokens of such a row does DPO score? Those of the response, with the token that ends it. The
# prompt is read and not scored. Below, scored tokens stand between bars. Both responses are scored
# under both models, so one row costs four log-probabilities and no generated token.

# %%
from alignlab.claims import claim, reveal
from alignlab.data import show_mask

masks = {}
for side in ("chosen", "rejected"):
    row = {"prompt": rows[0]["prompt"], "completion": rows[0][side]}
    masks[side] = show_mask(tokenizer, row)
    print(side, "".join(f"|{text}" if counted else text for text, counted in masks[side]), "\n")
starts = [[text for text, counted in mask if not counted] for mask in masks.values()]
claim("both rows begin with the same tokens, and none of these is scored", starts[0] == starts[1])

# %% [markdown]
# ## Why it works, in five lines
#
# For a language model, "all responses" is a set without end. To check a derivation we want a set
# that can be listed. The world gives one. Staff explain an idea in four styles, with shares ½, ¼, ⅛
# and ⅛. We take three wordings of each style: 12 responses to each of 8 prompts. The *reference*
# writes as staff do, so we know each $\pi_{\text{ref}}(y \mid x)$. The reward is the world's own.

# %%
import numpy as np
import torch

from alignlab.world.grammar import Dice
from alignlab.world.preferences import true_reward
from alignlab.world.tasks import STYLES, explanations

ideas, told, rewards = world.pool("ideas", "test")[:8], [], []
for idea in ideas:
    dice, meta = Dice(f"set: {idea['name']}"), {"judge": "idea", "idea": idea["name"]}
    told.append([t for s in STYLES for t in dice.sample(tuple(explanations(idea, s)), 3)])
    rewards.append([true_reward(meta, text) for text in told[-1]])
r = torch.tensor(rewards, dtype=torch.float64)  # (8, 12)
shares = torch.tensor([*STYLES.values()], dtype=torch.float64)
log_ref = (shares / 3).log().repeat_interleave(3).expand_as(r)
for style, place in zip(STYLES, range(0, 12, 3)):
    p = float(log_ref[0, place].exp())
    print(f"{style:12} ref {p:.4f}  reward {r[0, place]:5.2f}  {told[0][place][:58]} ...")

# %% [markdown]
# **Line 1: the aim.** We want much reward, and not to lose what the reference can do. So distance
# has a price. The best policy is the one with the largest
#
# $$J(\pi) = \mathbb{E}_{y \sim \pi}\, r(x, y)
# {} - \beta\, \mathrm{KL}(\pi \,\|\, \pi_{\text{ref}}) .$$
#
# This is also what RLHF climbs, step by step (chapter 5). The first term alone would make the model
# say one response and nothing else.
#
# **Line 2: the best policy.** Put
# $\pi^*(y \mid x) = \pi_{\text{ref}}(y \mid x)\, e^{r(x, y) / \beta} / Z(x)$, where $Z(x)$ makes
# the probabilities add up to 1. Take the logarithm:
# $r = \beta \log \pi^* - \beta \log \pi_{\text{ref}} + \beta \log Z$. Put this in place of $r$ in
# line 1. The terms with $\pi_{\text{ref}}$ cancel, $\log Z$ is the same for all responses, and what
# is left is
#
# $$J(\pi) = \beta \log Z(x) - \beta\, \mathrm{KL}(\pi \,\|\, \pi^*) .$$
#
# A KL divergence is never below 0, and 0 only where the two agree. So $\pi^*$ is best. Test this:
# for each of the 8 prompts, draw 1,000 random policies and make 1,000 small changes to $\pi^*$.

# %%
beta = 0.5


def best_policy(beta):
    """Return log π* (8, 12) and log Z (8,)."""
    scores = log_ref + r / beta
    return scores.log_softmax(-1), scores.logsumexp(-1)


def kl(log_p, log_q):
    """Return KL(p‖q) in nats, summed over the responses."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)


best, log_z = best_policy(beta)
noise = torch.from_numpy(np.random.default_rng(6).normal(size=(1000, *r.shape)))
others = torch.cat([noise, best + 0.1 * noise]).log_softmax(-1)
value = (others.exp() * r).sum(-1) - beta * kl(others, log_ref)  # J of each

# %%
short = beta * log_z - value  # by how much each misses β log Z
error = float((short - beta * kl(others, best)).abs().max())
print(f"closest of 16,000 policies: {float(short.min()):.4f} below the best")
claim("every policy misses β log Z by β KL(π‖π*), to 1e-9", error < 1e-9, error)
claim("none of the 16,000 policies beats π*", bool((short > 0).all()), short.min())

# %% [markdown]
# **Line 3: turn it round.** Solve line 2 for the reward:
#
# $$r(x, y) = \beta \log \frac{\pi^*(y \mid x)}{\pi_{\text{ref}}(y \mid x)} + \beta \log Z(x) .$$
#
# This is the whole idea. A policy *implies* a reward: the one for which it would be the best
# policy. You need no second network to read it off. Two log-probabilities are enough, up to a
# constant of the prompt. That constant holds $Z$, a sum over all texts, which nobody can compute
# for a language model.
#
# **Line 4: compare.** Bradley and Terry look at differences alone. Take two responses to one
# prompt, and the constant is gone:
#
# $$\Pr(y_c \text{ is chosen}) = \sigma\Big(
# \beta \log \frac{\pi^*(y_c \mid x)}{\pi_{\text{ref}}(y_c \mid x)}
# {} - \beta \log \frac{\pi^*(y_r \mid x)}{\pi_{\text{ref}}(y_r \mid x)}\Big) .$$

# %%
implied = beta * (best - log_ref)  # the reward that π* implies, short of β log Z
first, second = torch.triu_indices(12, 12, 1)  # every two of the 12 responses, 66 in all
truth = torch.sigmoid(r[:, first] - r[:, second])  # (8, 66): the first is chosen
ours = torch.sigmoid(implied[:, first] - implied[:, second])
print("β log Z of the 8 prompts:", " ".join(f"{z:.2f}" for z in (beta * log_z).tolist()))
restored = float((implied + beta * log_z[:, None] - r).abs().max())
claim("line 3 gives back all 96 rewards, to 1e-9", restored < 1e-9, restored)
apart = float((ours - truth).abs().max())
claim("line 4 gives all 528 probabilities of a choice without Z, to 1e-9", apart < 1e-9, apart)

# %% [markdown]
# **Line 5: fit.** Now read line 4 as a model of the choices, with a policy $\pi$ that we may train
# in place of $\pi^*$, and do what chapter 2 did: minimise the negative log-likelihood. That is
# DPO's loss. As in chapter 2 there is a floor, the entropy of the choices, since annotators who are
# unsure cannot be foreseen. If line 5 is right, $\pi^*$ stands exactly on that floor, with gradient
# 0, and all other policies above it.

# %%
import torch.nn.functional as F


def expected_loss(log_policy):
    """Return DPO's loss of a policy, expected over all choices between two of the responses."""
    gain = beta * (log_policy - log_ref)
    u = gain[..., first] - gain[..., second]
    return -(truth * F.logsigmoid(u) + (1 - truth) * F.logsigmoid(-u)).mean(-1)


floor = -(truth * truth.log() + (1 - truth) * (1 - truth).log()).mean(-1)
logits = best.clone().requires_grad_()
expected_loss(logits.log_softmax(-1)).sum().backward()
print(f"entropy of a choice {floor.mean():.4f} nats, loss of π* {expected_loss(best).mean():.4f}")
steep = float(logits.grad.abs().max())
claim("the loss of π* is the entropy of the choices", torch.allclose(expected_loss(best), floor))
claim("and its gradient there is 0, to 1e-9", steep < 1e-9, steep)
claim("all 16,000 other policies lie above it", bool((expected_loss(others) > floor).all()))

# %% [markdown]
# ## The loss, by hand
#
# So this is the loss of one pair. Write $h$ for how much more the chosen response has gained than
# the rejected one:
#
# $$h = \log \frac{\pi(y_c \mid x)}{\pi_{\text{ref}}(y_c \mid x)}
# {} - \log \frac{\pi(y_r \mid x)}{\pi_{\text{ref}}(y_r \mid x)} ,
# \qquad \ell = -\log \sigma(\beta h) .$$
#
# $\beta h$ is the pair's *margin*. Take paper: the reference gives the two responses −22 and −26,
# the policy −20 and −30, and $\beta$ is 0.1. Work out $h$ and the loss before you run the cell.

# %%
from alignlab.losses import dpo_loss

h = (-20 - -22) - (-30 - -26)
by_hand = np.log(1 + np.exp(-0.1 * h))  # -log σ(u) = log(1 + e^-u)
print(f"the chosen response has gained 2 nats, the rejected one lost 4: h = {h}")
print(f"loss = -log σ(0.1 · {h}) = {by_hand:.4f} nats")
pair = [torch.tensor([value]) for value in (-20.0, -30.0, -22.0, -26.0)]
loss, chosen_reward, rejected_reward = dpo_loss(*pair, beta=0.1)
print(f"implied rewards: {float(chosen_reward):+.1f} and {float(rejected_reward):+.1f}")
claim("alignlab.losses.dpo_loss says the same", abs(float(loss) - by_hand) < 1e-6)

# %% [markdown]
# ## Which pair pulls most?
#
# Differentiate the loss. With respect to $\log \pi(y_c \mid x)$ you get
# $-\beta\, \sigma(-\beta h)$, and with respect to $\log \pi(y_r \mid x)$ the same with a plus. The
# number $\beta\, \sigma(-\beta h)$ is the pair's *weight* in a step. Think before you compute:
# three pairs have the margins $\beta h = -4$, $0$ and $+4$. Which of them moves the policy most?

# %%
options = {
    "A": "the one at −4, where the policy has the pair the wrong way round",
    "B": "the one at 0, where the policy cannot tell",
    "C": "the one at +4, where the two responses are furthest apart the right way",
}
# Your letter in place of None, such as "A"; then run this cell and the next.
prediction = None

# %%
margins = torch.linspace(-6, 6, 121, dtype=torch.float64)
zero = torch.zeros_like(margins)
chosen = (margins / 0.1).requires_grad_()  # log π of the chosen response; all else is 0
rejected = zero.clone().requires_grad_()
dpo_loss(chosen, rejected, zero, zero, beta=0.1)[0].sum().backward()
weight = 0.1 * torch.sigmoid(-margins)
at = {"A": -4.0, "B": 0.0, "C": 4.0}
pulls = {k: float(-chosen.grad[(margins - m).abs().argmin()]) for k, m in at.items()}
reveal(prediction, options, max(pulls, key=pulls.get))
print("weights:", ", ".join(f"{m:+g}: {pulls[k]:.4f}" for k, m in at.items()))
claim("autograd gives −β σ(−βh)", torch.allclose(chosen.grad, -weight))
claim("and +β σ(−βh) for the rejected response", torch.allclose(rejected.grad, weight))

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
axes[0].plot(margins, F.softplus(-margins), color="#0072B2")
axes[0].set(xlabel="margin βh (nats)", ylabel="loss (nats)")
axes[1].plot(margins, weight / 0.1, color="#D55E00")
axes[1].set(xlabel="margin βh (nats)", ylabel="weight, as a share of β")
for ax in axes:
    ax.axvline(0, color="#595959", linewidth=0.8)
    ax.grid(color="#dddddd")
plt.show()

# %% [markdown]
# To read it: on the left the loss of a pair, on the right how hard it pulls, both against the
# margin. A pair that is wrong by far pulls with the full $\beta$. One that is right by far pulls no
# more. DPO spends its steps where the implied reward is wrong, which also means: where a *label* is
# wrong.

# %% [markdown]
# ## A model to start from
#
# DPO starts from a model that can already do the task. We fine-tune the base model on 240
# explanations by staff, in all their styles (chapters 1 to 3 tell you how). This SFT model is both
# the first policy and the reference. Then we ask it about ideas that no row of the training data
# names.

# %%
from datasets import Dataset

from alignlab.sft import sft
from alignlab.world.recipes import labelled
from alignlab.world.tasks import draw_examples

demonstrations = Dataset.from_list(labelled(draw_examples(world, "explain", 240), "chapter 6"))
twice = {"num_train_epochs": 2, "per_device_train_batch_size": 8}
SFT = sft(MODEL, demonstrations, FOLDER / "sft", **twice, **QUIET)
drawn = draw_examples(world, "explain", 90, "test", seed="asked")
asked = list({example.prompt: example for example in drawn}.values())[:48]
print(f"{len(demonstrations)} demonstrations; {len(asked)} prompts about held-out ideas, such as:")
print(asked[0].prompt)

# %%
from alignlab.evaluate import bootstrap, format_scores, respond
from alignlab.world.preferences import form_parts
from alignlab.world.statements import words


def answer(source):
    """Return a model's responses to the prompts about held-out ideas."""
    model = load_model(source)
    return respond(model, tokenizer, asked, temperature=0.7, max_new_tokens=110)[0]


def scores(texts):
    """Return the true reward of some responses, how clear and friendly they are, their length."""
    forms = [form_parts(example.meta, text) for example, text in zip(asked, texts)]
    return {
        "true reward": bootstrap([true_reward(e.meta, text) for e, text in zip(asked, texts)]),
        "clear": bootstrap([form["clear"] for form in forms]),
        "friendly": bootstrap([form["friendly"] for form in forms]),
        "words": bootstrap([len(words(text)) for text in texts]),
    }


# %%
# NBVAL_IGNORE_OUTPUT
answers = {"SFT": answer(SFT)}
results = {"SFT": scores(answers["SFT"])}
for example, text in list(zip(asked, answers["SFT"]))[:3]:
    print(f"{example.prompt}\n    {text}\n")
print(format_scores(results))

# %% [markdown]
# The answers are fluent, and not all of them are about the right thing: a small model knows some
# ideas better than others. The true reward of this world goes up to 12. Few answers have a friendly
# phrase before or after, as with staff. The comparisons are to change that.

# %%
base = results["SFT"]
claim("the SFT model earns between 5 and 10 of 12", 5 < base["true reward"].value < 10, base)
claim("and less than half of what friendliness can earn", base["friendly"].high < 0.5, base)

# %% [markdown]
# ## The first step
#
# Now DPO, with 320 comparisons and $\beta = 0.1$. At the start, policy and reference are the same
# model. What will the loss of the first batch be, before anything has been learned?

# %%
import math

options = {"A": "0", "B": "log 2, which is 0.693", "C": "it depends on how hard the pairs are"}
prediction = None

# %%
from alignlab import plots
from alignlab.dpo import dpo

comparisons = Dataset.from_list(rows)
PURE = {"loss_type": "sigmoid", "beta": 0.1, "learning_rate": 5e-4} | QUIET
PURE["per_device_train_batch_size"] = 8
DPO = dpo(SFT, comparisons, FOLDER / "dpo", **PURE)
metrics = plots.read_metrics(DPO)
start = metrics[0]  # logged for the first batch, before the first step
letter = "A" if start["loss"] < 1e-3 else "B" if abs(start["loss"] - math.log(2)) < 1e-3 else "C"
reveal(prediction, options, letter)
claim("the first loss is log 2 to 1e-3", abs(start["loss"] - math.log(2)) < 1e-3, start["loss"])
claim("and the first margin is 0 to 1e-3", abs(start["rewards/margins"]) < 1e-3)

# %% [markdown]
# At the start $h = 0$ for every pair, whatever the pair and whatever $\beta$, and
# $-\log \sigma(0) = \log 2$. So the first logged loss is a test that costs nothing. If it is not
# 0.693, the reference is not the model that you train, and something in your set-up is wrong. Next,
# the whole run.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
plots.dpo_curves(metrics, axes)
plt.show()

# %% [markdown]
# To read it: on the left the implied rewards $\beta \log \pi / \pi_{\text{ref}}$ of each batch's
# responses, in nats, and their difference, the margin; on the right, in how many pairs the chosen
# response has the higher one. The rewards start at 0. Watch the line of the chosen responses: we
# come back to it.
#
# Does the model answer differently now? It is asked the same questions, about ideas that no pair
# named.

# %%
# NBVAL_IGNORE_OUTPUT
answers["DPO"] = answer(DPO)
results["DPO"] = scores(answers["DPO"])
earned = {
    name: np.array([true_reward(e.meta, text) for e, text in zip(asked, texts)])
    for name, texts in answers.items()
}
wins = bootstrap((earned["DPO"] > earned["SFT"]) + 0.5 * (earned["DPO"] == earned["SFT"]))
print(f"{asked[0].prompt}\n  SFT  {answers['SFT'][0]}\n  DPO  {answers['DPO'][0]}\n")
print(format_scores(results))
print(f"wins against the SFT model: {wins.value:.2f} [{wins.low:.2f}, {wins.high:.2f}]")

# %%
claim(
    "by the true reward DPO wins more often than it loses, interval above ½", wins.low > 0.5, wins
)
friendly = {name: row["friendly"] for name, row in results.items()}
warmer = friendly["DPO"].low > friendly["SFT"].high
claim("its answers are friendlier, and the intervals do not touch", warmer, friendly)

# %% [markdown]
# ## From an empty file
#
# What did TRL do in that run? Close the library and write it yourself. You need three things.
# First, rows of token ids with a mask of the response: chosen responses above, rejected ones below.
# Padding stands on the right, where no earlier token can see it. Second, the summed log-probability
# of each response, from chapter 2. Third, the loss.

# %%
from torch.nn.utils.rnn import pad_sequence

from alignlab.losses import sequence_logprobs


def encode(rows):
    """Return ids and mask of the responses, (2B, T): the chosen ones, then the rejected ones."""
    ids, masks = [], []
    for talk in [row["prompt"] + row[side] for side in ("chosen", "rejected") for row in rows]:
        whole = tokenizer.apply_chat_template(talk)["input_ids"]
        opened = tokenizer.apply_chat_template(talk[:-1], add_generation_prompt=True)["input_ids"]
        ids.append(torch.tensor(whole))
        masks.append(torch.arange(len(whole)) >= len(opened))
    return pad_sequence(ids, batch_first=True), pad_sequence(masks, batch_first=True)


def response_logps(model, ids, mask):
    """Return log π(y | x) of the chosen and of the rejected responses, (B,) each."""
    return sequence_logprobs(model(ids).logits, ids, mask).chunk(2)


# %% [markdown]
# Now the whole method. Two models, one of which never changes. For each batch: four
# log-probabilities a pair, one number $h$, one loss, one step. Nothing is generated, and no reward
# is looked up.

# %%
policy, reference = load_model(SFT, "cpu", trainable=True), load_model(SFT, "cpu")
optimiser = torch.optim.AdamW([w for w in policy.parameters() if w.requires_grad], lr=1e-3)
own_losses = []
for step in range(6):
    ids, mask = encode(rows[8 * step : 8 * step + 8])
    with torch.no_grad():
        ref_chosen, ref_rejected = response_logps(reference, ids, mask)
    chosen, rejected = response_logps(policy, ids, mask)
    h = (chosen - ref_chosen) - (rejected - ref_rejected)
    loss = -F.logsigmoid(0.1 * h).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    own_losses.append(loss.item())
claim("your own loop starts at log 2", abs(own_losses[0] - math.log(2)) < 1e-3, own_losses[0])
late = sum(own_losses[-3:]) / 3
claim("and its last three losses have a mean below 0.65", late < 0.65, own_losses)

# %% [markdown]
# Is this the loss that TRL computes? Take a policy that has moved, so that $h$ is not 0: the run
# from above. Give TRL's own trainer eight rows, let it make its batch, and ask for its loss. Then
# compute the loss of the same eight rows with the functions that you have just written.

# %%
from trl import DPOConfig, DPOTrainer

from alignlab.models import merged

eight = rows[:8]
args = DPOConfig(
    output_dir=str(FOLDER / "trl"), per_device_train_batch_size=8, beta=0.1, max_length=None,
    use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", disable_tqdm=True,
)  # fmt: skip
trainer = DPOTrainer(
    merged(load_model(DPO, "cpu")), merged(load_model(SFT, "cpu")), args=args,
    train_dataset=Dataset.from_list(eight), processing_class=tokenizer,
)  # fmt: skip
theirs = float(trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))))

# %%
ids, mask = encode(eight)
with torch.no_grad():
    now, before = (response_logps(load_model(run, "cpu"), ids, mask) for run in (DPO, SFT))
h = (now[0] - before[0]) - (now[1] - before[1])
ours = float(-F.logsigmoid(0.1 * h).mean())
claim("the policy has moved: |h| is 1 nat or more on average", float(h.abs().mean()) > 1, h)
claim("your loss and TRL's agree to 1e-6", abs(ours - theirs) < 1e-6, (ours, theirs))

# %% [markdown]
# ## Does training get to π*?
#
# The derivation says where the loss is lowest. It does not say that training gets there, from
# comparisons that somebody drew by chance. Back to the 12 responses that we can list. The policy is
# now a table: 12 logits for each prompt. The data are choices, drawn by Bradley and Terry from the
# true reward. We train it with the package's `dpo_loss`, and nobody tells it the reward.

# %%
CHOSEN, REJECTED = torch.cat([first, second]), torch.cat([second, first])  # 132 ordered pairs


def draw_choices(count, flips=0.0, reward=r, seeds=3):
    """Let every two responses be compared `count` times; return how often each won, (S, 8, 132)."""
    p = torch.sigmoid(reward[:, first] - reward[:, second])
    p = ((1 - flips) * p + flips * (1 - p)).numpy()
    won = np.stack([np.random.default_rng(seed).binomial(count, p) for seed in range(seeds)])
    return torch.from_numpy(np.concatenate([won, count - won], -1))


def train_table(seen, beta, steps=600, **variant):
    """Train tables of logits with DPO on counted choices; return log-probabilities (S, 8, 12)."""
    ref = log_ref.expand(*seen.shape[:-1], 12)
    logits = ref.clone().requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(steps):
        sides = [t[..., side] for t in (logits.log_softmax(-1), ref) for side in (CHOSEN, REJECTED)]
        losses, _, _ = dpo_loss(*sides, beta, **variant)
        optimiser.zero_grad()
        ((seen * losses).sum() / seen.sum()).backward()
        optimiser.step()
    return logits.detach().log_softmax(-1)


# %% [markdown]
# Three seeds draw three data sets. With 5, 50 and 500 comparisons of every two responses, how far
# is the trained policy from $\pi^*$? The last row takes endlessly many: the true probabilities
# themselves.

# %%
beta, distances, trained = 0.5, {}, {}
for count in (5, 50, 500):
    trained[count] = train_table(draw_choices(count), beta)
    distances[count] = bootstrap(kl(trained[count], best).flatten().tolist())
    print(f"{count:4} comparisons of every two: KL(π‖π*) = {distances[count].value:.4f} nats")
exact = torch.cat([truth, 1 - truth], -1)[None]
limit = float(kl(train_table(exact, beta), best).max())
claim("with the true probabilities, training ends within 1e-4 nats of π*", limit < 1e-4, limit)
near = distances[500].high
claim("500 comparisons of every two: within 0.02 nats", near < 0.02, near)
shrunk = distances[5].value / distances[500].value
claim("a hundred times the data makes the distance at least 20 times smaller", shrunk > 20, shrunk)

# %%
from alignlab import figures

shape = trained[500].shape  # (3, 8, 12)
kinds = {"reference": log_ref.expand(shape), "trained": trained[500], "best": best.expand(shape)}
by_style = {name: policy.exp().reshape(24, 4, 3).sum(-1) for name, policy in kinds.items()}
groups = {
    style: {name: bootstrap(p[:, place].tolist()) for name, p in by_style.items()}
    for place, style in enumerate(STYLES)
}
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
figures.bars(groups, ax, "probability of the style")
plt.show()

# %% [markdown]
# To read it: the three bars of a style are its probability under the reference, under the policy
# trained with 500 comparisons of every two responses, and under $\pi^*$, averaged over 8 prompts
# and 3 seeds. The trained policy has found the formula of line 2, without having seen it, or a
# reward.
#
# ## What does β do?
#
# $\beta$ is the price of a nat. Train the same tables on the same choices, 20 of every two
# responses, with five values of it. Which $\beta$ takes the policy furthest from its reference?

# %%
options = {
    "A": "the largest, since β multiplies h and so strengthens the training",
    "B": "the smallest, since moving costs least",
    "C": "all go equally far, since the choices are the same",
}
prediction = None

# %%
from itertools import pairwise

betas = (4.0, 2.0, 1.0, 0.5, 0.25)
seen = draw_choices(20)
tables = {b: train_table(seen, b) for b in betas}
moved = {b: bootstrap(kl(t, log_ref).flatten().tolist()) for b, t in tables.items()}
earned = {b: bootstrap((t.exp() * r).sum(-1).flatten().tolist()) for b, t in tables.items()}
for b in betas:
    print(f"β {b:4}: {moved[b].value:.2f} nats from the reference, reward {earned[b].value:.2f}")
furthest = max(betas, key=lambda b: moved[b].value)
spread = max(m.value for m in moved.values()) / min(m.value for m in moved.values())
letter = "C" if spread < 1.1 else {max(betas): "A", min(betas): "B"}[furthest]
reveal(prediction, options, letter)
apart = [moved[a].high < moved[b].low for a, b in pairwise(betas)]
claim("each smaller β goes further, and no two intervals touch", all(apart), moved)
more = [earned[a].value < earned[b].value for a, b in pairwise(betas)]
claim("and each smaller β earns more", all(more), earned)

# %%
fine = torch.logspace(2, -2, 200, dtype=torch.float64).tolist()
ideal = [best_policy(b)[0] for b in fine]
xs = [float(kl(policy, log_ref).mean()) for policy in ideal]
ys = [float((policy.exp() * r).sum(-1).mean()) for policy in ideal]
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(xs, ys, color="#595959", linewidth=1, label="best policies, all β")
points = [(moved[b], earned[b], f"β = {b:g}") for b in betas]
figures.frontier({"trained with DPO": points}, ax, "KL(π‖π_ref) (nats)", "expected true reward")
plt.show()
could = [np.interp(moved[b].value, xs, ys) - ys[0] for b in betas]
reach = [(earned[b].value - ys[0]) / most for b, most in zip(betas, could)]
claim("each policy earns 95% or more of what its distance can buy", min(reach) > 0.95, reach)
gained = [(earned[b].value - earned[a].value) / (moved[b].value - moved[a].value)
          for a, b in pairwise(betas)]  # fmt: skip
claim("at each step to a smaller β, a nat buys less than before", gained == sorted(gained)[::-1])

# %% [markdown]
# To read it: distance goes to the right, reward upwards, with 95% intervals over 3 seeds and 8
# prompts; the thin line is the frontier, above which no policy can lie. The first nat buys most, and
# each further one less. Rafailov et al.
# (2023) draw this figure for language models. So let us look at ours: the same pairs once more,
# with $\beta = 1$. The distance is estimated from responses that the policy samples, so its
# interval is wide. The next section compares the two runs on pairs, which is sharper.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.divergence import sequence_kl

STRICT = dpo(SFT, comparisons, FOLDER / "beta", **PURE | {"beta": 1.0})
runs = {"DPO": DPO, "DPO, β 1": STRICT}
prompts = [example.prompt for example in asked[:32]]
far = {
    name: sequence_kl(load_model(run), load_model(SFT), tokenizer, prompts, max_new_tokens=110)
    for name, run in runs.items()
}
results["DPO, β 1"] = scores(answer(STRICT))
for name, distance in far.items():
    reward = results[name]["true reward"]
    print(f"{name:10} {distance.value:5.1f} nats [{distance.low:.1f}, {distance.high:.1f}], "
          f"true reward {reward.value:.2f} [{reward.low:.2f}, {reward.high:.2f}]")  # fmt: skip

# %%
claim("with β 0.1 the model has left its reference, KL interval above 0", far["DPO"].low > 0, far)

# %% [markdown]
# ## Implied against true reward
#
# A trained policy carries a reward inside, $\beta \log \pi / \pi_{\text{ref}}$. Chapter 5's reward
# model gave its reward openly; here you have to read it off. Does it agree with the truth on ideas
# that no pair named? We score one text in each style for 32 held-out ideas. The constant of a prompt
# means nothing, so of both rewards we take what a text has above the mean of its idea.

# %%
from alignlab.divergence import response_logprobs
from alignlab.world.tasks import plain_tellings


def logps(run, prompts, texts):
    """Return log π(y | x) of each response under a run, in nats."""
    rows = response_logprobs(load_model(run), tokenizer, prompts, texts)
    return np.array([sum(row) for row in rows])


by_style = {style: [] for style in STYLES}
for example in asked[:32]:
    idea = next(i for i in world.everyone("ideas") if i["name"] == example.meta["idea"])
    dice = Dice(f"styles: {example.prompt}")
    by_style["technical"].append(dice.weighted(explanations(idea, "technical")))
    for style, text in plain_tellings(idea, dice).items():
        by_style[style].append(text)
before = {style: logps(SFT, prompts, texts) for style, texts in by_style.items()}
after = {style: logps(DPO, prompts, texts) for style, texts in by_style.items()}

# %%
metas = [example.meta for example in asked[:32]]
true = np.array([[true_reward(m, t) for m, t in zip(metas, by_style[s])] for s in STYLES])
implied_reward = 0.1 * np.array([after[s] - before[s] for s in STYLES])  # (4, 32)
centred = [rows - rows.mean(0) for rows in (true, implied_reward)]
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for place, (style, x, y) in enumerate(zip(STYLES, *centred)):
    ax.scatter(x, y, s=20, color=plots.COLOURS[place], marker="os^D"[place], label=style)
ax.set(xlabel="true reward, above the idea's mean", ylabel="implied reward, the same (nats)")
ax.legend(frameon=False)
plt.show()
one, other = np.triu_indices(4, 1)  # every two of an idea's four texts
alike = (true[one] > true[other]) == (implied_reward[one] > implied_reward[other])
claim("implied and true reward order 85% or more of these pairs alike", alike.mean() >= 0.85)
related = float(np.corrcoef(*(rows.ravel() for rows in centred))[0, 1])
claim("and their correlation is 0.5 or more", related >= 0.5, related)

# %% [markdown]
# To read it: each point is a text; to the right it is better than the idea's other texts, upwards
# the policy has come to like it more than them. The policy was never told a reward, and friendly
# phrases lift a text as they should. Technical and plain texts are hardly told apart: few pairs
# compare them, and one pass has only begun to fit the margins. In the table, where all is compared
# and training goes on to the end, the whole reward came out.
#
# How far has each pair come, and how hard does it still pull? We take held-out pairs, compare with
# the run at $\beta = 1$, and use the weight from the section "Which pair pulls most?".

# %%
held = draw_pairs(world, "style", 96, "test", annotator=CAREFUL)
held_prompts = [pair.prompt for pair in held]
held_texts = {side: [getattr(pair, side) for pair in held] for side in ("chosen", "rejected")}
at_start = {side: logps(SFT, held_prompts, texts) for side, texts in held_texts.items()}
at_end = {side: logps(DPO, held_prompts, texts) for side, texts in held_texts.items()}
gains = {side: at_end[side] - at_start[side] for side in held_texts}
implied_margin = 0.1 * (gains["chosen"] - gains["rejected"])

# %%
strict = {side: logps(STRICT, held_prompts, texts) for side, texts in held_texts.items()}
strict_h = strict["chosen"] - at_start["chosen"] - strict["rejected"] + at_start["rejected"]
further = bootstrap(implied_margin / 0.1 - strict_h)
claim("h is larger with β 0.1 than with β 1, interval above 0", further.low > 0, further)
weights = bootstrap(1 / (1 + np.exp(implied_margin)))  # σ(-βh), as a share of β; ½ at the start
claim("the mean weight has fallen from 0.5 to below 0.45, interval and all", weights.high < 0.45)

# %% [markdown]
# ## Failure 1: the chosen response grows less probable
#
# You train a model to prefer the chosen responses. Over the run, what happened to the
# log-probability of the chosen responses of held-out pairs?

# %%
options = {
    "A": "it rose, and the rejected ones stayed where they were",
    "B": "it moved less than the rejected ones fell",
    "C": "it rose by more than the rejected ones fell",
}
prediction = None

# %%
change = {side: bootstrap(values) for side, values in gains.items()}
up, down = change["chosen"].value, -change["rejected"].value
reveal(prediction, options, "A" if abs(down) < 0.2 else "B" if abs(up) < down else "C")
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for side, colour, dash in (("chosen", "#0072B2", "-"), ("rejected", "#D55E00", "--")):
    steps, values = plots.series(metrics, f"rewards/{side}")
    ax.plot(steps, np.array(values) / 0.1, dash, color=colour, marker="o", label=side)
ax.axhline(0, color="#595959", linewidth=0.8)
ax.set(xlabel="step", ylabel="change of log π(y | x) (nats)")
ax.legend(frameon=False)
plt.show()
claim("the rejected ones fell, interval below 0", change["rejected"].high < 0, change)
fell = (gains["chosen"] < 0)[gains["chosen"] > gains["rejected"]].mean()
claim("in 20% or more of the pairs that it has learned the chosen one fell too", fell >= 0.2, fell)

# %% [markdown]
# To read it: how much the log-probability of each batch's chosen and rejected responses has changed
# since the start, in nats, over the steps of training. The loss looks at the gap between the lines
# and at nothing else. In many a pair both fall and the gap widens, and the loss is content. This is
# called *likelihood displacement* (Razin et al., 2024).
#
# Is it a fault of training? Look at line 3 again. Under the best policy
#
# $$\log \frac{\pi^*(y \mid x)}{\pi_{\text{ref}}(y \mid x)}
# {} = \frac{r(x, y) - \beta \log Z(x)}{\beta} .$$
#
# A response gains only if its reward lies above the bar $\beta \log Z(x)$. Probabilities add up to
# 1, so not everything can gain. To be *better than the rejected one* is not enough.

# %%
better = r[:, CHOSEN] - r[:, REJECTED] > 0.3  # choices of the clearly better one of two
displaced = {}
for b in (2.0, 1.0, 0.5, 0.25):
    log_best, log_z = best_policy(b)
    fell = log_best < log_ref
    displaced[b] = float(fell[:, CHOSEN][better].double().mean())
    below = torch.equal(fell, r < b * log_z[:, None])
    print(f"β {b:4}: bar {b * log_z[0]:5.2f}; the chosen response falls in {displaced[b]:.0%}; "
          f"those that fall are those below the bar: {below}")  # fmt: skip
claim("at β 2 the best policy lowers no chosen response", displaced[2.0] == 0, displaced)
claim("at β 0.25 it lowers it in a third or more of the choices", displaced[0.25] > 1 / 3)

# %% [markdown]
# So even the *best* policy lowers a plain explanation that won against a technical one, since
# friendlier ones stand above both, and a smaller $\beta$ raises the bar. Now the language model.
# Take the texts in four styles from above, before and after. Another cause comes on top here: all
# responses share the weights, and texts that nobody compared can take the probability.


# %%
def moves(run):
    """Return how much the log-probability of each style's responses has changed, in nats."""
    return {s: bootstrap(logps(run, prompts, by_style[s]) - before[s]) for s in STYLES}


# %% [markdown]
# TRL can hold the chosen response up. `loss_type` takes a list, and `"sft"` adds the negative
# log-likelihood of the chosen response (Pang et al., 2024). This is one line. `dpo.ANCHORED`, the
# recipe of the course's bundled preferences, has it too; the runs so far did without.

# %%
two_losses = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 1.0]}
HELD_UP = dpo(SFT, comparisons, FOLDER / "held_up", **PURE | two_losses)
changes = {"DPO": moves(DPO), "with an SFT term": moves(HELD_UP)}
groups = {style: {name: row[style] for name, row in changes.items()} for style in STYLES}
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
figures.bars(groups, ax, "change of log π(y | x) (nats)")
ax.axhline(0, color="#595959", linewidth=0.8)
plt.show()

# %%
change = changes["DPO"]
claim("plain responses lost probability, interval below 0", change["plain"].high < 0, change)
claim("technical ones did too", change["technical"].high < 0, change)
ahead = change["friendliest"].low > change["plain"].high
claim("the friendliest fared better, and the intervals do not touch", ahead, change)
kept = logps(HELD_UP, held_prompts, held_texts["chosen"]) - at_end["chosen"]
higher = bootstrap(kept)
claim("with the SFT term the chosen responses end more probable", higher.low > 0, higher)

# %% [markdown]
# To read it: each bar is how much a style's responses gained or lost, with its 95% interval. A plain
# response is better than a technical one, and its probability fell all the same, as in the list of
# 12 at a small $\beta$.
#
# ## Failure 2: flipped labels
#
# Annotators slip. Let every label be flipped with probability $\varepsilon$. Suppose it is 30%.
# What does a policy learn from such data, with the plain loss and 50 comparisons of every two
# responses?

# %%
options = {
    "A": "the wrong order for about 30% of the pairs",
    "B": "the right order, with margins that are too small",
    "C": "the right order and the right margins: flips cancel out",
}
prediction = None

# %%
beta, (best, _) = 1.0, best_policy(1.0)
clear_pairs = r[:, first] - r[:, second]
sure = clear_pairs.abs() > 0.3


def learned(policy):
    """Return the share of clear pairs in the right order, and implied by true margin (slope)."""
    gain = beta * (policy - log_ref)
    margin = gain[..., first] - gain[..., second]
    right = ((margin > 0) == (clear_pairs > 0)).double()[..., sure].mean()
    slope = (margin * clear_pairs).sum() / (clear_pairs**2).expand_as(margin).sum()
    return float(right), float(slope)


right, slope = learned(train_table(draw_choices(50, flips=0.3), beta))
reveal(prediction, options, "A" if right < 0.8 else "B" if slope < 0.8 else "C")
print(f"right order in {right:.0%} of the pairs; margins {slope:.2f} of the true ones")

# %% [markdown]
# A flip makes a choice look less sure, and the policy believes it. Labels flipped with probability
# $\varepsilon$ have the chance $(1 - \varepsilon) p + \varepsilon (1 - p)$ in place of $p$, which
# lies nearer to ½. So the policy stops too early. Robust DPO (Chowdhury et al., 2024) knows
# $\varepsilon$ and takes off what the flips add on average:
#
# $$\ell_{\text{robust}}(h)
# {} = \frac{(1 - \varepsilon)\, \ell(h) - \varepsilon\, \ell(-h)}{1 - 2 \varepsilon} .$$

# %%
levels = (0.1, 0.2, 0.3)
noisy = {e: draw_choices(50, flips=e) for e in levels}
losses_of = {
    "sigmoid": lambda e: {},
    "robust": lambda e: {"loss_type": "robust", "label_smoothing": e},
}
tables = {
    name: [train_table(noisy[e], beta, **make(e)) for e in levels]
    for name, make in losses_of.items()
}
gaps = {n: [bootstrap(kl(t, best).flatten().tolist()) for t in row] for n, row in tables.items()}
for name, row in tables.items():
    for e, table, gap in zip(levels, row, gaps[name]):
        right, slope = learned(table)
        print(f"{name:8} ε {e}: right order {right:.2f}, margins {slope:.2f} of the true ones, "
              f"KL(π‖π*) {gap.value:.2f} [{gap.low:.2f}, {gap.high:.2f}]")  # fmt: skip

# %%
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
figures.curves(levels, gaps, ax, "share of flipped labels ε", "KL(π‖π*) (nats)")
plt.show()
pairs_of = list(zip(gaps["sigmoid"], gaps["robust"]))
claim("at each of the three levels the robust policy is at most half as far from π*",
      all(robust.value < plain.value / 2 for plain, robust in pairs_of), gaps)  # fmt: skip
claim("and the intervals do not touch", all(robust.high < plain.low for plain, robust in pairs_of))
rights = [learned(table)[0] for row in tables.values() for table in row]
claim(
    "both losses order 95% or more of the pairs right, at every level", min(rights) >= 0.95, rights
)

# %% [markdown]
# To read it: distance from the best policy against the share of flipped labels, with 95% intervals
# over 3 seeds and 8 prompts. The order of the responses survives the flips under both losses; what
# the plain loss loses is the size of the margins. Now the price. The robust loss subtracts, so with
# few comparisons it follows chance. Take 10 in place of 50, at 30% flips.

# %%
few = draw_choices(10, flips=0.3)
fits = {n: train_table(few, beta, **make(0.3)) for n, make in losses_of.items()}
reverse = {n: bootstrap(kl(best, policy).flatten().tolist()) for n, policy in fits.items()}
steepest = {n: float((p - log_ref).abs().max()) for n, p in fits.items()}
for name in fits:
    print(
        f"{name:8} KL(π*‖π) {reverse[name].value:.2f} nats, largest move {steepest[name]:.0f} nats"
    )
claim("with 10 comparisons of every two, robust is further from π* than sigmoid, in KL(π*‖π)",
      reverse["robust"].value > reverse["sigmoid"].value, reverse)  # fmt: skip
further = steepest["robust"] / steepest["sigmoid"]
claim("and has moved some response ten times as far", further > 10, steepest)

# %% [markdown]
# ## Failure 3: labels that never disagree
#
# Now the opposite of noise. Let the better response win *every* time. Then no finite margin is
# enough: $-\log \sigma(\beta h)$ still falls when $h$ grows, and $\beta$ no longer holds the
# policy. Azar et al. (2023) saw this and proposed IPO, which asks for the margin $h = 1 / (2\beta)$
# and no more: $\ell = (h - 1/(2\beta))^2$. We train 300 steps and 1,500.

# %%
certain = better.double()[None]  # the better one of two clearly different responses always wins
reached = {}
for loss_type in ("sigmoid", "ipo"):
    for steps in (300, 1500):
        gain = (train_table(certain, 1.0, steps, loss_type=loss_type) - log_ref)[0]
        h = (gain[:, CHOSEN] - gain[:, REJECTED])[better]
        reached[loss_type, steps] = float(h.mean())
        print(f"{loss_type:8} {steps:5} steps: mean h {reached[loss_type, steps]:6.2f} nats")
grown = {name: reached[name, 1500] / reached[name, 300] for name in ("sigmoid", "ipo")}
claim(
    "from step 300 to step 1,500 sigmoid's h grows by a fifth or more",
    grown["sigmoid"] > 1.2,
    grown,
)
claim("IPO's moves by less than 1%", abs(grown["ipo"] - 1) < 0.01, grown)

# %% [markdown]
# Real data have few comparisons of each pair, often one. Then every label is unanimous, and
# nothing in the loss says where to stop. In practice the number of steps does: train for one pass,
# and look at margins on held-out pairs.
#
# ## Failure 4: length that stands in for quality
#
# A help desk wants clear and *short* answers, and pays nothing for friendly phrases. One annotator
# chooses by these wishes. Another has a habit: each further word counts as 0.3 more reward. The
# pairs are the same. What will the second one's policy do?

# %%
options = {
    "A": "write longer responses than the first one's, with less of what the desk wants",
    "B": "write longer responses that are worth as much to the desk",
    "C": "write responses of the same length: what annotators like about length averages out",
}
prediction = None

# %%
from alignlab.world.preferences import WEIGHTS, Annotator

DESK = WEIGHTS | {"friendly": 0.0, "short": 6.0}
people = {
    "by the wishes": Annotator(sharpness=2.0, weights=tuple(DESK.items())),
    "likes length": Annotator(sharpness=2.0, weights=tuple(DESK.items()), length_bias=0.3),
}
labels = {
    name: draw_pairs(world, "style", 480, annotator=person) for name, person in people.items()
}


def audited(pairs):
    """Return for each pair by how many words, and by how much reward, the chosen one is ahead."""
    extra = [len(words(pair.chosen)) - len(words(pair.rejected)) for pair in pairs]
    worth = [
        true_reward(pair.meta, pair.chosen, DESK) - true_reward(pair.meta, pair.rejected, DESK)
        for pair in pairs
    ]
    return np.array(extra), np.array(worth)


# %% [markdown]
# First look at the labels, before anything is trained. In how many pairs was the longer response
# chosen? That alone proves nothing, since the better one may happen to be longer. So look where the
# *shorter* one is better by the desk's wishes: there a longer choice is a mistake. And look at
# pairs of about the same length of which one is clearly better: there length cannot decide.

# %%
mistakes, level = {}, {}
for name, drawn in labels.items():
    extra, worth = audited(drawn)
    shorter_is_better = extra * worth < 0  # one of the two is shorter and better
    mistakes[name] = float((extra > 0)[shorter_is_better].mean())
    clear = (np.abs(extra) <= 2) & (np.abs(worth) > 0.5)  # as long, and one is clearly better
    level[name] = float((worth > 0)[clear].mean())
    print(f"{name:14} longer one chosen {(extra > 0).mean():.0%}; where the shorter one is better, "
          f"{mistakes[name]:.0%}; at equal length the better one {level[name]:.0%}")  # fmt: skip
times = mistakes["likes length"] / mistakes["by the wishes"]
claim("where shorter is better, the second errs at least three times as often", times > 3, mistakes)
claim("at equal length both choose the better one in 90% or more", min(level.values()) >= 0.9)

# %% [markdown]
# Now train on each one's choices. The 12 responses that we can list serve again: we know how many
# words each has, and what each is worth to the desk. Both annotators compare every two of them 20
# times.

# %%
metas = [{"judge": "idea", "idea": idea["name"]} for idea in ideas]
worth = [[true_reward(meta, t, DESK) for t in texts] for meta, texts in zip(metas, told)]
desk = torch.tensor(worth, dtype=torch.float64)
length = torch.tensor([[len(words(t)) for t in texts] for texts in told], dtype=torch.float64)
habits = {"by the wishes": 0.0, "likes length": 0.3}
said = {
    name: train_table(draw_choices(20, reward=desk + habit * length), 0.5).exp()
    for name, habit in habits.items()
}
said["reference"] = log_ref.exp().expand_as(said["likes length"])
long = {n: bootstrap((p * length).sum(-1).flatten().tolist()) for n, p in said.items()}
pays = {n: bootstrap((p * desk).sum(-1).flatten().tolist()) for n, p in said.items()}
for name in said:
    print(f"{name:14} {long[name].value:.1f} words, worth {pays[name].value:.2f} to the desk")

# %%
wishes, habit = "by the wishes", "likes length"
worse = pays[habit].high < pays[wishes].low
letter = "C" if long[habit].low <= long[wishes].high else "A" if worse else "B"
reveal(prediction, options, letter)
more = long[habit].low - long[wishes].high
claim(
    "the second one's policy writes 5 or more words more, interval against interval",
    more >= 5,
    long,
)
claim("and is worth less to the desk, and the intervals do not touch", worse, pays)

# %% [markdown]
# DPO did its work in both cases: each policy prefers what its annotator preferred. The habit was
# in the labels, and the loss cannot know which part of a choice was meant. Chapter 7 finds such
# annotators before training.
#
# ## Variants: one line each
#
# In TRL each variant of the loss is one option, and `alignlab.dpo` passes it on.
#
# | option | what changes | helps when |
# |---|---|---|
# | `loss_type="robust", label_smoothing=0.1` | takes off flips | a share of labels is wrong |
# | `loss_type="ipo"` | a margin to be met, not exceeded (TRL: per token) | labels never disagree |
# | `loss_type="hinge"` | no pull beyond $\beta h = 1$ (SLiC; Zhao et al., 2023) | the same |
# | `loss_type="sigmoid_norm"` | log-probabilities per token | responses differ much in length |
# | `loss_type=["sigmoid", "sft"]` | adds the chosen response's likelihood | chosen responses fall |
#
# One trap: with `"sigmoid"` TRL ignores `label_smoothing`. At the first step $h = 0$, so you know
# each first loss beforehand. Work out three of them for $\beta = 0.1$, then run the cell.

# %%
variants = {
    "robust": ({"loss_type": "robust", "label_smoothing": 0.1}, math.log(2)),
    "ipo": ({"loss_type": "ipo"}, (0 - 1 / (2 * 0.1)) ** 2),
    "hinge": ({"loss_type": "hinge"}, 1.0),
}
few_rows = comparisons.select(range(8))
for name, (option, expected) in variants.items():
    run = dpo(SFT, few_rows, FOLDER / name, max_steps=1, **PURE | option)
    found = plots.read_metrics(run)[0]["loss"]
    close = abs(found / expected - 1) < 1e-3
    claim(f"{name}: the first loss is {expected:.3f} to 0.1%", close, found)

# %% [markdown]
# ## Side by side
#
# The panel shows two models' answers to one prompt without their names. Press *Generate*, vote,
# and see whose answer you took. The table below it holds the same kind of answers and needs no
# running kernel.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.panel import Panel

models = {"SFT": SFT, "DPO, β 0.1": DPO, "DPO, β 1": STRICT}
Panel(models, asked[:8], log=FOLDER / "votes.jsonl", max_new_tokens=110)

# %%
# NBVAL_IGNORE_OUTPUT
from IPython.display import HTML

from alignlab import compare

HTML(compare.table(compare.respond(models, asked[:5], max_new_tokens=90)))

# %% [markdown]
# ## Exercises
#
# [Nine exercises](../exercises/06_dpo.ipynb) take you from the probability of one response to a
# policy that has learned from comparisons alone. Each has a check that says what is wrong.
#
# ## Quiz
#
# Eleven questions. Most point at a figure that you have just measured.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import quiz

quiz.show(quiz.load("06"))

# %% [markdown]
# ## What you have measured
#
# - **Why it works.** Every policy implies a reward, and a comparison never sees the constant that
#   we cannot compute. All five lines of the derivation held to 1e-9, on a set that can be listed.
#   Training on choices alone ended at $\pi_{\text{ref}}\, e^{r/\beta} / Z$, nearer with more
#   comparisons.
# - **What it is in code.** Four log-probabilities a pair, one difference, one `logsigmoid`. Your
#   loop started at log 2, and your loss was TRL's to 1e-6.
# - **What β does.** It is a price. A smaller one took the table and the language model further, and
#   the reward of each further nat shrank.
# - **How it fails.** Chosen responses can lose probability, under the best policy too. Flips shrink
#   margins, and `robust` puts them right if there are enough comparisons. Labels that never
#   disagree push without end, and IPO stops. A habit of the annotator is learned like a wish.
#
# **Next**: [Why SFT then DPO, and how do we build preference data we can
# trust?](07_combined_alignment.ipynb)
