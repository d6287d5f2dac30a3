"""What `import ndlens` brings, and what it leaves out."""

from __future__ import annotations

import doctest
import inspect
import sys
import textwrap
from collections.abc import Iterator

import pytest
from tests.helpers.programs import run

import ndlens as nl
from ndlens import _ndlens, errors, transforms


def test_importing_ndlens_imports_neither_torch_nor_numpy() -> None:
    script = """
        import sys
        import ndlens
        third_party = {"torch", "torchvision", "numpy", "PIL", "typing_extensions"}
        assert not third_party & {name.partition(".")[0] for name in sys.modules}, sorted(
            sys.modules
        )
    """
    assert run(script) == (0, "", "")


# As on a machine where neither is installed: they are not found.
HIDDEN = """
    import sys
    from importlib.machinery import PathFinder

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] not in {"torch", "numpy"}:
                return PathFinder.find_spec(name, path, target)

    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder()
    import ndlens as nl
    from ndlens import transforms as T
"""


def without_torch_and_numpy(script: str) -> None:
    assert run(textwrap.dedent(HIDDEN) + textwrap.dedent(script)) == (0, "", "")


def test_views_need_neither_torch_nor_numpy() -> None:
    without_torch_and_numpy("""
        data = bytearray(range(24))
        view = nl.view(data).reshape(2, 3, 4)
        crop = view[1, ::-1, 1:3]
        assert crop.tolist() == [[21, 22], [17, 18], [13, 14]]
        assert (crop.shape, crop.strides, crop.dtype) == ((3, 2), (-4, 1), "uint8")
        assert view.permute(2, 0, 1).flip(0).windows(2).shape == (3, 2, 2, 3)
        memoryview(crop)[0, 0] = 99
        assert data[21] == 99 == crop.copy()[0, 0]
        assert nl.view(memoryview(crop)).tobytes() == crop.tobytes()
        assert "torch" not in sys.modules and "numpy" not in sys.modules
    """)


def test_a_loader_of_views_needs_neither_torch_nor_numpy() -> None:
    without_torch_and_numpy("""
        images = nl.view(bytes(range(240))).reshape(5, 4, 4, 3)
        crop = [T.RandomCrop(2), T.ToDtype("float32", scale=True), T.ChannelsFirst()]
        for workers in (0, 2):
            loader = nl.Loader(
                images, batch_size=2, num_workers=workers, transforms=crop, output="view"
            )
            shapes = [(batch.shape, batch.dtype) for batch in loader]
            assert shapes == [((2, 3, 2, 2), "float32")] * 2 + [((1, 3, 2, 2), "float32")]
        whole = nl.Loader({"x": images}, batch_size=5, output="view")
        assert [batch["x"].tobytes() for batch in whole] == [images.tobytes()]
    """)


def test_what_torch_and_numpy_are_needed_for_says_so() -> None:
    without_torch_and_numpy("""
        view = nl.view(bytearray(4))
        for method, text in ((view.torch, "torch"), (view.numpy, "numpy")):
            try:
                method()
            except ImportError as error:
                assert text in str(error), error
            else:
                raise SystemExit(f"{method} did not fail")
        try:
            view.torch()
        except ImportError as error:
            assert str(error) == "View.torch() needs PyTorch: pip install torch", error
        try:
            view.numpy()
        except ImportError as error:
            assert str(error) == "View.numpy() needs NumPy: pip install numpy", error
    """)


def test_a_device_without_torch_says_what_to_install() -> None:
    without_torch_and_numpy("""
        for settings in ({"device": "cuda"}, {"pin_memory": True}):
            try:
                nl.Loader(bytes(4), batch_size=2, **settings)
            except ImportError as error:
                expected = "pin_memory and device need PyTorch: pip install torch"
                assert str(error) == expected, error
            else:
                raise SystemExit(f"{settings} did not fail")
    """)


def test_a_loader_falls_back_to_views_where_nothing_else_is_installed() -> None:
    without_torch_and_numpy("""
        batches = list(nl.Loader(bytes(4), batch_size=2))
        assert [type(batch) for batch in batches] == [nl.View, nl.View]
    """)


def test_all_names_are_listed_and_there() -> None:
    public = {name for name in vars(nl) if not name.startswith("_")}
    # Submodules that an import leaves behind; users reach what is in them through the package.
    modules = {"cli", "errors", "loader", "testing", "torch"}
    assert public - modules | {"__version__"} == set(nl.__all__)
    assert nl.__all__ == sorted(nl.__all__)
    assert {name for name in vars(_ndlens) if not name.startswith("_")} <= set(nl.__all__)
    defined = {
        name
        for name, value in vars(transforms).items()
        if getattr(value, "__module__", None) == transforms.__name__ and not name.startswith("_")
    }
    assert defined == set(transforms.__all__)
    raised = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert raised <= set(nl.__all__)


def test_dir_lists_what_is_imported_only_when_it_is_asked_for() -> None:
    script = """
        import sys
        import ndlens as nl
        assert {"torch", "view", "Loader", "transforms"} <= set(dir(nl))
        assert dir(nl) == sorted(dir(nl))
        assert "ndlens.torch" not in sys.modules
    """
    assert run(script) == (0, "", "")


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports are Python 3.15's")
def test_a_lazy_import_is_carried_out_at_the_first_use() -> None:
    script = """
        import sys
        lazy import ndlens as nl
        lazy from ndlens import transforms as T
        assert "ndlens" not in sys.modules
        assert nl.view(bytearray(3)).shape == (3,)
        assert T.Normalize([0.5], [0.5]) is not None
        assert "torch" not in sys.modules
    """
    assert run(script) == (0, "", "")


def documented() -> Iterator[tuple[str, object]]:
    yield "ndlens", nl
    for name in nl.__all__:
        yield name, getattr(nl, name)
    for name in transforms.__all__:
        yield f"transforms.{name}", getattr(transforms, name)
    for cls in (nl.View, nl.Loader, nl.Epoch):
        for name, member in vars(cls).items():
            if not name.startswith("_"):
                yield f"{cls.__name__}.{name}", member


@pytest.mark.parametrize(
    ("name", "thing"), list(documented()), ids=[name for name, _ in documented()]
)
def test_every_public_name_has_a_docstring(name: str, thing: object) -> None:
    doc = inspect.getdoc(thing)
    assert doc
    assert doc.strip(), name


def test_classes_say_that_they_are_at_home_in_ndlens() -> None:
    for cls in (nl.View, nl.Loader, nl.Epoch):
        assert cls.__module__ == "ndlens"
    for error in (nl.CopyRequired, nl.ReadOnlyError, nl.FormatError, nl.TruncatedError):
        assert error.__module__ == "ndlens.errors"


def compiled() -> Iterator[tuple[str, str]]:
    """Docstrings with examples in the extension module, where doctest does not look."""
    for name, thing in vars(_ndlens).items():
        members = [(name, thing)]
        if inspect.isclass(thing):
            members += [
                (f"{name}.{attribute}", member) for attribute, member in vars(thing).items()
            ]
        for path, member in members:
            doc = getattr(member, "__doc__", None)
            if isinstance(doc, str) and ">>>" in doc:
                yield path, doc


def test_the_compiled_half_has_examples() -> None:
    assert {"view", "View", "View.windows"} <= {path for path, _ in compiled()}


@pytest.mark.parametrize(("path", "doc"), list(compiled()), ids=[path for path, _ in compiled()])
def test_the_examples_of_the_compiled_half_run(path: str, doc: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(doc), {}, path, None, None)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=flags).run(test, out=report.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(report)


def test_an_interrupt_while_torch_is_imported_is_no_missing_torch() -> None:
    script = """
        import sys

        class Interrupted:
            def find_spec(self, name, path=None, target=None):
                if name == "torch":
                    raise KeyboardInterrupt

        import ndlens as nl
        sys.meta_path.insert(0, Interrupted())
        try:
            nl.view(bytearray(3)).torch()
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run(script) == (0, "interrupted\n", "")
