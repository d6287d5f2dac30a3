"""Which file of a Rust crate imports from which: what `use` and paths in its code resolve to.

What counts, and what does not:

- `use crate::..`, `use super::..`, `use child::..`, and such paths in code, are imports from the
  file that *defines* the item. A name that a module re-exports is followed to its definition.
- A file that declares a child and re-exports from it (`mod x; pub use x::X;`) imports from the
  child only if its own code uses the name.
- Test code does not count: items under `#[cfg(test)]`, files that are declared under it.
- Methods, trait implementations and macros by textual scope are no imports.

This is a reader of tokens, not a compiler: it knows modules, items and `use`, and no types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(
    r"""
      (?P<skip> \s+ | //[^\n]* )
    | (?P<block> /\* )
    | (?P<raw> (?:b|c)?r(?P<hashes>\#*)" )
    | (?P<string> (?:b|c)?"(?:[^"\\]|\\.)*" )
    | (?P<char> b?'(?:[^'\\]|\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.))' )
    | (?P<lifetime> '\w+ )
    | (?P<word> (?:r\#)?\w+ )
    | (?P<path> :: )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_EDGE = re.compile(r"/\*|\*/")
DEFINES = {"fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod"}
# What an item may start with, unlike a field, a variant or an argument: no comma ends it.
STARTS = DEFINES | {"pub", "use", "impl", "unsafe", "async", "extern", "macro_rules", "let"}
OPEN, CLOSE = {"{": "}", "(": ")", "[": "]"}, {"}", ")", "]"}

ModulePath = tuple[str, ...]

# The file of what other crates define.
ELSEWHERE = Path()


@dataclass(frozen=True)
class Use:
    """One name that a `use` brings into a module: `use path as alias;`, alias "*" for all names."""

    path: tuple[str, ...]
    alias: str
    public: bool


@dataclass
class Module:
    """A module: the file it is in, what it defines, imports and declares, and paths in its code."""

    file: Path
    items: set[str] = field(default_factory=set)
    uses: list[Use] = field(default_factory=list)
    paths: set[tuple[str, ...]] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


def tokens(source: str) -> list[str]:
    """The tokens of a source file without comments; strings and characters are `""`."""
    return [token for token, _, _ in placed_tokens(source)]


def placed_tokens(source: str) -> Iterator[tuple[str, int, int]]:
    """As `tokens`, with the places where they begin and end."""
    at = 0
    while at < len(source):
        match = TOKEN.match(source, at)
        assert match is not None
        start, at = at, match.end()
        if match["block"]:
            depth = 1
            while depth:
                edge = COMMENT_EDGE.search(source, at)
                if edge is None:
                    return
                depth += 1 if edge[0] == "/*" else -1
                at = edge.end()
        elif match["raw"]:
            at = source.index('"' + match["hashes"], at) + 1 + len(match["hashes"])
            yield '""', start, at
        elif match["string"] or match["char"]:
            yield '""', start, at
        elif match["word"]:
            yield match["word"].removeprefix("r#"), start, at
        elif match["path"] or match["sign"]:
            yield match[0], start, at


def closing(tokens: list[str], at: int) -> int:
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for place in range(at, len(tokens)):
        depth += (tokens[place] in OPEN) - (tokens[place] in CLOSE)
        if depth == 0:
            return place
    return len(tokens) - 1


def end_of_item(tokens: list[str], at: int) -> int:
    """The place after the item that starts at `at`: after its `;`, or its block."""
    item = tokens[at : at + 1] and tokens[at] in STARTS
    while at < len(tokens):
        if tokens[at] == ";":
            return at + 1
        if tokens[at] in OPEN:
            block = tokens[at] == "{"
            at = closing(tokens, at)
            if block and (at + 1 == len(tokens) or tokens[at + 1] not in (";", ".", "?", ",")):
                return at + 1
        elif tokens[at] in CLOSE or (tokens[at] == "," and not item):
            return at
        at += 1
    return at


def is_test(attribute: list[str]) -> bool:
    """Whether an attribute keeps what it is on out of builds that are not for tests."""
    text = "".join(attribute)
    return text.startswith("cfg(") and bool(re.search(r"(?<!not\()\btest\b", text))


def use_tree(tokens: list[str], prefix: tuple[str, ...], public: bool) -> Iterator[Use]:
    """The names that the tree of a `use` brings: `a::{b, c as d, e::*}`."""
    path, at = prefix, 0
    while at < len(tokens):
        token = tokens[at]
        if token == "{":
            end, start = closing(tokens, at), at + 1
            while start < end:
                stop = start
                while stop < end and tokens[stop] != ",":
                    stop = closing(tokens, stop) + 1 if tokens[stop] == "{" else stop + 1
                yield from use_tree(tokens[start:stop], path, public)
                start = stop + 1
            return
        if token == "*":
            yield Use(path, "*", public)
            return
        if token == "as":
            yield Use(path, tokens[at + 1], public)
            return
        if token not in ("::", "$"):
            path = path if token == "self" and path else (*path, token)
        at += 1
    if path:
        yield Use(path, path[-1], public)


class Crate:
    """The modules of a crate, by their paths."""

    def __init__(self, source: Path) -> None:
        self.modules: dict[ModulePath, Module] = {}
        self.exported_macros: dict[str, Path] = {}
        for name in ("lib.rs", "main.rs"):
            if (source / name).exists():
                self.read(source / name, ())
                break

    def read(self, file: Path, path: ModulePath) -> None:
        """Reads a file and the files of the modules that it declares."""
        found = tokens(file.read_text())
        if found[:3] == ["#", "!", "["] and is_test(found[3 : closing(found, 2)]):
            return
        self.modules[path] = Module(file)
        self.walk(found, path, file)

    def walk(self, found: list[str], path: ModulePath, file: Path) -> None:
        """Reads what is in a module, be it a file or between braces."""
        module, at, depth, public, exported = self.modules[path], 0, 0, False, False
        while at < len(found):
            token = found[at]
            if token == "#" and found[at + 1 : at + 2] == ["["]:
                end = closing(found, at + 1)
                attribute = found[at + 2 : end]
                at = end + 1
                exported |= attribute == ["macro_export"]
                if is_test(attribute):
                    while found[at : at + 2] == ["#", "["]:
                        at = closing(found, at + 1) + 1
                    at = end_of_item(found, at)
                continue
            if token == "pub":
                public = True
                at = closing(found, at + 1) + 1 if found[at + 1] == "(" else at + 1
                continue
            if token == "use" and found[at + 1] != "<":
                end = found.index(";", at)
                module.uses += use_tree(found[at + 1 : end], (), public)
                at = end + 1
            elif token == "mod" and depth == 0:
                at = self.declared(found, at, path, file)
            elif token == "macro_rules" and found[at + 1] == "!":
                module.items.add(found[at + 2])
                if exported:
                    self.exported_macros[found[at + 2]] = file
                at += 3
            elif token in DEFINES and depth == 0 and re.match(r"\w", found[at + 1]):
                after = at + 2 if found[at + 1] in ("mut", "unsafe", "fn", "extern") else at + 1
                module.items.add(found[after])
                at += 1
            else:
                depth += (token in OPEN) - (token in CLOSE)
                at = self.path_at(found, at, module) if re.match(r"\w", token) else at + 1
            public = exported = False

    def declared(self, found: list[str], at: int, path: ModulePath, file: Path) -> int:
        """Reads a child module, from its file or between its braces, and says where it ends."""
        name, child = found[at + 1], (*path, found[at + 1])
        if found[at + 2] == "{":
            end = closing(found, at + 2)
            self.modules[child] = Module(file)
            self.walk(found[at + 3 : end], child, file)
            return end + 1
        # A module between braces looks for its children's files in a folder of its own name.
        inner = path[len(self.path_of(file)) :]
        home = file.parent if file.stem in ("lib", "main", "mod") else file.parent / file.stem
        for place in (
            home.joinpath(*inner, f"{name}.rs"),
            home.joinpath(*inner, name, "mod.rs"),
        ):
            if place.exists():
                self.read(place, child)
        return at + 3

    def path_of(self, file: Path) -> ModulePath:
        """The path of the module that is the whole of a file."""
        return next(path for path, module in self.modules.items() if module.file == file)

    def path_at(self, found: list[str], at: int, module: Module) -> int:
        """Takes up the path of names at a place in code, and says where it ends."""
        path = [found[at]]
        if found[at - 1 : at] in (["."], ["::"]) and at:
            return at + 1  # a method, a field, or what comes after a type's arguments
        while found[at + 1 : at + 2] == ["::"] and re.match(r"[a-zA-Z_]\w*", found[at + 2]):
            path.append(found[at + 2])
            at += 2
        module.words.add(path[0])
        if len(path) > 1:
            module.paths.add(tuple(path))
        return at + 1

    # Resolution.

    def absolute(self, path: tuple[str, ...], at: ModulePath) -> tuple[ModulePath, list[str]]:
        """The module that a path starts from, and the names that are left of it."""
        rest, here = list(path), at
        if rest[0] == "crate":
            return (), rest[1:]
        while rest and rest[0] in ("self", "super"):
            here = here[:-1] if rest[0] == "super" else here
            rest = rest[1:]
        return here, rest

    def find(
        self, here: ModulePath, names: list[str], seen: frozenset[tuple[ModulePath, str]]
    ) -> Path | None:
        """The file that defines what `names` are, seen from a module; None where none is known."""
        module = self.modules.get(here)
        if module is None:
            return None
        if not names:
            return module.file
        name, rest = names[0], names[1:]
        if (*here, name) in self.modules:
            return self.find((*here, name), rest, seen)
        if name in module.items:
            return module.file
        if not here and name in self.exported_macros:
            return self.exported_macros[name]
        if (here, name) in seen:
            return None
        seen |= {(here, name)}
        for use in module.uses:
            if use.alias == name:
                return self.follow(use.path, here, rest, seen)
        for use in module.uses:
            if use.alias == "*":
                file = self.follow(use.path, here, [name, *rest], seen)
                if file not in (None, ELSEWHERE):
                    return file
        return None

    def follow(
        self,
        path: tuple[str, ...],
        here: ModulePath,
        rest: list[str],
        seen: frozenset[tuple[ModulePath, str]],
    ) -> Path | None:
        """The file that defines what a `use` names, and what is taken of that."""
        start, names = self.absolute(path, here)
        if start == here and path[0] not in ("self", "super", "crate"):
            # A child, an item, an alias; else a crate.
            module = self.modules[here]
            known = {use.alias for use in module.uses if use.path != path} | module.items
            if (*here, names[0]) not in self.modules and names[0] not in known:
                return ELSEWHERE
        return self.find(start, names + rest, seen)

    def deepest(self, start: ModulePath, names: list[str]) -> Path | None:
        """The file of the last module on a path: where a macro may define what is not seen."""
        while names and (*start, names[0]) in self.modules:
            start, names = (*start, names[0]), names[1:]
        return self.modules[start].file if start in self.modules else None

    def imports(self) -> dict[Path, dict[Path, set[str]]]:
        """For each file the files that it imports from, and the names that it takes."""
        graph: dict[Path, dict[Path, set[str]]] = {
            module.file: {} for module in self.modules.values()
        }
        for here, module in self.modules.items():
            for name, target in self.taken(here, module):
                if target not in (None, ELSEWHERE, module.file):
                    graph[module.file].setdefault(target, set()).add(name)
        return graph

    def taken(self, here: ModulePath, module: Module) -> Iterator[tuple[str, Path | None]]:
        """What a module takes from elsewhere, and the files that define it."""
        for use in module.uses:
            start, names = self.absolute(use.path, here)
            if use.alias == "*":
                for word in module.words:
                    if word not in module.items:
                        yield word, self.follow(use.path, here, [word], frozenset())
                continue
            if (*start, *names) in self.modules:
                continue  # a module: what is taken of it stands in paths
            child = any((*here, *names[:length]) in self.modules for length in range(1, len(names)))
            if use.public and start == here and child and use.alias not in module.words:
                continue  # a child's name, handed on
            file = self.follow(use.path, here, [], frozenset())
            yield use.path[-1], self.deepest(start, names) if file is None else file
        for path in module.paths:
            if path[0] in ("crate", "self", "super"):
                start, names = self.absolute(path, here)
                file = self.find(start, names, frozenset())
                yield "::".join(path), self.deepest(start, names) if file is None else file
            elif (*here, path[0]) in self.modules or any(
                use.alias == path[0] for use in module.uses
            ):
                yield "::".join(path), self.find(here, list(path), frozenset())


def imports(source: Path) -> dict[Path, dict[Path, set[str]]]:
    """For each file of the crate in `source` the files that it imports from."""
    return Crate(source).imports()
