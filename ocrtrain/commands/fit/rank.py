"""One of several processes of a run, started by `ocrtrain.commands.fit.launch` with resolved settings."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ocrtrain.command_line.failures import chain, report
from ocrtrain.command_line.invocation import parse
from ocrtrain.files import write_text_atomically


def main(order: Path, record: Path) -> int:
    """Train as `order` says, and put the result or the error into `record`; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    threading.Thread(target=end_with_launcher, daemon=True).start()
    given = json.loads(order.read_text("utf-8"))
    from ocrtrain.commands.fit.fit import train
    from ocrtrain.commands.fit.settings import read_fit_settings
    from ocrtrain.training.error_translation import ProcessLost

    try:
        tell(record, result=train(read_fit_settings(given["settings"]), given["words"]))
        return 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        at, said = time.time(), io.StringIO()
        with contextlib.redirect_stderr(said):
            code = report(error, parse("fit", given["words"]), composed=True)
        consequence = any(isinstance(link, ProcessLost) for link in chain(error))
        tell(record, error=said.getvalue(), code=code, at=at, consequence=consequence)
        return code


def tell(record: Path, **content: Any) -> None:
    """Write down what came of this process; its launcher may be gone."""
    with contextlib.suppress(Exception):
        write_text_atomically(record, json.dumps(content))


def end_with_launcher() -> None:
    """Stop as on SIGTERM, with a checkpoint, when the process that started this one is gone."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a connection that is lost would keep its threads, and them this process
