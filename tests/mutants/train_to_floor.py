import torch
import torch.nn.functional as F

STEPS = 2000


def _before(sequences, vocabulary):
    start = torch.full_like(sequences[:, :1], vocabulary)
    return torch.cat([start, sequences[:, :-1]], 1)


def _train(loss_of, logits, floor, optimiser=None, steps=STEPS):
    optimiser = optimiser or torch.optim.Adam([logits], lr=0.1)
    losses = []
    for _ in range(steps):
        loss = loss_of(logits)
        losses.append(loss.item())
        if losses[-1] <= floor + 1e-4:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return logits.detach(), losses


def _table(vocabulary):
    return torch.zeros(vocabulary + 1, vocabulary, dtype=torch.float64, requires_grad=True)


def _nll(logits, before, after):
    return F.cross_entropy(logits[before].transpose(1, 2), after, reduction="none")


def right_adam(sequences, probabilities, vocabulary, floor):
    before = _before(sequences, vocabulary)
    return _train(
        lambda x: (probabilities * _nll(x, before, sequences).mean(-1)).sum(),
        _table(vocabulary), floor,
    )  # fmt: skip


def right_gradient_descent(sequences, probabilities, vocabulary, floor):
    before, logits = _before(sequences, vocabulary), _table(vocabulary)
    return _train(
        lambda x: probabilities @ _nll(x, before, sequences).mean(-1),
        logits, floor, torch.optim.SGD([logits], lr=4.0, momentum=0.9),
    )  # fmt: skip


def right_network(sequences, probabilities, vocabulary, floor):
    before = _before(sequences, vocabulary)
    network = torch.nn.Sequential(
        torch.nn.Embedding(vocabulary + 1, 8), torch.nn.Tanh(), torch.nn.Linear(8, vocabulary)
    )
    optimiser, losses = torch.optim.Adam(network.parameters(), lr=0.03), []
    while not losses or (losses[-1] > floor + 1e-4 and len(losses) < STEPS):
        logprobs = network(before).log_softmax(-1)
        picked = logprobs.gather(-1, sequences.unsqueeze(-1)).squeeze(-1)
        loss = -(probabilities * picked.mean(-1)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return network(torch.arange(vocabulary + 1)), losses


def wrong_even_weights(sequences, probabilities, vocabulary, floor):
    """all tokens are equally likely"""
    before = _before(sequences, vocabulary)
    return _train(lambda x: _nll(x, before, sequences).mean(), _table(vocabulary), floor, steps=400)


def wrong_first_left_out(sequences, probabilities, vocabulary, floor):
    """the first token is never trained"""
    before, after = sequences[:, :-1], sequences[:, 1:]
    return _train(
        lambda x: probabilities @ _nll(x, before, after).mean(-1),
        _table(vocabulary), floor - 1, steps=600,
    )  # fmt: skip


def wrong_direction(sequences, probabilities, vocabulary, floor):
    """the table predicts the token before"""
    before, after = sequences[:, 1:], sequences[:, :-1]
    return _train(
        lambda x: probabilities @ _nll(x, before, after).mean(-1),
        _table(vocabulary), floor - 1, steps=600,
    )  # fmt: skip


def wrong_unshifted(sequences, probabilities, vocabulary, floor):
    """a token predicts itself"""
    return _train(
        lambda x: probabilities @ _nll(x, sequences, sequences).mean(-1),
        _table(vocabulary), 0.0, steps=600,
    )  # fmt: skip


def wrong_unshifted_until_the_floor(sequences, probabilities, vocabulary, floor):
    return _train(
        lambda x: probabilities @ _nll(x, sequences, sequences).mean(-1), _table(vocabulary), floor
    )


def wrong_no_step(sequences, probabilities, vocabulary, floor):
    """all tokens are equally likely"""
    before, logits = _before(sequences, vocabulary), _table(vocabulary)
    return _train(
        lambda x: probabilities @ _nll(x, before, sequences).mean(-1),
        logits, floor, torch.optim.Adam([logits], lr=0.0), steps=5,
    )  # fmt: skip


def wrong_few_steps(sequences, probabilities, vocabulary, floor):
    before = _before(sequences, vocabulary)
    return _train(
        lambda x: probabilities @ _nll(x, before, sequences).mean(-1),
        _table(vocabulary), floor, steps=5,
    )  # fmt: skip


def wrong_sign(sequences, probabilities, vocabulary, floor):
    before = _before(sequences, vocabulary)
    return _train(
        lambda x: -(probabilities @ _nll(x, before, sequences).mean(-1)),
        _table(vocabulary), floor - 100, steps=50,
    )  # fmt: skip


def wrong_sequence_loss(sequences, probabilities, vocabulary, floor):
    """the loss of a sequence"""
    before = _before(sequences, vocabulary)
    return _train(
        lambda x: probabilities @ _nll(x, before, sequences).sum(-1),
        _table(vocabulary), floor, steps=600,
    )  # fmt: skip


def wrong_untouched_copy(sequences, probabilities, vocabulary, floor):
    """all tokens are equally likely"""
    logits = _table(vocabulary)
    before = _before(sequences, vocabulary)
    _, losses = _train(
        lambda x: probabilities @ _nll(x, before, sequences).mean(-1),
        logits.detach().clone().requires_grad_(), floor,
    )  # fmt: skip
    return logits, losses


def wrong_detached(sequences, probabilities, vocabulary, floor):
    before = _before(sequences, vocabulary)
    return _train(
        lambda x: probabilities @ _nll(x.detach(), before, sequences).mean(-1),
        _table(vocabulary), floor,
    )  # fmt: skip


def wrong_losses_made_up(sequences, probabilities, vocabulary, floor):
    logits, _ = right_adam(sequences, probabilities, vocabulary, floor)
    return logits, [0.0]


def wrong_losses_missing(sequences, probabilities, vocabulary, floor):
    return right_adam(sequences, probabilities, vocabulary, floor)[0]
