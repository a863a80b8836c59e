"""Cuts texts to a length without taking a character apart.

What a reader takes for one character may be several code points (an emoji with a skin tone, a letter
with its accents, a flag). The rules are those of Unicode's annex 29, coarser where that is simpler:
what they keep together stays together here.
"""

from __future__ import annotations

import unicodedata

_ELLIPSIS = "…"
_JOINERS = {0x200C, 0x200D}
# Marks that Unicode files under letters: Thai and Lao AM, half-width katakana voice marks.
_ODD_MARKS = {0x0E33, 0x0EB3, 0xFF9E, 0xFF9F}
# Letters that belong to what follows them.
_PREPENDED = {0x0D4E, 0x111C2, 0x111C3, 0x113D1, 0x1193F, 0x11941, 0x11A3A, 0x11D46, 0x11F02}
_VIRAMA = 9


def length(text: str) -> int:
    """The length in UTF-16 units: the larger of the ways in which a service may count."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


def cut(text: str, limit: int) -> str:
    """The text if it fits, else as much of its beginning as fits together with an ellipsis."""
    if length(text) <= limit:
        return text
    room, end = limit - len(_ELLIPSIS), 0
    for char in text:
        room -= length(char)
        if room < 0:
            break
        end += 1
    whole = end
    while whole and _joined(text, whole):
        whole -= 1
    # Nothing but one endless character: a part of it says more than nothing.
    return text[: whole or end].rstrip() + _ELLIPSIS


def _joined(text: str, at: int) -> bool:
    """Whether the code points before and at ``at`` belong to one character."""
    before, after = text[at - 1], text[at]
    b, a = ord(before), ord(after)
    if before == "\r" and after == "\n":
        return True
    if unicodedata.category(after) in ("Mn", "Mc", "Me") or a in _JOINERS or a in _ODD_MARKS:
        return True
    if 0x1F3FB <= a <= 0x1F3FF or 0xE0020 <= a <= 0xE007F:
        return True
    if b in _JOINERS or b in _PREPENDED or unicodedata.category(before) == "Cf" or 0x11A84 <= b <= 0x11A89:
        return True
    if unicodedata.combining(before) == _VIRAMA:
        return True
    return (_is_flag_half(a) and _odd_flag_halves_before(text, at)) or _hangul(b, a)


def _is_flag_half(code: int) -> bool:
    return 0x1F1E6 <= code <= 0x1F1FF


def _odd_flag_halves_before(text: str, at: int) -> bool:
    count = 0
    while count < at and _is_flag_half(ord(text[at - 1 - count])):
        count += 1
    return count % 2 == 1


def _hangul(before: int, after: int) -> bool:
    """A syllable written as its parts."""
    leading = 0x1100 <= before <= 0x115F or 0xA960 <= before <= 0xA97C
    syllable = 0xAC00 <= after <= 0xD7A3 or 0x1100 <= after <= 0x11FF or 0xA960 <= after <= 0xA97C
    tail = 0x1160 <= after <= 0x11FF or 0xD7B0 <= after <= 0xD7FB
    return tail or (leading and syllable)
