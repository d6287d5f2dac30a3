"""Circles in a graph of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

# For each file the files that it imports from, and the names that it takes of each.
Graph = Mapping[Path, Mapping[Path, set[str]]]


def circles(graph: Graph) -> list[list[Path]]:
    """The files that reach each other, circle by circle, the largest first.

    Tarjan, "Depth-first search and linear graph algorithms", 1972.
    """
    number: dict[Path, int] = {}
    lowest: dict[Path, int] = {}
    stack: list[Path] = []
    found: list[list[Path]] = []

    def visit(file: Path) -> None:
        number[file] = lowest[file] = len(number)
        stack.append(file)
        for target in graph.get(file, {}):
            if target not in number:
                visit(target)
                lowest[file] = min(lowest[file], lowest[target])
            elif target in stack:
                lowest[file] = min(lowest[file], number[target])
        if lowest[file] == number[file]:
            at = stack.index(file)
            component, stack[at:] = stack[at:], []
            if len(component) > 1:
                found.append(sorted(component))

    for file in sorted(graph):
        if file not in number:
            visit(file)
    return sorted(found, key=lambda component: (-len(component), component))


def describe(graph: Graph, root: Path) -> Iterator[str]:
    """Each circle in lines of text: the files, and what each takes from which other."""
    for circle in circles(graph):
        yield f"{len(circle)} files import each other in a circle"
        for file in circle:
            for target, names in sorted(graph[file].items()):
                if target in circle:
                    whole = {name for name in names if name.rpartition("::")[0] not in names}
                    taken = ", ".join(sorted(whole))
                    yield (
                        f"  {file.relative_to(root)} takes from {target.relative_to(root)}: {taken}"
                    )
