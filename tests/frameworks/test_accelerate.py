"""Accelerate with an `nl.Loader`: prepare, accumulate, skip batches, two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator, skip_first_batches

import ndlens as nl
from ndlens import transforms as T

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

ITEMS = 50
IMAGES = np.random.default_rng(0).integers(0, 256, (ITEMS, 12, 12, 3), dtype=np.uint8)


def loader_of(**settings: Any) -> nl.Loader:
    transforms = {
        "image": [T.RandomCrop(8), T.RandomHorizontalFlip(), T.ToDtype("float32", scale=True)]
    }
    fields = {"image": IMAGES, "label": np.arange(ITEMS)}
    return nl.Loader(
        fields, **{"batch_size": 4, "shuffle": True, "transforms": transforms, **settings}
    )


def same(batches: Any, others: Any) -> bool:
    pairs = list(zip(batches, others, strict=True))
    return len(pairs) > 0 and all(
        torch.equal(batch[name], other[name]) for batch, other in pairs for name in batch
    )


def test_prepare_leaves_the_loader_and_accumulate_counts_its_batches() -> None:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3)
    model = torch.nn.Linear(3, 1)
    model, optimizer, loader = accelerator.prepare(
        model, torch.optim.SGD(model.parameters(), 0.1), loader_of()
    )
    assert isinstance(loader, nl.Loader)
    steps = 0
    for batch in loader:
        with accelerator.accumulate(model):
            accelerator.backward(model(batch["image"].mean((1, 2))).mean())
            optimizer.step()
            optimizer.zero_grad()
            steps += accelerator.sync_gradients
    assert steps == len(loader) // 3


@pytest.mark.parametrize("settings", [
    {}, {"num_workers": 1}, {"order": "torch"}, {"drop_last": True}, {"rank": 1, "world_size": 3},
    {"shuffle": False, "weights": np.arange(1.0, 51.0)},
    {"shuffle": False, "weights": np.arange(1.0, 51.0), "replacement": False},
])  # fmt: skip
def test_skip_first_batches_gives_the_rest_of_the_epoch_to_the_bit(
    settings: dict[str, Any],
) -> None:
    expected = list(loader_of(**settings))
    loader = loader_of(**settings)
    assert same(skip_first_batches(loader, 3), expected[3:])
    # The epoch was taken.
    second = loader_of(**settings)
    second.set_epoch(1)
    assert loader.epoch == 1
    assert same(loader, second)


def test_skip_first_batches_of_a_sampler_of_ones_own() -> None:
    order = np.random.default_rng(1).permutation(ITEMS).tolist()
    expected = list(loader_of(shuffle=False, sampler=order))
    assert same(skip_first_batches(loader_of(shuffle=False, sampler=order), 2), expected[2:])


def test_skip_first_batches_in_a_resumed_epoch_and_mixed() -> None:
    mix = T.MixUp(num_classes=ITEMS)
    first = loader_of(mix=mix)
    batches = iter(first)
    next(batches), next(batches)
    resumed = loader_of(mix=mix)
    resumed.load_state_dict(first.state_dict())
    rest = list(batches)
    assert same(skip_first_batches(resumed, 1), rest[1:])


SCRIPT = """
import json, sys
import numpy as np, torch
from accelerate import Accelerator
import ndlens as nl

loader = nl.Loader({"i": np.arange(50)}, batch_size=4, shuffle=True, seed=1)
accelerator = Accelerator(cpu=True)
model, loader = accelerator.prepare(torch.nn.Linear(1, 1), loader)
seen = [[int(i) for batch in loader for i in batch["i"]] for _ in range(2)]
with open(f"{sys.argv[1]}/{accelerator.process_index}.json", "w") as file:
    json.dump(seen, file)
accelerator.end_training()
"""


def test_two_processes_take_half_each(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run([*launch, script, tmp_path], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for epoch in range(2):
        assert sorted(ranks[0][epoch] + ranks[1][epoch]) == list(range(ITEMS))
        assert len(ranks[0][epoch]) == len(ranks[1][epoch]) == ITEMS // 2
