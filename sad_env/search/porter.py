"""The Porter stemmer as Lucene runs it: Martin Porter's own later revision of the 1980 algorithm.

Source: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two departures of the author's
reference programs (``bli`` becomes ``ble``, ``logi`` becomes ``log``); words of at most two letters stay as they are.
"""

from __future__ import annotations

_VOWELS = frozenset("aeiou")

_STEP_2 = {
    "a": (("ational", "ate"), ("tional", "tion")),
    "c": (("enci", "ence"), ("anci", "ance")),
    "e": (("izer", "ize"),),
    "l": (("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous")),
    "o": (("ization", "ize"), ("ation", "ate"), ("ator", "ate")),
    "s": (("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous")),
    "t": (("aliti", "al"), ("iviti", "ive"), ("biliti", "ble")),
    "g": (("logi", "log"),),
}
_STEP_3 = {
    "e": (("icate", "ic"), ("ative", ""), ("alize", "al")),
    "i": (("iciti", "ic"),),
    "l": (("ical", "ic"), ("ful", "")),
    "s": (("ness", ""),),
}
_STEP_4 = {
    "a": ("al",),
    "c": ("ance", "ence"),
    "e": ("er",),
    "i": ("ic",),
    "l": ("able", "ible"),
    "n": ("ant", "ement", "ment", "ent"),
    "o": ("ion", "ou"),
    "s": ("ism",),
    "t": ("ate", "iti"),
    "u": ("ous",),
    "v": ("ive",),
    "z": ("ize",),
}


def stem(word: str) -> str:
    """The stem of a lower-case word; characters other than vowels count as consonants.

    >>> [stem(word) for word in ("sofas", "relational", "hopping", "sky", "apology")]
    ['sofa', 'relat', 'hop', 'sky', 'apolog']
    """
    if len(word) <= 2:
        return word
    word = _step_1(word)
    # The letter before the last chooses the endings that are tried; the first that fits decides, applied or not.
    word = _replace(word, _STEP_2)
    word = _replace(word, _STEP_3, last_letter=True)
    word = _step_4(word)
    return _step_5(word)


def _is_consonant(word: str, index: int) -> bool:
    letter = word[index]
    if letter in _VOWELS:
        return False
    if letter != "y":
        return True
    # A y is a consonant at the start or after a vowel; a run of y therefore alternates.
    run = index
    while run > 0 and word[run - 1] == "y":
        run -= 1
    first = run == 0 or word[run - 1] in _VOWELS
    return first == ((index - run) % 2 == 0)


def _measure(word: str) -> int:
    """How often a vowel sequence is followed by a consonant sequence."""
    count, vowel_before = 0, False
    for index in range(len(word)):
        consonant = _is_consonant(word, index)
        count += consonant and vowel_before
        vowel_before = not consonant
    return count


def _has_vowel(word: str) -> bool:
    return any(not _is_consonant(word, index) for index in range(len(word)))


def _ends_double(word: str) -> bool:
    return len(word) >= 2 and word[-1] == word[-2] and _is_consonant(word, len(word) - 1)


def _ends_short(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x, y: `hop` but not `snow`."""
    last = len(word) - 1
    return (
        last >= 2
        and _is_consonant(word, last)
        and not _is_consonant(word, last - 1)
        and _is_consonant(word, last - 2)
        and word[last] not in "wxy"
    )


def _step_1(word: str) -> str:
    """Plurals, -ed, -ing, and a final y after a vowel."""
    if word.endswith("s"):
        if word.endswith(("sses", "ies")):
            word = word[:-2]
        elif not word.endswith("ss"):
            word = word[:-1]
    if word.endswith("eed"):
        if _measure(word[:-3]) > 0:
            word = word[:-1]
    else:
        for ending in ("ed", "ing"):
            if word.endswith(ending) and _has_vowel(word[: -len(ending)]):
                word = _mend(word[: -len(ending)])
                break
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    return word


def _mend(word: str) -> str:
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if _ends_double(word):
        return word if word[-1] in "lsz" else word[:-1]
    if _measure(word) == 1 and _ends_short(word):
        return word + "e"
    return word


def _replace(word: str, rules: dict[str, tuple[tuple[str, str], ...]], *, last_letter: bool = False) -> str:
    if len(word) < 2:
        return word
    for ending, replacement in rules.get(word[-1] if last_letter else word[-2], ()):
        if word.endswith(ending):
            start = word[: -len(ending)]
            return start + replacement if _measure(start) > 0 else word
    return word


def _step_4(word: str) -> str:
    if len(word) < 2:
        return word
    for ending in _STEP_4.get(word[-2], ()):
        if word.endswith(ending):
            start = word[: -len(ending)]
            if ending == "ion" and not start.endswith(("s", "t")):
                continue
            return start if _measure(start) > 1 else word
    return word


def _step_5(word: str) -> str:
    if word.endswith("e"):
        start = word[:-1]
        measure = _measure(start)
        if measure > 1 or (measure == 1 and not _ends_short(start)):
            word = start
    if word.endswith("l") and _ends_double(word) and _measure(word) > 1:
        word = word[:-1]
    return word
