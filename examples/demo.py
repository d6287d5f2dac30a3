"""From photographs in an array to a trained network; each hand-off is checked for copies.

The steps: slice a batch of images without copying, hand the slice to torch without copying, augment
and batch it with almost no extra memory. CPython's memoryview ends at the slice. ndlens does all of
them. At the end a network is trained on a folder of JPEGs, which the loader decodes.

Shared memory is tested, not only claimed: both sides must have the same address, and each must read
what the other writes. The photographs and the handwritten digits come with scikit-image and
scikit-learn; nothing is downloaded. The demo writes its results to demo/.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import skimage.data
import torch
from PIL import Image
from sklearn.datasets import load_digits

import ndlens as nl
from ndlens import transforms as T

OUTPUT = Path("demo")
PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"),
    *("retina.jpg", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png"),
)
SIZE = 512
CROP = 256
MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]

Images = npt.NDArray[np.uint8]


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / "images.npy"
    images = load_photographs()
    np.save(path, images)

    show_where_memoryview_stops(images)
    hand_slices_to_torch(images)
    show_what_would_copy(images)
    write_to_a_mapped_file(path)
    use_a_dataset_in_a_dataloader(images)
    stream_augmented_batches(path)
    accuracy = train_on_digits()
    if accuracy < 0.9:
        sys.exit(f"test accuracy {accuracy:.3f} is below 0.9")


def load_photographs() -> Images:
    """Returns photographs (N,512,512,3): scaled to the shorter side, then cut around the centre."""
    heading("Photographs")
    directory = Path(skimage.data.__file__).parent
    photographs = [Image.open(directory / name).convert("RGB") for name in PHOTOGRAPHS]
    squares = []
    for photograph in photographs:
        scale = SIZE / min(photograph.size)
        scaled = photograph.resize(
            (round(photograph.width * scale), round(photograph.height * scale))
        )
        left, top = (scaled.width - SIZE) // 2, (scaled.height - SIZE) // 2
        squares.append(np.asarray(scaled.crop((left, top, left + SIZE, top + SIZE))))
    images = np.stack(squares)
    row("images", f"{images.shape} {images.dtype}, {images.nbytes / 1e6:.1f} MB in memory")
    return images


def show_where_memoryview_stops(images: Images) -> None:
    heading("A crop of every image: memoryview and torch")

    def slice_memoryview() -> object:
        # mypy knows it too.
        return memoryview(images)[:, 128:384, 128:384, :]  # type: ignore[arg-type, index]

    def slice_and_frombuffer() -> object:
        return torch.frombuffer(images[:, 128:384, 128:384, :], dtype=torch.uint8)

    row("memoryview(images)[:, 128:384, 128:384, :]", error_of(slice_memoryview))
    row("torch.frombuffer(images[:, 128:384, 128:384, :], ...)", error_of(slice_and_frombuffer))


def hand_slices_to_torch(images: Images) -> None:
    heading("The same crop: ndlens")
    crop = nl.view(images)[:, 128:384, 128:384, :]
    row(
        "crop = nl.view(images)[:, 128:384, 128:384, :]",
        f"{crop.shape} {crop.dtype}, strides {crop.strides}",
    )
    corner = (0, 128, 128, 0)
    tensor = crop.torch()
    channels_first = tensor.permute(0, 3, 1, 2)
    row("crop.numpy()", prove("shared", images, corner, crop.numpy()))
    row("tensor = crop.torch()", prove("shared", images, corner, tensor))
    row("tensor.permute(0, 3, 1, 2)", prove("shared", images, corner, channels_first))
    row(
        "crop.permute(0, 3, 1, 2).torch()",
        prove("shared", images, corner, crop.permute(0, 3, 1, 2).torch()),
    )
    row(
        "tensor.permute(0, 3, 1, 2).contiguous()",
        prove("copied", images, corner, channels_first.contiguous()),
    )
    row("crop.copy().torch()", prove("copied", images, corner, crop.copy().torch()))


def show_what_would_copy(images: Images) -> None:
    heading("A mirrored crop: torch has no negative strides, so ndlens asks")
    mirrored = nl.view(images)[:, 128:384, 383:127:-1, :]
    corner = (0, 128, 383, 0)
    row("mirrored = nl.view(images)[:, 128:384, 383:127:-1, :]", f"strides {mirrored.strides}")
    row("mirrored.numpy()", prove("shared", images, corner, mirrored.numpy()))
    row("mirrored.torch()", error_of(mirrored.torch, nl.CopyRequired))
    row("mirrored.copy().torch()", prove("copied", images, corner, mirrored.copy().torch()))


def write_to_a_mapped_file(path: Path) -> None:
    heading("A file, mapped copy-on-write")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    mapped = nl.open(path)
    row(f'mapped = nl.open("{path}")', f"{mapped.shape} {mapped.dtype}")
    array, tensor = mapped.numpy(), mapped.torch()
    row("mapped.numpy() and mapped.torch()", prove("shared", array, (0, 0, 0, 0), tensor))
    tensor.fill_(255)
    if array.min() != 255:
        sys.exit("the array does not read what the tensor wrote")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        sys.exit("writing to the map changed the file")
    row(
        "mapped.torch().fill_(255)",
        "the array reads 255 everywhere; the file has the same SHA-256 as before",
    )


class ZeroCopyImageDataset(torch.utils.data.Dataset[torch.Tensor]):
    """The usual dataset: a random crop, channels first, scaled to 0..1."""

    def __init__(self, images: Images) -> None:
        self.view = nl.view(images)

    def __len__(self) -> int:
        return self.view.shape[0]

    def __getitem__(self, index: int) -> torch.Tensor:
        top, left = torch.randint(0, SIZE - CROP + 1, (2,)).tolist()
        crop = self.view[index, top : top + CROP, left : left + CROP, :]
        tensor: torch.Tensor = crop.torch().permute(2, 0, 1).float() / 255.0
        return tensor


def use_a_dataset_in_a_dataloader(images: Images) -> None:
    heading("A Dataset of crops in torch's DataLoader")
    loader = torch.utils.data.DataLoader(
        ZeroCopyImageDataset(images),
        batch_size=4,
        num_workers=2,
        # A forked worker inherits the view; any other start method would have to pickle the whole
        # array.
        multiprocessing_context="fork",
    )
    for batch in loader:
        row(
            "batch",
            f"{tuple(batch.shape)} {batch.dtype}, values {batch.min():.2f} to {batch.max():.2f}",
        )


def stream_augmented_batches(path: Path) -> None:
    heading("Augmented batches: nl.Loader")
    process = psutil.Process()
    memory = {"before the loader": process.memory_info().rss}
    images = nl.open(path)
    count = images.shape[0]
    loader = nl.Loader(
        {"image": images, "index": nl.view(np.arange(count))},
        batch_size=count,
        shuffle=True,
        seed=0,
        num_workers=2,
        transforms={
            "image": [
                T.RandomCrop(CROP),
                T.RandomHorizontalFlip(),
                T.ToDtype("float32", scale=True),
                T.Normalize(MEAN, STD),
                T.ChannelsFirst(),
            ]
        },
    )
    photographs = images[:, :: SIZE // CROP, :: SIZE // CROP, :].numpy()
    rows = [np.concatenate(list(photographs), axis=1)]
    for _ in range(2):
        (batch,) = loader
        in_order = batch["image"][batch["index"].argsort()]
        restored = in_order * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        pixels = (restored * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
        rows.append(np.concatenate(list(pixels.numpy()), axis=1))
    row("batch", {name: (tuple(field.shape), str(field.dtype)) for name, field in batch.items()})
    sheet = OUTPUT / "contact_sheet.png"
    Image.fromarray(np.concatenate(rows, axis=0)).save(sheet)
    row(str(sheet), "the photographs; the batch of epoch 0; that of epoch 1")

    memory["after 2 epochs"] = process.memory_info().rss
    epochs, streamed, started = 100, 0, time.perf_counter()
    for _ in range(epochs):
        for batch in loader:
            streamed += batch["image"].nbytes
    seconds = time.perf_counter() - started
    memory["after 102 epochs"] = process.memory_info().rss
    rate = epochs * count / seconds
    row(f"{epochs} more epochs", f"{rate:,.0f} images/s, {streamed / 1e6:,.0f} MB of batches")
    row("resident memory", ", ".join(f"{rss / 1e6:,.1f} MB {when}" for when, rss in memory.items()))


def train_on_digits() -> float:
    """Trains a small network on a folder of JPEGs and returns its accuracy on unseen ones.

    The photographs are scikit-learn's digits, enlarged to different sizes: a folder for each digit.
    """
    heading("A network learns handwritten digits from a folder of JPEGs")
    root = OUTPUT / "digits"
    count, nbytes = write_digits(root)
    row(f"{root}/<digit>/*.jpg", f"{count} files, {nbytes / 1e6:.1f} MB")

    folder = nl.image_folder(root, mode="L")
    train, test = nl.split(folder, [0.8, 0.2], seed=0, stratify=folder["label"])
    to_floats = [T.ToDtype("float32", scale=True), T.Normalize([0.3], [0.35]), T.ChannelsFirst()]

    def loader(
        part: dict[str, nl.Images | nl.View], shuffle: bool, first: T.Transform
    ) -> nl.Loader:
        return nl.Loader(
            part,
            batch_size=32,
            shuffle=shuffle,
            seed=0,
            num_workers=2,
            transforms={"image": [first, *to_floats]},
        )

    train_loader = loader(train, True, T.RandomResizedCrop(16, scale=(0.7, 1.0)))
    test_loader = loader(test, False, T.Resize((16, 16)))

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(64 * 4 * 4, 10),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    epochs, trained, started = 10, 0, time.perf_counter()
    for _ in range(epochs):
        for batch in train_loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(batch["image"]), batch["label"])
            loss.backward()
            optimizer.step()
            trained += len(batch["label"])
    seconds = time.perf_counter() - started
    row("training", f"{epochs} epochs of {trained // epochs} JPEGs, {seconds:.1f} s")

    right = tested = 0
    with torch.inference_mode():
        for batch in test_loader:
            right += int((network(batch["image"]).argmax(1) == batch["label"]).sum())
            tested += len(batch["label"])
    row("test accuracy", f"{right / tested:.3f} of {tested} digits it never saw")
    return right / tested


def write_digits(root: Path) -> tuple[int, int]:
    """Writes the digits as JPEGs of 24 to 40 pixels; returns the number of files and of bytes."""
    digits = load_digits()
    random = np.random.default_rng(0)
    nbytes = 0
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = root / str(label) / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = random.integers(24, 41, 2).tolist()
        image = Image.fromarray((pixels * 15).astype(np.uint8))
        image.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
        nbytes += path.stat().st_size
    return len(digits.target), nbytes


def prove(
    expected: str, images: Images, index: tuple[int, ...], other: Images | torch.Tensor
) -> str:
    """Says whether `other` shares the memory of `images`, its first element being `images[index]`.

    Exits unless the address, a write through `images` and a write through `other` all show what is
    expected.
    """
    address = images.ctypes.data + sum(
        i * stride for i, stride in zip(index, images.strides, strict=True)
    )
    other_address = other.data_ptr() if isinstance(other, torch.Tensor) else other.ctypes.data
    first = (0,) * other.ndim
    value = int(images[index])
    images[index] = value ^ 0x80
    read_by_other = int(other[first]) == value ^ 0x80
    images[index] = value
    other[first] = value ^ 0x40
    read_by_images = int(images[index]) == value ^ 0x40
    other[first] = images[index] = value

    found = {address == other_address, read_by_other, read_by_images}
    if found == {True} and expected == "shared":
        return f"shared: both at {address:#x}, each reads what the other writes"
    if found == {False} and expected == "copied":
        return f"copied: {address:#x} and {other_address:#x}, neither reads what the other writes"
    sys.exit(
        f"expected memory to be {expected}, but {address=:#x}, {other_address=:#x}, "
        f"{read_by_other=}, {read_by_images=}"
    )


def error_of(action: Callable[[], object], expected: type[Exception] = Exception) -> str:
    """Runs a function that must fail and returns its error."""
    try:
        action()
    except expected as error:
        return f"{type(error).__name__}: {error}"
    sys.exit(f"expected {expected.__name__}, but nothing was raised")


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def row(what: str, result: object) -> None:
    print(f"  {what:<54} {result}")


if __name__ == "__main__":
    main()
