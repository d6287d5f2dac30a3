"""A list of transforms, read from a text without running it.

The text is parsed, and only this is taken: calls of transforms by name, with numbers, strings,
booleans, None, lists, tuples and such calls as arguments. Anything else is refused, with the column
where it stands. `MODULE:NAME` is different: it imports the user's code, as it says.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import transforms as T
from ..report import Failure

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["transforms_of"]

_PLACE = re.compile(r"(?P<module>[\w./~-]+):(?P<name>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)")
_OURS = {"T", "transforms"}
_LONGEST = 10_000
_SHOWN = 90
_NAMES_SHOWN = 12


def transforms_of(text: str) -> Any:
    """The transforms that a text names.

    Args:
        text: `RandomCrop(256), RandomHorizontalFlip()`, or such a list in brackets, or
            `MODULE:NAME`, or `FILE.py:NAME`.

    Returns:
        A list, or what the user's module has by that name.

    Raises:
        Failure: The text is something else. The message has the column.
    """
    if place := _PLACE.fullmatch(text.strip()):
        return _of_module(place["module"], place["name"])
    if len(text) > _LONGEST:
        raise Failure(f"--transforms has {len(text)} characters, more than {_LONGEST}")
    try:
        return _Reader(text).read()
    except (MemoryError, RecursionError) as error:
        raise Failure("--transforms is nested too deeply") from error


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.splitlines() or [""]
        # Several lines are one expression in brackets; one line has better errors without. `shift`
        # is what the first line of the text has before that of the code.
        if len(self.lines) > 1:
            self.code, self.shift = f"[{text}\n]", -1
        else:
            self.code = text.strip()
            self.shift = len(text) - len(text.lstrip())

    def read(self) -> list[Any]:
        if not self.text.strip():
            return []
        try:
            tree = ast.parse(self.code, mode="eval").body
        except SyntaxError as error:
            line = error.lineno or 1
            column = (error.offset or 1) - 1 + (self.shift if line == 1 else 0)
            raise self._failure_at(line, column, error.msg) from error
        except ValueError as error:  # a null byte
            raise Failure(f"--transforms: {error}") from error
        steps = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
        if len(steps) == 1 and isinstance(steps[0], ast.List | ast.Tuple):
            steps = steps[0].elts
        read: list[Any] = []
        for step in steps:
            if not isinstance(step, ast.Call):
                raise self._failure(step, "expected a transform, such as RandomCrop(256)")
            made = self._call(step)
            # `Compose` of ours gives a list.
            read += made if isinstance(made, list) else [made]
        return read

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            if node.value is None or isinstance(node.value, bool | int | float | str):
                return node.value
            raise self._failure(node, "expected a number, a string, True, False or None")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            value = self._value(node.operand)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._failure(node, "expected a number after the sign")
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.List):
            return [self._value(element) for element in node.elts]
        if isinstance(node, ast.Tuple):
            return tuple(self._value(element) for element in node.elts)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Name):
            raise self._failure(
                node, f"{node.id} is a name: names are not read, write the value itself"
            )
        if isinstance(node, ast.BinOp):
            raise self._failure(node, "nothing is computed: write the number itself")
        raise self._failure(node, "expected a number, a string, a list or a transform")

    def _attribute(self, node: ast.Attribute) -> Any:
        """`torch.float32` and `InterpolationMode.BILINEAR`, which torchvision's transforms take."""
        names = ast.unparse(node).split(".")
        if len(names) == 2 and names[0] == "torch":
            torch = self._import(node, "torch")
            found = getattr(torch, names[1], None)
            if isinstance(found, torch.dtype):
                return found
        elif names[-2:-1] == ["InterpolationMode"] and names[:-2] in ([], ["v2"]):
            modes = self._import(node, "torchvision.transforms.v2").InterpolationMode
            if names[-1] in modes.__members__:
                return modes[names[-1]]
        raise self._failure(node, f"{'.'.join(names)} is not read: a dtype is written as 'float32'")

    def _call(self, node: ast.Call) -> Any:
        make = self._transform(node.func)
        arguments = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self._failure(argument, "arguments are written one by one, without *")
            arguments.append(self._value(argument))
        keywords = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._failure(keyword.value, "arguments are written one by one, without **")
            keywords[keyword.arg] = self._value(keyword.value)
        try:
            return make(*arguments, **keywords)
        except (TypeError, ValueError, OverflowError, ImportError, AttributeError) as error:
            raise self._failure(node, f"{ast.unparse(node.func)}: {error}") from error

    def _transform(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self._ours(node, node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in _OURS:
                return self._ours(node, node.attr)
            if node.value.id == "v2":
                return self._torchvisions(node)
        raise self._failure(
            node, "expected the name of a transform, such as RandomCrop, or v2.X of torchvision"
        )

    def _ours(self, node: ast.expr, name: str) -> Any:
        classes = {
            each: getattr(T, each) for each in T.__all__ if inspect.isclass(getattr(T, each))
        }
        found = classes.get(name)
        if found is not None and issubclass(found, T.BatchTransform):
            raise self._failure(node, f"{name} mixes whole batches: a sheet shows items")
        known = {"Compose": T.Compose} | {
            each: cls
            for each, cls in classes.items()
            if issubclass(cls, T.Transform) and cls is not T.Transform
        }
        if name in known:
            return known[name]
        if hint := T._ELSEWHERE.get(name):
            raise self._failure(node, f"ndlens.transforms has no {name}: {hint}")
        near = difflib.get_close_matches(name, known, 1)
        hint = f": did you mean {near[0]}?" if near else f"; torchvision's is written v2.{name}"
        raise self._failure(node, f"ndlens.transforms has no {name}{hint}")

    def _torchvisions(self, node: ast.Attribute) -> Any:
        v2 = self._import(node, "torchvision.transforms.v2")
        found = getattr(v2, node.attr, None)
        if inspect.isclass(found) and issubclass(found, v2.Transform):
            return found
        raise self._failure(node, f"torchvision.transforms.v2 has no transform {node.attr}")

    def _import(self, node: ast.expr, module: str) -> Any:
        try:
            return importlib.import_module(module)
        except ImportError as error:
            project = module.partition(".")[0]
            what = f"{ast.unparse(node)} needs {project}: pip install {project}"
            raise self._failure(node, what) from error

    def _failure(self, node: ast.expr, message: str) -> Failure:
        line = node.lineno
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        # Python counts bytes.
        column = node.col_offset + (self.shift if line == 1 else 0)
        return self._failure_at(line, len(text.encode()[:column].decode(errors="ignore")), message)

    def _failure_at(self, line: int, column: int, message: str) -> Failure:
        line = min(line, len(self.lines))
        text = self.lines[line - 1]
        column = min(max(column, 0), len(text))
        one = len(self.lines) == 1
        where = f"column {column + 1}" if one else f"line {line}, column {column + 1}"
        # Of a long line, what is around the column.
        start = max(0, column - _SHOWN // 2)
        text = text[start : start + _SHOWN]
        mark = " " * (column - start)
        return Failure(f"--transforms, {where}: {message}\n  {text}\n  {mark}^")


def _of_module(module: str, name: str) -> Any:
    if module.endswith(".py"):
        loaded = _of_file(Path(module).expanduser())
    else:
        # As `python -m` does.
        if "" not in sys.path:
            sys.path.insert(0, "")
        try:
            loaded = importlib.import_module(module)
        except Exception as error:
            raise _failed_import(module, error) from error
    found: Any = loaded
    for attribute in name.split("."):
        if not hasattr(found, attribute):
            raise Failure(f"--transforms: {module} has no {name}{_lists_in(found)}")
        found = getattr(found, attribute)
    return list(found) if isinstance(found, tuple) else found


def _lists_in(owner: Any) -> str:
    """The names of the lists of transforms in a module or class of the user's."""
    names = [
        name
        for name, value in getattr(owner, "__dict__", {}).items()
        if not name.startswith("_") and _are_transforms(value)
    ]
    if not names:
        return ", and no list of transforms"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"; its transforms are {', '.join(names[:_NAMES_SHOWN])}{more}"


def _are_transforms(value: Any) -> bool:
    """Whether a value is a transform, or a list of them, of ndlens or of torchvision."""
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_are_transforms, value))
    module = type(value).__module__.partition(".")[0]
    return isinstance(value, T.Transform) or (module == "torchvision" and hasattr(value, "forward"))


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise Failure(f"--transforms: there is no file {path}")
    # As `python FILE.py` does: it finds the modules beside it.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A name of its own: the file may be called as a module that others import.
    spec = importlib.util.spec_from_file_location(f"__preview_{path.stem}__", path)
    if spec is None or spec.loader is None:
        raise Failure(f"--transforms: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _failed_import(str(path), error) from error
    return module


def _failed_import(module: str, error: Exception) -> Failure:
    """What the user's code raised, and where: the last line that is not of ndlens or Python."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _passes_on(frame.filename)]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    what = f"{type(error).__name__}: {error}"
    return Failure(f"--transforms: cannot import {module}: {what}{where}")


def _passes_on(filename: str) -> bool:
    """Whether a line of a traceback is of ndlens or of Python's import system."""
    folders = (Path(T.__file__).parents[1], Path(importlib.__file__).parent)
    return filename.startswith("<") or any(folder in Path(filename).parents for folder in folders)
