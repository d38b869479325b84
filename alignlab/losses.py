"""The losses of alignment as functions of plain tensors: no model, no trainer, no state.

Every function gives one value per example, so that a student can look at single rows; averaging
is left to the caller or asked for with ``reduction``. The values are those of TRL's trainers on the
same batch (``tests/test_losses.py``), except where a docstring says otherwise.

Shapes: B examples, T tokens, V words of the vocabulary.
"""

import torch
import torch.nn.functional as F

IGNORE = -100  # the label of a token that the loss leaves out, as in torch and Transformers
LOSS_TYPES = ("sigmoid", "ipo", "hinge", "robust")


def token_logprobs(logits: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
    """Return log p(token t+1 | tokens up to t), in nats, for every token but the first.

    Args:
        logits: ``(B, T, V)``; position t predicts token t+1.
        input_ids: ``(B, T)``.

    Returns:
        ``(B, T-1)``, in float32 or, given float64, in float64: 16-bit sums lose whole nats.
    """
    if logits.ndim != 3 or logits.shape[:2] != input_ids.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} must be (B, T, V) for input_ids (B, T), "
            f"which are {tuple(input_ids.shape)}"
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    logprobs = torch.log_softmax(logits[:, :-1].to(dtype), dim=-1)
    return logprobs.gather(-1, input_ids[:, 1:].unsqueeze(-1)).squeeze(-1)


def sequence_logprobs(
    logits: torch.Tensor, input_ids: torch.Tensor, completion_mask: torch.Tensor
) -> torch.Tensor:
    """Return log p(completion | prompt) in nats: the sum over the completion's tokens.

    A sum, not a mean: log π(y|x) in eq. 7 of Rafailov et al. 2023 is that of the whole response.

    Args:
        logits: ``(B, T, V)``.
        input_ids: ``(B, T)``.
        completion_mask: ``(B, T)``, 1 on the completion's tokens, 0 on prompt and padding. The
            first token has nothing before it to be predicted from and never counts.

    Returns:
        ``(B,)``; 0 where the mask is empty.
    """
    if completion_mask.shape != input_ids.shape:
        raise ValueError(
            f"completion_mask {tuple(completion_mask.shape)} must have the shape of input_ids, "
            f"{tuple(input_ids.shape)}"
        )
    logprobs = token_logprobs(logits, input_ids)
    # Chosen by mask, not multiplied: an infinite value on a masked position must not reach the sum.
    return logprobs.masked_fill(completion_mask[:, 1:] == 0, 0.0).sum(-1)


def sft_loss(
    logits: torch.Tensor, labels: torch.Tensor, reduction: str = "token_mean"
) -> torch.Tensor:
    """Return the negative log-likelihood of the labelled tokens, in nats.

    Args:
        logits: ``(B, T, V)``.
        labels: ``(B, T)``, the input ids themselves (not shifted), ``-100`` on ignored tokens.
        reduction: ``"token_mean"``, a scalar: every token of the batch weighs the same, so long
            responses weigh more (TRL's ``SFTTrainer``); ``"sequence_sum"``, ``(B,)``: what each
            response costs; ``"none"``, ``(B, T-1)``: per token, 0 where ignored.

    Raises:
        ValueError: another reduction, or shapes that do not fit.
    """
    if reduction not in ("token_mean", "sequence_sum", "none"):
        raise ValueError(f"reduction {reduction!r} is none of token_mean, sequence_sum, none")
    counted = labels != IGNORE
    nll = -token_logprobs(logits, labels.masked_fill(~counted, 0))
    counted = counted[:, 1:]
    nll = nll.masked_fill(~counted, 0.0)
    if reduction == "none":
        return nll
    if reduction == "sequence_sum":
        return nll.sum(-1)
    return nll.sum() / counted.sum().clamp(min=1)  # a batch with nothing to learn costs 0


def bradley_terry_loss(
    chosen_rewards: torch.Tensor, rejected_rewards: torch.Tensor
) -> torch.Tensor:
    """Return -log σ(r_chosen - r_rejected), in nats, shape ``(B,)``.

    The negative log-likelihood of the comparisons under Bradley and Terry (1952), where the chance
    that one response is preferred depends on the difference of rewards alone. TRL's
    ``RewardTrainer`` takes its mean.
    """
    _same_shape(chosen_rewards=chosen_rewards, rejected_rewards=rejected_rewards)
    return -F.logsigmoid(chosen_rewards - rejected_rewards)


def dpo_loss(
    policy_chosen_logps: torch.Tensor,
    policy_rejected_logps: torch.Tensor,
    ref_chosen_logps: torch.Tensor,
    ref_rejected_logps: torch.Tensor,
    beta: float = 0.1,
    loss_type: str = "sigmoid",
    label_smoothing: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the DPO loss of each pair, and the implicit rewards of its two responses.

    With h = log π(y_c|x)/π_ref(y_c|x) - log π(y_r|x)/π_ref(y_r|x) and ε = ``label_smoothing``:

    ==========  ====================================================  =============================
    sigmoid     -log σ(βh)                                            Rafailov et al. 2023, eq. 7
    sigmoid, ε  -(1-ε) log σ(βh) - ε log σ(-βh)                       cDPO: Mitchell 2023, a note on
                                                                      DPO with noisy preferences
    robust      (-(1-ε) log σ(βh) + ε log σ(-βh)) / (1-2ε)            Chowdhury et al. 2024
    ipo         (h - 1/(2β))²                                         Azar et al. 2023, eq. 17
    hinge       max(0, 1 - βh)                                        SLiC: Zhao et al. 2023
    ==========  ====================================================  =============================

    Where TRL differs: it ignores ``label_smoothing`` for ``sigmoid`` (cDPO is not in it), and its
    ``ipo`` divides every log-probability by the number of completion tokens. The equation here
    is the paper's, on what is passed in: pass sums (``sequence_logprobs``) for the paper, those
    divided by ``completion_mask[:, 1:].sum(-1)`` for TRL's.

    Args:
        policy_chosen_logps, policy_rejected_logps: ``(B,)``, log-probabilities in nats, summed over
            the completion (``sequence_logprobs``), from the model in training.
        ref_chosen_logps, ref_rejected_logps: ``(B,)``, the same from the frozen reference.
        beta: the strength of the tie to the reference: larger stays closer to it.
        label_smoothing: the share of pairs believed to be labelled the wrong way round.

    Returns:
        ``(losses, chosen_rewards, rejected_rewards)``, each ``(B,)``. The rewards are
        β log π/π_ref (eq. 5 without the part that depends on the prompt alone), detached.

    Raises:
        ValueError: an unknown loss, β ≤ 0, smoothing outside [0, ½) or with a loss that has none,
            shapes that differ.
    """
    _check_dpo(beta, loss_type, label_smoothing)
    _same_shape(
        policy_chosen_logps=policy_chosen_logps,
        policy_rejected_logps=policy_rejected_logps,
        ref_chosen_logps=ref_chosen_logps,
        ref_rejected_logps=ref_rejected_logps,
    )
    chosen_logratios = policy_chosen_logps - ref_chosen_logps
    rejected_logratios = policy_rejected_logps - ref_rejected_logps
    h = chosen_logratios - rejected_logratios
    if loss_type == "ipo":
        losses = (h - 1 / (2 * beta)) ** 2
    elif loss_type == "hinge":
        losses = torch.relu(1 - beta * h)
    else:
        # logsigmoid, not log(sigmoid): the latter is -inf from βh = -104 on in float32.
        right, wrong = -F.logsigmoid(beta * h), -F.logsigmoid(-beta * h)
        if label_smoothing == 0:
            losses = right  # not right - 0 * wrong, which is nan where wrong is infinite
        elif loss_type == "sigmoid":
            losses = (1 - label_smoothing) * right + label_smoothing * wrong
        else:
            losses = (1 - label_smoothing) * right - label_smoothing * wrong
            losses = losses / (1 - 2 * label_smoothing)
    return losses, (beta * chosen_logratios).detach(), (beta * rejected_logratios).detach()


def _check_dpo(beta: float, loss_type: str, label_smoothing: float) -> None:
    if loss_type not in LOSS_TYPES:
        raise ValueError(f"loss_type {loss_type!r} is none of {', '.join(LOSS_TYPES)}")
    if not beta > 0:
        raise ValueError(f"beta must be above 0, not {beta}: at 0 nothing depends on the policy")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(
            f"label_smoothing must be from 0 to below 0.5, not {label_smoothing}: "
            "beyond it the labels say the opposite"
        )
    if label_smoothing and loss_type not in ("sigmoid", "robust"):
        raise ValueError(f"label_smoothing does nothing to {loss_type}; use sigmoid or robust")


def _same_shape(**tensors: torch.Tensor) -> None:
    # (B,) against (B, 1) would broadcast to (B, B) and train on wrong pairs without a word.
    if len({tensor.shape for tensor in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"these must have one shape: {shapes}")
