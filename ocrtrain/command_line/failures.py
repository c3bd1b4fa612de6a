"""Errors on the screen: one message if the user can mend it, a traceback if only we can."""

from __future__ import annotations

import errno
import io
import platform
import shlex
import sys
import traceback
from collections.abc import Iterator

from ocrtrain.command_line import mistakes
from ocrtrain.command_line.invocation import Invocation, wants_debug
from ocrtrain.command_line.streams import end_quietly, reader_left
from ocrtrain.errors import InputError
from ocrtrain.files import unwritable
from ocrtrain.version import __version__

BUG, USER_ERROR = 1, 2

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def report(error: Exception, invocation: Invocation, composed: bool) -> int:
    """Print `error` and return the exit code; `composed` tells whether the settings had been read."""
    if isinstance(error, BrokenPipeError) and reader_left():
        return end_quietly()
    mistake = mistakes.in_composition(error, invocation) if not composed else None
    links = (explained(link, invocation) for link in chain(error))
    mistake = mistake or next((link for link in links if link is not None), None)
    if mistake is None:
        traceback.print_exception(error)
        print(
            f"\nThis is a bug in ocrtrain {__version__} (Python {platform.python_version()}, "
            f"{platform.platform()}), not in what you typed.\n"
            f"Please report the lines above, with the command: {shlex.join(sys.argv[1:])}",
            file=sys.stderr,
        )
        return BUG
    if wants_debug(invocation.overrides):
        traceback.print_exception(error)
    return report_input_error(mistake)


def report_input_error(error: InputError) -> int:
    """Print the message for the user and return its exit code."""
    print(f"error: {error}", file=sys.stderr)
    return USER_ERROR


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, what caused it, what caused that, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def explained(error: BaseException, invocation: Invocation) -> InputError | None:
    """Find the user's mistake, or the limits of the machine, in one error; None if it is a bug."""
    match error:
        case InputError():
            return error
        case OSError() if error.errno in _REFUSALS:
            return unwritable(error.filename or _file_in_hand(error) or "a file", error)
        case MemoryError():
            return _out_of_memory("memory")
        case RuntimeError() if type(error).__name__ == "OutOfMemoryError":
            return _out_of_memory("memory of the GPU")
        case RuntimeError() if "ocrtrain.errors.InputError: " in str(error):
            # A data loader's worker process hands over the text of its traceback, nothing else.
            what, _, rest = str(error).split("ocrtrain.errors.InputError: ")[-1].partition(": ")
            why, _, way_on = rest.strip().partition("\n")
            return InputError(what, why, way_on.strip())
        case RuntimeError() if "PytorchStreamWriter failed writing" in str(error):
            return InputError("a checkpoint", "cannot be written", "Is the disk full?")
    if type(error).__name__ == "MisconfigurationException":  # Lightning's word for a wrong setting
        return InputError("trainer", str(error), f"See {invocation.program} --help")
    return mistakes.in_command(error, invocation)


def _out_of_memory(what: str) -> InputError:
    return InputError(what, "is used up", "Make the batches smaller, or the model, or close other programs.")


def _file_in_hand(error: OSError) -> str | None:
    """Name the file that was being written; the system's error for a full disk does not tell."""
    name = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            if isinstance(value, io.IOBase):
                name = getattr(value, "name", name)
    return name if isinstance(name, str) else None
