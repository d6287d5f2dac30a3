"""The operations of loaders and of data sets for torch that `memory_sweep.py` tries."""

from __future__ import annotations

from tests.stress.memory_operation import PHOTOGRAPHS, SHARDS, Operation

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
    of_loader(
        "images",
        "batch_size=19, transforms=[T.RandomResizedCrop(224)]",
        PHOTOGRAPHS + "i = nl.images(paths)",
        fields="i",
    ),
    of_loader(
        "images that are skipped",
        "batch_size=20, transforms=[T.CenterCrop(224)], on_error='skip'",
        PHOTOGRAPHS + "i = nl.images(paths)",
        "result = next(iter(l)).shape, len(l.skipped)",
        "i",
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
        "result = len(pickle.loads(pickle.dumps(dataset, 4)))",
        "dataset = nl.torch.Dataset(np.zeros((1000, 1000)))",
    ),
    Operation(
        "Dataset: a DataLoader",
        "from torch.utils.data import DataLoader\nresult = len(list(DataLoader(dataset,"
        " batch_size=100_000, collate_fn=nl.torch.collate)))",
        DATASET,
    ),
]
