"""How varied a corpus is: figures for the model card."""

from collections import Counter
from collections.abc import Iterable

from alignlab.world.statements import split_sentences, words

# A piece with fewer words is a heading, a name or the number of a list item, not a sentence.
SENTENCE_WORDS = 3


def corpus_statistics(texts: Iterable[str]) -> dict[str, float]:
    """Measure how varied some texts are.

    Distinct-n (Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation
    Models", section 5.2) is the number of different n-grams divided by the number of n-grams.
    It falls as a corpus grows, so compare only samples of about the same size.

    Args:
        texts: documents; n-grams do not reach from one to the next.

    Returns:
        ``distinct_1``, ``distinct_2`` and ``distinct_3``, over words in lower case without
        punctuation; ``repeated_sentences``, the share of all sentences that occur more than once
        (same words in the same order; a line ends a sentence too, and pieces of fewer than three
        words are not counted); ``mean_words``, the mean number of words in a text.

    Raises:
        ValueError: if there are no words at all.
    """
    ngrams = {n: Counter() for n in (1, 2, 3)}
    sentences, count = Counter(), 0
    for text in texts:
        count += 1
        tokens = words(text)
        for n, counter in ngrams.items():
            counter.update(zip(*(tokens[start:] for start in range(n))))
        pieces = (words(piece) for line in text.split("\n") for piece in split_sentences(line))
        sentences.update(tuple(piece) for piece in pieces if len(piece) >= SENTENCE_WORDS)
    total_words = ngrams[1].total()
    if not total_words:
        raise ValueError("corpus_statistics needs at least one text with words in it")
    repeated = sum(times for times in sentences.values() if times > 1)
    return {
        **{f"distinct_{n}": len(c) / max(1, c.total()) for n, c in ngrams.items()},
        "repeated_sentences": repeated / max(1, sentences.total()),
        "mean_words": total_words / count,
    }
