"""The rank and the sampler of an epoch, looked up when it begins.

A sampler is read while the epoch runs, as far ahead as batches are made ahead, so it may be endless
and need no length. An array of item numbers, or a range, is not read at all: the loader uses the
numbers in place.

A state says how far an epoch has come. Of the sampler it keeps
- its own state, if it or its iterator has `state_dict` and `load_state_dict` (the protocol of
  torchdata),
- or the items themselves, if the user asked for it (`sampler_state="list"`),
- else a digest of the items that it gave. A run is resumed if the sampler gives them again, as a
  list does, or a `DistributedSampler` of the same epoch; if it gives others, resuming is refused.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator

from . import _ndlens
from ._ranks import Ranks, RankSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

# The digest of no items.
_NOTHING = "0" * 16
# The number of first items that are kept for short ranks, which take them again.
_HEAD = 1 << 16
# The number of elements of a list that are checked for bools before it is used.
_LOOKED_AT = 1000


# Classes of `typing.NamedTuple` and `dataclasses` would be compiled at each import of ndlens.
class Reading:
    """A sampler's iterator, which the loader reads while the epoch runs.

    Args:
        iterator: Gives the items.
        snapshot: Gives the sampler's present state for a state of the loader; None if that keeps a
            digest.
        ended: Is called with the number of items when there are no more.
        expected: The number of items, if the sampler has a length.
        head: The first items that the sampler gave before, if the epoch is resumed.
        digest: The digest of all items that it gave before.
        note: The part of a state about the sampler before the first batch.
    """

    __slots__ = ("digest", "ended", "expected", "head", "iterator", "note", "snapshot")

    def __init__(
        self,
        iterator: Iterator[int],
        snapshot: Callable[[], dict[str, Any]] | None,
        ended: Callable[[int], None],
        expected: int | None = None,
        head: Any = None,
        digest: str | None = None,
        note: dict[str, Any] | None = None,
    ) -> None:
        self.iterator = iterator
        self.snapshot = snapshot
        self.ended = ended
        self.expected = expected
        self.head = head
        self.digest = digest
        self.note = note


class Begun:
    """The ranks and the items of an epoch that begins.

    Args:
        ranks: The rank and the world size.
        watch: Raises if they change; None if they cannot.
        numbers: The items, if the loader can use them in place.
        reading: The sampler's iterator, if they cannot.
    """

    __slots__ = ("numbers", "ranks", "reading", "watch")

    def __init__(
        self,
        ranks: Ranks,
        watch: Callable[[], None] | None,
        numbers: Any = None,
        reading: Reading | None = None,
    ) -> None:
        self.ranks = ranks
        self.watch = watch
        self.numbers = numbers
        self.reading = reading


class _Replayed:
    """An iterator that gave again the items that a state says are done."""

    __slots__ = ("digest", "head", "iterator", "place")

    def __init__(self, place: int, digest: str, iterator: Iterator[int], head: Any) -> None:
        self.place = place
        self.digest = digest
        self.iterator = iterator
        self.head = head


class Source:
    """The ranks and the sampler of a loader.

    The loader asks when an epoch begins, for its length, and when a state is written or loaded.
    """

    def __init__(
        self,
        ranks: RankSource,
        sampler: Any = None,
        sampler_state: Literal["auto", "list"] = "auto",
    ) -> None:
        if sampler_state not in ("auto", "list"):
            raise ValueError(f'unknown sampler_state "{sampler_state}": expected "auto" or "list"')
        self._ranks = ranks
        self._sampler = sampler
        self._keeps_list = sampler_state == "list"
        self._numbers = None if sampler is None else _numbers_of(sampler)
        # Whether an epoch has given an item.
        self._gave = False
        self._replayed: _Replayed | None = None
        # The items of the present epoch, if they are kept, or of the epoch to be resumed.
        self._list: Any = None
        # Whether the next epoch restores the sampler's own state.
        self._restores = False
        self._digested = (0, _NOTHING)
        # Malformed variables raise early.
        ranks.known()
        if sampler is not None and self._numbers is None:
            _refuse_unreadable(sampler)

    def ranks(self) -> Ranks:
        """The ranks as known now."""
        return self._ranks.known()

    def places(self) -> int:
        """The number of items that the sampler gives.

        Raises:
            TypeError: The sampler has no length.
        """
        return len(self._sampler if self._numbers is None else self._numbers)

    def begin(self, place: int, note: dict[str, Any] | None) -> Begun:
        """The ranks and items of an epoch.

        Args:
            place: Place of its order from which it goes on.
            note: The part of a state about the sampler, if it is resumed.
        """
        ranks, watch = self._ranks.take()
        if self._sampler is None:
            return Begun(ranks, watch)
        if self._numbers is not None:
            return Begun(ranks, watch, numbers=self._numbers)
        if place == 0:
            # A list is of one epoch: this one is read anew, or the sampler goes on from a state of
            # its own.
            self._list = self._read_list() if self._keeps_list and not self._restores else None
        if self._list is not None:
            return Begun(ranks, watch, numbers=self._list)
        return Begun(ranks, watch, reading=self._read(place, note))

    def _read_list(self) -> Any:
        if _len_of(self._sampler) is None:
            raise TypeError(
                'sampler_state="list" keeps the items of an epoch, and '
                f"{_name(self._sampler)} has no len, so it may be endless: give it a __len__, or "
                "leave out sampler_state"
            )
        count, _, numbers = _ndlens._read_numbers(iter(self._sampler), None, 2**63 - 1)
        self._ended(count)
        return numbers

    def _read(self, place: int, note: dict[str, Any] | None) -> Reading:
        replayed, self._replayed = self._replayed, None
        restores, self._restores = self._restores, False
        expected = _len_of(self._sampler)
        if place > 0 and note is not None and "digest" in note:
            if replayed is None or (replayed.place, replayed.digest) != (place, note["digest"]):
                replayed = self._replay(place, note["digest"])
            return Reading(
                replayed.iterator, None, self._ended, expected, replayed.head, replayed.digest
            )
        if note is not None and "state" in note and (place > 0 or restores):
            return self._restored(place, note, expected)
        of_sampler = None
        if _is_stateful(self._sampler):
            # Before its iterator, which may change it.
            of_sampler = _Snapshot("sampler", self._sampler)()
        iterator = iter(self._sampler)
        snapshot = self._snapshot_of(iterator)
        kept = None
        if snapshot is not None:
            kept = of_sampler if snapshot.of == "sampler" else snapshot()
        return Reading(iterator, snapshot, self._ended, expected, note=kept)

    def _restored(self, place: int, note: dict[str, Any], expected: int | None) -> Reading:
        """Reads on from the sampler's own state."""
        if note["of"] == "sampler":
            self._sampler.load_state_dict(copy.deepcopy(note["state"]))
        iterator: Iterator[int] = iter(self._sampler)
        snapshot = self._snapshot_of(iterator)
        if snapshot is None or snapshot.of != note["of"]:
            raise TypeError(self._has_no_state())
        if note["of"] == "iterator":
            snapshot.stateful.load_state_dict(copy.deepcopy(note["state"]))
        if place == 0:
            # In a state of the end of an epoch some samplers give no more items; others begin the
            # next epoch.
            first = list(itertools.islice(iterator, 1))
            if first:
                iterator = itertools.chain(first, iterator)
            else:
                iterator = iter(self._sampler)
                snapshot = self._snapshot_of(iterator)
        return Reading(iterator, snapshot, self._ended, expected)

    def _snapshot_of(self, iterator: Any) -> _Snapshot | None:
        if iterator is not self._sampler and _is_stateful(iterator):
            return _Snapshot("iterator", iterator)
        return _Snapshot("sampler", self._sampler) if _is_stateful(self._sampler) else None

    def _ended(self, count: int) -> None:
        if count == 0 and self._gave and not _len_of(self._sampler):
            raise ValueError(
                f"the sampler, {_name(self._sampler)}, gave items in an epoch before and gives "
                "none in this one: it can be read once. Give a list, or an object whose __iter__ "
                "begins anew"
            )
        self._gave = self._gave or count > 0

    # States.

    def state(self, note: dict[str, Any] | None, place: int) -> dict[str, Any]:
        """The part of a state about the sampler, at a place of its epoch."""
        state: dict[str, Any] = {"name": _name(self._sampler)}
        epoch = getattr(self._sampler, "epoch", None)
        if hasattr(self._sampler, "set_epoch") and isinstance(epoch, int):
            state["epoch"] = epoch
        if self._numbers is not None:
            return state | ({"digest": self._digest_to(place)} if place > 0 else {})
        if self._list is not None:
            return state | ({"items": self._list.tolist()} if place > 0 else {})
        if note is None or (place == 0 and "digest" in note):
            return state
        return state | note

    def load(self, state: dict[str, Any] | None, place: int) -> dict[str, Any] | None:
        """Loads the part of a state about the sampler, and returns the loader's part of it.

        Raises:
            ValueError: The sampler does not give the same items again, or the state says nothing
                about them.
            TypeError: The state holds a sampler's own state, and this sampler has none.
        """
        state = state or {}
        _check_kinds(state)
        if "epoch" in state and hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(state["epoch"])
        if "items" in state and self._numbers is None:
            self._replayed, self._restores = None, False
            _, _, self._list = _ndlens._read_numbers(iter(state["items"]), None, 2**63 - 1)
            return None
        if "state" in state:
            iterator = None if _is_stateful(self._sampler) else iter(self._sampler)
            if self._numbers is not None or (iterator is not None and not _is_stateful(iterator)):
                raise TypeError(self._has_no_state())
        elif place > 0:
            self._check_replay(state, place)
        self._restores = "state" in state
        self._list = None
        return {key: state[key] for key in ("of", "state", "digest") if key in state} or None

    def _check_replay(self, state: dict[str, Any], place: int) -> None:
        if "digest" not in state and "items" not in state:
            raise ValueError(
                f"this state says that {place} items of an epoch are done and nothing of the "
                "sampler that gave them; begin the epoch anew with loader.set_epoch"
            )
        if self._numbers is None:
            self._replayed = self._replay(place, state["digest"])
            return
        digest = state.get("digest")
        if digest is None:
            _, digest, _ = _ndlens._read_numbers(iter(state["items"][:place]), None, 0)
        if place > len(self._numbers) or self._digest_to(place) != digest:
            raise ValueError(self._gives_others(place))

    def _replay(self, place: int, digest: str) -> _Replayed:
        """Reads the sampler up to a place, and checks that it gives the same items again."""
        iterator = iter(self._sampler)
        count, read, head = _ndlens._read_numbers(iterator, place, _HEAD)
        if (count, read) != (place, digest):
            raise ValueError(self._gives_others(place))
        return _Replayed(place, digest, iterator, head)

    def _digest_to(self, place: int) -> str:
        if self._numbers is None:
            return _NOTHING
        # An array may have been written to.
        start, digest = self._digested if place >= self._digested[0] else (0, _NOTHING)
        digest = _ndlens._digest_numbers(self._numbers, start, place, digest)
        self._digested = (place, digest)
        return digest

    def _gives_others(self, place: int) -> str:
        return (
            f"the sampler, {_name(self._sampler)}, does not give again the {place} items that this "
            "state says are done, so the run would repeat some and lose others. Set it up as it "
            "was (its seed, generator and epoch) before load_state_dict; or, in the run that "
            "writes states, give a sampler with state_dict and load_state_dict (such as "
            "torchdata.stateful_dataloader.sampler.RandomSampler), "
            'sampler_state="list", or shuffle=True in place of a sampler'
        )

    def _has_no_state(self) -> str:
        return (
            "this state holds that of a sampler with state_dict and load_state_dict, and "
            f"{_name(self._sampler)} has none: give the sampler that the run had"
        )


# The keys of a state's part about the sampler, and the class of each value.
_KINDS = {"name": str, "epoch": int, "digest": str, "items": list, "of": str}


def _check_kinds(state: dict[str, Any]) -> None:
    """Refuses values that no state of ndlens has."""
    for key, kind in _KINDS.items():
        if key in state and not isinstance(state[key], kind):
            raise TypeError(
                f"the state's sampler must hold a value of class {kind.__name__} as {key!r}, "
                f"got {state[key]!r}"
            )
    if "state" in state and state.get("of") not in ("sampler", "iterator"):
        raise ValueError(
            'the state\'s sampler must say "sampler" or "iterator" as \'of\', '
            f"got {state.get('of')!r}"
        )


class _Snapshot:
    """The state of a sampler, or of its iterator, at the time of the call."""

    def __init__(self, of: Literal["sampler", "iterator"], stateful: Any) -> None:
        self.of = of
        self.stateful = stateful

    def __call__(self) -> dict[str, Any]:
        # It may be a dict that the sampler goes on writing to.
        return {"of": self.of, "state": copy.deepcopy(self.stateful.state_dict())}


def _is_stateful(obj: Any) -> bool:
    return callable(getattr(obj, "state_dict", None)) and callable(
        getattr(obj, "load_state_dict", None)
    )


def _name(sampler: Any) -> str:
    return type(sampler).__name__


def _len_of(sampler: Any) -> int | None:
    try:
        return len(sampler)
    except (TypeError, NotImplementedError):
        return None


def _numbers_of(sampler: Any) -> Any:
    """A range, or a view of an array; None for an object that is to be iterated.

    Raises:
        TypeError: It holds bools or floats.
    """
    if isinstance(sampler, range):
        return sampler
    if isinstance(sampler, list | tuple):
        return None
    exports = ("__dlpack__", "__array_interface__", "__buffer__")
    if hasattr(type(sampler), "__array__") and not any(hasattr(sampler, name) for name in exports):
        # A column of a table, such as a pandas Series.
        sampler = sampler.__array__()
    try:
        numbers = _ndlens.view(sampler)
    except TypeError:
        if any(hasattr(sampler, name) for name in exports):
            raise
        return None
    try:
        _ndlens._check_numbers(numbers)
    except (TypeError, ValueError) as error:
        raise type(error)(f"sampler: {error}") from None
    return numbers


def _refuse_unreadable(sampler: Any) -> None:
    """Refuses objects that cannot be iterated or can be iterated only once, and bools."""
    if isinstance(sampler, type):
        raise TypeError(
            f"sampler must be an iterable of item numbers, got the class {sampler.__name__}"
        )
    if not hasattr(sampler, "__iter__") and not hasattr(sampler, "__getitem__"):
        raise TypeError(f"sampler must be an iterable of item numbers, got {_name(sampler)}")
    # Only iterators are asked for theirs: to begin with a sampler may change it. A cycle has no
    # end.
    is_iterator = hasattr(type(sampler), "__next__") and iter(sampler) is sampler
    if is_iterator and not isinstance(sampler, itertools.cycle):
        raise TypeError(
            f"sampler is a {_name(sampler)}, which can be read once: every epoch after the first "
            "would be empty. Give a list, as list(sampler), or an object of a class whose __iter__ "
            "begins anew"
        )
    if isinstance(sampler, list | tuple):
        for item in sampler[:_LOOKED_AT]:
            if isinstance(item, bool) or type(item).__name__ == "bool_":
                raise TypeError(
                    "sampler: bools are not item numbers: a mask goes to indices=, and "
                    "np.flatnonzero(mask) is a list of items"
                )
