"""The rank is read when an epoch begins: from a group, else from a launcher, else none."""

from __future__ import annotations

import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.loading import order

import ndlens as nl

LAUNCHERS = ("RANK", "WORLD_SIZE", "SLURM_", "OMPI_", "PMI_", "LOCAL_RANK", "NODE_RANK")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(LAUNCHERS):
            monkeypatch.delenv(name)


def loader_of(**settings: Any) -> nl.Loader:
    defaults: dict[str, Any] = {"output": "numpy"}
    return nl.Loader(np.arange(10), **(defaults | settings))


STEP = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
        (STEP, (3, 4)),
        (STEP | {"SLURM_STEP_NUM_TASKS": "5"}, (3, 5)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "3"}, (1, 3)),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, (1, 3)),
        # torchrun inside of a step.
        (STEP | {"RANK": "0", "WORLD_SIZE": "2"}, (0, 2)),
        # A world size that agrees with a complete pair.
        (STEP | {"WORLD_SIZE": "4"}, (3, 4)),
        # Outside of srun these variables are the job's, and each process has the same.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (0, 1)),
        (STEP | {"SLURM_STEP_ID": "4294967290"}, (0, 1)),
        (STEP | {"SLURM_JOB_NAME": "bash"}, (0, 1)),
        # Half a pair that says nothing.
        ({"WORLD_SIZE": "1"}, (0, 1)),
        ({"RANK": "0"}, (0, 1)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, (0, 1)),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, (0, 1)),
    ],
    ids=str,
)
def test_a_complete_pair_of_a_launcher_is_trusted(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: tuple[int, int]
) -> None:
    # Made before the launcher's variables are there.
    loader = loader_of()
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    rank, world_size = expected
    assert (loader.rank, loader.world_size) == expected
    assert loader.num_samples == len(loader) == -(-10 // world_size)
    assert loader.indices(0).tolist() == order(loader)
    assert order(loader)[0] == rank
    # What is given counts, and so does a sampler.
    assert order(loader_of(rank=0, world_size=1)) == list(range(10))
    assert order(loader_of(sampler=[4])) == [4]


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "NODE_RANK": "0"}, "WORLD_SIZE=2 and no RANK"),
        ({"RANK": "1"}, "RANK=1 and no WORLD_SIZE"),
        # Two launchers that contradict each other.
        (STEP | {"WORLD_SIZE": "8"}, "WORLD_SIZE=8 and no RANK"),
    ],
    ids=str,
)
def test_half_a_pair_is_an_error_when_an_epoch_begins(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], text: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    loader = loader_of()
    # Before that, what is known.
    assert (len(loader), loader.rank) == (-(-10 // int(environ.get("WORLD_SIZE", "1"))), 0)
    with pytest.raises(
        ValueError, match=f"^the environment says {text}, so the items of this process"
    ) as raised:
        list(loader)
    assert "rank=0, world_size=1 reads everything in each process" in str(raised.value)
    assert order(loader_of(rank=0, world_size=1)) == list(range(10))


def test_a_variable_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "two")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        ValueError, match=r'^the environment\'s RANK must be an integer, got "two"$'
    ):
        loader_of()


def in_group(rank: int, store: str, results: Any) -> None:
    made_before = loader_of()
    os.environ["WORLD_SIZE"] = "2"
    half = loader_of()
    state = loader_of().state_dict()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    found: list[Any] = [
        (loader.rank, loader.world_size, len(loader), order(loader))
        for loader in (made_before, half)
    ]
    made_before.load_state_dict(state | {"items_done": 4})
    found.append(order(made_before))
    sampler = half.sampler
    found.append((sampler.rank, sampler.num_replicas, len(sampler)))
    found.append(order(loader_of(rank=0, world_size=1)))
    torch.distributed.destroy_process_group()
    results.put((rank, found))


def began_before_the_group(rank: int, store: str, results: Any) -> None:
    batches = iter(loader_of())
    next(batches)
    given = iter(loader_of(rank=0, world_size=1))
    next(given)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    assert len(list(given)) == 9
    try:
        list(batches)
    except RuntimeError as error:
        results.put((rank, str(error)))
    torch.distributed.destroy_process_group()


def run_ranks(target: Any, tmp_path: Path) -> dict[int, Any]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    ranks = [
        context.Process(target=target, args=(rank, str(tmp_path / "store"), results))
        for rank in (0, 1)
    ]
    for process in ranks:
        process.start()
    found = dict(results.get(timeout=300) for _ in ranks)
    for process in ranks:
        process.join()
        assert process.exitcode == 0
    return found


def test_a_loader_that_was_made_before_the_group_follows_it(tmp_path: Path) -> None:
    found = run_ranks(in_group, tmp_path)
    for rank in (0, 1):
        share = list(range(rank, 10, 2))
        assert found[rank][:2] == [(rank, 2, 5, share)] * 2
        assert found[rank][2:] == [share[2:], (rank, 2, 5), list(range(10))]


def test_an_epoch_that_began_before_the_group_says_so(tmp_path: Path) -> None:
    found = run_ranks(began_before_the_group, tmp_path)
    for rank in (0, 1):
        text = (
            f"this epoch began as rank 0 of 1, and torch.distributed now says rank {rank} of 2:"
            " call init_process"
        )
        assert re.match(re.escape(text), found[rank])
