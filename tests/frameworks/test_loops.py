"""PyTorch's quickstart, ignite, fastai and Ray Train with an `nl.Loader`, run for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ndlens as nl

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)

ITEMS = 64
ROWS = np.random.default_rng(0).random((ITEMS, 4), dtype=np.float32)
LABELS = (ROWS.sum(1) > 2).astype(np.int64)


def loader_of(**settings: Any) -> nl.Loader:
    return nl.Loader((ROWS, LABELS), **{"batch_size": 8, "shuffle": True, "seed": 1, **settings})


def test_the_quickstart_of_pytorch_runs_as_it_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(dataloader: Any, model: Any, loss_fn: Any, optimizer: Any) -> None:
        size = len(dataloader.dataset)
        model.train()
        for batch, (x, y) in enumerate(dataloader):
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if batch % 4 == 0:
                print(f"loss: {loss.item():>7f}  [{(batch + 1) * len(x):>5d}/{size:>5d}]")

    def test(dataloader: Any, model: Any, loss_fn: Any) -> float:
        size = len(dataloader.dataset)
        num_batches = len(dataloader)
        model.eval()
        test_loss, correct = 0.0, 0.0
        with torch.no_grad():
            for x, y in dataloader:
                pred = model(x)
                test_loss += loss_fn(pred, y).item()
                correct += (pred.argmax(1) == y).type(torch.float).sum().item()
        assert np.isfinite(test_loss / num_batches)
        return correct / size

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    optimizer, loss_fn = torch.optim.SGD(model.parameters(), 0.5), torch.nn.CrossEntropyLoss()
    for _ in range(20):
        train(loader_of(), model, loss_fn, optimizer)
    assert test(loader_of(shuffle=False), model, loss_fn) > 0.8
    assert "/   64]" in capsys.readouterr().out


def test_ignite_trains_and_evaluates() -> None:
    from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
    from ignite.metrics import Accuracy

    model = torch.nn.Linear(4, 2)
    optimizer, loss_fn = torch.optim.SGD(model.parameters(), 0.5), torch.nn.CrossEntropyLoss()
    loader = loader_of(num_workers=1)
    trainer = create_supervised_trainer(model, optimizer, loss_fn)
    epochs: list[int] = []

    @trainer.on(Events.EPOCH_STARTED)
    def _(engine: Engine) -> None:
        epochs.append(loader.epoch)

    state = trainer.run(loader, max_epochs=3)
    assert state.iteration == 3 * len(loader)
    assert epochs == sorted(set(epochs))
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})
    evaluator.run(loader_of(shuffle=False))
    assert 0 <= evaluator.state.metrics["accuracy"] <= 1


def test_fastai_fits() -> None:
    import fastai.callback.progress  # gives a Learner no_bar
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import SGD

    assert fastai.callback.progress.ProgressCallback

    model = torch.nn.Linear(4, 2)
    loaders = DataLoaders(loader_of(), loader_of(shuffle=False))
    learner = Learner(loaders, model, loss_func=torch.nn.CrossEntropyLoss(), opt_func=SGD)
    with learner.no_bar(), learner.no_logging():
        learner.fit(2, lr=0.1)
    assert learner.recorder.values
    assert np.isfinite(learner.recorder.values[-1]).all()


def test_ray_train_gives_each_worker_its_half(tmp_path: Path) -> None:
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    def train(config: dict[str, Any]) -> None:
        import json

        import ray.train
        import ray.train.torch

        loader = nl.Loader(np.arange(ITEMS), batch_size=8, shuffle=True, seed=1)
        rank = ray.train.get_context().get_world_rank()
        seen = [int(i) for batch in loader for i in batch]
        (Path(config["out"]) / f"{rank}.json").write_text(json.dumps(seen))

    import json

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        trainer = TorchTrainer(
            train,
            train_loop_config={"out": str(tmp_path)},
            scaling_config=ScalingConfig(num_workers=2, use_gpu=False),
            run_config=RunConfig(storage_path=str(tmp_path / "ray")),
        )
        trainer.fit()
    finally:
        ray.shutdown()
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == ITEMS // 2
    assert sorted(ranks[0] + ranks[1]) == list(range(ITEMS))
