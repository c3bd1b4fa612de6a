"""SLURM: back into the queue when a job is told to stop."""

from __future__ import annotations

import logging
import os
import subprocess

log = logging.getLogger(__name__)


def job() -> str | None:
    """Name the SLURM job that this process is of; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def requeue() -> bool:
    """Put this job back into SLURM's queue; says what came of it."""
    number = job()
    if number is None:
        return False
    try:
        asked = subprocess.run(["scontrol", "requeue", number], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("SLURM job %s could not be put back into the queue: %s", number, error)
        return False
    if asked.returncode:
        log.error("SLURM job %s could not be put back into the queue: %s", number, asked.stderr.strip())
        return False
    log.warning("SLURM job %s is back in the queue and will go on from last.ckpt", number)
    return True
