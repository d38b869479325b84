"""Initial weights with which a small Llama can copy from its context before learning anything.

Copying takes two heads in series, one that notes which token came before and one that looks for
an earlier place where the same token came before (Olsson et al. 2022, "In-context learning and
induction heads"). A small model on a small corpus finds that pair late or never, so its weights
begin there, in the spirit of Trockman and Kolter 2023, "Mimetic initialization of self-attention
layers". Nothing is fixed: training goes on from here as from any other start.
"""

import torch
from torch.nn.utils import parametrize

# Chosen so that a model of the bundled size, untrained, predicts the second copy of a row of random
# tokens at two thirds of the nats of the first or less (tests/test_initial.py). Adam moves every
# weight by about the learning rate a step, whatever the weight's size: what is set small here is
# washed away before it is of use.
EMBEDDING_STD = 0.1
# The other heads and layers begin as usual: recalling a fact takes heads that gather names.
COPYING_HEADS, COPYING_LAYERS = 3, 3
MATCH_STD = 0.15  # queries and keys of the heads that look for equal tokens
MOVE_GAIN, COPY_GAIN = 0.1, 0.5  # how strongly the first layer and the others write what they read
PREVIOUS = 4.5  # size of the constant queries and keys that attend to the token before
PREVIOUS_PAIRS = 12  # rotary pairs, fastest first, that tell neighbours apart
FAR_PAIRS = 14  # rotary pairs too fast for a match at a distance


def _orthogonal(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator))[0]


def _attend_to_previous(attention, heads: int, theta: float) -> None:
    """Give the copying heads a query and a key that are constant and match at distance one."""
    size = attention.head_dim
    half, pairs = size // 2, min(PREVIOUS_PAIRS, size // 2)
    angle = theta ** (-torch.arange(0, size, 2) / size)
    query, key = torch.zeros(size), torch.zeros(size)
    query[:pairs] = PREVIOUS
    key[:pairs] = PREVIOUS * torch.cos(angle[:pairs])
    key[half : half + pairs] = PREVIOUS * torch.sin(angle[:pairs])
    used = heads * size
    attention.q_proj.weight[:used].mul_(0.3)
    attention.k_proj.weight[:used].mul_(0.3)
    attention.q_proj.bias[:used] = query.repeat(heads)
    attention.k_proj.bias[:used] = key.repeat(heads)


def _attend_to_equal(attention, heads: int, moved: torch.Tensor, generator) -> None:
    """Let the copying heads look for places after a token that equals the present one."""
    half = attention.head_dim // 2
    match = torch.randn(heads, 2, half, len(moved), generator=generator) * MATCH_STD
    match[:, :, : min(FAR_PAIRS, half // 2)] = 0
    match = match.reshape(heads * 2 * half, len(moved))
    attention.q_proj.weight[: len(match)] = match
    attention.k_proj.weight[: len(match)] = match @ moved.T


class EmbeddingsPlus(torch.nn.Module):
    """Makes an output matrix the embeddings plus a learned difference.

    What a token is to the output follows what it is to the input, so that heads which copy one
    word copy all. But no gradient of the output reaches the embeddings: it would move all of them
    in one direction (Stollenwerk and Stollenwerk 2025, "Better Embeddings with Coupled Adam").
    """

    def __init__(self, embeddings: torch.nn.Embedding):
        super().__init__()
        self.embeddings = [embeddings]  # in a list, so that they stay parameters of the model alone

    def forward(self, difference: torch.Tensor) -> torch.Tensor:
        """Return the output matrix, ``(vocabulary, width)``."""
        return self.embeddings[0].weight.detach() + difference

    def right_inverse(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return the difference that gives an output matrix."""
        return matrix - self.embeddings[0].weight.detach()


def tie_softly(model) -> torch.nn.Parameter:
    """Let a model's output matrix be ``EmbeddingsPlus``, until ``untie``; return the difference."""
    rule = EmbeddingsPlus(model.get_input_embeddings())
    parametrize.register_parametrization(model.lm_head, "weight", rule)
    return model.lm_head.parametrizations.weight.original


def untie(model) -> None:
    """Make the output matrix a plain parameter again."""
    parametrize.remove_parametrizations(model.lm_head, "weight")


@torch.no_grad()
def start_with_induction(model, seed: int = 0) -> None:
    """Set a Llama's first weights so that some heads of its first layers are induction heads.

    Args:
        model: a ``LlamaForCausalLM`` with ``attention_bias``, one key head a query head and an
            output matrix of its own, which begins as a copy of the embeddings.
    """
    config = model.config
    width, heads = config.hidden_size, min(COPYING_HEADS, config.num_attention_heads)
    used = heads * model.model.layers[0].self_attn.head_dim
    generator = torch.Generator().manual_seed(seed + 1)
    moved = _orthogonal(width, generator)  # where the first layer writes the token before
    embedding = model.get_input_embeddings().weight
    embedding.mul_(EMBEDDING_STD / embedding.std())
    model.lm_head.weight.copy_(embedding)
    for i, layer in enumerate(model.model.layers[:COPYING_LAYERS]):
        attention = layer.self_attn
        read = _orthogonal(width, generator)[:used]
        attention.v_proj.weight[:used] = read
        if i == 0:
            _attend_to_previous(attention, heads, config.rope_parameters["rope_theta"])
            attention.o_proj.weight[:, :used] = MOVE_GAIN * moved @ read.T
        else:
            _attend_to_equal(attention, heads, moved, generator)
            attention.o_proj.weight[:, :used] = COPY_GAIN * read.T


@torch.no_grad()
def open_turn(model, turn: int, boundary: int) -> None:
    """Let the token that opens the assistant's turn begin half as the one between two documents.

    No document has it, so training leaves its embedding at random: noise in the middle of a text,
    which a base model reads over. Half a boundary, it is followed by another text, which a base
    model begins there instead of going on with what the user wrote.

    Args:
        turn: id of the token that opens the turn; its embedding becomes the mean of both.
        boundary: id of the token between documents.
    """
    embeddings = model.get_input_embeddings().weight
    embeddings[turn] = (embeddings[turn] + embeddings[boundary]) / 2
