"""The rank of this process, looked up when an epoch begins.

The first of these decides: the arguments; torch.distributed's group, if one is up; a complete
pair of one launcher's variables. These are `RANK` and `WORLD_SIZE` of torchrun; Slurm's, inside a
step of srun; Open MPI's; PMI's. A world size without a rank, as Lightning's launcher sets it, is
incomplete: an epoch does not begin with it, since every process would read everything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

# Steps of Slurm that are not steps of srun: "batch", "extern", "interactive".
_FIRST_RESERVED_STEP = 0xFFFF_FFF0
# Names that Slurm gives to jobs with an interactive shell of one task.
_SHELLS = ("bash", "interactive")


class Ranks(tuple[int, int]):
    """A rank, below a world size."""

    __slots__ = ()

    def __new__(cls, rank: int, world_size: int) -> Ranks:
        return super().__new__(cls, (rank, world_size))

    @property
    def rank(self) -> int:
        return self[0]

    @property
    def world_size(self) -> int:
        return self[1]


ALONE = Ranks(0, 1)


class RankSource:
    """The rank of this process, given or looked up.

    Args:
        rank: The rank that the user gave, with `world_size`; None for a look-up.
        world_size: The world size that the user gave.
        alone: Whether each process reads all items if nothing was given, without a look-up.

    Raises:
        ValueError: Only one of the two is given, or `rank` is not below `world_size`.
    """

    def __init__(self, rank: int | None, world_size: int | None, *, alone: bool) -> None:
        if (rank is None) != (world_size is None):
            raise ValueError("rank and world_size must be given together")
        self._given = ALONE if alone else None
        if rank is not None and world_size is not None:
            if world_size < 1:
                raise ValueError(f"world_size must be at least 1, got {world_size}")
            if rank < 0:
                raise ValueError(f"rank must be at least 0, got {rank}")
            if rank >= world_size:
                raise ValueError(f"rank must be below world_size, got rank {rank} of {world_size}")
            self._given = Ranks(rank, world_size)

    def known(self) -> Ranks:
        """The ranks as known now; rank 0 if only the world size is known."""
        if self._given is not None:
            return self._given
        return (
            _of_group()
            or _of_launcher(os.environ)
            or Ranks(0, _number(os.environ, "WORLD_SIZE") or 1)
        )

    def take(self) -> tuple[Ranks, Callable[[], None] | None]:
        """The ranks of an epoch that begins, and a function that raises if they change later.

        Raises:
            ValueError: The environment knows a world size and no rank, or the other way round.
        """
        if self._given is not None:
            return self._given, None
        group = _of_group()
        if group is not None:
            return group, None
        ranks = _of_launcher(os.environ)
        if ranks is None:
            _refuse_half(os.environ)
            ranks = ALONE
        return ranks, lambda: _check(ranks)


def _check(taken: Ranks) -> None:
    """Raises `RuntimeError` if a group came up during an epoch and has other ranks."""
    group = _of_group()
    if group is not None and group != taken:
        raise RuntimeError(
            f"this epoch began as rank {taken.rank} of {taken.world_size}, and torch.distributed "
            f"now says rank {group.rank} of {group.world_size}: call init_process_group before the "
            "first batch, or give rank= and world_size="
        )


def _of_group() -> Ranks | None:
    # Looked up, not imported: a group that is up was imported by the code that set it up.
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'the environment\'s {name} must be an integer, got "{text}"') from None


def _pair(environ: Mapping[str, str], rank: str, world_size: str) -> Ranks | None:
    found = _number(environ, rank), _number(environ, world_size)
    return None if found[0] is None or found[1] is None else Ranks(found[0], found[1])


def _of_slurm(environ: Mapping[str, str]) -> Ranks | None:
    step = environ.get("SLURM_STEP_ID", environ.get("SLURM_STEPID", ""))
    is_step = step.isdecimal() and int(step) < _FIRST_RESERVED_STEP
    if not is_step or environ.get("SLURM_JOB_NAME") in _SHELLS:
        return None
    # The tasks of the step, which may be smaller than the job.
    tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environ else "SLURM_NTASKS"
    return _pair(environ, "SLURM_PROCID", tasks)


def _of_launcher(environ: Mapping[str, str]) -> Ranks | None:
    """The ranks of a complete pair of one launcher's variables."""
    torchrun = _pair(environ, "RANK", "WORLD_SIZE")
    if torchrun is not None:
        return torchrun
    others = (
        _of_slurm(environ),
        _pair(environ, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        _pair(environ, "PMI_RANK", "PMI_SIZE"),
    )
    # Half a pair must agree with it.
    world_size, rank = _number(environ, "WORLD_SIZE"), _number(environ, "RANK")
    for ranks in others:
        if (
            ranks is not None
            and world_size in (None, ranks.world_size)
            and rank in (None, ranks.rank)
        ):
            return ranks
    return None


def _refuse_half(environ: Mapping[str, str]) -> None:
    world_size, rank = _number(environ, "WORLD_SIZE"), _number(environ, "RANK")
    if (world_size or 1) > 1 or (rank or 0) > 0:
        known, unknown = (
            (f"WORLD_SIZE={world_size}", "RANK") if rank is None else (f"RANK={rank}", "WORLD_SIZE")
        )
        raise ValueError(
            f"the environment says {known} and no {unknown}, so the items of this process are "
            "unknown: call torch.distributed.init_process_group before the first batch, set "
            f"{unknown}, or give rank= and world_size=; rank=0, world_size=1 reads everything in "
            "each process"
        )
