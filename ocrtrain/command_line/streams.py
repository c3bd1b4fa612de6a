"""Standard output as other programs read it: its encoding, and what to do when they stop reading."""

from __future__ import annotations

import io
import os
import select
import sys

READER_LEFT = 128 + 13  # what a shell reports for a process that SIGPIPE ended


def prepare() -> None:
    """Let every text be printed: UTF-8 into files and pipes, escapes where a terminal lacks a character."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    if sys.stdout.isatty():
        sys.stdout.reconfigure(errors="backslashreplace")
    else:
        # surrogateescape: a file name that is not UTF-8 comes out as the bytes that it is.
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def reader_left() -> bool:
    """Tell whether standard output is a pipe that nobody reads any more, as after `| head`."""
    if not hasattr(select, "poll"):  # Windows: nothing else to tell a broken pipe by
        return True
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        events = poll.poll(0)
    except (OSError, ValueError, AttributeError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in events)


def end_quietly() -> int:
    """Point standard output nowhere, so that Python's own flush at exit cannot fail; return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_LEFT
