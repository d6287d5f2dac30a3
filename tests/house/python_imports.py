"""Which module of a Python package imports from which.

What counts, and what does not:

- Imports anywhere in a file count, also those in functions: a circle is one, whenever it closes.
- A name that the package re-exports is followed to the module that defines it. `import package`
  is an import of what its attributes name.
- A package that imports a name only to hand it on does not import from the module.
- Imports under `if TYPE_CHECKING:` do not count: they never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


class Source:
    """A module: its file, its name, what its names stand for elsewhere, and what its code uses."""

    def __init__(self, file: Path, name: str) -> None:
        self.file, self.name = file, name
        self.package = name if file.stem == "__init__" else name.rpartition(".")[0]
        # What a name of this module is in the package: ("ndlens.loader", "Loader"); None in place
        # of the second for the module itself.
        self.names: dict[str, tuple[str, str | None]] = {}
        self.attributes: set[tuple[str, ...]] = set()
        self.used: set[str] = set()
        # A stub alone stands for an extension module, which imports nothing.
        if file.suffix == ".py":
            self.visit(ast.parse(file.read_text()))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for branch in node.orelse:
                self.visit(branch)
            return
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.names[alias.asname or top] = (alias.name if alias.asname else top, None)
                if not alias.asname and alias.name != top:
                    self.attributes.add(tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self.names[alias.asname or alias.name] = (self.absolute(node), alias.name)
        elif isinstance(node, ast.Attribute):
            chain, value = [node.attr], node.value
            while isinstance(value, ast.Attribute):
                chain.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name):
                self.attributes.add((value.id, *reversed(chain)))
        elif isinstance(node, ast.Name):
            self.used.add(node.id)
        for below in ast.iter_child_nodes(node):
            self.visit(below)

    def absolute(self, node: ast.ImportFrom) -> str:
        """The full name of the module that `from .. import` imports from."""
        if not node.level:
            return node.module or ""
        base = self.package.split(".")
        base = base[: len(base) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])


class Package:
    """The modules of a package, by their full names."""

    def __init__(self, root: Path) -> None:
        self.modules: dict[str, Source] = {}
        for file in sorted([*root.rglob("*.pyi"), *root.rglob("*.py")]):
            if file.suffix == ".pyi" and file.with_suffix(".py").exists():
                continue
            parts = file.relative_to(root.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = Source(file, name)

    def find(self, module: str, names: list[str], seen: frozenset[str] = frozenset()) -> str | None:
        """The module that defines `names`, seen from `module`; None outside the package."""
        if module not in self.modules:
            return None
        if not names:
            return module
        if f"{module}.{names[0]}" in self.modules:
            return self.find(f"{module}.{names[0]}", names[1:], seen)
        target = self.modules[module].names.get(names[0])
        key = f"{module}:{names[0]}"
        if target is None or key in seen:
            return module
        return self.find(target[0], [*([target[1]] if target[1] else []), *names[1:]], seen | {key})

    def taken(self, source: Source) -> Iterator[tuple[str, str | None]]:
        """What a module takes from elsewhere, and the modules that define it."""
        for name, (module, item) in source.names.items():
            if item is None:
                continue  # `import module`: its attributes say what is taken
            defined = self.find(module, [item])
            if source.file.stem == "__init__" and name not in source.used:
                continue  # handed on
            if f"{module}.{item}" in self.modules:
                continue  # `from package import module`: likewise
            yield item, defined
        for chain in source.attributes:
            target = source.names.get(chain[0])
            if target is not None:
                start = [*([target[1]] if target[1] else []), *chain[1:]]
                yield ".".join(chain), self.find(target[0], start)

    def imports(self) -> dict[Path, dict[Path, set[str]]]:
        graph: dict[Path, dict[Path, set[str]]] = {}
        for source in self.modules.values():
            graph[source.file] = {}
            for name, module in self.taken(source):
                if module is not None and self.modules[module].file != source.file:
                    target = self.modules[module].file
                    graph[source.file].setdefault(target, set()).add(name)
        return graph


def imports(root: Path) -> dict[Path, dict[Path, set[str]]]:
    """For each file of the package in the folder `root` the files that it imports from."""
    return Package(root).imports()
