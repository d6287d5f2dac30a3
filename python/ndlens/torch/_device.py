"""Batches on a device: pinned memory, a stream of their own, and values computed there."""

from __future__ import annotations

import functools
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch

from .. import _ndlens

if TYPE_CHECKING:
    from .._ndlens import Epoch, Skipped

# The steps that `nl.Loader` leaves to the device, with their arguments, and the axis of the
# channels.
_Step: TypeAlias = tuple[str, bool] | tuple[list[float], list[float]]
_Deferred: TypeAlias = tuple[list[_Step], int | None]


def pins(pin_memory: bool, device: torch.device | None) -> bool:
    """Whether batches are made in pinned memory: if asked for or useful, and torch can pin any."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None and pin_memory:
        warnings.warn(
            "pin_memory=True has no effect: torch finds no accelerator, "
            "for which memory could be pinned",
            # Past this function, the two named destination, core_of, and the two of
            # Loader.__init__.
            stacklevel=7,
        )
    # On Apple silicon the GPU's memory is the host's.
    if accelerator is None or accelerator.type == "mps":
        return False
    return pin_memory or (device is not None and device.type == accelerator.type)


def resolve(device: Any) -> torch.device | None:
    """The device that batches go to; None for the CPU's memory, in which they are made."""
    wanted: torch.device = torch.device(device)
    accelerator: torch.device | None = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None and wanted.type == accelerator.type:
        # An Optional, although torch's stubs say otherwise.
        index: Any = wanted.index
        if index is None:
            return torch.device(wanted.type, torch.accelerator.current_device_index())
        if index >= torch.accelerator.device_count():
            raise ValueError(
                f"device is {str(wanted)!r}, but torch finds "
                f"{torch.accelerator.device_count()} of these"
            )
        return wanted
    if wanted.type == "cpu":
        return None
    found = "no accelerator" if accelerator is None else repr(accelerator.type)
    raise ValueError(f"device is {str(wanted)!r}, but torch finds {found}")


class Destination(NamedTuple):
    """The destination of batches."""

    # Makes a wire to the device from the steps that are left to it; None for the CPU.
    connect: Callable[[Sequence[_Deferred | None]], Wire] | None
    # Whether batches are made in pinned memory.
    pins: bool


def destination(pin_memory: bool, device: Any) -> Destination:
    """The destination of batches with these keywords of a loader."""
    resolved = None if device is None else resolve(device)
    connect = None if resolved is None else functools.partial(Wire, resolved)
    return Destination(connect, pins(pin_memory, resolved))


class _Sent(NamedTuple):
    """A batch that is being copied."""

    parts: list[torch.Tensor]
    # The sources of the copies, until these are done.
    pinned: list[torch.Tensor]
    # None if the copies are done.
    event: torch.Event | None
    # The parameters drawn for it, if the loader returns them.
    drawn: list[Any]
    # Counts the batch as handed out.
    receipt: Any


class Wire:
    """Copies batches to a device and computes their values there, on a stream of its own."""

    def __init__(self, device: torch.device, deferred: Sequence[_Deferred | None]) -> None:
        self.device = device
        self._deferred = [
            None if of_field is None else _Values(device, *of_field) for of_field in deferred
        ]
        self._lock = threading.Lock()
        self._stream = None if device.type == "mps" else torch.Stream(device=device)

    def epoch(self, epoch: Epoch, looks_ahead: bool) -> DeviceEpoch:
        """The batches of an epoch on the device."""
        return DeviceEpoch(epoch, self, looks_ahead)

    def send(self, parts: list[torch.Tensor], drawn: list[Any], receipt: Any) -> _Sent:
        """Starts to copy a batch."""
        if self._stream is None:
            return _Sent(self._copy(parts), parts, None, drawn, receipt)
        # A stream object stores the stream to go back to.
        with self._lock, self._stream:
            there = self._copy(parts)
        return _Sent(there, parts, self._stream.record_event(), drawn, receipt)

    def receive(self, sent: _Sent) -> list[torch.Tensor]:
        """The parts of a batch that was sent, ready for the current stream."""
        if sent.event is not None:
            current = torch.accelerator.current_stream(self.device)
            current.wait_event(sent.event)
            for part in sent.parts:
                # One stream makes it and another uses it: its memory is free after both.
                part.record_stream(current)
        return sent.parts

    def _copy(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        # Only pinned memory may be copied asynchronously: a copy of other memory does not tell when
        # it has read it.
        later = self._stream is not None
        there = [part.to(self.device, non_blocking=later) for part in parts]
        nbytes = sum(part.nbytes for part in parts)
        _ndlens._copied(f"Loader batch to {self.device}", nbytes)
        values = zip(self._deferred, there, strict=True)
        return [part if compute is None else compute(part) for compute, part in values]


class _Values:
    """`ToDtype` and `Normalize` by torch's operations, bit-equal to what `nl.Loader` computes."""

    def __init__(self, device: torch.device, steps: list[_Step], channel_axis: int | None) -> None:
        self._device = device
        self._steps = steps
        self._channel_axis = channel_axis
        self._statistics: dict[tuple[int, torch.dtype], list[torch.Tensor]] = {}

    def __call__(self, part: torch.Tensor) -> torch.Tensor:
        for place, (first, second) in enumerate(self._steps):
            if isinstance(first, str):
                part = _to_dtype(part, getattr(torch, first), bool(second))
            else:
                mean, std = self._statistics_of(place, part)
                part = part.sub_(mean).div_(std)
        return part

    def _statistics_of(self, place: int, part: torch.Tensor) -> list[torch.Tensor]:
        key = (place, part.dtype)
        if key not in self._statistics:
            self._statistics[key] = [self._spread(values, part) for values in self._steps[place]]
        return self._statistics[key]

    def _spread(self, values: Any, part: torch.Tensor) -> torch.Tensor:
        shape = [1] * part.ndim
        if len(values) > 1 and self._channel_axis is not None:
            shape[self._channel_axis] = len(values)
        return torch.tensor(values, dtype=part.dtype).reshape(shape).to(self._device)


def _to_dtype(part: torch.Tensor, dtype: torch.dtype, scale: bool) -> torch.Tensor:
    converted = part.to(dtype)
    # For these, torchvision's `_max_value` is 1.
    unscaled = part.dtype.is_floating_point or part.dtype in (
        torch.bool,
        torch.uint32,
        torch.uint64,
    )
    if not scale or unscaled or part.dtype == dtype:
        return converted
    return converted.mul_(1.0 / torch.iinfo(part.dtype).max)


class DeviceEpoch(Iterator[Any]):
    """The batches of one epoch on a device. The next one is copied while one is used."""

    def __init__(self, epoch: Epoch, wire: Wire, looks_ahead: bool) -> None:
        self._epoch: Any = epoch
        self._wire = wire
        self._looks_ahead = looks_ahead
        self._sent: deque[_Sent | Exception] = deque()
        self._over = False
        # A sampler that asks for a batch calls this again, and the epoch refuses it.
        self._lock = threading.RLock()

    def __next__(self) -> Any:
        with self._lock:
            if self._over:
                raise StopIteration
            if not self._sent:
                self._send(self._epoch._take(wait=True))
            if self._looks_ahead and len(self._sent) == 1:
                self._look_ahead()
            with self._or_over():
                sent = self._sent.popleft()
                if isinstance(sent, Exception):
                    raise sent
                batch = self._epoch._wrap(self._wire.receive(sent), sent.drawn)
                sent.receipt.hand_out()
                return batch

    @contextmanager
    def _or_over(self) -> Iterator[None]:
        """Ends the epoch on any exception, also Ctrl-C: a batch that was taken would be lost."""
        try:
            yield
        except BaseException:
            self._over = True
            self._sent.clear()
            raise

    def _send(self, taken: tuple[list[torch.Tensor], list[Any], Any]) -> None:
        with self._or_over():
            self._sent.append(self._wire.send(*taken))

    def _look_ahead(self) -> None:
        """Sends the next batch too, if it is made."""
        try:
            taken = self._epoch._take(wait=False)
        except StopIteration:
            return
        except Exception as error:
            # The error is raised when its batch is due.
            self._sent.append(error)
            return
        if taken is None:
            return
        with self._or_over():
            try:
                self._sent.append(self._wire.send(*taken))
            except Exception as error:
                self._sent.append(error)

    @property
    def skipped(self) -> Skipped:
        """The items that were left out of the batches so far, also of the one that is copied."""
        skipped: Skipped = self._epoch.skipped
        return skipped

    def __len__(self) -> int:
        """Batches not yet taken."""
        with self._lock:
            return 0 if self._over else len(self._sent) + len(self._epoch)
