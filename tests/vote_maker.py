"""For tests that need votes: short ways to make them."""

from alignlab import votes


def vote(choice="left", prompt="Why?", sides=("A", "B"), texts=("one", "two words"), **fields):
    """Return a vote; ``sides`` are the names of the models on the left and on the right."""
    left, right = (
        votes.Side(
            name=name, model=f"runs/{name}", hash=f"sha256:{name}", response=text,
            words=len(text.split()),
        )
        for name, text in zip(sides, texts)
    )  # fmt: skip
    defaults = {
        "prompt": [{"role": "user", "content": prompt}],
        "sampling": {"temperature": 0.7, "max_new_tokens": 64, "seed": 0},
        "seconds": 2.5,
        "blind": True,
    }
    return votes.cast(choice=choice, left=left, right=right, **defaults | fields)


def many(wins, losses, ties=0, first="B", second="A"):
    """Return votes on one prompt each, sides in turn, so that the left is right half the time."""
    cast = []
    for place in range(wins + losses + ties):
        turned = place % 2
        winner = first if place < wins else second
        sides = (second, first) if turned else (first, second)
        choice = "left" if winner == sides[0] else "right"
        choice = choice if place < wins + losses else "tie"
        cast.append(vote(choice, prompt=f"prompt {place}", sides=sides))
    return cast
