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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/05_reward_models_and_rlhf.ipynb)
#
# # 5 What does the path that DPO avoids look like, and cost?
#
# Comparisons say which of two responses people like better. The first way to turn them into a
# better model took two steps: train a *reward model* that scores any response, then let the
# language model look for high scores by *reinforcement learning*. You will walk this way once, with
# the truth at hand, and measure where it goes wrong and what it costs. Chapter 6 then leaves it
# out.
#
# **After this chapter you can**
#
# - train a reward model, and judge its accuracy by the ceiling that its annotators set;
# - say what a reward model cannot know, and show it;
# - write one step of RLHF by hand: scores, penalty, baseline, advantage;
# - read learned reward, true reward and KL divergence of a run, and say where it should stop;
# - list what RLHF takes that DPO does not, with figures.
#
# **Time**: 60 minutes to read and predict; the code takes about 360 seconds of processor time.
# **Hardware**: a laptop. Nothing is downloaded.
#
# **Before**: comparisons and Bradley–Terry (chapter 4), KL divergence (chapter 2). **Here**: human
# preference alignment via reward models, RLHF, over-optimising a reward model, the training cost of
# each path. **After**: DPO (chapter 6).
#
# | symbol | meaning |
# |---|---|
# | $x$, $y$ | a prompt and a response to it |
# | $r(x, y)$ | the reward of a response: how much it is liked, or is taken to be liked |
# | $\pi$, $\pi_\text{ref}$ | the policy (the model in training) and the reference (where it began) |
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
# ## One comparison
#
# The company's staff explain everyday ideas: some technically, some plainly, some with friendly
# words before and after. 160 pairs of explanations were shown to people, who chose the one they
# liked better. In this course people follow a *true reward* that we know, so here the truth stands
# beside the choice: the margin is the true reward of the chosen response less that of the other.

# %%
from alignlab.world import World
from alignlab.world.preferences import Annotator, draw_pairs

world, people = World(0), Annotator(sharpness=1.0)
pairs = draw_pairs(world, "style", 160, annotator=people)
for field in ("prompt", "chosen", "rejected", "margin"):
    print(f"{field:9}", getattr(pairs[0], field))

# %% [markdown]
# The *sharpness* says how surely people see a difference. At 1 they are easily mistaken: of two
# responses whose rewards differ by 1, they choose the worse one in 27 of 100 cases. Now the same
# row as tokens. SFT and DPO score the tokens marked with a 1, one by one. A reward model scores
# none of them. It reads prompt and response, and gives one number at the last token.

# %%
from alignlab.data import show_mask
from alignlab.models import load_model, load_tokenizer
from alignlab.world.recipes import compared

tokenizer = load_tokenizer(MODEL)
tokens = show_mask(tokenizer, compared(pairs[:1])[0])
for token, counted in tokens[:14] + tokens[-3:]:
    print(f"{counted} {token!r}", end="  ")

# %% [markdown]
# ## From choices to rewards
#
# Bradley and Terry (1952) take the chance of a choice to depend on a difference of rewards:
#
# $$P(y_c \text{ is preferred to } y_r) = \sigma\big(r(x, y_c) - r(x, y_r)\big) .$$
#
# A reward model is trained by maximum likelihood, so the loss of one pair is the negative logarithm
# of this chance. Take three pairs with the rewards below. The first has a margin of 2 and is
# expected to cost $\log(1+e^{-2})$, which is 0.127; no margin costs $\log 2 = 0.693$; a margin of
# −2, where the model is surely wrong, costs 2.127.

# %%
import torch

from alignlab.losses import bradley_terry_loss

chosen, rejected = torch.tensor([[2.0, 0.5, 1.0], [0.0, 0.5, 3.0]])
print("loss of each pair:   ", [round(x, 3) for x in bradley_terry_loss(chosen, rejected).tolist()])
raised = bradley_terry_loss(chosen + 5, rejected + 5)
print("all rewards 5 higher:", [round(x, 3) for x in raised.tolist()])

# %% [markdown]
# The loss sees differences only. So the level of a reward model's scores is left open, and a score
# by itself says nothing; two scores of responses to one prompt can be compared.
#
# ## The ceiling
#
# How well can a reward model foresee what these people choose? Not always: they choose by chance
# themselves. Somebody who knew the true rewards would always name the better response, and would be
# right with the probability $\sigma(s\,|r_1 - r_2|)$, where $s$ is the sharpness. Here are 240
# pairs about ideas that the training pairs do not touch.

# %%
from alignlab.world.preferences import bayes_accuracy

held_out = draw_pairs(world, "style", 240, split="test", annotator=people)
ceiling = bayes_accuracy(held_out, people)
knows = sum(pair.margin > 0 for pair in held_out) / 240
print(f"expected accuracy of one who knows the true rewards: {ceiling:.3f}")
print(f"what such a judge gets on these 240 choices:         {knows:.3f}")

# %% [markdown]
# That is the *Bayes ceiling*. A model far above it on so many pairs would have seen the labels.
#
# ## Where the policy starts
#
# RLHF needs a model that answers already. So SFT comes first, on 240 explanations. In this
# department staff write technically in three of four cases; the rest is plain, or friendly in one
# of two degrees.
# The model is always sampled at temperature 0.85, so *the policy* means that: its logits
# divided by 0.85.

# %%
from datasets import Dataset

from alignlab.sft import sft
from alignlab.world.recipes import labelled
from alignlab.world.tasks import draw_examples

STYLES = {"technical": 0.75, "plain": 0.125, "friendly": 0.0625, "friendliest": 0.0625}
taught = labelled(draw_examples(world, "explain", 240, seed=5, styles=STYLES), seed=5)
start = sft(MODEL, Dataset.from_list(taught), FOLDER / "sft", num_train_epochs=2, **QUIET)
print("SFT on", len(taught), "explanations: done")

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.evaluate import bootstrap, respond
from alignlab.world.preferences import true_reward

TEMPERATURE = 0.85
tests = list({e.prompt: e for e in draw_examples(world, "explain", 64, "test", seed=5)}.values())


def judged(source, examples=tests):
    """Let a model answer once, and return texts and true rewards."""
    texts, _ = respond(load_model(source), tokenizer, examples, temperature=TEMPERATURE)
    return texts, [true_reward(e.meta, text) for e, text in zip(examples, texts)]


start_texts, before = judged(start)
for example, text, reward_of in list(zip(tests, start_texts, before))[:4]:
    print(f"{reward_of:5.1f}  {example.prompt} -> {text}\n")

# %% [markdown]
# The true reward adds up five parts: correct (3), clear (3), friendly (2), short (1) and safe (3),
# and form counts in a correct response only. A technical explanation gets about 7, a clear one
# between two friendly phrases more than 11. So there is something to gain, and the model can write
# it already: it only has to do so more often.

# %%
from alignlab.claims import claim, reveal

score_before = bootstrap(before)
claim(
    "the SFT model's mean true reward lies between 3 and 10, where 11.5 can be had",
    score_before.low > 3 and score_before.high < 10, score_before,
)  # fmt: skip

# %% [markdown]
# ## A ruler for costs
#
# One aim of this chapter is a bill, so what training takes is measured as it happens: the seconds,
# the largest memory that the process holds beyond what it held before (of the GPU, if there is
# one), and the copies of a language model that are alive. Each copy has one table of word
# embeddings, and Python can look for these.

# %%
import gc
import threading
import time

import psutil


def held():
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated()
    return psutil.Process().memory_info().rss


def copies():
    tables = [thing for thing in gc.get_objects() if type(thing) is torch.nn.Embedding]
    return len({table.weight.data_ptr() for table in tables})


print("a model is in memory:", copies() > 0)


# %%
class Measured:
    """Of what happens inside `with`: seconds, peak of memory in MiB, and model copies."""

    def __enter__(self):
        gc.collect()
        self.memory, self.models, self.done = [held()], [copies()], threading.Event()
        self.thread, self.begun = threading.Thread(target=self._look), time.perf_counter()
        self.thread.start()
        return self

    def _look(self):
        while not self.done.wait(0.05):
            self.memory.append(held())
            if len(self.memory) % 20 == 0:
                self.models.append(copies())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.seconds = time.perf_counter() - self.begun
        self.peak = (max(self.memory) - self.memory[0]) / 2**20
        self.copies = max(self.models) - self.models[0]


with Measured() as nothing:
    time.sleep(0.1)
print("model copies while nothing is done:", nothing.copies)


# %% [markdown]
# ## A reward model
#
# `reward` puts a new head on the SFT model's body, one number for the last token, and trains it
# with TRL's `RewardTrainer` on the 160 pairs.
#
# **Predict.** How often will it name the response that people chose, in the 240 held-out pairs? One
# who knows the truth is expected to be right as often as the ceiling says.

# %%
options = {
    "A": "more often than the ceiling, by more than 5 points",
    "B": "within 5 points of the ceiling",
    "C": "less often than the ceiling, by more than 5 points",
}
prediction = None
for letter, text in options.items():
    print(letter, text)

# %%
from alignlab.reward import load_reward_model, reward

cost, rows = {}, Dataset.from_list(compared(pairs))
with Measured() as cost["reward model"]:
    run = reward(start, rows, FOLDER / "reward", **QUIET)
judge = load_reward_model(run)
print("a reward model of", len(rows), "pairs")

# %%
from matplotlib import pyplot as plt

from alignlab.reward import score

asked, scores = compared(held_out), {}
for side in ("chosen", "rejected"):
    both = [{"prompt": row["prompt"], "completion": row[side]} for row in asked]
    scores[side] = torch.tensor(score(judge, tokenizer, both))
learned_margin = scores["chosen"] - scores["rejected"]
true_margin = torch.tensor([pair.margin for pair in held_out])
figure, ax = plt.subplots(figsize=(5.5, 3.5))
ax.plot(true_margin, learned_margin, ".", color="#0072B2", alpha=0.6)
ax.axhline(0, color="#595959", linewidth=0.8)
ax.axvline(0, color="#595959", linewidth=0.8)
ax.set_xlabel("true reward, chosen less rejected")
ax.set_ylabel("learned reward, the same (nats)")
plt.show()

# %% [markdown]
# Each dot is a held-out pair. Left of the vertical line people chose the worse response; below the
# horizontal one the reward model would have chosen the other. In the lower left quarter it
# disagrees with the people and agrees with the truth.

# %%
from alignlab.evaluate import wilson

hits = wilson((learned_margin > 0).sum().item(), len(held_out))
gap = hits.value - ceiling
reveal(prediction, options, "A" if gap > 0.05 else "C" if gap < -0.05 else "B")
claim("160 pairs bring the reward model within 10 points of the ceiling", gap > -0.10, gap)
claim("it foresees choices better than a coin", hits.low > 0.5, hits)
claim("it does not pass the ceiling by more than chance allows", hits.low < ceiling, hits)

# %% [markdown]
# So an accuracy of about four in five is no weak result here; it is nearly all that can be had from
# people this unsure. Against the truth, which real data do not show, the same model looks better:
# how often does it name the response of higher *true* reward?

# %%
right = wilson(((learned_margin > 0) == (true_margin > 0)).sum().item(), len(held_out))
people_right = (true_margin > 0).float().mean().item()
claim(
    "the reward model names the truly better of two in 85 of 100 pairs", right.value > 0.85, right
)
claim("at least as often as the people it learned from", right.value >= people_right, right)

# %% [markdown]
# The noise of single choices averages out; the model has learned what they have in common.
#
# ## What it cannot know
#
# Look again at the data: in every pair *both* explanations were right. Nobody ever had to choose
# between a right and a wrong one. Let the model score four kinds of responses to the same prompts:
# right and technical; right and friendly; friendly about *another* idea; and friendly phrases
# alone.

# %%
from alignlab.world.grammar import Dice
from alignlab.world.judges import find_idea
from alignlab.world.tasks import explanations

dice = Dice("kinds")
ideas = [find_idea(e.meta["idea"]) for e in tests]
kinds = {
    "right, technical": [dice.weighted(explanations(i, "technical")) for i in ideas],
    "right, friendly": [dice.weighted(explanations(i, "friendliest")) for i in ideas],
}
kinds["another idea, friendly"] = kinds["right, friendly"][7:] + kinds["right, friendly"][:7]
kinds["phrases only"] = ["Good question! I hope that helps! Have a lovely day!"] * len(tests)
for kind, responses in kinds.items():
    print(f"{kind:23} {responses[0]}")

# %% [markdown]
# **Predict.** Which will the reward model rank higher: a right technical explanation, or a friendly
# one about another idea?

# %%
options = {
    "A": "the right one, in at least two of three cases",
    "B": "the friendly one about another idea, in at least two of three cases",
    "C": "neither: now one, now the other",
}
prediction = None
for letter, text in options.items():
    print(letter, text)

# %%
from alignlab.plots import COLOURS, MARKERS

figure, ax = plt.subplots(figsize=(6, 4))
scores = {}
for place, (kind, responses) in enumerate(kinds.items()):
    rows = [{"prompt": e.prompt, "completion": text} for e, text in zip(tests, responses)]
    scores[kind] = torch.tensor(score(judge, tokenizer, rows))
    truth = [true_reward(e.meta, text) for e, text in zip(tests, responses)]
    ax.plot(truth, scores[kind], MARKERS[place], color=COLOURS[place], mfc="none", label=kind)
ax.set_xlabel("true reward")
ax.set_ylabel("learned reward (nats, level open)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Each mark is a response to one prompt. If the learned reward were the true one, all marks would
# lie on a rising line. Those on the left, at 3, are wrong and only safe, and yet they stand high.

# %%
fooled = (scores["another idea, friendly"] > scores["right, technical"]).float().mean().item()
reveal(prediction, options, "A" if fooled < 1 / 3 else "B" if fooled > 2 / 3 else "C")
friendlier = (scores["right, friendly"] > scores["right, technical"]).float().mean().item()
claim("right and friendly goes before right and technical in nine of ten", friendlier > 0.9)
claim(
    "a friendly text about another idea beats a right technical one in two of three", fooled > 0.66
)

# %% [markdown]
# The reward model is not badly trained: on pairs like its own it is about as good as can be. It has
# simply never been asked about responses like these. Whoever follows it far enough will find them.
#
# ## Following it
#
# The policy is to earn much of the learned reward $r$ without going far from the reference:
#
# $$\max_\pi \; \mathbb{E}_{y \sim \pi}\big[ r(x, y) \big] -
# \beta\, \mathrm{KL}(\pi \,\|\, \pi_\text{ref}), \qquad
# \mathrm{KL}(\pi \,\|\, \pi_\text{ref}) =
# \mathbb{E}_{y \sim \pi}\Big[\log \tfrac{\pi(y|x)}{\pi_\text{ref}(y|x)}\Big] .$$
#
# RLOO (Ahmadian et al., 2024) samples several responses to a prompt, takes $\beta$ times its
# log-ratio off each score, and compares it with the mean of its *siblings*, the other responses to
# that prompt. What is left, the *advantage*, weighs the gradient of $\log \pi(y|x)$. Four
# responses, by hand, with $\beta = 0.5$:

# %%
scored = torch.tensor([1.0, 2.0, 2.0, 7.0])
log_ratio = torch.tensor([0.0, 2.0, -1.0, 4.0])


def advantages(rewards):
    """Return each reward less the mean of the others, for groups in the last dimension."""
    others = rewards.sum(-1, keepdim=True) - rewards
    return rewards - others / (rewards.shape[-1] - 1)


penalised = scored - 0.5 * log_ratio
print("after the penalty:", penalised.tolist())
print("advantages:       ", [round(x, 3) for x in advantages(penalised).tolist()])

# %% [markdown]
# Check the last one: 7 less 0.5 · 4 is 5; its siblings have (1 + 1 + 2.5) / 3 = 1.5; so 3.5. The
# first two become less probable, the last one more.
#
# Why a baseline at all? Now with the real model: 32 responses of the SFT model to one prompt, the
# learned reward of each, and the gradient of its log-probability in the weights of the last layer's
# adapter.

# %%
from alignlab.generate import render, response_texts


def sample(model, prompt, count):
    """Return responses to one prompt, as lists of token ids."""
    inputs = tokenizer(
        [render(tokenizer, prompt)], add_special_tokens=False, return_tensors="pt",
        return_token_type_ids=False,
    ).to(model.device)  # fmt: skip
    torch.manual_seed(0)
    ids = model.generate(
        **inputs, do_sample=True, temperature=TEMPERATURE, top_k=0, num_return_sequences=count,
        max_new_tokens=96, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    rows, end = ids[:, inputs["input_ids"].shape[1] :].tolist(), tokenizer.eos_token_id
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


outputs = sample(load_model(start), tests[0].prompt, 32)
print(len(outputs), "responses")


# %%
def rate(prompt, outputs):
    """Return the learned reward of each response to one prompt."""
    texts = response_texts(tokenizer, outputs)
    rows = [{"prompt": prompt, "completion": text} for text in texts]
    return torch.tensor(score(judge, tokenizer, rows))


learned = rate(tests[0].prompt, outputs)
spread = learned.std().item()
claim("responses to one prompt differ in learned reward", spread > 0.3, spread)

# %%
from alignlab.losses import sequence_logprobs


def logp(model, prompt, response):
    """Return the log-probability of a response as it is sampled, shape (1,)."""
    opening = tokenizer(render(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    ids = torch.tensor([opening + response], device=model.device)
    mask = torch.arange(ids.shape[1], device=model.device)[None] >= len(opening)
    return sequence_logprobs(model(ids).logits / TEMPERATURE, ids, mask)


policy = load_model(start, trainable=True)
weights = [p for p in policy.parameters() if p.requires_grad][-14:]
gradients = [
    torch.autograd.grad(logp(policy, tests[0].prompt, response), weights) for response in outputs
]
directions = torch.stack([torch.cat([g.flatten() for g in row]) for row in gradients]).cpu()
print("a gradient for each of", len(directions), "responses")

# %% [markdown]
# From these, draw 400 groups of four. Each group's gradient is the sum of its directions, weighed
# with its rewards or with its advantages. How much do the 400 scatter?

# %%
groups = torch.stack([torch.randperm(32)[:4] for _ in range(400)])
products = directions @ directions.T


def scatter(weights):
    """Return the variance of the groups' gradients, summed over all weights."""
    shares = torch.zeros(400, 32).scatter(1, groups, weights)
    shares = shares - shares.mean(0)
    return ((shares @ products) * shares).sum(1).mean().item()


plain = (learned - learned.mean())[groups]
noise = scatter(plain + 10) / scatter(plain)
same = scatter(advantages(plain + 10)) / scatter(advantages(plain))
claim("raising all rewards by 10 makes the plain gradient 5 times as noisy", noise > 5, noise)
claim("with siblings as the baseline it scatters as before", abs(same - 1) < 0.01, same)

# %% [markdown]
# Ten more for every response changes nothing about which is better, and yet it drowns the gradient.
# The leave-one-out baseline does not notice, and a reward model's level is arbitrary. So it
# matters.
#
# ## The run
#
# `rl` hands policy, prompts and reward model to TRL's `RLOOTrainer`. Each round asks 6 of 64
# prompts, 8 times each, and makes one step of the 48 responses. The ideas asked about are new to
# SFT and to the reward model. The price is low, $\beta = 0.01$, and the steps are large, so that the
# run goes far in little time. `watch` has the true reward logged as well; nothing follows it.
#
# **Predict.** The learned reward will rise. What will the *true* reward do meanwhile?

# %%
options = {
    "A": "rise along, and end more than 1 point above where it began",
    "B": "end more than 1 point below where it began",
    "C": "stay within 1 point of where it began",
}
prediction = None
for letter, text in options.items():
    print(letter, text)

# %%
from alignlab.rl import rl

drawn = draw_examples(world, "explain", 200, "validation", seed=5)
known = {example.prompt: example.meta for example in drawn}
prompts = [{"prompt": row["prompt"]} for row in labelled(drawn, 5)]
prompts = Dataset.from_list([p for i, p in enumerate(prompts) if p not in prompts[:i]][:64])


def truth(prompt, response):
    """Return the true reward, for the log only."""
    return true_reward(known[prompt], response)


print(len(prompts), "prompts, the first:", prompts[0]["prompt"][0]["content"])

# %%
from alignlab.plots import read_metrics

followed = {"watch": truth, "temperature": TEMPERATURE, "beta": 0.01, "steps_per_generation": 1}
followed |= {"per_device_train_batch_size": 48, "learning_rate": 3e-3, **QUIET}
end = rl(start, FOLDER / "reward", prompts, FOLDER / "rl", max_steps=28, **followed)
rounds = read_metrics(end)
print(len(rounds), "rounds of 48 responses")

# %% [markdown]
# One round says little, so take blocks of four, with 192 responses. For each block you see its mean
# learned reward on the left, its mean true reward on the right, and how far from the reference the
# policy was that wrote them, estimated from the same responses.

# %%
from alignlab.evaluate import Score
from alignlab.figures import frontier


def blocks(name):
    """Return the means of a logged value over four rounds each."""
    return torch.tensor([row[name] for row in rounds]).view(-1, 4).mean(1)


def path(kind):
    """Return distance, reward with its 95% interval, and number of the rounds of each block."""
    means, reach = blocks(f"rewards/{kind}/mean"), 1.96 * blocks(f"rewards/{kind}/std") / 192**0.5
    rows = zip(*(values.tolist() for values in (blocks("kl_policy_ref"), means, reach)))
    return [
        (Score(d, d, d, 192), Score(m, m - e, m + e, 192), f"{4 * i + 1}-{4 * i + 4}")
        for i, (d, m, e) in enumerate(rows)
    ]


paths = {"learned": path("learned"), "watched": path("watched")}
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, kind, label in zip(axes, paths, ("learned reward (nats)", "true reward")):
    frontier({"RLOO": paths[kind]}, ax, "KL divergence from the reference (nats)", label)
plt.show()

# %% [markdown]
# To read it: each mark is a block, with the numbers of its rounds; the line follows the run, which
# starts near 0 nats. On the left is what the run follows, on the right what is wanted. The divergence
# is that of whole responses, so it also depends on how long they are.

# %%
true, proxy = blocks("rewards/watched/mean"), blocks("rewards/learned/mean")
gain = (true[-1] - true[0]).item()
reveal(prediction, options, "A" if gain > 1 else "B" if gain < -1 else "C")
far = blocks("kl_policy_ref")
claim("the run ends at least 10 nats from where it began", far[-1] - far[0] > 10, far)
more = (proxy[-1] - proxy[0]).item()
claim("from the first block to the last, its learned reward has risen by 1 nat", more > 1, proxy)
claim("its true reward has fallen by more than 1 point meanwhile", gain < -1, true)
noise = 1.96 * (blocks("rewards/watched/std")[[0, -1]] / 192**0.5).norm().item()
claim("that is more than the 95% interval of the difference", -gain > noise, (gain, noise))

# %% [markdown]
# *Over-optimisation* (Gao, Schulman and Hilton, 2023): what is followed rises, what is wanted falls.
# They found that what is wanted rises first and turns later; exercise 7 follows such a curve. Here
# the steps are large, and you need not see a rise before the fall. The fall is tested once more
# below, on new ideas. See how the model writes.

# %%
# NBVAL_IGNORE_OUTPUT
texts, after = judged(end)
for example, text, reward_of in list(zip(tests, texts, after))[:4]:
    print(f"{reward_of:5.1f}  {example.prompt} -> {text}\n")

# %% [markdown]
# These prompts are new to all stages. Which of these texts are right? The table in "Stopping in
# time" counts.
#
# ## Another way to the same place
#
# A reward model can be followed without any training: sample $n$ responses, keep the one with the
# highest score, *best of* $n$. Its KL divergence from the reference is known exactly,
# $\log{n}-(n-1)/n$ (Stiennon et al., 2020). Draw 32 responses to each of 8 prompts and work out
# what the best of 1, 2, 4 … 32 would give.

# %%
model, kept, truly = load_model(start), [], []
for prompt in [row["prompt"][0]["content"] for row in prompts][:8]:
    outputs = sample(model, prompt, 32)
    kept.append(rate(prompt, outputs))
    truly.append([truth(prompt, text) for text in response_texts(tokenizer, outputs)])
many_learned, many_true = torch.stack(kept), torch.tensor(truly)
print("learned and true rewards:", tuple(many_learned.shape), tuple(many_true.shape))

# %%
order = many_learned.argsort(1)
place = torch.arange(33) / 32
numbers = [1, 2, 4, 8, 16, 32]


def best_of(n, rewards):
    """Return the expected reward of the best of n by learned reward, with its 95% interval."""
    chances = (place**n).diff()
    return bootstrap((rewards.gather(1, order) @ chances).tolist())


distance = [torch.tensor(n).log().item() - (n - 1) / n for n in numbers]
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, values, label in zip(
    axes, (many_learned, many_true), ("learned reward (nats)", "true reward")
):
    row = [(Score(d, d, d, 8), best_of(n, values), str(n)) for d, n in zip(distance, numbers)]
    frontier({"best of n": row}, ax, "KL divergence from the reference (nats)", label)
plt.show()

# %% [markdown]
# To read it: each mark is the best of $n$, with $n$ beside it, its mean over the 8 prompts and the
# 95% interval of that mean. It stays among responses that the SFT model writes by itself, so it
# cannot go far, and what it takes is 32 responses for each one that is shown. On the right the
# intervals are wide: this small experiment shows what is followed, not what is gained.

# %%
single, best = best_of(1, many_learned), best_of(32, many_learned)
claim("the best of 32 has a higher learned reward than a single response", best.low > single.high)
claim("it is less than 2.6 nats away", distance[-1] < 2.6, distance[-1])
reaches = {n: best_of(n, many_true) for n in (1, 32)}
wide = reaches[32].high - reaches[32].low
claim("with 8 prompts its true reward is known to no better than 1 point", wide > 1, wide)

# %% [markdown]
# ## Stopping in time
#
# Nobody has the true reward of a real policy, but one can have people judge a few of its stages.
# Here the log says which block was best; it is the best of seven, so a part of its lead may be luck.
# The learning rate is constant, so a run with fewer steps is the beginning of the longer one: train
# it again and stop in the middle of that block. This is the run whose cost is measured.

# %%
stopped, steps = FOLDER / "stopped", 4 * true.argmax().item() + 2
with Measured() as cost["RLOO"]:
    rl(start, FOLDER / "reward", prompts, stopped, max_steps=steps, **followed)
cost["RLOO"].written = read_metrics(stopped)[-1]["tokens_generated"]
print("stopped in time: done")

# %%
early_texts, early = judged(stopped)
lost = bootstrap([b - a for a, b in zip(after, early)])
claim("on new ideas it earns more than the run's end, interval above 0", lost.low > 0, lost)

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.world.judges import judge as is_right
from alignlab.world.preferences import form_parts
from alignlab.world.statements import words

right, warm = {}, {}
print(f"{'':9}{'true reward':>12}{'right':>7}{'friendly':>10}{'words':>7}")
for name, said, rewards in (
    ("start", start_texts, before), ("stopped", early_texts, early), ("end", texts, after)
):  # fmt: skip
    right[name] = sum(is_right(e.meta, text) for e, text in zip(tests, said)) / len(tests)
    warm[name] = bootstrap([form_parts(e.meta, t)["friendly"] for e, t in zip(tests, said)]).value
    length = sum(len(words(text)) for text in said) / len(tests)
    mean = sum(rewards) / len(tests)
    print(f"{name:9}{mean:12.2f}{right[name]:7.2f}{warm[name]:10.2f}{length:7.1f}")

# %%
claim(
    "at the end answers are friendlier than at the start", warm["end"] > warm["start"] + 0.2, warm
)
wrong = right["stopped"] - right["end"]
claim("and 10 points fewer of them are right than when the run was stopped", wrong > 0.1, right)

# %% [markdown]
# That is what the reward model could not know: its pairs told it about phrases, and nothing about
# right and wrong. A policy that follows it holds on to the phrases, and lets the rest go. Compare
# the first two rows of the table with care: the mean of so few answers has an interval that reaches
# about a point to each side.

# %% [markdown]
# ## How far it has moved
#
# The divergence in the figure is an estimate from samples of the policy. With $w =
# \pi_\text{ref}(y|x) / \pi(y|x)$, three are in use (Schulman, 2020): $k_1 = -\log w$, which RLOO
# takes off the rewards; $k_2 = \tfrac12 (\log w)^2$; and $k_3 = w - 1 - \log w$, which GRPO adds to
# its loss. Here are the means of all three over the same responses, early and late in the run.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.generate import generate_ids

asked_now, reference, estimates = [e.prompt for e in tests], load_model(start), {}
for name, source in (("stopped", stopped), ("end", end)):
    policy = load_model(source)
    said = generate_ids(policy, tokenizer, asked_now, temperature=TEMPERATURE, max_new_tokens=96)
    with torch.inference_mode():
        ours, theirs = (
            torch.cat([logp(model, *pair) for pair in zip(asked_now, said)])
            for model in (policy, reference)
        )
    log_w = theirs - ours
    estimates[name] = {"k1": -log_w, "k2": log_w**2 / 2, "k3": log_w.expm1() - log_w}
    print(name, {k: f"{x.mean():.2f}, lowest {x.min():.2f}" for k, x in estimates[name].items()})

# %%
near, gone = estimates["stopped"], estimates["end"]
lowest = min(float(x[k].min()) for x in (near, gone) for k in ("k2", "k3"))
claim("no response has a k2 or a k3 below 0", lowest >= 0, lowest)
ratio = (gone["k2"].mean() / gone["k1"].mean()).item()
claim("at the end k2 is more than twice k1: it estimates something else", ratio > 2, ratio)
mean_w = (1 + gone["k3"] - gone["k1"]).mean().item()
claim("at the end the mean of w over these responses is below 0.5", mean_w < 0.5, mean_w)

# %% [markdown]
# The last line is a warning. Over *all* responses of the policy the mean of $w$ is exactly 1, so
# that $k_1$ and $k_3$ have the same mean, the divergence. But far out, that 1 comes from rare
# responses with a very large $w$, and a sample of this size holds too few of them. So $k_3$ falls
# short of $k_1$ here by more than one half.

# %% [markdown]
# ## What it costs
#
# DPO (chapter 6) takes the same 160 pairs and the same SFT model, and trains the policy on them
# directly. Here it runs with the course's recipe for comparisons, which adds the likelihood of the
# chosen response to DPO's loss. RLHF needed a reward model first, and then wrote its own responses,
# token by token.
#
# **Predict.** How long do reward model and the stopped run take together, compared with DPO?

# %%
options = {
    "A": "less time than DPO",
    "B": "up to one and a half times as long",
    "C": "more than one and a half times as long",
}
prediction = None
for letter, text in options.items():
    print(letter, text)

# %%
from alignlab.dpo import ANCHORED, dpo

direct, rows = FOLDER / "dpo", Dataset.from_list(compared(pairs))
with Measured() as cost["DPO"]:
    dpo(start, rows, direct, **ANCHORED, **QUIET)
_, by_dpo = judged(direct)
print("DPO: done")

# %%
# NBVAL_IGNORE_OUTPUT
print(f"{'':14}{'seconds':>9}{'peak MiB':>10}{'copies':>8}{'tokens written':>16}")
for name in ("reward model", "RLOO", "DPO"):
    row = cost[name]
    written = getattr(row, "written", 0)
    print(f"{name:14}{row.seconds:9.1f}{row.peak:10.0f}{row.copies:8}{written:16,}")
for name, rewards in (("SFT", before), ("RLOO", early), ("DPO", by_dpo)):
    score_now = bootstrap(rewards)
    print(
        f"true reward {name:5} {score_now.value:5.2f} [{score_now.low:.2f}, {score_now.high:.2f}]"
    )

# %%
ratio = (cost["reward model"].seconds + cost["RLOO"].seconds) / cost["DPO"].seconds
reveal(prediction, options, "A" if ratio < 1 else "B" if ratio < 1.5 else "C")
more = cost["RLOO"].copies - cost["DPO"].copies
claim("RLOO holds one model more than DPO", more == 1, more)
written = cost["RLOO"].written
claim("RLOO has written more than 5,000 tokens on the way", written > 5_000, written)
claim("it has taken more than one and a half times as long as DPO", ratio > 1.5, ratio)

# %% [markdown]
# One model more, one training run more, and all the responses that had to be written: that is the
# price of the detour here. Look at the intervals of the true reward before you call one of the two
# ways better: the runs are short, and what is compared here is cost. PPO, with which RLHF became
# known (Ouyang et al., 2022), trains a fourth model as well, which estimates the baseline. With
# models of billions of weights these copies decide how many graphics cards a project needs;
# exercise 6 counts the bytes.

# %% [markdown]
# ## Side by side
#
# Look for yourself: the SFT model, the run that was stopped in time, the end of that run, and DPO.
# Vote blind if you like; the panel shows the true rewards after the vote.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.panel import Panel

sources = {"SFT": start, "stopped": stopped, "end": end, "DPO": direct}
Panel(sources, tests[:12], log=FOLDER / "votes.jsonl")

# %%
# NBVAL_IGNORE_OUTPUT
from IPython.display import HTML

from alignlab import compare

HTML(compare.table(compare.respond(sources, tests[:4])))

# %% [markdown]
# ## Exercises and quiz
#
# [Seven exercises](../exercises/05_reward_models_and_rlhf.ipynb) take the steps of this chapter
# apart: the ceiling, the loss, the advantages, the gradient, the three estimates, the memory, and
# where to stop. The quiz asks about the figures above.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import quiz

quiz.show(quiz.load("05"))

# %% [markdown]
# ## What you have measured
#
# - A reward model of 160 pairs came within ten points of the ceiling that its annotators set, and
#   named the truly better response at least as often as they did.
# - It knew nothing of what its pairs did not vary: friendly texts about another idea went before
#   right technical ones, in at least two of three cases.
# - Raising all rewards by 10 made the plain gradient more than 5 times as noisy; the leave-one-out
#   baseline did not notice.
# - As the policy left its reference, the learned reward rose by more than 1 nat and the true reward
#   fell by more than a point. On new ideas, the
#   end of the run earned less than the same run stopped in time; its answers were friendly, and
#   fewer of them right.
# - Far from the reference, $k_2$ was more than twice $k_1$, and the mean of $w$, which is 1 over all
#   responses, came out below 0.5 over the few dozen that were drawn.
# - The way through a reward model held one model more than DPO, wrote more than 5,000 tokens, and
#   took more than one and a half times as long.
#
# **Next**: [chapter 6](06_dpo.ipynb) shows that the reward model and the loop can be left out, and
# what that changes.
