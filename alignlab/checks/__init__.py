"""Checks of the exercises: ``from alignlab import checks``, then ``checks.token_nll(token_nll)``.

One function for each exercise, with the name of the function that the exercise asks for. It prints
one line if the answer is right. If not, it raises ``CheckFailed`` with the input, what was
expected, what came, the likely mistake and the seed that repeats it. ``seeds`` says which cases are
drawn beside those that can be checked by hand. The same function serves notebooks, tests and
grading.
"""

from alignlab.checks.agreement import cohens_kappa, exact_match_ceilings, label_noise
from alignlab.checks.annotators import annotator_accuracies, position_bias
from alignlab.checks.common import CheckFailed
from alignlab.checks.comparisons import bradley_terry_loss, ranking_pairs
from alignlab.checks.data_sets import contaminated_share, distinct_n
from alignlab.checks.entropy import entropy_and_kl, entropy_floor, perplexity
from alignlab.checks.generalization import forgetting, mixture_epochs, power_law
from alignlab.checks.gradient import logit_gradient
from alignlab.checks.intervals import highest_harm_rate, paired_gap, wilson_interval
from alignlab.checks.labels import completion_labels, shift
from alignlab.checks.length_bias import audit
from alignlab.checks.lora import lora_linear
from alignlab.checks.mle import accumulation_losses, token_mean, token_nll
from alignlab.checks.outcomes import examples_needed, form_and_fact
from alignlab.checks.over_fitting import memoriser_losses
from alignlab.checks.pairs import dpo_gradient, dpo_loss, robust_losses
from alignlab.checks.policies import frontier, implied_rewards, optimal_policy
from alignlab.checks.preference_training import train_dpo
from alignlab.checks.responses import displacement, sequence_logprobs
from alignlab.checks.reward_models import accuracy_ceiling, reward_model_loss
from alignlab.checks.rlhf import kl_estimates, policy_gradient, rloo_advantages
from alignlab.checks.run_planning import best_stop, memory_gib
from alignlab.checks.selection import best_of_n
from alignlab.checks.stages import stage_effects, transfer_share
from alignlab.checks.strategy import choose_stage
from alignlab.checks.strengths import fit_strengths
from alignlab.checks.training import train_to_floor
from alignlab.checks.verdicts import follow_rates, win_rate

__all__ = [
    "CheckFailed",
    "accumulation_losses",
    "accuracy_ceiling",
    "annotator_accuracies",
    "audit",
    "best_of_n",
    "best_stop",
    "bradley_terry_loss",
    "choose_stage",
    "cohens_kappa",
    "completion_labels",
    "contaminated_share",
    "displacement",
    "distinct_n",
    "dpo_gradient",
    "dpo_loss",
    "entropy_and_kl",
    "entropy_floor",
    "exact_match_ceilings",
    "examples_needed",
    "fit_strengths",
    "follow_rates",
    "forgetting",
    "form_and_fact",
    "frontier",
    "highest_harm_rate",
    "implied_rewards",
    "kl_estimates",
    "label_noise",
    "logit_gradient",
    "lora_linear",
    "memoriser_losses",
    "memory_gib",
    "mixture_epochs",
    "optimal_policy",
    "paired_gap",
    "perplexity",
    "policy_gradient",
    "position_bias",
    "power_law",
    "ranking_pairs",
    "reward_model_loss",
    "rloo_advantages",
    "robust_losses",
    "sequence_logprobs",
    "shift",
    "stage_effects",
    "token_mean",
    "token_nll",
    "train_dpo",
    "train_to_floor",
    "transfer_share",
    "wilson_interval",
    "win_rate",
]
