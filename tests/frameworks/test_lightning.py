"""Lightning's Trainer with an `nl.Loader`, run for real: each loop, resuming, and two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch

import ndlens as nl

pytestmark = [
    # Of Lightning's own: none is about the loader.
    pytest.mark.filterwarnings("ignore:::lightning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.*"),
    pytest.mark.filterwarnings("ignore:You defined a .validation_step.*"),
]

ITEMS = 64
BATCH = 8


def loader_of(**settings: Any) -> nl.Loader:
    rows = np.random.default_rng(0).random((ITEMS, 4), dtype=np.float32)
    return nl.Loader(
        {"x": rows, "i": np.arange(ITEMS)}, **{"batch_size": BATCH, "seed": 1, **settings}
    )


class Model(lightning.LightningModule):
    """Notes which items each epoch of each loop sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.seen: dict[str, list[list[int]]] = {}

    def note(self, stage: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        epochs = self.seen.setdefault(stage, [])
        while len(epochs) <= self.current_epoch:
            epochs.append([])
        epochs[self.current_epoch].extend(batch["i"].tolist())
        return self.layer(batch["x"]).mean()

    def training_step(self, batch: Any, _number: int) -> torch.Tensor:
        return self.note("train", batch)

    def validation_step(self, batch: Any, _number: int) -> None:
        self.note("validate", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        del batch_idx
        self.note("test", batch)

    def predict_step(self, batch: Any, _number: int) -> torch.Tensor:
        return batch["i"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer_of(path: Path, **settings: Any) -> lightning.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(
        accelerator="cpu",
        default_root_dir=path,
        **{
            "max_epochs": 3,
            "enable_checkpointing": False,
            "num_sanity_val_steps": 2,
            **quiet,
            **settings,
        },
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_fit_runs_the_epochs_in_turn_and_validates(tmp_path: Path, workers: int) -> None:
    model, loader = Model(), loader_of(shuffle=True, num_workers=workers)
    trainer_of(tmp_path).fit(model, loader, loader_of())
    assert model.seen["train"] == [loader.indices(epoch).tolist() for epoch in range(3)]
    # The first epoch of validation has two batches of the sanity check before it.
    assert model.seen["validate"][1:] == [list(range(ITEMS))] * 2
    assert model.seen["validate"][0] == [*range(2 * BATCH), *range(ITEMS)]


def test_validate_test_and_predict_see_each_item_once(tmp_path: Path) -> None:
    model = Model()
    trainer = trainer_of(tmp_path)
    trainer.validate(model, loader_of(), verbose=False)
    trainer.test(model, loader_of(), verbose=False)
    predicted: Any = trainer.predict(model, loader_of())
    assert model.seen["validate"] == model.seen["test"] == [list(range(ITEMS))]
    assert torch.cat(predicted).tolist() == list(range(ITEMS))


def test_overfit_batches_takes_the_same_batches_each_epoch(tmp_path: Path) -> None:
    model = Model()
    trainer_of(tmp_path, overfit_batches=2, max_epochs=2).fit(model, loader_of())
    assert model.seen["train"] == [list(range(2 * BATCH))] * 2


def test_limited_epochs_go_on_to_other_orders(tmp_path: Path) -> None:
    model, loader = Model(), loader_of(shuffle=True)
    trainer_of(tmp_path, limit_train_batches=2).fit(model, loader)
    assert model.seen["train"] == [
        loader.indices(epoch).tolist()[: 2 * BATCH] for epoch in range(3)
    ]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [3, 8, 11])
def test_a_checkpoint_goes_on_where_it_was_written(tmp_path: Path, workers: int, stop: int) -> None:
    def checkpoints() -> lightning.pytorch.callbacks.Callback:
        return lightning.pytorch.callbacks.ModelCheckpoint(
            tmp_path, filename="{step}", every_n_train_steps=stop, save_top_k=-1
        )

    whole = Model()
    settings = {"enable_checkpointing": True, "max_epochs": 2}
    trainer_of(tmp_path, callbacks=[checkpoints()], **settings).fit(
        whole, loader_of(shuffle=True, num_workers=workers)
    )
    resumed = Model()
    trainer_of(tmp_path, **settings).fit(
        resumed,
        loader_of(shuffle=True, num_workers=workers),
        ckpt_path=tmp_path / f"step={stop}.ckpt",
        weights_only=False,
    )
    assert list(chain(*resumed.seen["train"])) == list(chain(*whole.seen["train"]))[stop * BATCH :]


SCRIPT = """
import json, os, sys
import lightning, numpy as np, torch
import ndlens as nl

where, strategy, out = sys.argv[1:]

def loader():
    rows = np.random.default_rng(0).random((64, 4), dtype=np.float32)
    return nl.Loader({"x": rows, "i": np.arange(64)}, batch_size=4, shuffle=True, seed=1)

class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer, self.seen = torch.nn.Linear(4, 1), {}
        if where == "init":
            self.loader = loader()

    def setup(self, stage):
        if where == "setup":
            self.loader = loader()

    def train_dataloader(self):
        return self.loader

    def training_step(self, batch, number):
        self.seen.setdefault(self.current_epoch, []).extend(batch["i"].tolist())
        return self.layer(batch["x"]).mean()

    def on_train_end(self):
        with open(f"{out}/{self.global_rank}.json", "w") as file:
            json.dump(self.seen, file)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

if __name__ == "__main__":
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        logger=False,
        default_root_dir=out,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Model(), *([loader()] if where == "script" else []))
"""


@pytest.mark.parametrize(
    ("where", "strategy"),
    [
        ("script", "ddp"),
        ("init", "ddp"),
        ("setup", "ddp"),
        ("script", "ddp_spawn"),
        ("init", "ddp_spawn"),
    ],
)
def test_two_processes_take_half_each(tmp_path: Path, where: str, strategy: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, where, strategy, tmp_path],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert list(ranks[0]) == list(ranks[1]) == ["0", "1"]
    for epoch in ("0", "1"):
        assert len(ranks[0][epoch]) == len(ranks[1][epoch]) == 32
        assert sorted(ranks[0][epoch] + ranks[1][epoch]) == list(range(64))
    assert ranks[0]["0"] != ranks[0]["1"]
