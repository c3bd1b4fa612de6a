"""The command line: `python -m ocrtrain COMMAND [KEY=VALUE ...]`, installed as `ocrtrain` too.

This page must show at once, so nothing here imports torch, Hydra or numpy before a command asks for them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ocrtrain.command_line.streams import end_quietly, prepare, reader_left
from ocrtrain.version import __version__

COMMANDS = {
    "fit": "train a recognizer: on your lines, or on lines that it generates as it goes",
    "evaluate": "judge a checkpoint on lines with known texts: CER, WER, exact lines, the worst lines",
    "predict": "read images with a checkpoint",
    "generate": "render synthetic lines into a folder that fit reads",
    "audit": "say what training would see in your lines: counts, characters, doubles, mistakes",
    "convert": "write stored lines in another format: pairs, JSON lines, LMDB, tar shards",
    "sweep": "search for settings of fit that read better: many short trainings, hopeless ones cut short",
    "lm build": "make a language model of characters from text, for decoder=beam",
    "lm tune": "find the weight of a language model that reads validation lines best",
    "lm convert": "bring a language model into our format, ARPA's, or out of KenLM's",
    "clean": "list what earlier runs left on this machine; remove it on yes=true",
}

# What other programs call them.
OTHERS_NAMES = {"train": "fit", "test": "evaluate", "recognize": "predict", "read": "predict"}

EXAMPLES = """\
  python -m ocrtrain fit experiment=quickstart
  python -m ocrtrain fit experiment=lines data.train=DIR data.val=DIR
  python -m ocrtrain evaluate checkpoint=runs/NAME/checkpoints/best.ckpt data.test=DIR
  python -m ocrtrain predict checkpoint=runs/NAME/checkpoints/best.ckpt input=line.png
"""

INTERRUPTED = 128 + 2  # what a shell reports for Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (by default the process's own arguments) names; return the exit code."""
    before = sys.argv
    if argv is not None:
        sys.argv = [before[0], *argv]
    prepare()
    try:
        code = dispatch(sys.argv[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nstopped: interrupted from the keyboard", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        if not reader_left():
            raise
        return end_quietly()
    finally:
        sys.argv = before


def dispatch(arguments: Sequence[str]) -> int:
    """Show the page of commands, or hand `arguments` to the command that they begin with."""
    command, *rest = arguments or ["help"]
    if command == "help" and rest:
        command, *rest = *rest, "--help"
    if command in ("help", "--help", "-h"):
        print(commands_page(), end="")
        return 0
    if command == "--version":
        print(f"ocrtrain {__version__}")
        return 0
    if rest and f"{command} {rest[0]}" in COMMANDS:
        command, *rest = f"{command} {rest[0]}", *rest[1:]
    if command not in COMMANDS:
        print(f"error: {unknown_command(command)}", file=sys.stderr)
        return 2

    from ocrtrain.command_line.run import execute

    return execute(command, rest)


def commands_page() -> str:
    """The page that `ocrtrain` alone shows."""
    width = max(map(len, COMMANDS))
    commands = "".join(f"  {name:<{width}}  {summary}\n" for name, summary in COMMANDS.items())
    return (
        f"ocrtrain {__version__}: train, judge and use recognizers of text lines.\n\n"
        "Usage: python -m ocrtrain COMMAND [KEY=VALUE ...]\n\n"
        f"Commands\n{commands}\n"
        f"Examples\n{EXAMPLES}\n"
        "More: python -m ocrtrain COMMAND --help\n"
    )


def unknown_command(word: str) -> str:
    """Say what to type instead of a command that does not exist."""
    from difflib import get_close_matches

    from ocrtrain.errors import InputError

    names = ", ".join(COMMANDS)
    if "=" in word or word.startswith("-"):
        return str(InputError(word, "a command comes first", f"It is one of: {names}."))
    if family := [command for command in COMMANDS if command.startswith(f"{word} ")]:
        return str(InputError(word, "is one of several", f"Say which: {', '.join(family)}."))
    close = get_close_matches(word, [*COMMANDS, *OTHERS_NAMES], n=1, cutoff=0.5)
    meant = f"Did you mean {OTHERS_NAMES.get(close[0], close[0])}? " if close else ""
    return str(InputError(word, "no such command", f"{meant}The commands are: {names}."))


if __name__ == "__main__":
    sys.exit(main())
