"""The operations that `memory_sweep.py` tries: all that `ndlens` does in public.

Each is large where it can be, so that what it allocates shows. `result` is compared with what it is without a limit.
"""

# Each operation is one line of a program, which reads worse when it is cut.
# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """Code to be run where memory is short, after `setup`, which is run where it is not."""

    name: str
    code: str
    setup: str = ""
    refusal: str | None = None
    """The name of the exception that the operation ends in, however much memory there is."""


VIEW = (
    "v = nl.view(np.arange(1_000_000, dtype='i4').reshape(1000, 1000))\ns = v[:, ::2]\nw ="
    " nl.view(bytes(3_000_000))"
)


def of_view(name: str, code: str, setup: str = "", refusal: str | None = None) -> Operation:
    return Operation(f"View: {name}", code, f"{VIEW}\n{setup}", refusal)


VIEWS = [
    of_view("copy", "result = (s.copy().tobytes() == bytes(v[:, ::2])), s.copy(order='F').strides"),
    of_view("ascontiguous", "result = s.ascontiguous().strides"),
    of_view(
        "take of a list",
        "result = v.take(places).shape",
        "places = [0, 3, 5] * 200_000\nv = v[:, 0]",
    ),
    of_view("take of a range", "result = v.ravel().take(range(1_000_000)).shape"),
    of_view(
        "take of an array", "result = v.ravel().take(places).shape", "places = np.arange(1_000_000)"
    ),
    of_view(
        "take of a strided array",
        "result = v.take(places, axis=1).shape",
        "places = np.arange(0, 1000, 2)",
    ),
    of_view("take of a huge range", "v.take(range(2**40))", refusal="MemoryError"),
    of_view("take of an endless iterable", "v.take(itertools.count())", refusal="TypeError"),
    of_view("tobytes", "result = len(s.tobytes()), len(s.tobytes('F'))"),
    *(
        of_view(
            f"tolist of {dtype}",
            "result = len(u.tolist())",
            f"u = nl.view(np.ones(500_000, {dtype!r}))",
        )
        for dtype in [
            "u1",
            "i1",
            "u2",
            "i2",
            "u4",
            "i4",
            "u8",
            "i8",
            "f2",
            "f4",
            "f8",
            "c8",
            "c16",
            "?",
        ]
    ),
    of_view(
        "tolist of large integers",
        "result = len(u.tolist())",
        "u = nl.view(np.arange(500_000) + 2**60)",
    ),
    of_view(
        "tolist of bfloat16",
        "result = len(u.tolist())",
        "u = nl.view(torch.ones(500_000).bfloat16())",
    ),
    of_view("tolist of characters", "result = len(u.tolist())", "u = w.cast('c')"),
    of_view("tolist, nested", "result = len(v.tolist())"),
    of_view("tolist of many short rows", "result = len(u.tolist())", "u = w.reshape(-1, 3)"),
    of_view(
        "tolist of empty rows", "result = len(u.tolist())", "u = nl.view(np.zeros((1_000_000, 0)))"
    ),
    of_view(
        "tolist of endless empty rows",
        "u.tolist()",
        "u = nl.view(np.zeros((2**40, 0), 'u1'))",
        "MemoryError",
    ),
    of_view("item, int, float", "result = v[0, 0:1].item(), int(v[0, 1:2]), float(v[0, 2:3])"),
    of_view("hex", "result = len(w.hex()), len(w.hex(':'))"),
    of_view("cast", "result = w.cast('i').shape, w.cast('B', [1000, 3000]).shape"),
    of_view(
        "cast to a shape of a million axes", "w.cast('B', [1] * 1_000_000)", refusal="ValueError"
    ),
    of_view("equality", "result = v == u, s == u[:, ::2], v != u", "u = nl.view(v.numpy().copy())"),
    of_view(
        "equality of floats",
        "result = (u == t)",
        "u = nl.view(np.ones(10**6))\nt = nl.view(np.ones(10**6))",
    ),
    of_view("equality of dtypes", "result = (v == u)", "u = nl.view(v.numpy().astype('f8'))"),
    of_view("inequality of dtypes", "result = (v != u)", "u = nl.view(v.numpy().astype('i8'))"),
    of_view("hash", "result = hash(w) == hash(bytes(w))"),
    of_view("hash of a broadcast", "hash(w[:1].broadcast_to(2**40))", refusal="MemoryError"),
    of_view("index", "result = v.ravel().index(300_000)"),
    of_view("index of a row", "result = v.index(v[50])"),
    of_view("count", "result = w.count(0), v.count(v[3])"),
    of_view("in", "result = (-1 in v.ravel())"),
    of_view(
        "iteration", "result = len(list(v.ravel())), len(list(u))", "u = w.reshape(-1, 3)[:300_000]"
    ),
    of_view("reversed", "result = len(list(reversed(v.ravel())))"),
    of_view(
        "split",
        "result = len(u.split(300_000)), len(u.split(places))",
        "u = w[:300_000]\nplaces = [*range(1000)]*100",
    ),
    of_view("split at an array", "result = len(w.split(places))", "places = np.arange(100_000)"),
    of_view("split of nothing", "nl.view(b'').split(2**40)", refusal="MemoryError"),
    of_view("split at a huge range", "w.split(range(2**40))", refusal="MemoryError"),
    of_view("unbind", "result = len(u.unbind())", "u = w[:600_000].reshape(-1, 2)"),
    of_view(
        "unbind of empty rows",
        "nl.view(np.zeros((2**40, 0), 'u1')).unbind()",
        refusal="MemoryError",
    ),
    of_view(
        "fill", "u.fill(3)\nresult = int(u[5, 5])", "u = nl.view(np.zeros((1000, 1000), 'i4'))"
    ),
    of_view(
        "assignment", "u[:, ::2] = s\nresult = u[3, 4]", "u = nl.view(np.zeros((1000, 1000), 'i4'))"
    ),
    of_view("assignment of an overlap", "v[:, 1:] = v[:, :-1]\nresult = v[1].tolist()[:5]"),
    of_view("assignment of a number", "v[::2] = 7\nresult = v[2, 2]"),
    of_view("explain", "result = len(str(nl.explain(s, 'torch'))), bool(s), repr(s)"),
    of_view(
        "numpy", "result = s.numpy().shape, np.array(s).shape, s.__array__('f8', copy=True).shape"
    ),
    of_view("torch", "result = s.torch().shape, torch.from_dlpack(s).shape"),
    of_view(
        "DLPack copy",
        "result = torch.from_dlpack(s, copy=True).shape, np.from_dlpack(s, copy=True).shape",
    ),
    of_view("buffers", "result = memoryview(s).nbytes, len(bytes(s)), len(bytearray(v))"),
    of_view("array interface", "result = sorted(s.__array_interface__), s.obj is None, s.format"),
    of_view("pickle", "result = [len(pickle.dumps(s, p)) for p in (2, 4, 5)]"),
    of_view("unpickling", "result = pickle.loads(text).shape", "text = pickle.dumps(s)"),
    of_view(
        "pickle of buffers apart",
        "b = []\nt = pickle.dumps(s, 5, buffer_callback=b.append)\nresult = pickle.loads(t,"
        " buffers=b).shape",
    ),
    of_view("sending", "result = len(bytes(ForkingPickler.dumps(u))) < 1000", "u = nl.share(v)"),
    of_view("sending of a temporary", "result = pickle.loads(ForkingPickler.dumps(s)).shape"),
    of_view("copies", "result = copy.copy(s).strides, copy.deepcopy(s).strides"),
    of_view(
        "views",
        "result = [u.shape for u in (v.T, v.mT, v.flip(), v.permute(1, 0), v.transpose(),"
        " v.swapaxes(0, 1), v.moveaxis(0, 1), v.windows(5), v.reshape(-1), v.ravel(), v.squeeze(),"
        " v.expand_dims(0), v.diagonal(), v.broadcast_to(2, 1000, 1000), v.reinterpret('uint8'),"
        " v.toreadonly(), v[None, 3:5, ...])]",
    ),
    *(
        of_view(f"{call} of a million axes", f"v.{call}", refusal=refusal)
        for call, refusal in [
            ("reshape([1] * 1_000_000)", "ValueError"),
            ("reshape(range(2**40))", "ValueError"),
            ("reshape(itertools.repeat(1))", "ValueError"),
            ("broadcast_to([1] * 1_000_000)", "ValueError"),
            ("broadcast_to(range(2**40))", "ValueError"),
            ("permute(range(2**40))", "ValueError"),
            ("transpose(range(2**40))", "ValueError"),
            ("flip(range(2**40))", "ValueError"),
            ("squeeze(range(2**40))", "ValueError"),
            ("squeeze(itertools.repeat(1))", "ValueError"),
            ("expand_dims(range(2**40))", "ValueError"),
            ("moveaxis(range(2**40), range(2**40))", "ValueError"),
        ]
    ),
    of_view("a key of a million parts", "v[(slice(None),) * 1_000_000]", refusal="IndexError"),
    of_view("a key of a million new axes", "v[(None,) * 1_000_000]", refusal="ValueError"),
    of_view("sharing", "result = nl.shares_memory(v, s), nl.may_share_memory(v, s)"),
    of_view("memory of files", "v.verify(); v.prefetch(); v.drop_cache()\nresult = v.nbytes"),
    of_view("release", "u = v[1:]\nwith u: pass\nresult = repr(u)"),
    of_view(
        "an interface of a million axes",
        "nl.view(o)",
        "o = type('O', (), {'__array_interface__': {'version': 3, 'typestr': '|u1', 'data': (1,"
        " True), 'shape': (1,) * 1_000_000}})()",
        "ValueError",
    ),
    of_view("lists are refused", "nl.view([1] * 1_000_000)", refusal="TypeError"),
    of_view("huge copies", "w[:1].broadcast_to(2**40).copy()", refusal="MemoryError"),
    of_view("huge bytes", "w[:1].broadcast_to(2**40).tobytes()", refusal="MemoryError"),
    of_view("huge lists", "w[:1].broadcast_to(2**40).tolist()", refusal="MemoryError"),
    of_view("huge hexadecimals", "w[:1].broadcast_to(2**40).hex()", refusal="MemoryError"),
    of_view("huge pickles", "pickle.dumps(w[:1].broadcast_to(2**40))", refusal="MemoryError"),
    of_view("huge unbinding", "w[:1].broadcast_to(2**40).unbind()", refusal="MemoryError"),
    of_view("huge splits", "w[:1].broadcast_to(2**40).split(2**40)", refusal="MemoryError"),
    of_view("huge products", "w[:1].broadcast_to(2**62).tolist()", refusal="MemoryError"),
    of_view("huge windows", "w.windows(2**62)", refusal="ValueError"),
]

SHARDS = """
paths = []
for k in range(600):
    paths.append(f"{k:04}.npy")
    np.save(paths[-1], np.full((2, 3), k, "i4"))
"""
STORE = [
    Operation(
        "open: shards",
        "s = nl.open(paths)\nresult = s.shape, len(s.shards), s[700].tolist()",
        SHARDS,
    ),
    Operation("open: shards by a glob", "result = nl.open('*.npy').shape", SHARDS),
    Operation(
        "Shards: slices",
        "result = s[::3].shape, s[5:900].shape, len(list(s))",
        SHARDS + "s = nl.open(paths)",
    ),
    Operation(
        "Shards: pickle",
        "result = pickle.loads(pickle.dumps(s)).shape",
        SHARDS + "s = nl.open(paths)",
    ),
    Operation(
        "open: npy",
        "result = nl.open('x.npy').shape, nl.open('x.npy', copy=True).shape",
        "np.save('x.npy', np.zeros((1000, 1000)))",
    ),
    *(
        Operation(
            f"open: npy {mode!r}",
            f"result = nl.open('x.npy', {mode!r}).shape",
            "np.save('x.npy', np.zeros((1000, 1000)))",
        )
        for mode in ["r", "c", "r+"]
    ),
    Operation(
        "open: npy with a long header",
        "nl.open('x.npy')",
        "open('x.npy', 'wb').write(b'\\x93NUMPY\\x02\\x00' + (3_000_000).to_bytes(4, 'little') +"
        " b'(' * 3_000_000)",
        "FormatError",
    ),
    Operation(
        "open: npy with many fields",
        "result = nl.open('x.npy').shape",
        "np.save('x.npy', np.zeros(3, [(f'f{k}', 'i4') for k in range(2000)]))",
    ),
    Operation(
        "open: raw",
        "result = nl.open('x', shape=(-1, 1000), dtype='float64').shape",
        "np.zeros((1000, 1000)).tofile('x')",
        None,
    ),
    Operation(
        "open: raw with a million axes",
        "nl.open('x', shape=[1] * 1_000_000, dtype='uint8')",
        "open('x', 'wb').write(b'0')",
        "ValueError",
    ),
    Operation(
        "open: npz",
        "a = nl.open('x.npz')\nresult = len(a), a['k30'].shape",
        "np.savez('x.npz', **{f'k{k}': np.zeros(1000) for k in range(500)})",
    ),
    Operation(
        "open: npz, compressed",
        "nl.open('x.npz')['a']",
        "np.savez_compressed('x.npz', a=np.zeros(1_000_000))",
        "FormatError",
    ),
    Operation(
        "open: safetensors",
        "a = nl.open('x.safetensors')\nresult = len(a), a['k30'].shape, len(dict(a))",
        "nl.save('x.safetensors', {f'k{k}': np.zeros(10) for k in range(3000)})",
    ),
    Operation(
        "Arrays: pickle",
        "result = len(pickle.loads(pickle.dumps(a)))",
        "nl.save('x.safetensors', {f'k{k}': np.zeros(10) for k in range(3000)})\na ="
        " nl.open('x.safetensors')",
    ),
    Operation("save: npy", "nl.save('x.npy', v)\nresult = nl.open('x.npy').shape", VIEW),
    Operation(
        "save: npy of a strided view", "nl.save('x.npy', s)\nresult = nl.open('x.npy').shape", VIEW
    ),
    Operation(
        "save: npz and safetensors",
        "nl.save('x.safetensors', d)\nresult = len(nl.open('x.safetensors'))",
        "d = {f'k{k}': np.zeros(10) for k in range(3000)}",
    ),
    Operation(
        "save: metadata",
        "nl.save('x.safetensors', d, metadata=m)\nresult = len(nl.open('x.safetensors').metadata)",
        "d = {'k': np.zeros(10)}\nm = {f'k{k}': 'value' for k in range(3000)}",
    ),
    Operation(
        "save: ragged",
        "nl.save('x.safetensors', {'r': r})\nresult = len(nl.open('x.safetensors')['r'])",
        "r = nl.ragged([np.zeros((k % 5 + 1, 3), 'u1') for k in range(3000)])",
    ),
    Operation("share: a view", "result = nl.share(v).shape", VIEW),
    Operation(
        "share: a dict",
        "result = len(nl.share(d))",
        "d = {f'k{k}': np.zeros(10) for k in range(3000)}",
    ),
    Operation(
        "share: a list", "result = len(nl.share(d))", "d = [np.zeros(10) for k in range(3000)]"
    ),
    Operation(
        "share: windows",
        "result = len(nl.share(w))",
        "w = nl.windows([np.arange(10) for _ in range(3000)], 5)",
    ),
    Operation(
        "share: ragged",
        "result = len(nl.share(r))",
        "r = nl.ragged([np.zeros((k % 5 + 1, 3), 'u1') for k in range(3000)])",
    ),
    Operation(
        "share: a list of ragged",
        "result = len(nl.share(rs))",
        "rs = [nl.ragged([np.zeros(k + 1, 'u1')]) for k in range(1000)]",
    ),
    Operation(
        "share: a dict by name",
        "u = nl.share(d, name=n)\nresult = len(nl.attach(n))",
        "import os\nn = f'sweep-{os.getpid()}'\nd = {f'k{k}': np.zeros(10) for k in range(1000)}",
    ),
    Operation(
        "share: by name",
        "u = nl.share(v, name=n)\nresult = nl.attach(n).shape",
        VIEW + "\nimport os\nn = f'sweep-{os.getpid()}'",
    ),
    Operation("empty_shared", "result = nl.empty_shared((1000, 1000), 'float32').shape"),
    Operation("empty_shared: huge", "nl.empty_shared(2**50, 'uint8')", refusal="MemoryError"),
    Operation(
        "empty_shared: a million axes",
        "nl.empty_shared([1] * 1_000_000, 'uint8')",
        refusal="ValueError",
    ),
    Operation(
        "attach: what is not there", "nl.attach('sweep-nothing', timeout=0)", refusal="TimeoutError"
    ),
    Operation("guard_truncation", "nl.guard_truncation()\nresult = 1"),
    Operation("dtype_name", "result = nl.dtype_name('float32')"),
    Operation("_wait_for_receipts", "result = nl._ndlens._wait_for_receipts(0.0)"),
]

ITEMS = [
    Operation(
        "windows: one series",
        "w = nl.windows(s, 5, 2)\nresult = len(w), w[3].tolist()[:2], w.item_shape",
        "s = np.arange(1_000_000)",
    ),
    Operation(
        "windows: horizon",
        "a, b = nl.windows(s, 5, horizon=2)\nresult = len(a), len(b)",
        "s = np.arange(1_000_000)",
    ),
    Operation(
        "windows: many series",
        "result = len(nl.windows(s, 5, 2))",
        "s = [np.arange(10) for _ in range(20_000)]",
    ),
    Operation(
        "Items: pickle",
        "result = len(pickle.loads(pickle.dumps(w)))",
        "w = nl.windows([np.arange(10) for _ in range(3000)], 5)",
    ),
    Operation("Items: iteration", "result = len(list(w))", "w = nl.windows(np.arange(100_000), 5)"),
    Operation(
        "ragged: views",
        "r = nl.ragged(vs)\nresult = len(r), r[5].shape, r.item_shape",
        "vs = [np.zeros((k % 5 + 1, 3), 'u1') for k in range(20_000)]",
    ),
    Operation(
        "ragged: a list of shapes",
        "result = len(nl.ragged(flat, shapes=shapes))",
        "flat = np.zeros(2_400_000, 'u1')\nshapes = [(2, 4)] * 300_000",
    ),
    Operation(
        "ragged: an array of shapes",
        "result = len(nl.ragged(flat, shapes=shapes))",
        "flat = np.zeros(2_400_000, 'u1')\nshapes = np.full((300_000, 2), (2, 4))",
    ),
    Operation(
        "ragged: offsets",
        "result = len(nl.ragged(flat, offsets, shapes))",
        "flat = np.zeros(2_400_000, 'u1')\nshapes = np.full((300_000, 2), (2, 4))\noffsets ="
        " np.arange(300_000) * 8",
    ),
]

FIELD = (
    "f = np.broadcast_to(np.zeros(1, 'u1'), (1_000_000,))\nIMAGES = np.zeros((64, 40, 40, 3), 'u1')"
)


def of_loader(
    name: str,
    arguments: str,
    setup: str = "",
    code: str = "result = next(iter(l)).shape",
    fields: str = "f",
) -> Operation:
    made = f"l = nl.Loader({fields}, output='view', {arguments})\n{code}"
    return Operation(f"Loader: {name}", made, f"{FIELD}\n{setup}")


CROP = "T.RandomCrop(32, padding=8), T.RandomHorizontalFlip(), T.ToDtype('float32', scale=True)"
LISTS = {
    "crop": "T.RandomCrop(32, padding=8)",
    "reflected": "T.Pad(8, padding_mode='reflect')",
    "centre crop": "T.CenterCrop(90)",
    "fixed crop": "T.Crop(2, 3, 20, 20)",
    "resize": "T.Resize((300, 300))",
    "resize of floats": "T.ToDtype('float32', scale=True), T.Resize((300, 300))",
    "two resizes": "T.Resize((300, 300)), T.Resize((200, 200))",
    "resized crop": "T.RandomResizedCrop(224)",
    "flips": "T.RandomHorizontalFlip(), T.RandomVerticalFlip()",
    "quarter turns": "T.RandomQuarterTurn((0, 90, 180, 270))",
    "values": (
        "T.ToDtype('float32', scale=True), T.Normalize([0.5] * 3, [0.2] * 3), T.ChannelsFirst()"
    ),
    "colours": "T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomGrayscale()",
    "erasing": "T.ChannelsFirst(), T.RandomErasing(p=1.0)",
    "erasing by noise": "T.ToDtype('float32', scale=True), T.RandomErasing(p=1.0, value='random')",
    "colours of resized": (
        "T.Resize((300, 300)), T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomCrop(200)"
    ),
    "huge": "T.Resize((4000, 4000)), T.CenterCrop(3000), T.ToDtype('float32', scale=True)",
}

LOADERS = [
    of_loader("in turn", "batch_size=1000"),
    of_loader("shuffled", "batch_size=1000, shuffle=True"),
    of_loader("shuffled, few", "batch_size=10, shuffle=True", fields="np.zeros(1000)"),
    of_loader(
        "workers",
        "batch_size=1000, shuffle=True, num_workers=4",
        code="result = next(iter(l)).shape\ndel l",
    ),
    of_loader("a huge batch", "batch_size=1_000_000, shuffle=True"),
    of_loader(
        "a batch that never fits",
        "batch_size=2**40",
        code="l.indices(0)",
        fields="np.broadcast_to(np.zeros(1, 'u1'), (2**40,))",
    )._replace(refusal="MemoryError"),
    of_loader(
        "huge indices",
        "batch_size=4",
        code="l.indices(0)",
        fields="np.broadcast_to(np.zeros(1, 'u1'), (2**62,))",
    )._replace(refusal="MemoryError"),
    of_loader(
        "huge shuffled indices",
        "batch_size=4, shuffle=True",
        code="l.indices(0)",
        fields="np.broadcast_to(np.zeros(1, 'u1'), (2**62,))",
    )._replace(refusal="MemoryError"),
    of_loader(
        "huge torch order",
        "batch_size=4, shuffle=True, order='torch'",
        code="next(iter(l))",
        fields="np.broadcast_to(np.zeros(1, 'u1'), (2**40,))",
    )._replace(refusal="MemoryError"),
    of_loader("indices", "batch_size=1000", code="result = l.indices(0).shape"),
    of_loader(
        "torch's order",
        "batch_size=9, shuffle=True, order='torch'",
        code="result = next(iter(l)).shape, l.indices(1).shape",
    ),
    of_loader("weights", "batch_size=9, weights=w", "w = np.ones(1_000_000)"),
    of_loader("weights of float32", "batch_size=9, weights=w", "w = np.ones(1_000_000, 'f4')"),
    of_loader("weights in a list", "batch_size=9, weights=w", "w = [1.0] * 1_000_000"),
    of_loader(
        "weights without replacement",
        "batch_size=9, weights=w, replacement=False",
        "w = np.ones(1_000_000)",
    ),
    of_loader(
        "sampler: a list",
        "batch_size=9, sampler=s",
        "s = list(range(1_000_000))",
        "result = next(iter(l)).shape, len(l)",
    ),
    of_loader("sampler: a range", "batch_size=9, sampler=range(1_000_000)"),
    of_loader("sampler: an array", "batch_size=9, sampler=s", "s = np.arange(1_000_000)"),
    of_loader("sampler: a tensor", "batch_size=9, sampler=s", "s = torch.arange(100_000)"),
    of_loader(
        "sampler: torch's",
        "batch_size=9, sampler=s",
        "s = torch.utils.data.SequentialSampler(range(1_000_000))",
    ),
    of_loader("sampler: huge", "batch_size=9, sampler=range(2**40)", code="next(iter(l))")._replace(
        refusal="ValueError"
    ),
    of_loader(
        "ranks",
        "batch_size=9, shuffle=True, rank=1, world_size=4, remainder='keep'",
        code="result = l.indices(0).shape",
    ),
    of_loader("windows", "batch_size=1000", "w = nl.windows(np.arange(100_000), 5)", fields="w"),
    of_loader(
        "ragged",
        "batch_size=64, channels='last', transforms=[T.Resize((64, 64))]",
        "r = nl.ragged([np.zeros((k + 1, 30, 3), 'u1') for k in range(64)])",
        fields="r",
    ),
    of_loader("shards", "batch_size=64", SHARDS + "s = nl.open(paths)", fields="s"),
    of_loader(
        "many fields",
        "batch_size=64, transforms={'k3': [T.ToDtype('float32')]}",
        "d = {f'k{k}': np.zeros(100) for k in range(50)}",
        "result = len(next(iter(l)))",
        "d",
    ),
    of_loader(
        "joint",
        "batch_size=64, joint=('a', 'b'), transforms={'a': [T.RandomCrop(20)], 'b':"
        " [T.RandomCrop(20)]}",
        code="result = len(next(iter(l)))",
        fields="{'a': IMAGES, 'b': IMAGES}",
    ),
    of_loader(
        "params",
        f"batch_size=64, return_params=True, transforms=[{CROP}]",
        code="b, p = next(iter(l))\nresult = b.shape, len(p)",
        fields="IMAGES",
    ),
    of_loader(
        "params of many items",
        "batch_size=100_000, return_params=True, channels='last',"
        " transforms=[T.RandomVerticalFlip()]",
        code="b, p = next(iter(l))\nresult = b.shape, len(p)",
        fields="np.zeros((100_000, 1, 1, 1), 'u1')",
    ),
    of_loader(
        "replayed params",
        "batch_size=64, return_params=True, transforms=ts",
        f"ts = [{CROP}]",
        "b, p = next(iter(l))\nresult = T.replay(ts, IMAGES, p).shape",
        "IMAGES",
    ),
    of_loader(
        "mixing",
        f"batch_size=64, transforms=([{CROP}], None),"
        " mix=T.RandomChoice([T.MixUp(num_classes=1000), T.CutMix(num_classes=1000)])",
        code="result = len(next(iter(l)))",
        fields="(IMAGES, np.zeros(64, 'i8'))",
    ),
    of_loader(
        "mixing of many",
        "batch_size=50_000, mix=T.MixUp(num_classes=10)",
        code="result = len(next(iter(l)))",
        fields="(np.zeros((50_000, 2), 'f4'), np.zeros(50_000, 'i8'))",
    ),
    of_loader(
        "states",
        "batch_size=9, shuffle=True",
        code=(
            "next(iter(l))\ns = l.state_dict()\nl.load_state_dict(s)\nresult = s['epoch'], repr(l),"
            " l.pool_nbytes > 0, l.epoch"
        ),
    ),
    of_loader("kept batches", "batch_size=100_000", code="result = [b.shape for b in l]"),
    of_loader("stores", "batch_size=64, stores='stream'", fields="IMAGES"),
    *(
        of_loader(f"transforms: {name}", f"batch_size=64, transforms=[{text}]", fields="IMAGES")
        for name, text in LISTS.items()
    ),
    *(
        of_loader(
            f"transforms of workers: {name}",
            f"batch_size=64, num_workers=2, transforms=[{text}]",
            fields="IMAGES",
        )
        for name, text in LISTS.items()
    ),
    of_loader(
        "transforms: scales and noise",
        "batch_size=64, transforms=[T.Standardize([0.0], [1.0]), T.RandomScale(0.5, 2.0),"
        " T.RandomJitter(0.1)]",
        fields="np.zeros((1000, 500), 'f4')",
    ),
    of_loader(
        "transforms: fifty",
        "batch_size=9, transforms=[T.RandomHorizontalFlip()] * 50",
        code="result = next(iter(l)).shape",
        fields="IMAGES",
    ),
    of_loader(
        "transforms: a long normalization",
        "batch_size=9, transforms=[T.Standardize([0.0] * 1000, [1.0] * 1000)]",
        fields="np.zeros((3, 1000), 'f4')",
    ),
    Operation("Loader: torch", "result = next(iter(nl.Loader(f, batch_size=1000))).shape", FIELD),
    Operation(
        "Loader: numpy",
        "result = next(iter(nl.Loader(f, batch_size=1000, output='numpy'))).shape",
        FIELD,
    ),
    Operation(
        "Loader: frameworks' sampler",
        "l = nl.Loader(f, batch_size=9)\nresult = len(list(l.sampler)), l.num_samples",
        FIELD,
    ),
]

DATASET = FIELD + "\ndataset = nl.torch.Dataset({'x': f, 'y': f})\nitems = list(range(300_000))"
DATASETS = [
    Operation("Dataset: made", "result = len(nl.torch.Dataset({'x': f}))", FIELD),
    Operation(
        "Dataset: a batch",
        "result = nl.torch.collate(dataset.__getitems__(items))['x'].shape",
        DATASET,
    ),
    Operation("Dataset: a sample", "result = dataset[7]['x'].shape", DATASET),
    Operation(
        "Dataset: a batch to send",
        "b = dataset._gatherer.batch_to_send(items, 0, 0)\nresult ="
        " pickle.loads(pickle.dumps(b))['x'].shape",
        DATASET,
    ),
    Operation(
        "Dataset: pickle",
        "result = len(pickle.loads(pickle.dumps(dataset)))",
        "dataset = nl.torch.Dataset(np.zeros((1000, 1000)))",
    ),
    Operation(
        "Dataset: a DataLoader",
        "from torch.utils.data import DataLoader\nresult = len(list(DataLoader(dataset,"
        " batch_size=100_000, collate_fn=nl.torch.collate)))",
        DATASET,
    ),
]

OPERATIONS = [*VIEWS, *STORE, *ITEMS, *LOADERS, *DATASETS]
