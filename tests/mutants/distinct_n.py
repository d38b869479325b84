from collections import Counter


def _grams(rows, n):
    return [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]


def right_set(rows, n):
    grams = _grams(rows, n)
    return len(set(grams)) / len(grams) if grams else 0.0


def right_zip(rows, n):
    counts = Counter(gram for row in rows for gram in zip(*(row[i:] for i in range(n))))
    return len(counts) / max(counts.total(), 1)


def right_strings(rows, n):
    seen, total = set(), 0
    for row in rows:
        while len(row) >= n:
            seen.add(" ".join(map(str, row[:n])))
            row, total = row[1:], total + 1
    return len(seen) / total if total else 0.0


def wrong_across(rows, n):
    """n-grams do not run"""
    return right_set([[token for row in rows for token in row]], n)


def wrong_mean_of_rows(rows, n):
    """the mean of the rows' shares"""
    kept = [row for row in rows if len(row) >= n]
    return sum(right_set([row], n) for row in kept) / max(len(kept), 1)


def wrong_within_rows(rows, n):
    """an n-gram that two rows have"""
    found = [_grams([row], n) for row in rows]
    return sum(len(set(row)) for row in found) / max(sum(map(len, found)), 1)


def wrong_last_missing(rows, n):
    """the last n-gram of each row"""
    return right_set([row[:-1] for row in rows], n)


def wrong_by_tokens(rows, n):
    """divided by the number of tokens"""
    return len(set(_grams(rows, n))) / max(sum(map(len, rows)), 1)


def wrong_tokens(rows, n):
    """tokens, not n-grams"""
    return right_set(rows, 1)


def wrong_sorted(rows, n):
    """in another order it is another n-gram"""
    grams = [tuple(sorted(gram)) for gram in _grams(rows, n)]
    return len(set(grams)) / max(len(grams), 1)


def wrong_repeats(rows, n):
    """the share of repeats"""
    return 1 - right_set(rows, n)


def wrong_short_rows(rows, n):
    grams = [tuple(row[i : i + n]) for row in rows for i in range(len(row))]
    return len(set(grams)) / max(len(grams), 1)


def wrong_once_only(rows, n):
    counts = Counter(_grams(rows, n))
    return sum(count == 1 for count in counts.values()) / max(counts.total(), 1)
