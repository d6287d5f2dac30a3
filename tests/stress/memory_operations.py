"""The operations that `memory_sweep.py` tries: all that `ndlens` does in public.

Each is large where it can be, so that what it allocates shows. `result` is compared with what it is
without a limit.
"""

from __future__ import annotations

from tests.stress.memory_loaders import DATASETS, LOADERS
from tests.stress.memory_operation import ARCHIVE, PHOTOGRAPHS, SHARDS, Operation

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
    of_view("sending of a temporary", "result = pickle.loads(ForkingPickler.dumps(s, 4)).shape"),
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
    of_view("a copy of an object", "result = nl.view(v.numpy(), copy=True).strides"),
    of_view("holders", "result = [holder.what for holder in v.holders()]"),
    of_view(
        "an assertion about memory",
        "nl.testing.assert_zero_copy(v, s, write=True)\nresult = v[0, 1]",
        "nl.testing.assert_zero_copy(v, v)",
    ),
    of_view(
        "an assertion about interleaved memory",
        "nl.testing.assert_zero_copy(u, w[2_000_000:2_900_000:2])",
        "u = w.windows(3, 2)\nnl.testing.assert_zero_copy(w, w)",
        "AssertionError",
    ),
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
        "result = len(pickle.loads(pickle.dumps(w, 4)))",
        "w = nl.windows([np.arange(10) for _ in range(3000)], 5)",
    ),
    Operation(
        "windows: ids, where",
        "result = len(nl.windows(s, 5, ids=i)), len(nl.windows(s, 5, where=f))",
        "s = np.arange(1_000_000)\ni = s // 1000\nf = np.ones(999_996, bool)",
    ),
    Operation(
        "subset: an array, a mask, a list",
        "result = [len(nl.subset(s, i)) for i in (a, a > 9, a.tolist())]",
        "s = np.zeros(1_000_000)\na = np.arange(1_000_000)",
    ),
    Operation(
        "split: fractions, groups, classes",
        "result = [[len(p) for p in nl.split(s, [0.8, 0.2], seed=1, **k)] for k in ks]",
        "s = np.zeros(1_000_000)\na = np.arange(1_000_000) // 1000\n"
        "ks = [{}, {'groups': a}, {'stratify': a}]",
    ),
    Operation(
        "images: paths",
        "i = nl.images(paths)\nresult = len(i.paths), len(pickle.loads(pickle.dumps(i[::2])))",
        "paths = [f'directory/{k}.jpg' for k in range(100_000)]",
    ),
    Operation(
        "decode_image: JPEG",
        "result = [nl.decode_image(p, orient=True).shape for p in ('x.jpg', 'y.jpg')]",
        """
        from PIL import Image
        image = Image.fromarray(np.arange(1200 * 1000).astype("u1").reshape(400, 1000, 3))
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save("x.jpg", exif=exif)
        image.save("y.jpg", progressive=True)
        """,
    ),
    Operation(
        "decode_image: memory",
        "result = nl.decode_image(data, 'L').shape, nl.image_info(data).width",
        """
        import io
        from PIL import Image
        written = io.BytesIO()
        Image.fromarray(np.zeros((500, 1000), "u1")).save(written, "jpeg")
        data = written.getvalue() + bytes(1_000_000 - len(written.getvalue()))
        """,
    ),
    Operation(
        "samples: fields and labels",
        "x = nl.open(path, 'r')\nresult = len(x['bin']), nl.labels(x['cls'])[7], x.sample_keys[-1],"
        " len(pickle.loads(pickle.dumps(x.select('bin'))))",
        ARCHIVE,
    ),
    Operation(
        "images: a folder",
        "f = nl.image_folder(root)\nresult = len(f.images), f.labels[-1]",
        ARCHIVE,
    ),
    Operation("images: one", "result = nl.images(paths)[3].shape", PHOTOGRAPHS),
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

OPERATIONS = [*VIEWS, *STORE, *ITEMS, *LOADERS, *DATASETS]
