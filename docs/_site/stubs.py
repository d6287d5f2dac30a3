"""What griffe, which reads stubs and sources for the reference, needs to know about ours.

- A function of a stub may be overloads alone, without the function that a module in Python has
  after them. griffe then knows overloads of a name that is no member. The overload that carries the
  docstring takes the member's place.
  Its parameters have the types of all overloads.
- Types with private names, such as `_Path`, are shown as what they stand for.
- Examples stand at the end of a docstring without a heading, as `>>>` is one to readers of the
  source. They get the section that Google's style has for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from functools import reduce
from typing import Any

from griffe import (
    Alias,
    Attribute,
    Class,
    Expr,
    ExprBinOp,
    ExprName,
    Extension,
    Function,
    Module,
    Object,
    ParameterKind,
    Parameters,
)

PROMPT = ">>> "


class Stubs(Extension):
    """Completes what is read, before anything is shown."""

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Add the methods of a class that are overloads alone."""
        add_overloaded(cls)

    def on_module_members(self, *, mod: Module, **_: Any) -> None:
        """Add the functions of a module that are overloads alone, and spell its types out."""
        add_overloaded(mod)
        spell_out(mod, private_types(mod))

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Put the examples of a docstring into their section."""
        if obj.docstring is not None:
            obj.docstring.value = with_examples(obj.docstring.value)


def add_overloaded(holder: Class | Module) -> None:
    """Make a member of each name that has overloads alone."""
    missing = {name: of for name, of in holder.overloads.items() if name not in holder.members}
    for name, overloads in missing.items():
        shown = next((one for one in overloads if one.docstring), overloads[0])
        function = Function(
            name,
            lineno=overloads[0].lineno,
            endlineno=overloads[-1].endlineno,
            parameters=with_all_types(shown.parameters, overloads),
            returns=shown.returns,
            docstring=shown.docstring,
            runtime=False,
        )
        function.overloads = list(overloads)
        holder.set_member(name, function)
    if missing:
        # Where they stand in the source, not behind the others.
        holder.members = dict(sorted(holder.members.items(), key=lambda item: line_of(item[1])))


def with_all_types(shown: Parameters, overloads: Sequence[Function]) -> Parameters:
    """Parameters with the type that each has in any of some overloads that return."""
    returning = [one for one in overloads if str(one.returns) != "NoReturn"]
    combined = []
    for parameter in shown:
        of_name = [
            one.parameters[parameter.name] for one in returning if parameter.name in one.parameters
        ]
        combined.append(copy(parameter))
        types = [one.annotation for one in of_name if one.annotation is not None]
        if "Any" not in map(str, types):
            combined[-1].annotation = union(types) if types else None
        else:
            combined[-1].annotation = "Any"
    return Parameters(*combined)


def union(types: Sequence[Expr | str]) -> Expr | str:
    """The union of types, each once."""
    parts: dict[str, Expr | str] = {}
    todo = list(types)
    while todo:
        part = todo.pop(0)
        if isinstance(part, ExprBinOp) and part.operator == "|":
            todo[:0] = [part.left, part.right]
        else:
            parts.setdefault(str(part), part)
    return reduce(lambda left, right: ExprBinOp(left, "|", right), parts.values())


def private_types(mod: Module) -> dict[str, Expr]:
    """The types with a private name that a module defines, and what they stand for."""
    return {
        name: member.value
        for name, member in mod.members.items()
        if name.startswith("_")
        and isinstance(member, Attribute)
        and str(member.annotation) == "TypeAlias"
        and isinstance(member.value, Expr)
    }


def spell_out(holder: Module | Class, types: dict[str, Expr]) -> None:
    """Replace private names in the types of parameters and results."""
    for name, member in holder.members.items():
        if isinstance(member, Class):
            spell_out(member, types)
        elif isinstance(member, Function):
            for function in (
                member,
                *(holder.overloads.get(name) or []),
                *(member.overloads or []),
            ):
                for parameter in function.parameters:
                    parameter.annotation = spelled(parameter.annotation, types)
                    if parameter.kind is ParameterKind.var_positional:
                        # griffe says that they default to `()`.
                        parameter.default = None
                function.returns = spelled(function.returns, types)


def spelled(part: Any, types: dict[str, Expr]) -> Any:
    """A type without private names."""
    if isinstance(part, ExprName):
        return spelled(types[part.name], types) if part.name in types else part
    if isinstance(part, Expr):
        changed = copy(part)
        for field in fields(part):  # of every kind of expression
            if field.name != "parent":
                setattr(changed, field.name, spelled(getattr(part, field.name), types))
        is_union = isinstance(changed, ExprBinOp) and changed.operator == "|"
        return union([changed]) if is_union else changed
    return [spelled(one, types) for one in part] if isinstance(part, list | tuple) else part


def line_of(member: Object | Alias) -> int:
    """The line of a member in its file; of an import the line that imports it."""
    return (member.alias_lineno if isinstance(member, Alias) else member.lineno) or 0


def with_examples(text: str) -> str:
    """A docstring whose paragraphs that begin with a prompt are a section of examples, the last."""
    paragraphs = text.split("\n\n")
    examples = [one for one in paragraphs if one.startswith(PROMPT)]
    if not examples:
        return text
    shown = "\n\n".join(examples).splitlines()
    section = "Examples:\n" + "\n".join(f"    {line}".rstrip() for line in shown)
    return "\n\n".join([*(one for one in paragraphs if one not in examples), section])
