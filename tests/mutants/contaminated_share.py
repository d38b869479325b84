def _grams(row, n):
    return {tuple(row[i : i + n]) for i in range(len(row) - n + 1)}


def _known(rows, n):
    return set().union(*(_grams(row, n) for row in rows))


def right_sets(train, test, n):
    known = _known(train, n)
    return sum(bool(_grams(row, n) & known) for row in test) / len(test)


def right_search(train, test, n):
    texts = [f" {' '.join(map(str, row))} " for row in train]
    found = 0
    for row in test:
        parts = (row[i : i + n] for i in range(len(row) - n + 1))
        found += any(f" {' '.join(map(str, part))} " in text for part in parts for text in texts)
    return found / len(test)


def right_disjoint(train, test, n):
    known = _known(train, n)
    return 1 - sum(known.isdisjoint(_grams(row, n)) for row in test) / len(test)


def wrong_grams(train, test, n):
    """the share of n-grams"""
    known = _known(train, n)
    grams = [tuple(row[i : i + n]) for row in test for i in range(len(row) - n + 1)]
    return sum(gram in known for gram in grams) / max(len(grams), 1)


def wrong_across(train, test, n):
    """n-grams do not run"""
    return right_sets([[token for row in train for token in row]], test, n)


def wrong_long_only(train, test, n):
    """rows too short for an n-gram"""
    kept = [row for row in test if len(row) >= n]
    return right_sets(train, kept, n) if kept else 0.0


def wrong_whole_rows(train, test, n):
    """whole rows"""
    return sum(row in train for row in test) / len(test)


def wrong_bags(train, test, n):
    """tokens in common"""
    return sum(any(len({*row} & {*t}) >= n for t in train) for row in test) / len(test)


def wrong_every_gram(train, test, n):
    """every n-gram of the row"""
    known = _known(train, n)
    return sum(bool(_grams(row, n)) and _grams(row, n) <= known for row in test) / len(test)


def wrong_last_missing(train, test, n):
    """the last n-gram of each row"""
    return right_sets([row[:-1] for row in train], [row[:-1] for row in test], n)


def wrong_side(train, test, n):
    """the share of training rows"""
    return right_sets(test, train, n)


def wrong_clean(train, test, n):
    """the share of clean rows"""
    return 1 - right_sets(train, test, n)


def wrong_same_place(train, test, n):
    starts = {(i, tuple(row[i : i + n])) for row in train for i in range(len(row) - n + 1)}
    found = ({(i, tuple(r[i : i + n])) for i in range(len(r) - n + 1)} & starts for r in test)
    return sum(map(bool, found)) / len(test)
