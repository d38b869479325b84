"""Initial weights with which a small Llama can copy from its context before learning anything.

Copying takes two heads in series, one that notes which token came before and one that looks for
an earlier place where the same token came before (Olsson et al. 2022, "In-context learning and
induction heads"). A small model on a small corpus finds that pair late or never, so its weights
begin there, in the spirit of Trockman and Kolter 2023, "Mimetic initialization of self-attention
layers". Nothing is fixed: training goes on from here as from any other start.
"""

import torch

# Chosen so that a model of the bundled size, untrained, predicts the second copy of a row of random
# tokens at 5 nats a token where the first copy costs 11 (tests/test_initial.py).
# Adam moves every weight by about the learning rate a step, whatever the weight's size: what is set
# small here is washed away before it is of use.
EMBEDDING_STD = 0.25
FINAL_NORM = 0.4  # keeps the first logits moderate all the same
MATCH_STD = 0.15  # queries and keys of the heads that look for equal tokens
MOVE_GAIN, COPY_GAIN = 0.25, 0.5  # how strongly the first layer and the others write what they read
MLP_GAIN = 0.3
PREVIOUS = 4.5  # size of the constant queries and keys that attend to the token before
PREVIOUS_PAIRS = 12  # rotary pairs, fastest first, that tell neighbours apart
FAR_PAIRS = 14  # rotary pairs too fast for a match at a distance


def _orthogonal(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator))[0]


def _attend_to_previous(attention, heads: int, theta: float) -> None:
    """Give every head a query and a key that are constant and match at distance one."""
    size = attention.head_dim
    half, pairs = size // 2, min(PREVIOUS_PAIRS, size // 2)
    angle = theta ** (-torch.arange(0, size, 2) / size)
    query, key = torch.zeros(size), torch.zeros(size)
    query[:pairs] = PREVIOUS
    key[:pairs] = PREVIOUS * torch.cos(angle[:pairs])
    key[half : half + pairs] = PREVIOUS * torch.sin(angle[:pairs])
    attention.q_proj.weight.mul_(0.3)
    attention.k_proj.weight.mul_(0.3)
    attention.q_proj.bias.copy_(query.repeat(heads))
    attention.k_proj.bias.copy_(key.repeat(heads))


@torch.no_grad()
def start_with_induction(model, seed: int = 0) -> None:
    """Set a Llama's first weights so that its first layers form induction heads.

    Args:
        model: a ``LlamaForCausalLM`` with ``attention_bias``, one key head a query head and tied
            embeddings.
    """
    config = model.config
    width, heads = config.hidden_size, config.num_attention_heads
    generator = torch.Generator().manual_seed(seed + 1)
    moved = _orthogonal(width, generator)  # where the first layer writes the token before
    embedding = model.get_input_embeddings().weight
    embedding.mul_(EMBEDDING_STD / embedding.std())
    model.model.norm.weight.fill_(FINAL_NORM)
    for i, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        layer.mlp.down_proj.weight.mul_(MLP_GAIN)
        read = _orthogonal(width, generator)
        attention.v_proj.weight.copy_(read)
        if i == 0:
            _attend_to_previous(attention, heads, config.rope_parameters["rope_theta"])
            attention.o_proj.weight.copy_(MOVE_GAIN * moved @ read.T)
            continue
        match = MATCH_STD * torch.randn(heads, 2, width // heads // 2, width, generator=generator)
        match[:, :, : min(FAR_PAIRS, match.shape[2] // 2)] = 0
        match = match.reshape(width, width)
        attention.q_proj.weight.copy_(match)
        # Layers 1 and 2 look for places after an equal token, the others for equal tokens.
        attention.k_proj.weight.copy_(match @ moved.T if i <= 2 else match)
        attention.o_proj.weight.copy_(COPY_GAIN * read.T)
