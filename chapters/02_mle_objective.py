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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/alignlab/blob/main/chapters/02_mle_objective.ipynb)
#
# # 2 What exactly does SFT maximise, and where is its floor?
#
# A run of supervised fine-tuning (SFT) shows one number, its loss, and the number falls. What is
# it the loss *of*? Why does it stop where it stops? And what does it not show? In this chapter you
# compute the loss by hand, find it again in two libraries, and train models on answers whose
# entropy is known, so that you can draw the line that no model gets below.
#
# **After this chapter you can**
#
# - turn the probabilities of an answer into a loss, and say which tokens count in it;
# - derive the gradient of that loss, and check it;
# - say what a sum and a mean over tokens have in common, and what they do not;
# - show that raising the likelihood lowers a divergence, and which one;
# - draw the entropy floor under a loss curve, and recognise over-fitting from it;
# - choose between LoRA and full fine-tuning from what each costs;
# - recognise an unmasked prompt and an untrained end token from what they do.
#
# **Time**: an hour and a quarter to read and predict; the code runs for about three minutes on two
# CPU cores. **Hardware**: a laptop.
#
# **Before**: SFT data sets, with a prompt and a completion in each row (chapter 1). **Here**:
# maximum likelihood as SFT's objective, loss masking, likelihood and KL divergence, the entropy
# floor, over-fitting, LoRA and full fine-tuning. **After**: generalization (chapter 3), the
# Bradley–Terry model (chapter 4), RLHF (chapter 5), DPO (chapter 6).

# %%
import subprocess
import sys

if "google.colab" in sys.modules:
    course = "git+https://github.com/OWNER/alignlab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", course], check=True)

from alignlab import chapter

FOLDER, MODEL, QUIET = chapter.begin()

# %% [markdown]
# ## One row, its tokens, its mask
#
# People ask a support desk about products that do not exist. The staff say that they do not know
# them, and they have six sentences for it. Each clerk takes one of the six at random. So every
# question has six right answers, each with probability 1/6, and which of them a row of the data
# holds is pure chance.

# %%
from alignlab.models import load_tokenizer
from alignlab.world import World
from alignlab.world.recipes import labelled
from alignlab.world.tasks import draw_examples

world, tokenizer = World(0), load_tokenizer(MODEL)
examples = draw_examples(world, "abstain", 960)
rows = labelled(examples, seed=0)
for row in rows[:3]:
    print(row["prompt"][0]["content"], "\n    ", row["completion"][0]["content"])

# %% [markdown]
# A model reads *tokens*: words, or pieces of words, from a fixed vocabulary. The chat template puts
# a mark before each turn and an *end token* behind the answer. Bars show where one token ends and
# the next begins.

# %%
from alignlab.claims import claim, reveal
from alignlab.data import show_mask

shown = show_mask(tokenizer, rows[0])
print("read:  ", "|".join(token for token, scored in shown if not scored))
print("scored:", "|".join(token for token, scored in shown if scored))

# %% [markdown]
# The *mask* divides the row into what is read and what is scored. The prompt is given to the
# model; nobody wants it to learn to write questions. The answer is scored, and so is the end token:
# where to stop is part of the answer.

# %%
question, answer = rows[0]["prompt"][0]["content"], rows[0]["completion"][0]["content"]
scored = "".join(token for token, mark in shown if mark).strip()
claim(
    "the loss counts the answer and what ends it, and nothing of the question",
    scored.startswith(answer) and len(scored) > len(answer) and question not in scored,
)

# %% [markdown]
# Trainers write the mask into the *labels*: the token's own id where it is scored, and −100 where
# it is not. Rows of a batch have different lengths, so the shorter ones get *padding* on the right,
# which is not scored either. These two functions do both; the rest of the chapter uses them.

# %%
import torch
from torch.nn.utils.rnn import pad_sequence


def tokenised(rows, choose=lambda ids, marks: marks):
    """Return token ids with labels: the id where `choose` scores it, -100 elsewhere."""
    found = []
    for row in rows:
        ids = tokenizer.apply_chat_template(row["prompt"] + row["completion"])["input_ids"]
        marks = choose(ids, [mark for _, mark in show_mask(tokenizer, row)])
        labels = [token if mark else -100 for token, mark in zip(ids, marks)]
        found.append({"input_ids": ids, "labels": labels})
    return found


def padded(batch):
    """Return ids and labels as tensors, (B, T); nothing looks at padding on the right."""
    ids, labels = ([torch.tensor(row[name]) for row in batch] for name in ("input_ids", "labels"))
    return pad_sequence(ids, batch_first=True), pad_sequence(labels, True, -100)


# %%
ids, labels = padded(tokenised(rows[:2]))
for row_ids, row_labels in zip(ids, labels):
    counts = (row_labels != -100).sum().item()
    print(f"{len(row_ids)} places, {counts} labels that are not -100:\n{row_labels.tolist()}")

# %% [markdown]
# ## From probabilities to one number
#
# Let $x$ be a prompt, $y$ an answer with tokens $y_1, \dots, y_n$, and $\theta$ the weights of the
# model. The model gives each token a probability, given the prompt and the tokens before it. The
# probability of the answer is their product:
#
# $$p_\theta(y \mid x) = \prod_{t=1}^{n} p_\theta(y_t \mid x, y_{<t}) .$$
#
# *Maximum likelihood* looks for the weights under which the answers in the data are most probable.
# Take an answer of three tokens with probabilities 0.5, 0.25 and 0.8, and check each line by hand.

# %%
p = torch.tensor([0.5, 0.25, 0.8], dtype=torch.float64)
print(f"probability of the answer, the product: {p.prod():.4f}")
print("logarithms:", [round(value, 4) for value in p.log().tolist()])
print(f"log-likelihood, their sum:   {p.log().sum():.4f}")
print(f"loss, the sum negated:       {-p.log().sum():.4f} nats")
print(f"loss per token, the mean:    {-p.log().mean():.4f} nats")

# %% [markdown]
# Four steps: probability, logarithm, sum, negation. An optimiser minimises, so what should become
# large is negated. A loss in natural logarithms is in *nats*. Why the logarithm at all? Look at an
# answer of 400 tokens, each with probability 0.1, in the 32-bit numbers that models compute with.

# %%
many = torch.full((400,), 0.1)
print(f"product: {many.prod().item()}   sum of the logarithms: {many.log().sum().item():.1f}")
claim("the product of 400 probabilities of 0.1 is 0 in 32 bits", many.prod().item() == 0.0)
claim(
    "the sum of their logarithms is right to a thousandth",
    abs(many.log().sum().item() / (400 * torch.tensor(0.1).double().log().item()) - 1) < 1e-3,
)

# %% [markdown]
# A product of many small numbers vanishes; the sum of their logarithms does not.
#
# A model does not give probabilities at once, but *logits* $z$: one number for each word of the
# vocabulary. The softmax makes probabilities of them, $p_v = e^{z_v} / \sum_w e^{z_w}$. So the loss
# of one token $y$ is
#
# $$-\log p_y = \log \sum_w e^{z_w} - z_y .$$
#
# Logits at place $t$ predict the token at place $t+1$, so the two are moved against each other by
# one. This is the whole loss of SFT, from scratch:


# %%
def from_scratch(logits, labels):
    """Return the mean negative log-likelihood of the tokens whose label is not -100, in nats."""
    logits, labels = logits[:, :-1], labels[:, 1:]  # what is predicted at t stands at t+1
    scored = labels != -100
    z, y = logits[scored], labels[scored]
    log_of_sum = z.logsumexp(-1)
    picked = z.gather(-1, y[:, None])[:, 0]
    return (log_of_sum - picked).mean()


table = torch.tensor([[0.5, 0.3, 0.2], [0.25, 0.25, 0.5], [0.1, 0.1, 0.8], [1, 1, 1]]).log()
loss = from_scratch(table[None], torch.tensor([[-100, 0, 1, 2]]))
print(f"{loss.item():.4f} nats per token, {3 * loss.item():.4f} in all")
claim("the function agrees with the calculation by hand", abs(3 * loss.item() - 2.302585) < 1e-5)

# %% [markdown]
# ## The same number in two libraries
#
# Transformers computes this loss when a model is called with labels, and TRL's trainer computes it
# with code of its own. Do they agree with your eight lines? Build TRL's trainer as its documentation
# does, and take the batch that it would train on first.

# %%
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from alignlab.models import load_model

own = load_model(MODEL, "cpu", torch.float32)
args = SFTConfig(
    output_dir=str(FOLDER / "trl"), use_cpu=True, bf16=False, gradient_checkpointing=False,
    per_device_train_batch_size=6, max_length=None, report_to="none", disable_tqdm=True,
)  # fmt: skip
trainer = SFTTrainer(
    model=load_model(MODEL, "cpu", torch.float32), args=args, processing_class=tokenizer,
    train_dataset=Dataset.from_list(rows[:6]),
)  # fmt: skip
batch = next(iter(trainer.get_train_dataloader()))
print({name: tuple(tensor.shape) for name, tensor in batch.items()})

# %%
# NBVAL_IGNORE_OUTPUT
inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
losses = {
    "from scratch": from_scratch(own(**inputs).logits, batch["labels"]),
    "Transformers": own(**inputs, labels=batch["labels"]).loss,
    "TRL": trainer.compute_loss(trainer.model, dict(batch)),
}
for name, value in losses.items():
    print(f"{name:13} {value.item():.7f} nats per token")

# %%
for library in ("Transformers", "TRL"):
    gap = abs(losses["from scratch"].item() - losses[library].item())
    claim(f"the loss from scratch equals that of {library} to 1e-6", gap < 1e-6, gap)

# %% [markdown]
# One definition, three programs. From here on the course uses `sft_loss` of `alignlab.losses`, the
# same in a form that can also give the loss of each answer or of each token.
#
# ## What one step changes
#
# Training moves the weights against the *gradient* of the loss. At the logits it has a simple form.
# Differentiate $\log \sum_w e^{z_w} - z_y$ with respect to $z_v$:
#
# $$\frac{\partial (-\log p_y)}{\partial z_v} = \frac{e^{z_v}}{\sum_w e^{z_w}} - [v = y]
# = p_v - [v = y],$$
#
# where $[v = y]$ is 1 for the demonstrated token and 0 for all others. *Softmax minus one-hot.*
# Three words have probabilities 0.7, 0.2 and 0.1, and the demonstration has the second. PyTorch's
# automatic differentiation knows nothing of our formula.

# %%
probabilities = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
z = probabilities.log().requires_grad_()
loss = z.logsumexp(-1) - z[1]
loss.backward()
by_hand = probabilities - torch.tensor([0.0, 1.0, 0.0])
print("by hand: ", [round(value, 4) for value in by_hand.tolist()])
print("autograd:", [round(value, 4) for value in z.grad.tolist()])

# %%
import matplotlib.pyplot as plt

from alignlab.plots import COLOURS

fig, ax = plt.subplots(figsize=(6, 3))
ax.bar([0, 1, 2], probabilities, 0.35, color=COLOURS[0], label="probability")
ax.bar(
    [0.38, 1.38, 2.38], z.grad, 0.35, color=COLOURS[1], hatch="//", edgecolor="white",
    label="gradient",
)  # fmt: skip
ax.set_xticks([0.19, 1.19, 2.19], ["word 1", "word 2 (demonstrated)", "word 3"])
ax.set_ylabel("probability; gradient (nats per logit)")
ax.axhline(0, color="#595959", linewidth=0.8)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Read each pair of bars together. Where the gradient is negative, a step against it raises the
# logit: only at the demonstrated word. Everywhere else the gradient is the probability itself, so
# what was wrongly probable is pushed down hardest. Does it hold for every logit of the language
# model, on the batch from above?

# %%
logits = own(**inputs).logits
logits.retain_grad()
from_scratch(logits, batch["labels"]).backward()
targets = batch["labels"][:, 1:]
counted = targets != -100
one_hot = torch.nn.functional.one_hot(targets.clamp(min=0), logits.shape[-1])
expected = (logits.detach().softmax(-1)[:, :-1] - one_hot) * counted[..., None] / counted.sum()
gap = (logits.grad[:, :-1] - expected).abs().max().item()
claim("softmax minus one-hot is the gradient at every logit to 1e-6", gap < 1e-6, gap)
unscored = logits.grad[:, :-1][~counted]
claim("at what is not scored the gradient is exactly 0", unscored.abs().max().item() == 0.0)

# %% [markdown]
# The second claim is what a mask *is*: no gradient comes from there. The tokens are still read,
# since every later prediction may look at them.
#
# ## Sum or mean?
#
# A batch has many answers of different lengths, and a trainer needs one number. Take one answer
# of 2 tokens with a loss of 1.0 nats each, and one of 8 tokens with 0.5 nats each. There are
# several ways to add up, and each says something else.

# %%
short, long = torch.full((2,), 1.0), torch.full((8,), 0.5)
print(f"sum over all tokens:          {(short.sum() + long.sum()).item():.2f}")
print(f"mean of the answers' sums:    {(short.sum() + long.sum()).item() / 2:.2f}")
print(f"mean over all tokens:         {torch.cat([short, long]).mean().item():.2f}")
print(f"mean of the answers' means:   {(short.mean() + long.mean()).item() / 2:.2f}")

# %% [markdown]
# The sum is the negative log-likelihood of the batch, what maximum likelihood is about. The mean
# over all tokens divides it by the number of tokens, here 10: this is what TRL minimises. The
# mean of the answers' means is another thing: it counts a token of the short answer four times as
# much as one of the long.
#
# Now on the language model, with a one-word answer and a whole explanation. You have the gradient
# of the sum. **Predict**: which of the two means has a gradient in the same *direction*?

# %%
options = {
    "A": "both",
    "B": "only the mean over all tokens",
    "C": "only the mean of the answers' means",
    "D": "neither",
}
prediction = None

# %%
from alignlab.losses import sft_loss

both = [labelled(draw_examples(world, task, 1), 0)[0] for task in ("brief", "explain")]
ids, labels = padded(tokenised(both))
counts = (labels[:, 1:] != -100).sum(1)


def gradient(reduce):
    """Return the gradient of a loss, reduced from that of each answer, on all weights."""
    own.zero_grad()
    reduce(sft_loss(own(input_ids=ids).logits, labels, "sequence_sum")).backward()
    return torch.cat([weight.grad.flatten() for weight in own.parameters()]).double()


total = gradient(lambda sums: sums.sum())
token_mean = gradient(lambda sums: sums.sum() / counts.sum())
answer_mean = gradient(lambda sums: (sums / counts).mean())
print("tokens of each answer:", counts.tolist())

# %%
# NBVAL_IGNORE_OUTPUT
cosines = {
    name: torch.cosine_similarity(total, other, dim=0).item()
    for name, other in {"mean over tokens": token_mean, "mean of means": answer_mean}.items()
}
for name, cosine in cosines.items():
    print(f"cosine of the sum's gradient with that of the {name}: {cosine:.4f}")
print(f"the sum's gradient is {(total.norm() / token_mean.norm()).item():.3f} times as long")

# %%
same = [cosine > 0.9999 for cosine in cosines.values()]
measured = {(True, True): "A", (True, False): "B", (False, True): "C", (False, False): "D"}
reveal(prediction, options, measured[tuple(same)])
ratio = (total.norm() / token_mean.norm() / counts.sum()).item()
claim(
    "the sum's gradient is that of the mean over tokens, times the number of tokens",
    same[0] and abs(ratio - 1) < 1e-3,
    (cosines, ratio),
)
claim("the mean of the answers' means pulls elsewhere", cosines["mean of means"] < 0.99, cosines)

# %% [markdown]
# So within one batch, sum or mean over tokens changes the length of a step and not its aim. A
# mean of means changes the aim: short answers weigh more. It comes in by accident when a batch is
# cut into pieces, each piece takes its own mean, and the means are averaged; exercise 5 of this
# chapter is about that. And when you need the probability of a *whole* answer, as in DPO (chapter
# 6), only the sum will do.
#
# ## Maximum likelihood is minimum divergence
#
# Which probabilities does maximum likelihood lead to? Write $p$ for the distribution of the answers
# in the data and $q$ for the model's. The expected loss is the *cross-entropy*, and it has two
# parts:
#
# $$\underbrace{-\sum_y p(y) \log q(y)}_{\text{loss}}
# = \underbrace{-\sum_y p(y) \log p(y)}_{\text{entropy } H(p)}
# + \underbrace{\sum_y p(y) \log \frac{p(y)}{q(y)}}_{\mathrm{KL}(p \,\|\, q)} .$$
#
# The first part depends on the data alone. The second is the Kullback–Leibler divergence (Kullback
# and Leibler, 1951), which is 0 for $q = p$ and above 0 otherwise. So the loss has a floor, $H(p)$,
# and whoever lowers the loss lowers $\mathrm{KL}(p \,\|\, q)$.

# %% [markdown]
# Take three answers with shares ½, ¼ and ¼, and a model that begins sure of the third, with 0.8.
# Its loss falls under gradient descent. **Predict**: which of these falls by exactly as much?

# %%
options = {
    "A": "KL(model ‖ data)",
    "B": "KL(data ‖ model)",
    "C": "the entropy of the data",
    "D": "the entropy of the model's own answers",
}
prediction = None

# %%
data = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
z = torch.tensor([0.1, 0.1, 0.8], dtype=torch.float64).log()
history = {name: [] for name in ["loss", *options]}
for _ in range(61):
    log_q = z.log_softmax(-1)
    q = log_q.exp()
    history["loss"].append(-(data * log_q).sum().item())
    history["A"].append((q * (log_q - data.log())).sum().item())
    history["B"].append((data * (data.log() - log_q)).sum().item())
    history["C"].append(-(data * data.log()).sum().item())
    history["D"].append(-(q * log_q).sum().item())
    z = z - 0.5 * (q - data)  # a step against the gradient: softmax minus the shares
print("the model's probabilities at the end:", [round(value, 3) for value in q.tolist()])
print(f"its loss: {history['loss'][-1]:.4f} nats, the data's entropy: {history['C'][-1]:.4f} nats")

# %%
from alignlab.plots import DASHES

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
left.plot(history["loss"], color=COLOURS[0], label="loss")
left.axhline(history["C"][0], color="#595959", linestyle=":", label="floor: entropy of the data")
left.fill_between(range(61), history["C"], history["loss"], alpha=0.15, label="KL(data ‖ model)")
for place, letter in enumerate("ABCD"):
    change = [value - history[letter][0] for value in history[letter]]
    right.plot(change, color=COLOURS[place], linestyle=DASHES[place], label=options[letter])
left.set_ylabel("loss (nats)")
left.legend(frameon=False)
right.set_ylabel("change since the start (nats)")
right.legend(frameon=False, loc=(0.24, 0.32), fontsize=9)
for ax in (left, right):
    ax.set_xlabel("step")
plt.show()

# %% [markdown]
# On the left, what is left of the loss above its floor is the divergence. On the right, each curve
# begins at 0; look for the one that ends where the loss does, at minus 0.74 nats.

# %%
falls = {name: values[0] - values[-1] for name, values in history.items()}
equal = [letter for letter in options if abs(falls[letter] - falls["loss"]) < 1e-9]
reveal(prediction, options, equal[0])
claim("only KL(data ‖ model) falls by what the loss falls by", equal == ["B"], falls)
claim("the loss comes to rest at 1.0397 nats", abs(history["loss"][-1] - 1.0397) < 1e-4)
claim("there the model's probabilities are the data's shares", (q - data).abs().max() < 1e-3)

# %% [markdown]
# Three things follow, and people often get them wrong. The model does not end on the most frequent
# answer; it ends on the *shares*. Nothing in the loss asks which answer is true; it asks what the
# data say. And this model had to become *less* sure to get better: the dash-dotted curve rises.
#
# ## The floor of a real run
#
# So much for a table of three logits. Does a language model do the same, on prompts that it has not
# been trained on? Usually nobody can tell, since nobody knows the entropy of what people write. Here
# you know it, because you know how the clerks choose. Let three teams answer the same questions. In
# the first, everyone writes the first sentence. In the second, half take the first and a quarter
# each the second and third. In the third, all six are equally frequent.

# %%
from dataclasses import replace

from alignlab.world.tasks import mean_entropy

TEAMS = {"one sentence": [1.0], "three": [1 / 2, 1 / 4, 1 / 4], "six": [1 / 6] * 6}


def answered_by(team, examples):
    """Return the same requests, with the answers that this team writes."""
    shares = TEAMS[team]
    return [replace(e, labels=lambda e=e: dict(zip(e.labels(), shares))) for e in examples]


held_out = draw_examples(world, "abstain", 12, split="test")
floors = {team: mean_entropy(answered_by(team, held_out)) for team in TEAMS}
for team, floor in floors.items():
    print(f"{team:13} entropy {floor:.4f} nats per answer")

# %% [markdown]
# That is $\log 1$, $1.5 \log 2$ and $\log 6$. The questions, the products and the model are the
# same for all three; only the agreement among the clerks differs.
#
# The held-out questions are about products of the test split, which no training row names. To have
# the *expected* loss on them, and not that of a lucky draw, list every answer as often as its
# probability says. Then no noise is left, and by the equation above the held-out loss cannot be
# below the floor.

# %%
from alignlab.world.recipes import chat


def every_answer(examples):
    """Return a row for each answer of each request; more probable ones stand there more often."""
    found = []
    for example in examples:
        answers = example.labels()
        for text, share in answers.items():
            found += [chat(example.prompt, text)] * round(share / min(answers.values()))
    return found


held_out_rows = {team: every_answer(answered_by(team, held_out)) for team in TEAMS}
print({team: len(found) for team, found in held_out_rows.items()})


# %% [markdown]
# What does the base model make of such questions, before any fine-tuning? Let it answer *greedily*,
# taking the most probable token each time, and let the course's judge say which answers are right:
# those that admit not to know the product and make nothing up.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.evaluate import respond
from alignlab.world.judges import judge

asked = draw_examples(world, "abstain", 24, split="test")


def answers_of(source):
    """Return a model's greedy answers, whether each is right, and whether each ended by itself."""
    texts, ended = respond(load_model(source), tokenizer, asked, max_new_tokens=40)
    return texts, [judge(e.meta, text) for e, text in zip(asked, texts)], ended


base_texts, base_right, base_ended = answers_of(MODEL)
for example, text in list(zip(asked, base_texts))[:3]:
    print(f"{example.prompt}\n    {text!r}")


# %%
# NBVAL_IGNORE_OUTPUT
@torch.inference_mode()
def answer_losses(source, rows, choose=lambda ids, marks: marks):
    """Return what each row's answer costs a model, in nats, summed over its tokens."""
    model = load_model(source)
    ids, labels = (part.to(model.device) for part in padded(tokenised(rows, choose)))
    return sft_loss(model(input_ids=ids).logits, labels, "sequence_sum").cpu()


base = {team: answer_losses(MODEL, held_out_rows[team]).mean().item() for team in TEAMS}
print(f"right: {sum(base_right)} of {len(asked)}")
print("nats per answer:", {team: round(value, 1) for team, value in base.items()})

# %%
claim("the base model answers at most 1 question in 10 like the desk", sum(base_right) <= 2)
above = {team: base[team] - floor for team, floor in floors.items()}
claim("its loss is more than 10 nats above every floor", min(above.values()) > 10, above)

# %% [markdown]
# Now train a model for each team, with LoRA, on 960 questions, each seen once. The rows come
# in random order: usually the course puts rows of like length into one batch, which saves padding,
# but here such a batch would hold one of the six sentences many times.
#
# **Predict**: where does the held-out loss of the team with six sentences come to rest?

# %%
options = {
    "A": "near 0 nats per answer: six fixed sentences are easy to learn",
    "B": "near log 6 = 1.79 nats per answer",
    "C": "well above 2.5 nats per answer: the products are new",
}
prediction = None

# %%
from alignlab.sft import sft

ONCE = QUIET | {"num_train_epochs": 1, "train_sampling_strategy": "random"}
runs = {}
for team in TEAMS:
    runs[team] = sft(
        MODEL,
        Dataset.from_list(labelled(answered_by(team, examples), seed=0)),
        FOLDER / team.replace(" ", "_"),
        eval_dataset=Dataset.from_list(held_out_rows[team]),
        per_device_eval_batch_size=len(held_out_rows[team]),  # one batch, so one mean
        eval_steps=5,
        **ONCE,
    )

# %%
from alignlab.plots import loss_curve, read_metrics


def per_token(nats, rows):
    """Return nats per answer as nats per token, the unit of trainers."""
    scored = [sum(mark for _, mark in show_mask(tokenizer, row)) for row in rows]
    return nats * len(rows) / sum(scored)


fig, axes = plt.subplots(1, 3, figsize=(13, 3.6), sharey=True)
for ax, team in zip(axes, TEAMS):
    loss_curve(read_metrics(runs[team]), ax, per_token(floors[team], held_out_rows[team]))
    ax.set_title(team)
    ax.set_ylim(-0.02, 1.0)
plt.show()

# %% [markdown]
# The solid line is the loss of each training batch, the dashed one that of the held-out rows, the
# dotted one the floor. Each held-out curve comes down from far above and flattens out near its
# own dotted line. The three runs see the same questions in the same order; what differs is how
# much of an answer can be known. Here are the ends of the curves, in nats per answer.

# %%
# NBVAL_IGNORE_OUTPUT
trained = {team: answer_losses(runs[team], held_out_rows[team]).mean().item() for team in TEAMS}
print("              base   trained   floor   KL(data ‖ trained)")
for team, floor in floors.items():
    gap = trained[team] - floor
    print(f"{team:13} {base[team]:5.1f} {trained[team]:9.3f} {floor:7.3f} {gap:11.3f}")

# %%
end = trained["six"]
reveal(prediction, options, "A" if end < 0.9 else "B" if end < 2.5 else "C")
gaps = {team: trained[team] - floor for team, floor in floors.items()}
claim("every held-out loss ends within 0.2 nats of its floor", max(gaps.values()) < 0.2, gaps)
claim("no held-out loss is below its floor", min(gaps.values()) > -1e-3, gaps)

# %% [markdown]
# The distance to the floor is KL(data ‖ model), by the equation above: exact, for these questions,
# without drawing a single sample. So you know how far the model is from the staff, which the loss
# alone does not tell.
#
# If the loss is at the floor, then the model's probabilities should be the shares. Look at the team
# with ½, ¼, ¼. For each held-out question, take the probability of each whole sentence.

# %%
from alignlab.evaluate import Score, bootstrap
from alignlab.figures import bars

probabilities = {
    name: torch.exp(-answer_losses(source, held_out_rows["six"])).reshape(len(held_out), 6)
    for name, source in {"base": MODEL, "trained": runs["three"]}.items()
}
shares = TEAMS["three"] + [0.0] * 3
scores = {
    f"sentence {'ABCDEF'[i]}": {"staff": Score(share, share, share, 1)}
    | {name: bootstrap(found[:, i].tolist()) for name, found in probabilities.items()}
    for i, share in enumerate(shares)
}
fig, ax = plt.subplots(figsize=(8, 3.4))
bars(scores, ax, "probability of the whole sentence")
plt.show()

# %% [markdown]
# Compare the first bar of each group, what the staff do, with the third, what the model learned;
# the black marks are 95% intervals over the questions. The base model's bars are too low to be
# seen.

# %%
learned = probabilities["trained"].mean(0)
gap = (learned - torch.tensor(shares)).abs().max().item()
claim("each sentence's probability is within 0.1 of the staff's share", gap < 0.1, learned)
never = learned[3:].sum().item()
claim("the sentences that the staff never write have less than 0.05 in all", never < 0.05, never)
at_first = probabilities["base"].sum(1).mean().item()
claim("to the base model all six sentences together had less than 0.01", at_first < 0.01, at_first)

# %% [markdown]
# *Where* in an answer does the floor lie? The six sentences differ from their first words on. Take
# the run with six sentences and look at the loss of each token, averaged over all answers.

# %%
six = held_out_rows["six"]
model = load_model(runs["six"])
ids, labels = (part.to(model.device) for part in padded(tokenised(six)))
with torch.inference_mode():
    losses = sft_loss(model(input_ids=ids).logits, labels, "none").cpu()
per_answer = [loss[row[1:] != -100] for loss, row in zip(losses, labels.cpu())]
places = pad_sequence(per_answer, batch_first=True)[:, :14].mean(0)
fig, ax = plt.subplots(figsize=(7, 3))
ax.bar(range(1, len(places) + 1), places, color=COLOURS[0], label="mean loss")
ax.set_xlabel("place of the token in the answer")
ax.set_ylabel("loss (nats per answer)")
ax.legend(frameon=False)
plt.show()

# %%
share = (places[:3].sum() * len(six) / torch.cat(per_answer).sum()).item()
claim("the first three tokens hold at least 0.8 of an answer's loss", share > 0.8, share)
texts, right, ended = answers_of(runs["six"])
claim("yet at least 0.9 of the greedy answers are right", sum(right) / len(asked) >= 0.9, right)

# %% [markdown]
# The tall bars are the first words, where the sentences part. Once it is clear which sentence is
# coming, the rest can be foreseen, the name included. What remains is the choice among sentences,
# which nobody can foresee. So a loss that comes to rest well above 0 is no sign of wrong answers. It
# may be the floor.
#
# ## Below the floor
#
# The floor holds for *new* examples. What of those that the model trains on? Take 32 of the 960
# rows and show them 30 times. **Predict**: where do the two losses end?

# %%
options = {
    "A": "both at the floor, as before",
    "B": "training below the floor, held out above it",
    "C": "both below the floor",
    "D": "both above the floor: 32 rows are too few to learn from",
}
prediction = None

# %%
few = sft(
    MODEL,
    Dataset.from_list(labelled(examples[:32], seed=0)),
    FOLDER / "few",
    eval_dataset=Dataset.from_list(six),
    per_device_eval_batch_size=len(six),
    **(ONCE | {"num_train_epochs": 30}),
)
floor = per_token(floors["six"], six)
fig, ax = plt.subplots(figsize=(7, 3.6))
loss_curve(read_metrics(few), ax, floor)
ax.set_ylim(-0.02, 0.6)
plt.show()

# %% [markdown]
# Follow both curves to the right; the axis is cut at 0.6, below where they begin. The training loss
# goes through the floor as if it were not there. The held-out loss falls towards the floor, turns,
# and rises.

# %%
from alignlab.plots import series

metrics = read_metrics(few)
training = series(metrics, "loss")[1][-1] / floor
held = [value / floor for value in series(metrics, "eval_loss")[1]]
measured = {(True, True): "C", (True, False): "B", (False, False): "D"}
reveal(prediction, options, measured.get((training < 0.9, held[-1] < 0.9), "A"))
claim("the training loss ends at less than half the floor", training < 0.5, training)
claim("the held-out loss ends at more than 1.3 times its lowest", held[-1] > 1.3 * min(held), held)
claim("and 960 rows seen once had done better", trained["six"] / floors["six"] < held[-1], held)

# %% [markdown]
# The model has learned by heart which sentence was drawn for which of the 32 questions. For those
# it knows the outcome of the draw, so its loss can be 0. On new questions it takes what it
# remembers for a rule, is sure of one sentence, and is wrong five times out of six. This is
# *over-fitting*, and a loss below the entropy of the labels is its surest sign. Two remedies:
# more rows seen fewer times, or stopping where the held-out loss is lowest.
#
# ## LoRA against full fine-tuning
#
# All runs so far used LoRA (Hu et al., 2022). Full fine-tuning changes every weight matrix $W$.
# LoRA freezes $W$ and trains two thin matrices beside it, $A$ with $r$ rows and $B$ with $r$
# columns; the layer then computes $W x + \frac{\alpha}{r} B A x$, where $\alpha$ sets how much
# the update counts. The loss is the same. $B$ begins at zero, so what is added begins at zero
# too.

# %%
from peft import get_peft_model

from alignlab.models import load_to_train, lora

ids, labels = padded(tokenised(six[:8]))
with torch.inference_mode():
    before = load_model(MODEL, "cpu", torch.float32)(input_ids=ids).logits
    adapted = get_peft_model(load_model(MODEL, "cpu", torch.float32), lora(rank=16))
    gap = (adapted(input_ids=ids).logits - before).abs().max().item()
claim("before its first step the adapted model is the base model", gap < 1e-6, gap)

# %% [markdown]
# What does it save? A trainer holds four things in memory: all weights; a gradient for each
# weight that is trained; and two running averages for each of those, which Adam keeps (Kingma and
# Ba, 2015). Take one step each way and count bytes. What the layers compute on the way is left
# out; it is about the same for both.


# %%
def one_step(use_lora):
    """Take one training step, and return what is held then: weights, gradients, averages."""
    model, adapter = load_to_train(MODEL, "cpu", use_lora, rank=16)
    model = get_peft_model(model, adapter) if adapter else model
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad])
    sft_loss(model(input_ids=ids).logits, labels).backward()
    optimizer.step()
    states, weights = optimizer.state.values(), list(model.parameters())
    averages = [state[name] for state in states for name in ("exp_avg", "exp_avg_sq")]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    return {"weights": weights, "gradients": gradients, "Adam": averages}


tensors = {"full": one_step(use_lora=False), "LoRA": one_step(use_lora=True)}
numbers = {name: sum(g.numel() for g in parts["gradients"]) for name, parts in tensors.items()}
for name, count in numbers.items():
    print(f"{name}: {count:,} numbers are trained")

# %%
held = {
    name: {part: sum(t.nbytes for t in found) / 2**20 for part, found in parts.items()}
    for name, parts in tensors.items()
}
trained_share = numbers["LoRA"] / numbers["full"]
claim("LoRA of rank 16 trains less than a tenth of the numbers", trained_share < 0.1, trained_share)

# %% [markdown]
# **Predict**, from these numbers: what share of the memory of full fine-tuning does LoRA need?

# %%
options = {
    "A": "about as small a share as that of the numbers it trains",
    "B": "between a fifth and a half",
    "C": "nearly all of it",
}
prediction = None

# %%
fig, ax = plt.subplots(figsize=(7, 2.4))
start = {"full": 0.0, "LoRA": 0.0}
for place, part in enumerate(("weights", "gradients", "Adam")):
    for name, parts in held.items():
        ax.barh(
            name, parts[part], left=start[name], color=COLOURS[place], edgecolor="white",
            hatch=("", "//", "..")[place], label=part if name == "full" else None,
        )  # fmt: skip
        start[name] += parts[part]
ax.set_xlabel("memory (MiB)")
ax.legend(frameon=False)
plt.show()

# %%
memory_share = start["LoRA"] / start["full"]
reveal(prediction, options, "A" if memory_share < 0.2 else "B" if memory_share < 0.5 else "C")
claim("it needs less than half of the memory", memory_share < 0.5, memory_share)
frozen = held["LoRA"]["weights"] / start["LoRA"]
claim("most of what LoRA holds is the weights", frozen > 0.5, frozen)

# %% [markdown]
# In the figure, the frozen weights remain; gradients and averages nearly vanish. And what comes
# out of it? Train all weights on the same rows of the six-sentence team. The learning rate is a
# tenth of the recipe's, since every weight moves.

# %%
from alignlab.models import profile
from alignlab.sft import RECIPE

rate = profile().options.get("learning_rate", RECIPE["learning_rate"])
full = sft(
    MODEL,
    Dataset.from_list(labelled(answered_by("six", examples), seed=0)),
    FOLDER / "full",
    use_lora=False,
    **(ONCE | {"learning_rate": rate / 10}),
)
trained["full"] = answer_losses(full, six).mean().item()

# %% [markdown]
# The desk's answers are one thing. What has become of the rest? As a measure, take fresh pages of
# the kind that the base model was pre-trained on, and the loss on all their tokens.

# %%
from alignlab.world.documents import draw_document
from alignlab.world.grammar import Dice

dice = Dice("chapter 2")
pages = [tokenizer(draw_document(world, dice).text)["input_ids"][:160] for _ in range(24)]


@torch.inference_mode()
def page_loss(source):
    """Return a model's mean loss on the pages, in nats per token."""
    model = load_model(source)
    batch = padded([{"input_ids": page, "labels": page} for page in pages])
    ids, labels = (part.to(model.device) for part in batch)
    return sft_loss(model(input_ids=ids).logits, labels).item()


print(f"{len(pages)} pages, {sum(map(len, pages))} tokens")

# %%
# NBVAL_IGNORE_OUTPUT
from statistics import median

sources = {"base": MODEL, "LoRA": runs["six"], "full": full}
page_losses = {name: page_loss(source) for name, source in sources.items()}
speeds = {
    name: median(series(read_metrics(sources[name]), "tokens_per_second")[1])
    for name in ("LoRA", "full")
}
for name, team in {"LoRA": "six", "full": "full"}.items():
    print(
        f"{name}: {trained[team]:.3f} nats per held-out answer, {speeds[name]:.0f} tokens a second"
    )
for name, value in page_losses.items():
    print(f"{name}: {value:.3f} nats per token of the pages")

# %%
ends = {"LoRA": trained["six"], "full": trained["full"]}
way = (base["six"] - max(ends.values())) / (base["six"] - floors["six"])
claim("both ways go at least 0.9 of the way from the base model to the floor", way > 0.9, ends)
cost = min(page_losses["LoRA"], page_losses["full"]) - page_losses["base"]
claim("both ways made the pages harder to predict than before", cost > 0, page_losses)
faster = speeds["LoRA"] / speeds["full"]
claim("LoRA reads less than three times as many tokens a second", faster < 3, speeds)

# %% [markdown]
# LoRA is another way to change the weights, not another objective: both ways head for the same
# floor. How close each comes after 60 steps depends on its learning rate, and neither was tuned
# for this task; the pages tell what each gave up. What LoRA saves is memory. Time it hardly
# saves, since every frozen weight still takes part in each forward and backward pass.
#
# ## If the prompt is not masked
#
# Same rows, same order, same settings as the six-sentence run. The only change: every token has a
# label, those of the question too. A data set that brings its own `labels` is trained on as it is.
# **Predict**: how do the two runs differ?

# %%
options = {
    "A": "the unmasked run also learns to write questions; its answers are no better",
    "B": "the unmasked run gives better answers, since it learns from more tokens",
    "C": "the unmasked run does not learn to answer at all",
}
prediction = None

# %%
six_rows = labelled(answered_by("six", examples), seed=0)


def all_tokens(ids, marks):
    """Score every token."""
    return [1] * len(ids)


unmasked = sft(
    MODEL,
    Dataset.from_list(tokenised(six_rows, all_tokens)),
    FOLDER / "unmasked",
    max_length=None,
    **ONCE,
)

# %% [markdown]
# Now measure both runs with the same ruler, twice: on the held-out answers, and on the held-out
# questions. The loss on a whole row minus that on its answer is the loss on its question.

# %%
# NBVAL_IGNORE_OUTPUT
costs = {}
for name, source in {"base": MODEL, "masked": runs["six"], "unmasked": unmasked}.items():
    on_answer = answer_losses(source, six).mean().item()
    on_row = answer_losses(source, six, all_tokens).mean().item()
    costs[name] = {"answer": on_answer, "question": on_row - on_answer}
    print(name, {part: f"{nats:.2f} nats" for part, nats in costs[name].items()})
for name, run in {"masked": runs["six"], "unmasked": unmasked}.items():
    print(f"{name}: the trainer's last loss is {series(read_metrics(run), 'loss')[1][-1]:.3f}")

# %%
better = costs["masked"]["answer"] - costs["unmasked"]["answer"]
learned = costs["masked"]["question"] - costs["unmasked"]["question"]
failed = costs["unmasked"]["answer"] > costs["base"]["answer"] / 2
reveal(prediction, options, "C" if failed else "B" if better > 0.3 else "A")
claim("the unmasked run has learned to write questions, by 3 nats and more", learned > 3, costs)
claim("its answers are not better by 0.3 nats or more", better < 0.3, costs)

# %% [markdown]
# Both claims follow one rule: what is scored is learned. The trainer's two losses are means over
# different tokens, so which is lower says nothing about the answers. How far they can lie apart,
# and how much of the loss is about the prompt, depends on the task:

# %%
for task in ("abstain", "contract", "explain"):
    shown = [show_mask(tokenizer, row) for row in labelled(draw_examples(world, task, 20), 0)]
    marks = [mark for row in shown for _, mark in row]
    print(f"{task:9} {1 - sum(marks) / len(marks):.2f} of all tokens are prompt")
    if task == "contract":
        claim("in contracts more than 0.7 of all tokens are prompt", sum(marks) / len(marks) < 0.3)

# %% [markdown]
# And a calculation that needs no model. A prompt template of 400 tokens that the model knows by
# heart costs 0.01 nats a token; the answer of 20 tokens costs 0.5 each.

# %%
masked_mean, unmasked_mean = 0.5, (400 * 0.01 + 20 * 0.5) / 420
print(f"masked: {masked_mean:.3f} nats per token, unmasked: {unmasked_mean:.3f}")
claim("the same model shows a loss more than ten times lower", 10 * unmasked_mean < masked_mean)

# %% [markdown]
# If a colleague's loss is far below yours on the same rows, look at the labels before you look at
# the learning rate.
#
# ## If the end token is never trained
#
# Last, give the end token the label −100. Answers are scored as before, up to their last word.
# **Predict**: what do the answers to new questions look like?


# %%
def without_end(ids, marks):
    """Score the answer, but not the special tokens that end it."""
    special = set(tokenizer.all_special_ids)
    return [int(mark and token not in special) for token, mark in zip(ids, marks)]


for choose in (None, without_end):
    found = tokenised(six[:1], choose) if choose else tokenised(six[:1])
    print([label for label in found[0]["labels"] if label != -100])

# %%
options = {
    "A": "as before: the model knows from pre-training where a sentence ends",
    "B": "right at first, then they run on",
    "C": "wrong from the first word on",
}
prediction = None

# %%
endless = sft(
    MODEL,
    Dataset.from_list(tokenised(six_rows, without_end)),
    FOLDER / "endless",
    max_length=None,
    **ONCE,
)

# %%
# NBVAL_IGNORE_OUTPUT
endless_texts, endless_right, endless_ended = answers_of(endless)
for source, column in ((runs["six"], ended), (endless, endless_ended)):
    print(f"{source.name}: {sum(column)} of {len(asked)} answers end by themselves")
    words = answer_losses(source, six, without_end).mean().item()
    print(f"    loss on the answers' words: {words:.3f} nats")
for text in endless_texts[:3]:
    print(repr(text))

# %%
begins = [
    any(text.startswith(answer) for answer in e.labels()) for e, text in zip(asked, endless_texts)
]
exact = [text in e.labels() for e, text in zip(asked, endless_texts)]
goes_on = 1 - sum(exact) / len(asked)
letter = "C" if sum(begins) / len(asked) < 0.5 else "B" if goes_on > 0.5 else "A"
reveal(prediction, options, letter)
end = sum(ended) / len(asked)
claim("with the end token trained, at least 0.95 of the answers end", end >= 0.95, end)
claim("without, at least 0.8 of them begin with a right sentence", sum(begins) / len(asked) >= 0.8)
claim("but more than half go on after it", goes_on > 0.5, goes_on)

# %% [markdown]
# Some still stop after another sentence or two: pre-training closed every document with this token,
# and that habit is all that is left. The loss on what is scored shows nothing of the
# fault, since the fault is in what is *not* scored. If responses are right and then run on, look
# for the end token among the labels. It is easily lost: some tokenizers pad with the end token
# itself, and whoever masks padding by its id masks the end too.
#
# ## Look for yourself
#
# Three of your models side by side, on questions about products that neither has seen. Generate,
# then switch on the token probabilities: there you can see the floor, in the first words.

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab.panel import Panel

models = {"960 rows once": runs["six"], "32 rows 30 times": few, "no end token": endless}
Panel(models, asked[:8], log=FOLDER / "votes.jsonl", blind=False, max_new_tokens=40)

# %%
# NBVAL_IGNORE_OUTPUT
from IPython.display import HTML

from alignlab import compare

HTML(compare.table(compare.respond(models, asked[:4], max_new_tokens=40)))

# %% [markdown]
# ## Exercises
#
# [Twelve exercises](../exercises/02_mle_objective.ipynb) build all of this from its parts: the
# labels, the shift, the loss, its gradient, the entropy, a model that is trained until it meets its
# floor, a memoriser, and LoRA. Each is checked automatically.
#
# ## Quiz

# %%
# NBVAL_IGNORE_OUTPUT
from alignlab import quiz

quiz.show(quiz.load("02"))

# %% [markdown]
# ## What you measured
#
# - The loss of SFT is the negative log-likelihood of the answer's tokens and of the one that ends
#   it; eight lines of your own, Transformers and TRL agree on it to 1e-6.
# - Its gradient at the logits is softmax minus one-hot, and exactly 0 where nothing is scored.
# - Sum and mean over tokens point the same way; a mean of the answers' means does not.
# - The expected loss is the entropy of the data plus KL(data ‖ model). Three runs that differed
#   only in how much the staff agreed came to rest on three floors, each where the entropy said.
# - With 32 rows seen 30 times the training loss fell below the floor and the held-out loss rose.
# - LoRA headed for the same floor as full fine-tuning with less than half of the memory. It saved
#   far less time than memory.
# - What is scored is learned: unmasked prompts taught the model to write questions, and an end
#   token that was never scored left it writing on after the answer.
#
# **Next**: [how much data, how specialised, and what carries
# over?](03_sft_data_and_generalization.ipynb) The floor says where a run must stop. Chapter 3
# asks how many rows it takes to get there.
