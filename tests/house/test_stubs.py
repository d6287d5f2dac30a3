"""Docstrings: every public name has one, and help and the stub agree."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import ndlens as nl
from ndlens import _ndlens, errors, transforms
from ndlens._typing import Settings

STUB = Path(nl.__file__).with_name("_ndlens.pyi")
Documentable = ast.FunctionDef | ast.ClassDef

# Written in Python, where editors find what they show.
MODULES: dict[str, ModuleType] = {
    "ndlens": nl,
    "ndlens.errors": errors,
    "ndlens.testing": nl.testing,
    "ndlens.torch": nl.torch,
    "ndlens.transforms": transforms,
}


def described(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """The names of a stub and of its classes, with the docstring of each."""
    documented: dict[str, str | None] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, Documentable):
            # Of an overloaded function, one carries it.
            doc = documented.get(prefix + node.name) or ast.get_docstring(node)
            documented[prefix + node.name] = doc
            if isinstance(node, ast.ClassDef):
                documented.update(described(node.body, f"{prefix}{node.name}."))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match after:
                case ast.Expr(ast.Constant(str(doc))):
                    documented[prefix + node.target.id] = doc
                case _:
                    documented[prefix + node.target.id] = None
    yield from documented.items()


STUBBED = dict(described(ast.parse(STUB.read_text()).body))


def is_public(name: str) -> bool:
    return name == "__version__" or not any(part.startswith("_") for part in name.split("."))


def first_sentence(doc: str) -> str:
    """A docstring up to its first full stop, in one line; code holds none that counts."""
    text = " ".join(doc.split("\n\n")[0].split())
    sentence = re.match(r"(`[^`]*`|[^`.]|\.(?!\s|$))*\.?", text)
    return sentence[0] if sentence else text


@pytest.mark.parametrize("name", [name for name in STUBBED if is_public(name)])
def test_every_public_name_has_a_docstring_in_the_stub(name: str) -> None:
    assert STUBBED[name], f"{STUB.name}: {name} has no docstring"


def test_the_stub_has_all_that_the_compiled_half_exports() -> None:
    exported = {name for name in vars(_ndlens) if not name.startswith("_")}
    for name in list(exported):
        thing = getattr(_ndlens, name)
        if inspect.isclass(thing):
            exported |= {f"{name}.{member}" for member in vars(thing)}
    assert {name for name in exported if is_public(name)} <= set(STUBBED)


@pytest.mark.parametrize(
    "name", [name for name in STUBBED if is_public(name) and name != "__version__"]
)
def test_help_and_the_stub_begin_with_the_same_sentence(name: str) -> None:
    thing: object = _ndlens
    for part in name.split("."):
        thing = inspect.getattr_static(thing, part)
    said = inspect.getdoc(thing)
    assert said, f"{name} has no docstring at run time"
    assert first_sentence(said) == first_sentence(STUBBED[name] or "")


def written_in_python() -> Iterator[tuple[str, object]]:
    for path, module in MODULES.items():
        yield path, module
        public = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
        for name in public:
            thing = getattr(module, name)
            if getattr(thing, "__module__", None) in (path, f"{path}.loader", f"{path}._arrays"):
                yield f"{path}.{name}", thing
            if inspect.isclass(thing) and name not in STUBBED:
                for member, value in vars(thing).items():
                    if not member.startswith("_") and (
                        inspect.isroutine(value) or isinstance(value, property)
                    ):
                        yield f"{path}.{name}.{member}", value


@pytest.mark.parametrize(
    ("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in written_in_python()]
)
def test_every_public_name_that_is_written_in_python_has_a_docstring(
    name: str, thing: object
) -> None:
    assert inspect.getdoc(thing), name


@pytest.mark.parametrize(
    "name", [name for name in transforms.__all__ if inspect.isclass(getattr(transforms, name))]
)
def test_a_transform_documents_each_of_its_parameters(name: str) -> None:
    cls = getattr(transforms, name)
    doc = inspect.getdoc(cls) or ""
    for parameter in list(inspect.signature(cls.__init__).parameters)[1:]:
        if cls.__init__ is not object.__init__:
            assert re.search(rf"^    {parameter}: ", doc, re.MULTILINE), parameter


def test_the_loader_documents_each_of_its_keywords_in_their_order() -> None:
    doc = inspect.getdoc(nl.Loader) or ""
    arguments = doc.split("Args:\n")[1].split("\n\n")[0]
    named = re.findall(r"^    (\w+): ", arguments, re.MULTILINE)
    assert named == list(inspect.signature(nl.Loader).parameters)


def test_checkers_know_each_keyword_of_the_loader() -> None:
    keywords = list(inspect.signature(nl.Loader).parameters)[1:]
    # These two say what a batch is, and are in the overloads.
    rest = [name for name in keywords if name not in ("output", "return_params")]
    assert list(Settings.__annotations__) == rest
