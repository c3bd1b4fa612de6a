"""File names and alphabets as people type them, in the words of Hydra's grammar."""

from __future__ import annotations

import os
import re
from collections.abc import Collection


def taken_literally(override: str, lists: Collection[str] = (), texts: Collection[str] = ()) -> str:
    """Quote the value of `KEY=VALUE` where Hydra's grammar has no place for a plain text.

    Hydra refuses letters outside ASCII, and takes a comma for a sweep and brackets for a list. The value is
    quoted when it cannot be read but is no unfinished list, when it would be read as a sweep or a list but
    names a file that is there, and when it would be a sweep over one of `lists`, settings that take several
    files with commas between. A number is a number, but for `texts`, settings that are paths and names.
    Everything else stays as it is.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = override.partition("=")
    if not equals or not value or not re.fullmatch(r"[+~]{0,2}\w[\w/$-]*([.@]\w[\w/$-]*)*", key):
        return override
    if value.startswith("~/"):  # shells expand the tilde only at the beginning of a word
        value = os.path.expanduser(value)
        override = f"{key}={value}"
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        literal = value[0] not in "[{\"'" or os.path.exists(value)
    else:
        collection = parsed.is_sweep_override() or isinstance(parsed.value(), list | dict)
        number = key in texts and isinstance(parsed.value(), int | float)  # true and false are, too
        literal = (
            number or (collection and os.path.exists(value)) or (parsed.is_sweep_override() and key in lists)
        )
    return f"{key}={quoted(value)}" if literal else override


def quoted(text: str) -> str:
    """Quote `text` for Hydra, where backslashes count only before a quote and at the end."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    text = re.sub(r"(\\+)\Z", r"\1\1", text)
    return f"'{text}'"
