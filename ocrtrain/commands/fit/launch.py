"""Several processes of one run on this machine: started, listened to, ended together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ocrtrain.commands.fit.settings import TrainerSettings
from ocrtrain.cores import usable_cores
from ocrtrain.distributed.processes import LAUNCHED, on_gpus, process_info
from ocrtrain.errors import InputError
from ocrtrain.json_text import JsonError, parse_json_file
from ocrtrain.training.error_translation import ended_by

GRACE = 10.0  # seconds that the others get to end after one has failed
POLL = 0.05


@dataclass(slots=True)
class Rank:
    """One process of the run, and the file in which it says what came of it."""

    number: int
    process: subprocess.Popen[bytes]
    record: Path
    ended_by_us: bool = False

    def said(self) -> dict[str, Any]:
        """Read what it has said: its `result`, or its `error`, and when; nothing if it was killed."""
        try:
            said = parse_json_file(self.record)
        except (OSError, JsonError):
            return {}
        return said if isinstance(said, dict) else {}


def processes_to_start(settings: TrainerSettings) -> int:
    """Count the processes that this command has to start: 1 if it trains itself.

    Raises InputError for more devices than there are.
    """
    wanted, accelerator = settings.devices, settings.accelerator
    if process_info().world > 1 or LAUNCHED in os.environ:
        return 1
    if wanted == "auto" and not on_gpus(accelerator):
        return 1
    if settings.num_nodes != 1:
        raise InputError(
            f"trainer.num_nodes={settings.num_nodes}",
            "other machines cannot be reached from here",
            "start the same command on each of them with torchrun or srun: docs/scaling.md.",
        )
    try:
        devices = count_devices(wanted, accelerator)
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise InputError(
            f"trainer.devices={wanted} trainer.accelerator={accelerator}",
            str(error).partition("\n")[0],
            "devices=auto takes what there is.",
        ) from error
    cores = usable_cores()
    if not on_gpus(accelerator) and devices > max(cores, 2):
        raise InputError(
            f"trainer.devices={wanted}",
            f"must be at most {max(cores, 2)} on this machine, which has {cores} cores",
            "a process needs a core of its own.",
        )
    return devices


def count_devices(wanted: int | str | list[int], accelerator: str) -> int:
    """Count devices as Lightning does; raises what it raises for those that are not there."""
    if on_gpus(accelerator):
        every = CUDAAccelerator.auto_device_count()
        return len(CUDAAccelerator.parse_devices(every if wanted == "auto" else wanted) or ())
    return CPUAccelerator.parse_devices(wanted)  # type: ignore[arg-type]  # refuses a list


def launch(chosen: Mapping[str, Any], words: Sequence[str], count: int, accelerator: str) -> Any:
    """Train with `count` processes of this machine; gives what the first of them gives.

    chosen: settings as plain values; words: those that were typed, as they were. When one process fails, the
    others are ended, and its own message comes first. Signals are handed on, once each.
    """
    with tempfile.TemporaryDirectory(prefix="ocrtrain-") as name:
        order = Path(name) / "order.json"
        order.write_text(json.dumps({"settings": chosen, "words": list(words)}), encoding="utf-8")
        port = find_free_network_port()
        ranks = [start(order, number, count, port, accelerator) for number in range(count)]
        handlers = hand_on(ranks)
        try:
            watch(ranks)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for rank in ranks:
                if rank.process.poll() is None:
                    rank.ended_by_us = True
                    rank.process.kill()
                rank.process.wait()
        return result_of(ranks)


def start(order: Path, number: int, count: int, port: int, accelerator: str) -> Rank:
    """Start one process; it sees its place as torchrun would name it."""
    record = order.with_name(f"{number}.json")
    places = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    own = {**os.environ, LAUNCHED: "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    own |= {key: str(value) for key, value in places.items()}
    if not on_gpus(accelerator):
        threads = str(max(1, usable_cores() // count))  # together no more than there are cores
        own = {"OMP_NUM_THREADS": threads, **own}
    command = [sys.executable, "-m", "ocrtrain.commands.fit.rank", str(order), str(record)]
    # A pipe tells a process when this one is gone. A session of its own: Ctrl-C comes through us, once.
    process = subprocess.Popen(command, env=own, stdin=subprocess.PIPE, start_new_session=True)
    return Rank(number, process, record)


def hand_on(ranks: Sequence[Rank]) -> dict[int, Any]:
    """Let all processes have the signals that ask this one to stop; returns the handlers of before."""

    def handler(number: int, frame: FrameType | None) -> None:
        for rank in ranks:
            if rank.process.poll() is None:
                rank.process.send_signal(number)

    numbers = [signal.SIGINT, signal.SIGTERM] + [s for s in (getattr(signal, "SIGUSR1", None),) if s]
    return {number: signal.signal(number, handler) for number in numbers}


def watch(ranks: Sequence[Rank]) -> None:
    """Wait until all have ended; when one fails, the others get a moment to do so too."""
    failed_at: float | None = None
    while any(rank.process.poll() is None for rank in ranks):
        codes = [rank.process.poll() for rank in ranks]
        if failed_at is None and any(code not in (None, 0) for code in codes):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > GRACE:
            return
        time.sleep(POLL)


def result_of(ranks: Sequence[Rank]) -> Any:
    """Give the first process's result; else show the first failure, and end as that process did."""
    failed = [rank for rank in ranks if rank.process.returncode]
    if not failed:
        return ranks[0].said().get("result")
    killed = [rank for rank in failed if rank.process.returncode < 0 and not rank.ended_by_us]
    if killed:  # it could not say anything, and what others say follows from it
        message = (
            f"error: process {killed[0].number} of this run ({killed[0].process.pid}):"
            f" {ended_by(killed[0].process.returncode)}\n"
            "  If nobody ended it, memory was used up. Go on from the last checkpoint with resume=auto.\n"
        )
        print(message, end="", file=sys.stderr)
        raise SystemExit(1)
    errors = [said for rank in failed if "error" in (said := rank.said())]
    own = [said for said in errors if not said["consequence"]]
    stopped = [rank.process.returncode for rank in failed if rank.process.returncode > 128]
    if stopped and not own:  # asked to, and they have told so
        raise SystemExit(stopped[0])
    first = min(own or errors, key=lambda said: float(said["at"]), default=None)
    if first is None:
        raise SystemExit(1)
    print(first["error"], end="", file=sys.stderr)
    raise SystemExit(int(first["code"]))
