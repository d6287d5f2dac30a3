"""What griffe, which reads stubs and sources for the reference, needs to know about ours.

- A function of a stub may be overloads alone, without the function that a module in Python has
  after them. griffe then knows overloads of a name that is no member. The overload that carries the
  docstring takes the member's place.
- Examples stand at the end of a docstring without a heading, as `>>>` is one to readers of the
  source. They get the section that Google's style has for them.
"""

from __future__ import annotations

from typing import Any

from griffe import Alias, Class, Extension, Function, Module, Object

PROMPT = ">>> "


class Stubs(Extension):
    """Completes what is read, before anything is shown."""

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Add the methods of a class that are overloads alone."""
        add_overloaded(cls)

    def on_module_members(self, *, mod: Module, **_: Any) -> None:
        """Add the functions of a module that are overloads alone."""
        add_overloaded(mod)

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
            parameters=shown.parameters,
            returns=shown.returns,
            docstring=shown.docstring,
            runtime=False,
        )
        function.overloads = list(overloads)
        holder.set_member(name, function)
    if missing:
        # Where they stand in the source, not behind the others.
        holder.members = dict(sorted(holder.members.items(), key=lambda item: line_of(item[1])))


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
