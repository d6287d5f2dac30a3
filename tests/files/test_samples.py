"""Tar archives in the layout of WebDataset as fields, beside WebDataset itself."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.commands import ndlens_here
from tests.helpers.loading import succeeds

import ndlens as nl

Members = list[tuple[str, bytes | None]]


def write_tar(path: Path, members: Members, *, settled: bool = True) -> Path:
    """A tar archive; a member without data is a directory. It was modified long ago."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            if data is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    if settled:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


def open_samples(path: Any, mode: Any = "c") -> nl.Samples:
    opened: Any = nl.open(path, mode)
    assert isinstance(opened, nl.Samples)
    return opened


def shards(folder: Path) -> list[list[tuple[str, bytes]]]:
    """Three archives of samples of random bytes, and what is in each."""
    random = np.random.default_rng(0)
    contents: list[list[tuple[str, bytes]]] = []
    for shard in range(3):
        members: list[tuple[str, bytes]] = []
        for number in range(4 + shard):
            key = f"train/{shard}-{number:03}"
            members.append((f"{key}.jpg", random.bytes(int(random.integers(1, 2000)))))
            members.append((f"{key}.cls", str(10 * shard + number).encode()))
        write_tar(folder / f"s-{shard:03}.tar", [*members])
        contents.append(members)
    return contents


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_long_name_that_is_cut_at_a_slash_is_a_file(tmp_path: Path, layout: int) -> None:
    # Writers cut the name of the header itself, which then ends as that of a directory does.
    path = tmp_path / "long.tar"
    names = ["d" * length + "/0001.jpg" for length in range(95, 103)]
    with tarfile.open(path, "w", format=layout) as tar:
        for name in names:
            for data in (b"", b"abc"):
                member = tarfile.TarInfo(name.replace("0001", f"{len(data)}"))
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    samples = open_samples(path)
    assert list(samples.sample_keys) == [
        name.replace("0001.jpg", size) for name in names for size in ("0", "3")
    ]
    assert [len(item) for item in samples["jpg"]] == [0, 3] * len(names)


def test_another_file_of_the_same_size_and_time_is_walked_again(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("aaa.jpg", b"aaa"), ("bbb.jpg", b"bbb")])
    assert list(open_samples(path).sample_keys) == ["aaa", "bbb"]
    assert index_of(path).exists()
    # As rsync --times and cp -p replace it.
    write_tar(tmp_path / "new", [("ccc.jpg", b"ccc"), ("ddd.jpg", b"ddd")]).replace(path)
    assert list(open_samples(path).sample_keys) == ["ccc", "ddd"]
    # And written in place.
    write_tar(path, [("eee.jpg", b"eee"), ("fff.jpg", b"fff")])
    assert list(open_samples(path).sample_keys) == ["eee", "fff"]


def index_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.ndlens-index")


def test_samples_are_those_of_webdataset(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset.tariterators")
    members: Members = [
        ("a.b/0.JPG", b"0"),
        ("a.b/0.seg.png", b"1"),
        ("no-extension", b"2"),
        ("a.b/0.cls", b"3"),
        ("a.b", None),
        ("./1.jpg", b"4"),
        ("./1.seg.png", b"5"),
        ("./1.cls", b""),
        ("__meta__", b"6"),
        ("__index__/x.jpg", b"7"),
        ("\u00fc/" + 200 * "x" + ".jpg", b"8"),
        ("\u00fc/" + 200 * "x" + ".seg.png", b"9"),
        ("\u00fc/" + 200 * "x" + ".cls", b"10"),
        ("a.b/0.jpg", b"11"),
        ("a.b/0.seg.png", b"12"),
        ("a.b/0.cls", b"13"),
    ]
    path = write_tar(tmp_path / "x.tar", members)
    with path.open("rb") as stream:
        files = [{**file, "__url__": str(path)} for file in wds.tar_file_iterator(stream)]
    theirs = list(wds.group_by_keys(files))
    ours = open_samples(path)
    assert list(ours.sample_keys) == [sample["__key__"] for sample in theirs]
    assert set(ours) == {"jpg", "seg.png", "cls"}
    for name in ours:
        assert [bytes(item) for item in ours[name]] == [sample[name] for sample in theirs]
    assert [ours.archive_of(at) for at in range(len(theirs))] == [s["__url__"] for s in theirs]


def test_braces_patterns_and_lists_give_all_archives_in_order(tmp_path: Path) -> None:
    contents = shards(tmp_path)
    expected = {
        ending: [data for shard in contents for name, data in shard if name.endswith(ending)]
        for ending in ("jpg", "cls")
    }
    paths = [tmp_path / f"s-{shard:03}.tar" for shard in range(3)]
    for _ in range(2):  # walked, and by the index
        for path in (tmp_path / "s-{000..002}.tar", tmp_path / "*.tar", tmp_path / "*", paths):
            samples = open_samples(path)
            assert list(samples) == ["jpg", "cls"]
            assert len(samples.sample_keys) == 15
            assert samples.archives == list(map(str, paths))
            for name, items in expected.items():
                assert [bytes(item) for item in samples[name]] == items
    assert samples.sample_keys[-1] == "train/2-005" == samples.sample_keys[14]
    assert samples.sample_keys[3:5] == ["train/0-003", "train/1-000"]
    assert samples.archive_of(4) == str(paths[1])
    with pytest.raises(FileNotFoundError) as missing:
        nl.open(tmp_path / "s-{000..003}.tar")
    assert missing.value.filename == str(tmp_path / "s-003.tar")
    for bad in (-16, 15):
        with pytest.raises(IndexError, match=f"sample {bad} of 15 samples"):
            samples.sample_keys[bad]


def test_items_are_ranges_of_the_archive(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.txt", b"seven"), ("b.txt", b"eleven")])
    samples = open_samples(path, "r+")
    item = samples["txt"][1]
    assert item.shape == (6,)
    assert item.dtype == "uint8"
    item[:] = nl.view(b"twelve")
    assert path.read_bytes().count(b"twelve") == 1
    assert bytes(samples["txt"][1]) == b"twelve"
    assert nl.shares_memory(item, samples["txt"][1])
    assert open_samples(path, "r")["txt"][0].readonly


def test_what_is_in_an_archive_is_kept_beside_it(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.txt", b"seven")])
    assert list(open_samples(path).sample_keys) == ["a"]
    index = index_of(path)
    good = index.read_bytes()
    # It is used: another key in it is that of the sample.
    import zlib

    other = good[:-4].replace(b"a", b"z")
    index.write_bytes(other + zlib.crc32(other).to_bytes(4, "little"))
    assert list(open_samples(path).sample_keys) == ["z"]
    for damaged in (b"", good[:-1], good[:-5] + b"xxxxx", b"another file"):
        index.write_bytes(damaged)
        assert list(open_samples(path).sample_keys) == ["a"]
        assert index.read_bytes() == good
    # Another archive of the same name.
    write_tar(path, [("b.txt", b"eight")])
    os.utime(path, (1_000_000_000, 1_000_000_001))
    assert list(open_samples(path).sample_keys) == ["b"]
    assert index.read_bytes() != good


def test_an_archive_that_still_changes_has_no_index(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.txt", b"seven")], settled=False)
    assert list(open_samples(path).sample_keys) == ["a"]
    assert not index_of(path).exists()


def test_where_no_index_can_be_written_the_archive_opens_all_the_same(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.txt", b"seven")])
    index_of(path).mkdir()
    assert list(open_samples(path).sample_keys) == ["a"]
    index_of(path).rmdir()
    # A link is not followed.
    target = tmp_path / "target"
    target.write_bytes(b"of the user")
    index_of(path).symlink_to(target)
    assert list(open_samples(path).sample_keys) == ["a"]
    assert target.read_bytes() == b"of the user"
    assert index_of(path).is_symlink()


def test_samples_and_items_pickle_to_paths(tmp_path: Path) -> None:
    shards(tmp_path)
    samples = open_samples(tmp_path / "*.tar")
    chosen = samples.select("cls")
    items = samples["jpg"]
    part = nl.subset(items, [14, 0, 3])
    for obj in (samples, chosen, items, part):
        assert len(pickle.dumps(obj)) < 1000
    assert list(pickle.loads(pickle.dumps(chosen))) == ["cls"]
    for field in (items, part):
        again = pickle.loads(pickle.dumps(field))
        assert [bytes(item) for item in again] == [bytes(item) for item in field]
    (tmp_path / "p").write_bytes(pickle.dumps((samples, part)))
    program = """
import pickle, sys
samples, part = pickle.loads(open(sys.argv[1], "rb").read())
print(len(samples.sample_keys), len(samples["jpg"]), sum(map(len, part)))
"""
    assert succeeds(program, str(tmp_path / "p")).split() == ["15", "15", str(sum(map(len, part)))]


def test_parts_of_samples_are_parts_of_every_field(tmp_path: Path) -> None:
    shards(tmp_path)
    samples = open_samples(tmp_path / "*.tar")
    train, validation = nl.split(samples, [0.8, 0.2], seed=7)
    labels = [*nl.labels(train["cls"]).tolist(), *nl.labels(validation["cls"]).tolist()]
    assert sorted(labels) == sorted(nl.labels(samples["cls"]).tolist())
    assert len(train["jpg"]) == 12


def test_items_of_one_length_are_loaded_as_they_are(tmp_path: Path) -> None:
    members: Members = []
    for number in range(10):
        members += [(f"{number}.bin", bytes([number] * 6)), (f"{number}.id", b"%d" % number)]
    samples = open_samples(write_tar(tmp_path / "x.tar", members))
    assert samples["bin"].item_shape == (6,)
    loader = nl.Loader(samples, batch_size=4, shuffle=True, num_workers=2)
    rows = [
        row for batch in loader for row in zip(*(batch[n].tolist() for n in samples), strict=True)
    ]
    assert sorted(rows) == [([n] * 6, [ord(str(n))]) for n in range(10)]


def test_saved_and_shared_items_of_an_archive_are_ragged(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.txt", b"seven"), ("b.txt", b"eleven")])
    samples = open_samples(path)
    nl.save(tmp_path / "x.safetensors", samples)
    saved: Any = nl.open(tmp_path / "x.safetensors")
    for items in (saved["txt"], nl.share(samples["txt"])):
        assert [bytes(item) for item in items] == [b"seven", b"eleven"]


def test_samples_that_lack_a_field_are_refused_or_left_out(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "x.tar", [("a.txt", b"1"), ("a.cls", b"1"), ("b.txt", b"2"), ("c.cls", b"3")]
    )
    samples = open_samples(path)
    with pytest.raises(nl.FormatError) as lacks:
        samples["cls"]
    assert str(lacks.value) == (
        f'{path}: sample "b" has no "cls"; choose fields that all samples have, '
        "samples.select(NAME, ..), or leave such samples out, "
        'samples.select(NAME, .., missing="skip")'
    )
    with pytest.raises(nl.FormatError, match='sample "c" has no "txt"'):
        samples.select("txt", "cls", missing="skip").select("txt") and samples.select("txt")
    kept = samples.select("cls", "txt", missing="skip")
    assert list(kept) == ["cls", "txt"]
    assert list(kept.sample_keys) == ["a"]
    with pytest.raises(KeyError, match='no field "png"; it has "txt", "cls"'):
        samples["png"]
    assert "png" not in samples
    assert "txt" in samples
    assert 3 not in samples  # type: ignore[comparison-overlap]  # what is tested
    with pytest.raises(ValueError, match='missing must be "raise" or "skip", got 3'):
        samples.select("txt", missing=3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="select at least one field"):
        samples.select()
    assert repr(samples) == f"<ndlens.Samples {str(path)!r} samples=3 fields=[txt, cls]>"
    with pytest.raises(ValueError, match=r"open it without copy=True"):
        nl.open(path, copy=True)


def test_names_that_are_no_text_are_found_again(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("\udcff.\udcfe", b"1")])
    samples = open_samples(path)
    assert list(samples) == ["\udcfe"]
    assert list(samples.sample_keys) == ["\udcff"]
    assert bytes(samples["\udcfe"][0]) == b"1"


def test_labels_are_numbers_in_text(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.cls", b"7"), ("b.cls", b" -3\n"), ("c.cls", b"cat")])
    items = open_samples(path)["cls"]
    labels = nl.labels(items[:2])
    assert labels.tolist() == [7, -3]
    assert labels.dtype == "int64"
    with pytest.raises(ValueError, match="item 2 is") as refused:
        nl.labels(items)
    assert str(refused.value) == (
        'item 2 is "cat", expected an integer in ASCII digits; bytes(items[2]).decode() is its text'
    )
    with pytest.raises(TypeError, match=r"labels takes items of bytes, such as a field of nl.open"):
        nl.labels(np.zeros(3, np.uint8))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"expected items of text, uint8 of rank 1, got float32"):
        nl.labels(nl.ragged([np.zeros(3, np.float32)]))


def test_the_command_lists_the_fields_of_an_archive(tmp_path: Path) -> None:
    write_tar(tmp_path / "x.tar", [("a.txt", b"seven"), ("a.cls", b"1"), ("b.txt", b"eleven")])
    done = ndlens_here(tmp_path, "inspect", "--facts", "--json", "x.tar")
    (file,) = done.data["files"]
    assert file["format"] == "tar archive"
    assert file["nbytes"] == 10240
    text, label = file["arrays"]
    assert (text["name"], text["shape"], text["dtype"]) == ("txt", [2, None], "uint8")
    assert (label["name"], label["shape"], label["error"]) == ("cls", [1, 1], None)
    assert file["samples"] == 2


def test_an_image_that_fails_has_the_name_of_its_member(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a/1.jpg", b"no image"), ("a/2.jpg", b"no image")])
    field = open_samples(path)["jpg"]
    for images, member in ((nl.images(field), "a/2.jpg"), (nl.images(field[::-1]), "a/1.jpg")):
        with pytest.raises(nl.ImageError, match=f"^{path}: {member}: not a JPEG, PNG or WebP"):
            images[1]
