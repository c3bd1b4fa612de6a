"""A list of words that a text must consist of, or is rewarded for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ocrtrain.decoding.rules.automaton import StartedAutomaton
from ocrtrain.decoding.settings import text
from ocrtrain.decoding.tables import DEAD, Automaton
from ocrtrain.errors import InputError
from ocrtrain.fields import shown
from ocrtrain.text import Charset, normalize

MODES = ("constrain", "reward")
BETWEEN, OTHER = 0, 1  # the states between words, and in a word that is not in the list


def read_words(path: str | Path) -> list[str]:
    """Read a file of words in UTF-8, one a line; raises `InputError` if it cannot be read or holds none."""
    try:
        words = normalize(Path(path).read_text(encoding="utf-8-sig")).split()
    except UnicodeDecodeError as error:
        raise InputError(
            str(path), "cannot be read: it is not UTF-8", "name a file with a word a line."
        ) from error
    except (OSError, ValueError) as error:  # a ValueError for half a character in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(path), f"cannot be read: {reason}", "name a file with a word a line.") from error
    if not words:
        raise InputError(str(path), "holds no word", "name a file with a word a line.")
    return words


def word_rules(words: Iterable[str], mode: str, bonus: float, charset: Charset) -> StartedAutomaton:
    """Make an automaton of a list of words over a charset.

    Letters and their marks make up words; all else (spaces, digits, punctuation) stands between them, unless
    it is part of a word of the list. "constrain" allows no other words; "reward" adds `bonus` to a text's
    score for each word of the list. Words that the charset cannot write are left out; raises `InputError` if
    none is left.
    """
    if mode not in MODES:
        raise InputError(f"words_mode={shown(mode)}", "is not known", f"choose {' or '.join(MODES)}.")
    if not isinstance(words, Iterable) or isinstance(words, Mapping):
        raise InputError(f"words={shown(words)}", "must be words", "name a file with a word a line.")
    words = [text("words", word) for word in words]
    index = {symbol: k for k, symbol in enumerate(charset.symbols, 1)}
    children: list[dict[int, int]] = [{}, {}]
    incoming = [0, 0]
    complete = [True, False]
    for word in words:
        labels = [index.get(symbol, 0) for symbol in word]
        if not labels or 0 in labels:
            continue
        state = BETWEEN
        for k in labels:
            following = children[state].get(k)
            if following is None:
                following = len(children)
                children[state][k] = following
                children.append({})
                incoming.append(k)
                complete.append(False)
            state = following
        complete[state] = True
    if len(children) == 2:
        raise InputError("words", "the charset can write none of them", "give words in the model's script.")

    S, K = len(children), len(charset)
    reward = mode == "reward"
    is_word = np.array(complete)
    is_word[BETWEEN] = False
    states = np.full((S + 1, 3), DEAD, np.int32)
    gains = np.zeros((S, 3))
    states[:-1, 1] = np.where(is_word | reward, BETWEEN, DEAD)
    states[:-1, 2] = OTHER if reward else DEAD
    gains[:, 0] = gains[:, 2] = np.where(is_word & reward, bonus, 0.0)
    states[BETWEEN, 1] = BETWEEN
    if not reward:
        gains[~is_word, 2] = -np.inf
        gains[BETWEEN, 2] = 0.0
    sizes = np.array([len(following) for following in children])
    states[1:, 0] = np.cumsum(sizes)
    states[0, 0] = 0
    arcs = np.array([arc for following in children for arc in sorted(following.items())], np.int32)
    kind = np.zeros(K, np.int32)
    for k, symbol in enumerate(charset.symbols, 1):
        kind[k] = unicodedata.category(symbol)[0] in "LM"
    need = np.zeros((S, 2), np.int32)  # after a blank, after the state's own symbol
    if not reward:
        for state in range(S - 1, OTHER, -1):  # children have greater numbers than their parents
            if not complete[state]:
                ways = [(1 + int(need[to, 1]), k == incoming[state]) for k, to in children[state].items()]
                need[state] = min(way for way, _ in ways), min(way + doubled for way, doubled in ways)
    return StartedAutomaton(
        Automaton(states, arcs, gains, kind, need), BETWEEN, max(bonus, 0.0) if reward else 0.0
    )
