"""A model in onnxruntime reads a mapped, cropped file; what is copied is proved at each step.

An edge device has frames in a file and a model in onnxruntime, which takes packed memory only.
`OrtValue.from_dlpack(view)` uses the memory of a packed view and refuses any other.
(`OrtValue.ortvalue_from_numpy` copies any other without a word.) So there are three cases:

1. A crop that is packed in memory, such as whole rows of one frame: nothing is copied.
2. A crop that is not, such as a square of a frame: one copy, which `view.copy()` says.
3. Many crops, as floats, channels first: `nl.Loader` writes each batch once, and onnxruntime reads
   the batch where it is.

    python examples/onnx_inference.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

import ndlens as nl
from ndlens import transforms as T

FRAMES, HEIGHT, WIDTH = 6, 96, 128
CROP = 64


def model_of(first: list[onnx.NodeProto], dtype: int, shape: list[str | int]) -> bytes:
    """A model that gives the mean of each channel.

    Args:
        first: Nodes that make "pixels", float32 (N, 3, H, W), of the input "image".
        dtype: The element type of the input, as `TensorProto` has it.
        shape: The shape of the input; names stand for any size.
    """
    nodes = [
        *first,
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
    ]
    graph = helper.make_graph(
        nodes,
        "channel means",
        [helper.make_tensor_value_info("image", dtype, shape)],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def session_of(model: bytes) -> ort.InferenceSession:
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"])


def bytes_model() -> ort.InferenceSession:
    """Takes images as they are in the file: uint8, channels last."""
    first = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["pixels"], perm=[0, 3, 1, 2]),
    ]
    return session_of(model_of(first, TensorProto.UINT8, ["n", "h", "w", 3]))


def floats_model() -> ort.InferenceSession:
    """Takes images as networks do: float32, channels first."""
    first = [helper.make_node("Identity", ["image"], ["pixels"])]
    return session_of(model_of(first, TensorProto.FLOAT, ["n", 3, "h", "w"]))


def run(session: ort.InferenceSession, image: ort.OrtValue) -> npt.NDArray[np.float32]:
    """Binds the input, which copies nothing on the CPU, and returns the output."""
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", image)
    binding.bind_output("means")
    session.run_with_iobinding(binding)
    means: npt.NDArray[np.float32] = binding.get_outputs()[0].numpy()
    return means


def address(view: nl.View) -> int:
    first: int = view.__array_interface__["data"][0]
    return first


def packed_crop(frames: nl.View) -> None:
    """Whole rows of a frame are packed: onnxruntime reads the pages of the map."""
    session = bytes_model()
    rows = frames[2:3, 16:80]
    assert rows.c_contiguous
    value = ort.OrtValue.from_dlpack(rows)
    assert value.data_ptr() == address(rows)
    assert nl.shares_memory(rows, frames)
    before = run(session, value)
    np.testing.assert_allclose(before[0], rows.numpy().mean(axis=(0, 1, 2)), rtol=1e-5)

    # What is written to the map is what the same OrtValue reads.
    rows.fill(200)
    assert run(session, value).tolist() == [[200.0, 200.0, 200.0]]
    print(f"rows 16 to 80 of a frame, {rows.shape}: shared, onnxruntime reads the map")


def strided_crop(frames: nl.View) -> None:
    """A square of a frame has gaps, which onnxruntime refuses: `copy` packs it."""
    session = bytes_model()
    square = frames[3:4, 16:80, 32:96]
    refusal = ""
    try:
        ort.OrtValue.from_dlpack(square)
    except RuntimeError as error:
        refusal = str(error)
    assert "only supports contiguous" in refusal
    # The older way copies, and does not say so.
    assert ort.OrtValue.ortvalue_from_numpy(square.numpy()).data_ptr() != address(square)

    packed = square.copy()
    value = ort.OrtValue.from_dlpack(packed)
    assert value.data_ptr() == address(packed)
    means = run(session, value)
    np.testing.assert_allclose(means[0], square.numpy().mean(axis=(0, 1, 2)), rtol=1e-5)
    print(f"a square of a frame, {square.shape}: {packed.nbytes} bytes copied, once")


def batches(frames: nl.View) -> None:
    """A loader crops, converts and transposes in one pass; onnxruntime reads its batches."""
    session = floats_model()
    loader = nl.Loader(
        frames,
        batch_size=4,
        num_workers=2,
        transforms=[T.CenterCrop(CROP), T.ToDtype("float32", scale=True), T.ChannelsFirst()],
    )
    means = []
    for batch in loader:
        value = ort.OrtValue.from_dlpack(batch)
        assert value.data_ptr() == batch.data_ptr()
        means.append(run(session, value))
    top, left = (HEIGHT - CROP) // 2, (WIDTH - CROP) // 2
    crops = frames[:, top : top + CROP, left : left + CROP].numpy()
    np.testing.assert_allclose(np.concatenate(means), crops.mean(axis=(1, 2)) / 255, rtol=1e-5)
    print(f"{len(frames)} crops as float32 in batches of 4: written once, each batch shared")


def main() -> None:
    images = np.random.default_rng(0).integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "frames.npy")
        np.save(path, images)
        frames = nl.open(path)
        assert isinstance(frames, nl.View)
        packed_crop(frames)
        strided_crop(frames)
        batches(frames)
        # The map is private: the file is as it was.
        assert np.array_equal(np.load(path), images)


if __name__ == "__main__":
    main()
