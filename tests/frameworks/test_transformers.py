"""Hugging Face's Trainer with an `nl.Loader`, run for real: train, evaluate, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

import ndlens as nl

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)

ITEMS = 64
ROWS = np.random.default_rng(0).random((ITEMS, 4), dtype=np.float32)


def loader_of(**settings: Any) -> nl.Loader:
    fields = {"x": ROWS, "i": np.arange(ITEMS)}
    return nl.Loader(fields, **{"batch_size": 8, "shuffle": True, "seed": 1, **settings})


class Model(torch.nn.Module):
    """Notes the items it is trained and evaluated with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.trained: list[int] = []
        self.evaluated: list[int] = []

    def forward(self, x: torch.Tensor, i: torch.Tensor) -> dict[str, torch.Tensor]:
        (self.trained if self.training else self.evaluated).extend(i.tolist())
        return {"loss": self.layer(x).mean()}


class LoaderTrainer(Trainer):
    """As the documentation says: the two methods that make loaders are overridden."""

    def get_train_dataloader(self) -> Any:
        return loader_of(num_workers=1)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        return loader_of(shuffle=False)


def trainer_of(path: Path, **settings: Any) -> tuple[LoaderTrainer, Model]:
    model = Model()
    arguments = TrainingArguments(
        path, num_train_epochs=2, save_strategy="steps", save_steps=5, report_to=[], use_cpu=True,
        disable_tqdm=True, label_names=["i"], **settings
    )  # fmt: skip
    return LoaderTrainer(model, arguments), model


def test_train_and_evaluate_see_each_item_once_an_epoch(tmp_path: Path) -> None:
    trainer, model = trainer_of(tmp_path)
    trainer.train()
    expected = loader_of()
    assert model.trained == expected.indices(0).tolist() + expected.indices(1).tolist()
    assert trainer.num_examples(trainer.get_train_dataloader()) == ITEMS
    metrics = trainer.evaluate()
    assert np.isfinite(metrics["eval_loss"])
    assert model.evaluated == list(range(ITEMS))


@pytest.mark.parametrize("stop", [5, 10])
def test_training_resumes_at_the_batch_after_the_checkpoint(tmp_path: Path, stop: int) -> None:
    trainer, whole = trainer_of(tmp_path)
    trainer.train()
    trainer, resumed = trainer_of(tmp_path)
    trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stop}"))
    assert resumed.trained == whole.trained[stop * 8 :]
