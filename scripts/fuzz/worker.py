"""The process that reads: case after case, with a journal that tells which one ended it, if one does."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import shutil
import time
import warnings
from pathlib import Path
from typing import IO, Any

from fuzz.cases import FINDING, KINDS, REFUSED, attempt, damage, digest, draws, judge, make, printable


def work(order: Path) -> None:
    """Do the cases of an order, a JSON file that the parent wrote; write a line to its journal for each."""
    asked = json.loads(order.read_text())
    seeds, folder, keep = Path(asked["seeds"]), Path(asked["folder"]), asked["keep"]
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    whole: dict[str, Any] = {}
    with open(asked["journal"], "a", buffering=1) as journal:
        faulthandler.enable(open(asked["stderr"], "a"))  # noqa: SIM115 - for as long as the process lives
        for index in asked["cases"]:
            if os.getppid() != asked["parent"]:
                return
            name, rng = draws(asked["seed"], index)
            kind, place = KINDS[name], seeds / name.replace(" ", "-")
            if name not in whole:
                say(journal, index, "warm", kind=name)
                whole[name] = warm(name, seeds, folder)
            root = folder / str(index)
            shutil.rmtree(root, ignore_errors=True)  # from a try that took too long
            root.mkdir(parents=True)
            mutation = damage(place / "case", root / "case", rng)
            told = {"kind": name, "file": mutation.file, "what": printable(mutation.what)[:120]}
            say(journal, index, "begin", **told)
            began = time.monotonic()
            if keep:
                shutil.copytree(root / "case", Path(keep) / str(index) / "case")
            limit_memory(asked["memory"])
            outcome = attempt(kind, root / "case", place / "fixed")
            limit_memory(None)
            outcome = judge(kind, mutation, whole[name], outcome, [root, folder / f"whole-{name}"])
            if outcome.verdict == FINDING and asked["findings"] and not keep:
                kept = Path(asked["findings"]) / str(index)
                os.chdir(folder)
                again = draws(asked["seed"], index)[1]
                kept.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(kept / "case", ignore_errors=True)
                damage(place / "case", kept / "case", again)
            seconds = round(time.monotonic() - began, 3)
            told |= {"said": printable(outcome.said)[:300], "trace": outcome.trace[-3000:]}
            say(journal, index, outcome.verdict, seconds=seconds, **told)
            os.chdir(folder)
            shutil.rmtree(root, ignore_errors=True)


def warm(name: str, seeds: Path, folder: Path) -> Any:
    """Read the whole files of a kind, twice: what is found must be the same, or nothing can be told."""
    make(seeds, name)
    place, results = seeds / name.replace(" ", "-"), []
    for _ in range(2):
        root = folder / f"whole-{name}"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        shutil.copytree(place / "case", root / "case")
        outcome = attempt(KINDS[name], root / "case", place / "fixed")
        if outcome.verdict == REFUSED and not KINDS[name].readable:
            return None
        if outcome.verdict in (FINDING, REFUSED):
            raise SystemExit(f"the whole file of kind {name} is not read: {outcome.said}\n{outcome.trace}")
        results.append(outcome)
    if len({digest(each.found, [folder / f"whole-{name}"]) for each in results}) > 1:
        raise SystemExit(f"what is found in the whole file of kind {name} differs from time to time")
    return results[0].found


def limit_memory(gigabytes: float | None) -> None:
    """Let the process take so much more memory than it has; None takes the limit away."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    soft = resource.RLIM_INFINITY
    if gigabytes is not None:
        soft = pages * resource.getpagesize() + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


def say(journal: IO[str], index: int, state: str, **more: Any) -> None:
    journal.write(json.dumps({"case": index, "state": state, **more}) + "\n")
