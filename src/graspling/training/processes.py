"""Training in several processes, on several GPUs or machines, through Lightning Fabric.

Each process computes its share of every batch and the gradients are averaged, so a run with two
processes is the run with one process and the same ``batch``, but for rounding (and but for batch
norm, which sees a process's own images, and dropout, which is drawn in each process by itself).
The first process alone validates and writes.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graspling.errors import GrasplingError, InputError, MissingExtraError

# How long processes wait for the first one, which validates meanwhile.
_PATIENCE = timedelta(hours=6)


class Alone:
    """One process: nothing to share, nobody to wait for.

    Attributes:
        count: processes in all.
        rank: the number of this one, from 0.
        first: whether it is the one that writes.
        device: where its network is.
    """

    count = 1
    rank = 0

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are those of all processes."""
        return network

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes of a tensor without gradient."""
        return value

    def any(self, value: bool) -> bool:
        """Whether it is true in any process."""
        return bool(self.mean(torch.tensor(float(value), device=self.device)) > 0)

    def seed(self, seed: int, step: int) -> None:
        """Before each step: what dropout draws from.

        Drawn anew from (seed, step, rank), so that the state of a run need not hold what every
        process and device has drawn so far.
        """
        words = np.random.SeedSequence([seed, step, self.rank]).generate_state(2, np.uint32)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))

    def finish(self) -> None:
        """Wait until the first process is done, and part."""


class Several(Alone):
    """This process among others; making one starts the others of this machine.

    Raises:
        MissingExtraError: Lightning Fabric is not installed.
        InputError: there are not so many GPUs.
    """

    def __init__(self, devices: int, nodes: int) -> None:
        super().__init__()
        try:
            from lightning_fabric import Fabric  # noqa: PLC0415
            from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("lightning_fabric", "multi") from None
        kind = self.device.type
        if kind == "cuda" and devices > torch.cuda.device_count():
            raise InputError(
                f"--devices {devices}: this machine has {torch.cuda.device_count()} GPUs"
            )
        self._fabric: Any = Fabric(
            accelerator=kind,
            devices=devices,
            num_nodes=nodes,
            strategy=DDPStrategy(timeout=_PATIENCE),
        )
        try:
            self._fabric.launch()
        except (RuntimeError, ValueError, OSError) as error:
            raise GrasplingError(f"the processes do not come together: {error}") from None
        self.device = self._fabric.device
        self.count, self.rank = self._fabric.world_size, self._fabric.global_rank

    def wrap(self, network: nn.Module) -> nn.Module:
        wrapped: nn.Module = self._fabric.setup_module(network, move_to_device=False)
        return wrapped

    def mean(self, value: Tensor) -> Tensor:
        reduced: Tensor = self._fabric.all_reduce(value.detach(), reduce_op="mean")
        return reduced

    def finish(self) -> None:
        self._fabric.barrier()
        torch.distributed.destroy_process_group()


def first() -> bool:
    """Whether this process is the first of its machines, as far as its environment says."""
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))


def start(devices: int, nodes: int, batch: int) -> Alone:
    """The processes of a run.

    Args:
        devices: GPUs (without any: processes on the CPU) of each machine.
        nodes: machines. Start the same command on each, with the environment variables
            MASTER_ADDR, MASTER_PORT and NODE_RANK, or by torchrun or SLURM.
        batch: images a step, of all processes together.

    Raises:
        InputError: a count below 1, or more processes than images a step.
        MissingExtraError: more than one process without Lightning Fabric.
    """
    for name, value in (("devices", devices), ("nodes", nodes)):
        if value < 1:
            raise InputError(f"--{name} {value}: expected 1 or more")
    if devices * nodes > batch:
        raise InputError(
            f"{devices * nodes} processes cannot share a batch of {batch}; "
            "set a larger batch or fewer --devices"
        )
    return Several(devices, nodes) if devices * nodes > 1 else Alone()
