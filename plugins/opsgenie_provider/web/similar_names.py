"""Which deployed service an incident's service may be: names that are nearly the same."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

# Words that people add to a service's name without meaning another service.
_ADDED = frozenset(
    [
        "svc",
        "srv",
        "service",
        "services",
        "app",
        "application",
        "api",
        "server",
        "backend",
        "prod",
        "production",
        "live",
        "team",
        "component",
    ]
)
# Names that are less alike than this are not suggested.
_LEAST = 0.5
_SAME_BUT_FOR_ADDED = 1.0
_LONGER_AT_AN_END = 0.8


class _Shape(NamedTuple):
    """A name taken apart.

    :param words: those that mean something; all, where none does.
    :param trigrams: of the words without what is between them.
    """

    words: tuple[str, ...]
    trigrams: frozenset[str]

    @property
    def core(self) -> str:
        return "".join(self.words)


def _shape(name: str) -> _Shape:
    words = tuple(word for word in re.split(r"[\W_]+", name.lower()) if word)
    words = tuple(word for word in words if word not in _ADDED) or words
    padded = f"  {''.join(words)} "
    return _Shape(words, frozenset(padded[i : i + 3] for i in range(len(padded) - 2)))


def suggestions(missing: Iterable[str], deployed: Iterable[str]) -> dict[str, str]:
    """For each name that has no deployments, the deployed name that is most similar, if any is.

    Names are similar that are the same without words such as "service", that differ only by words before
    or after, or that share most of their trigrams.
    """
    known = {name: _shape(name) for name in deployed}
    by_trigram: defaultdict[str, list[str]] = defaultdict(list)
    for name, shape in known.items():
        for trigram in shape.trigrams:
            by_trigram[trigram].append(name)
    found = {}
    for name in missing:
        shape = _shape(name)
        shared = Counter(other for trigram in shape.trigrams for other in by_trigram[trigram])
        scored = [
            (_likeness(shape, known[other], count), other) for other, count in shared.items() if other != name
        ]
        score, best = min(((-score, other) for score, other in scored), default=(0.0, ""))
        if -score >= _LEAST:
            found[name] = best
    return found


def _likeness(name: _Shape, other: _Shape, shared: int) -> float:
    if name.core == other.core:
        return _SAME_BUT_FOR_ADDED
    trigrams = shared / (len(name.trigrams) + len(other.trigrams) - shared)
    shorter, longer = sorted((name.words, other.words), key=len)
    size = len(shorter)
    if size and shorter in (longer[:size], longer[-size:]):
        # Of several that are longer, the one that adds least.
        return _LONGER_AT_AN_END + trigrams / 10
    return trigrams
