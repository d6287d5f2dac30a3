"""A data set for torch's stock `DataLoader`, whose batches are made in one pass.

>>> from torch.utils.data import DataLoader
>>> import ndlens as nl
>>> dataset = nl.torch.Dataset({"x": nl.view(bytes(range(6))).reshape(3, 2)})
>>> for batch in DataLoader(dataset, batch_size=2, collate_fn=nl.torch.collate):
...     print(batch["x"].tolist())
[[0, 1], [2, 3]]
[[4, 5]]
"""

from ._dataset import Dataset, collate

__all__ = ["Dataset", "collate"]
