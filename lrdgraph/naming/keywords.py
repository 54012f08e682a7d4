"""The words that set the pairs of one relation apart from those of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CHANCE = 0.05
"""The share of false ones among keywords, and so how often a relation whose pairs are random gets any."""
FREQUENT = 5
"""Texts that hold a word, of all groups together, below which it is none to be tested: it could not stand out."""
_WORD = r"(?u)\b[^\W\d_][^\W_](?:[\w'’-]*[^\W_])?\b"


class Keyword(NamedTuple):
    """A word, the share of the group's texts that hold it, and whether that is more than chance would give."""

    word: str
    share: float
    typical: bool


def keywords(groups: Sequence[Sequence[str]], at_most: int = 5) -> list[list[Keyword]]:
    """For each group of texts the words that tell most of it: the typical ones first, then others.

    A word is typical that stands in more texts of its group than a random draw of as many texts from all groups would
    hold: a hypergeometric test at a false discovery rate of ``CHANCE`` over the words of a group (Benjamini and
    Hochberg, 1995). Both kinds are ordered by :func:`class_tf_idf`.

    Args:
        groups: ``G`` groups of texts, the text of one pair each.
        at_most: so many words for each group.

    Returns:
        ``G`` lists, empty where a group holds no word.
    """
    from scipy import stats
    from sklearn.feature_extraction.text import CountVectorizer

    texts = [text for group in groups for text in group]
    group = np.repeat(np.arange(len(groups)), [len(held) for held in groups])
    try:
        counter = CountVectorizer(stop_words="english", token_pattern=_WORD)
        counts = counter.fit_transform(texts)
    except ValueError:  # no word in any text
        return [[] for _ in groups]
    words = counter.get_feature_names_out()
    member = np.arange(len(groups))[:, None] == group  # (G, n)
    within = np.asarray(member @ (counts > 0).astype(np.int64))  # (G, V) texts that hold the word
    weight = class_tf_idf(np.asarray(member @ counts))
    sizes = member.sum(1)[:, None]
    chance = stats.hypergeom.sf(within - 1, len(texts), within.sum(0), sizes)
    tested = within.sum(0) >= FREQUENT
    typical = np.zeros_like(chance, dtype=bool)
    typical[:, tested] = stats.false_discovery_control(chance[:, tested].clip(max=1), axis=1) < CHANCE
    found = []
    for g in range(len(groups)):
        order = np.lexsort((words, -weight[g], ~typical[g]))
        order = order[within[g, order] > 0][:at_most]
        found.append([Keyword(str(words[w]), float(within[g, w] / sizes[g, 0]), bool(typical[g, w])) for w in order])
    return found


def class_tf_idf(counts: np.ndarray) -> np.ndarray:
    """Class-based TF-IDF ``tf_{t,c} · log(1 + A / tf_t)`` (Grootendorst, BERTopic, arXiv 2203.05794, equation 2).

    Args:
        counts: ``(G, V)`` how often each word occurs in each class.

    Returns:
        ``(G, V)`` float; ``A`` is the mean number of words of a class, ``tf_t`` the count of a word over all classes.
    """
    mean = counts.sum() / max(len(counts), 1)
    return counts * np.log1p(mean / np.maximum(counts.sum(0), 1))
