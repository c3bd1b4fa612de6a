"""Place of this process among those of a run, whoever started them, and how they meet."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed as dist

from ocrtrain.errors import InputError

LAUNCHED = "OCRTRAIN_LAUNCHED"  # set by our own launcher, which names places as torchrun does
TIMEOUT = timedelta(minutes=30)  # what one process may take longer than another, a validation's pictures too


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process among `world` processes, `local_world` of them on this machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    environment: ClusterEnvironment | None = None

    @property
    def machines(self) -> int:
        """Count the machines of the run; each has as many processes."""
        return self.world // self.local_world


def process_info() -> ProcessInfo:
    """Read from the environment what torchrun, srun or our own launcher say of this process."""
    environment: ClusterEnvironment
    if LAUNCHED in os.environ or TorchElasticEnvironment.detect():
        rank, world, local_rank, local_world = (
            int(os.environ[key]) for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        )
        environment = LightningEnvironment() if LAUNCHED in os.environ else TorchElasticEnvironment()
        return ProcessInfo(rank, world, local_rank, local_world, environment) if world > 1 else ProcessInfo()
    # Only a step that srun started has this one; a batch script's own environment names tasks, too.
    world = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if world > 1 and "SLURM_PROCID" in os.environ:
        machines = int(os.environ.get("SLURM_STEP_NUM_NODES", os.environ.get("SLURM_NNODES", "1")))
        try:
            environment = SLURMEnvironment(auto_requeue=False)
        except RuntimeError as error:
            raise InputError(
                "the SLURM job", str(error), "docs/scaling.md has a job to start from."
            ) from error
        local = environment.local_rank()
        return ProcessInfo(environment.global_rank(), world, local, world // machines, environment)
    return ProcessInfo()


def join(process: ProcessInfo, accelerator: str) -> None:
    """Meet the other processes of the run."""
    if process.world == 1 or dist.is_initialized():
        return
    if accelerator not in ("auto", "cpu", "gpu", "cuda"):
        raise InputError(
            f"trainer.accelerator={accelerator}", "trains in one process only", "set trainer.devices=1."
        )
    assert process.environment is not None
    os.environ["MASTER_ADDR"] = process.environment.main_address
    os.environ["MASTER_PORT"] = str(process.environment.main_port)
    try:
        if on_gpus(accelerator):
            torch.cuda.set_device(process.local_rank)
        backend = backend_for(accelerator)
        dist.init_process_group(backend, rank=process.rank, world_size=process.world, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"process {process.rank} of {process.world}",
            f"cannot meet the others at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            f" ({str(error).partition(chr(10))[0]})",
            "see that all of them were started, with as many GPUs as processes on each machine, and that"
            " the machines reach each other.",
        ) from error
    if process.rank:  # what all find out is told once; what one process alone may see, by each
        logging.getLogger("ocrtrain").setLevel(logging.ERROR)
        logging.getLogger("ocrtrain.training.callbacks.guard").setLevel(logging.WARNING)


def leave() -> None:
    """Let go of the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def on_gpus(accelerator: str) -> bool:
    """Tell whether a run with this setting computes on NVIDIA GPUs."""
    return accelerator != "cpu" and torch.cuda.is_available()


def backend_for(accelerator: str) -> str:
    """Name what carries the exchange between processes."""
    return "cpu:gloo,cuda:nccl" if on_gpus(accelerator) else "gloo"


def distributed_settings(process: ProcessInfo, settings: dict[str, Any]) -> dict[str, Any]:
    """Give the settings of Lightning's trainer for this process; `settings` are the user's.

    Raises InputError where they say another number of devices than was started.
    """
    if process.world == 1:
        # Named, so that Lightning takes no job of SLURM's for one of several processes.
        plugin = LightningEnvironment()
        return {**settings, "plugins": [plugin]}
    for key, there in (("devices", process.local_world), ("num_nodes", process.machines)):
        given = settings[key]
        if given not in ("auto", there, str(there)) and not (key == "num_nodes" and given == 1):
            raise InputError(
                f"trainer.{key}={given}",
                f"but {there} were started",
                "leave it out, or start as many: the launcher (torchrun, srun) decides.",
            )
    strategy = settings["strategy"]
    if strategy in ("auto", "ddp"):
        # Running statistics of batch norms are shared elsewhere, after a step instead of before the next.
        strategy = DDPStrategy(
            broadcast_buffers=False, process_group_backend=backend_for(settings["accelerator"])
        )
    return {
        **settings,
        "devices": process.local_world,
        "num_nodes": process.machines,
        "strategy": strategy,
        "plugins": [process.environment],
    }
