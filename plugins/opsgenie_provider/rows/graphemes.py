"""Cuts texts to a length without splitting a character.

A character as readers see it may be several code points (an emoji with a skin tone, a letter with its
accents, a flag): an extended grapheme cluster of Unicode's annex 29, which ``\\X`` of ``regex`` matches.
"""

from __future__ import annotations

from collections.abc import Iterable

import regex

_ELLIPSIS = "…"
_CLUSTER = regex.compile(r"\X")


def length(text: str) -> int:
    """The length in UTF-16 code units: the larger of the ways in which a service may count."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


def cut(text: str, limit: int) -> str:
    """The text if it fits into ``limit``, else as many of its first characters as fit with an ellipsis."""
    if length(text) <= limit:
        return text
    room = limit - len(_ELLIPSIS)
    # Where even the first character is too long, a part of it says more than nothing.
    end = _fitting((match[0] for match in _CLUSTER.finditer(text)), room) or _fitting(text, room)
    return text[:end].rstrip() + _ELLIPSIS


def _fitting(pieces: Iterable[str], room: int) -> int:
    """How many code points the first pieces have that fit into ``room`` together."""
    end = 0
    for piece in pieces:
        room -= length(piece)
        if room < 0:
            break
        end += len(piece)
    return end
