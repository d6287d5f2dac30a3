"""The article's snippets, with `nl.view` for `memoryview` and `.torch()` for `torch.frombuffer`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.buffers import pointer
from tests.helpers.strategies import Array
from torch.utils.data import Dataset

import ndlens as nl


def test_snippet_1_a_crop_of_an_image_copies_nothing() -> None:
    arr = np.random.randint(0, 256, (1000, 1000, 3), dtype=np.uint8)
    mv = nl.view(arr)
    crop = mv[200:800, 300:700, :]
    assert crop.shape == (600, 400, 3)
    assert pointer(crop) == arr[200:, 300:].ctypes.data
    assert crop.strides == arr.strides
    arr[200, 300, 0] = 17
    assert crop[0, 0, 0] == 17
    crop.numpy()[599, 399, 2] = 71
    assert arr[799, 699, 2] == 71


def test_snippet_2_a_batch_of_crops_goes_to_torch_without_a_copy_until_contiguous() -> None:
    images_np = np.random.randint(0, 256, (32, 512, 512, 3), dtype=np.uint8)
    mv_batch = nl.view(images_np)
    center_crop_view = mv_batch[:, 128:384, 128:384, :]

    shared = center_crop_view.torch()
    assert shared.dtype == torch.uint8
    first_pixel = images_np[0, 128:, 128:].ctypes.data
    assert pointer(center_crop_view) == shared.data_ptr() == first_pixel

    # The reshape that torch.frombuffer's flat tensor needs does no harm.
    permuted = shared.view(32, 256, 256, 3).permute(0, 3, 1, 2)
    assert permuted.data_ptr() == first_pixel
    tensor = permuted.contiguous()
    assert tensor.shape == torch.Size([32, 3, 256, 256])
    assert tensor.device == torch.device("cpu")

    # "modifying tensor affects NumPy and vice versa (until .contiguous() forces copy)"
    shared[31, 255, 255, 2] = 1
    assert images_np[31, 383, 383, 2] == 1
    images_np[31, 383, 383, 2] = 2
    assert shared[31, 255, 255, 2] == permuted[31, 2, 255, 255] == 2
    assert tensor.data_ptr() != first_pixel
    before = tensor[0, 0, 0, 0].item()
    images_np[0, 128, 128, 0] = 255 - before
    assert shared[0, 0, 0, 0] == 255 - before
    assert tensor[0, 0, 0, 0] == before
    assert torch.equal(tensor[:31, :, 1:], permuted[:31, :, 1:])


class ZeroCopyImageDataset(Dataset[torch.Tensor]):
    """The article's, word for word but for the two replacements."""

    def __init__(self, images_np: Array) -> None:
        self.mv = nl.view(images_np)
        self.n: int = images_np.shape[0]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, idx: int) -> torch.Tensor:
        h_start = np.random.randint(0, 256)
        w_start = np.random.randint(0, 256)
        crop = self.mv[idx, h_start : h_start + 256, w_start : w_start + 256, :]
        tensor: torch.Tensor = crop.torch().view(256, 256, 3).permute(2, 0, 1).float() / 255.0
        return tensor


def numbered_images(count: int) -> Array:
    """Images whose pixels hold their row, column and image, each modulo 256."""
    images = np.empty((count, 512, 512, 3), np.uint8)
    images[..., 0] = np.arange(512).reshape(512, 1) % 256
    images[..., 1] = np.arange(512) % 256
    images[..., 2] = np.arange(count).reshape(count, 1, 1)
    return images


def find(sample: Any, images: Array) -> int:
    """The number of the image that this sample is a crop of, having checked that it is."""
    top, left, index = (round(float(value) * 255) for value in sample[:, 0, 0])
    expected = (
        torch.from_numpy(images[index, top : top + 256, left : left + 256]).permute(2, 0, 1).float()
        / 255.0
    )
    assert torch.equal(sample, expected)
    return index


def test_snippet_3_a_sample_is_copied_by_float_and_not_before() -> None:
    images = numbered_images(2)
    dataset = ZeroCopyImageDataset(images)
    assert len(dataset) == 2
    sample = dataset[1]
    assert (sample.shape, sample.dtype) == (torch.Size([3, 256, 256]), torch.float32)
    assert find(sample, images) == 1

    crop = dataset.mv[1, 7 : 7 + 256, 9 : 9 + 256, :]
    address = images[1, 7:, 9:].ctypes.data
    permuted = crop.torch().view(256, 256, 3).permute(2, 0, 1)
    assert pointer(crop) == permuted.data_ptr() == address
    converted = permuted.float() / 255.0
    images[1, 7, 9] = (1, 2, 3)
    assert permuted[:, 0, 0].tolist() == [1, 2, 3]
    assert (converted[:, 0, 0] * 255).round().tolist() == [7, 9, 1]


# Four workers are the article's; torch warns on a machine with fewer cores.
@pytest.mark.filterwarnings(
    "ignore:This DataLoader will create 4 worker processes in total:UserWarning"
)
# Since Python 3.12 fork warns where there are threads: torch has started some, and the article
# forks all the same.
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)
def test_snippet_3_the_dataloader_gives_every_image_once_from_four_forked_workers() -> None:
    large_batch = numbered_images(96)
    dataset = ZeroCopyImageDataset(large_batch)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=32, num_workers=4, multiprocessing_context="fork"
    )
    seen = []
    for batch in loader:
        assert batch.shape == torch.Size([32, 3, 256, 256])
        seen += [find(sample, large_batch) for sample in batch]
    assert seen == list(range(96))


def test_the_comparison_of_section_4_holds_row_by_row() -> None:
    arr = np.arange(4 * 6 * 6 * 3, dtype=np.uint8).reshape(4, 6, 6, 3)
    part = (slice(1, 3), slice(2, 5), slice(1, 4))
    address = arr[part].ctypes.data
    for shared in (
        torch.from_numpy(arr[part]),
        nl.view(arr)[part].torch(),
        torch.as_tensor(arr[part]),
    ):
        assert shared.data_ptr() == address
        assert tuple(shared.shape) == (2, 3, 3, 3)
        shared[0, 0, 0, 0] = 0
        assert arr[1, 2, 1, 0] == 0
        arr[1, 2, 1, 0] = 1
        assert shared[0, 0, 0, 0] == 1
    copied = torch.tensor(arr[part])
    copied[0, 0, 0, 0] = 9
    assert arr[1, 2, 1, 0] == 1
    # Section 5: "Force copy if needed: tensor.clone() or arr.copy()"
    view = nl.view(arr)[part]
    for copy in (view.torch().clone(), view.copy().torch()):
        assert copy.data_ptr() != address
        assert torch.equal(copy, view.torch())


# What the article's own code does. The day one of these fails, the README's first claim needs
# another look.


def test_memoryview_alone_cannot_slice_two_axes() -> None:
    arr: Any = np.zeros((1000, 1000, 3), np.uint8)
    images: Any = memoryview(arr)
    with pytest.raises(
        NotImplementedError, match=r"^multi-dimensional slicing is not implemented$"
    ):
        images[200:800, 300:700, :]


def test_frombuffer_alone_takes_no_strided_memory() -> None:
    images: Any = np.zeros((4, 8, 8, 3), np.uint8)
    crop = images[:, 2:6, 2:6, :]
    for source in (crop, memoryview(crop)):
        with pytest.raises((RuntimeError, ValueError), match="contiguous"):
            torch.frombuffer(source, dtype=torch.uint8)


def test_frombuffer_alone_forgets_the_shape() -> None:
    arr: Any = np.zeros((2, 3), np.uint8)
    assert tuple(torch.frombuffer(memoryview(arr), dtype=torch.uint8).shape) == (6,)
