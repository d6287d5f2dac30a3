"""Base classes of transforms: parameters that are set once, compared and shown.

`Fixed` gives what `dataclass(frozen=True)` gives. `dataclasses` compiles each class's methods when
it is imported, which takes longer than all other imports of ndlens together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        return lambda cls: cls


__all__ = ["BatchTransform", "Compose", "Fixed", "Transform"]

_PACKAGE = __name__.rpartition(".")[0]
_as_dataclasses: dict[type, type] = {}


def _as_dataclass(cls: type[Fixed], attribute: str) -> Any:
    """An attribute that `dataclasses` would give a class.

    Raises:
        AttributeError: `dataclasses` is not imported, so the caller is another module.
    """
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses is None:
        raise AttributeError(attribute)
    if cls not in _as_dataclasses:
        described = [
            (
                name,
                cls._annotation(name),
                dataclasses.field(default=getattr(cls, name, dataclasses.MISSING)),
            )
            for name in cls._field_names
        ]
        _as_dataclasses[cls] = dataclasses.make_dataclass(
            cls.__name__, described, init=False, repr=False, frozen=True
        )
    return getattr(_as_dataclasses[cls], attribute)


class _OfDataclass:
    """An attribute by which `dataclasses` knows its classes, made when it is asked for."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, _fixed: Fixed | None, cls: type[Fixed]) -> Any:
        return _as_dataclass(cls, self._name)


@dataclass_transform(frozen_default=True)
class Fixed:
    """An object of the fields that its classes annotate, which do not change.

    As with dataclasses, annotations of a class of a user are fields only if the class is decorated
    with `dataclass(frozen=True)`.
    """

    if TYPE_CHECKING:
        _field_names: ClassVar[tuple[str, ...]]
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        _field_names = ()
        # For `dataclasses.fields`, `replace`, `asdict` and `is_dataclass`.
        __dataclass_fields__ = _OfDataclass()
        # For `dataclass` on a subclass.
        __dataclass_params__ = _OfDataclass()

    def __init_subclass__(cls) -> None:
        """Give a class of this package its fields, after those of its base, and public module."""
        if not cls.__module__.startswith(f"{_PACKAGE}._"):
            return
        own = tuple(
            name for name in cls.__annotations__ if name[0] != "_" and name not in cls._field_names
        )
        cls._field_names = (*cls._field_names, *own)
        # For `match`; mypy reserves the name.
        type.__setattr__(cls, "__match_args__", cls._field_names)
        # The module that users and pickles import it from.
        cls.__module__ = _PACKAGE

    def __post_init__(self) -> None:
        """Check the fields of a subclass whose `__init__` is that of `dataclass`."""
        ours: Any = next(base for base in type(self).__mro__ if "_field_names" in vars(base))
        ours.__init__(self, **{name: getattr(self, name) for name in self._field_names})

    @classmethod
    def _annotation(cls, name: str) -> Any:
        """The type of a field, as it is written."""
        written = (getattr(base, "__annotations__", {}) for base in cls.__mro__)
        return next(of_base[name] for of_base in written if name in of_base)

    def _set(self, **values: Any) -> None:
        """Set fields, for `__init__`."""
        self.__dict__.update(values)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._field_names)

    def _shown(self) -> tuple[str, ...]:
        """The names of the fields that the representation shows."""
        return self._field_names

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __setattr__(self, name: str, _value: Any) -> None:
        self._refuse_change(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        self._refuse_change(f"cannot delete field {name!r}")

    def _refuse_change(self, why: str) -> None:
        dataclasses = sys.modules.get("dataclasses")
        error = AttributeError if dataclasses is None else dataclasses.FrozenInstanceError
        raise error(f"{why}: make another {type(self).__name__}")

    def __replace__(self, **changes: Any) -> Self:
        """Make another object with some fields changed, for `copy.replace`."""
        values = {name: getattr(self, name) for name in self._field_names}
        return type(self)(**{**values, **changes})


class BatchTransform(Fixed):
    """The base class of transforms that mix batches: for `nl.Loader(..., mix=...)`."""


class Transform(Fixed):
    """The base class of all transforms of items."""

    def _arguments(self) -> dict[str, Any]:
        """The fields as the transform of this name in Rust takes them."""
        return dict(zip(self._field_names, self._values(), strict=True))

    def _shown(self) -> tuple[str, ...]:
        """The fields that differ from their defaults."""
        missing = object()
        return tuple(
            name
            for name in self._field_names
            if getattr(self, name) != getattr(type(self), name, missing)
        )


def Compose(transforms: Iterable[Any]) -> list[Any]:  # noqa: N802  # torchvision's name
    """The transforms as the list that `nl.Loader` takes, for code that comes from torchvision.

    Args:
        transforms: Transforms of ndlens or torchvision, or lists of them, which are flattened.

    Returns:
        A list of transforms.

    Raises:
        TypeError: `transforms` is one transform, or an entry is not a transform.

    >>> from ndlens import transforms as T
    >>> T.Compose([T.RandomCrop(224), T.RandomHorizontalFlip()])
    [RandomCrop(size=(224, 224)), RandomHorizontalFlip()]
    """
    if isinstance(transforms, Fixed):
        name = type(transforms).__name__
        raise TypeError(
            f"Compose takes a list of transforms, got {name}: put it in one, [{name}(..)]"
        )
    if isinstance(transforms, str | bytes | Mapping) or not isinstance(transforms, Iterable):
        raise TypeError(f"Compose takes a list of transforms, got {transforms!r}")
    steps: list[Any] = []
    for step in transforms:
        if isinstance(step, list | tuple):
            steps.extend(Compose(step))
        elif isinstance(step, type):
            raise TypeError(
                f"Compose takes transforms, got the class {step.__name__}: {step.__name__}(..)"
            )
        elif not isinstance(step, Fixed) and type(step).__module__.split(".")[0] != "torchvision":
            hint = ": leave it out" if step is None else ""
            raise TypeError(f"Compose takes transforms, got {step!r}{hint}")
        else:
            steps.append(step)
    return steps
