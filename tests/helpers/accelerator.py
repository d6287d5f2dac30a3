"""An accelerator for tests: torch's own where there is one, else a stand-in that is the CPU.

Both say what happens on their streams.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

__all__ = ["Accelerator", "found"]

EMPTY, TO = torch.empty, torch.Tensor.to
# Before a test replaces them.
STREAM, CURRENT_STREAM = torch.Stream, torch.accelerator.current_stream
RECORD_STREAM = torch.Tensor.record_stream


def found() -> torch.device | None:
    """The accelerator of this machine that memory is pinned for; None if there is none."""
    device: torch.device | None = torch.accelerator.current_accelerator(check_available=True)
    return None if device is None or device.type == "mps" else device


class Accelerator:
    """A device with streams that say what happens on them.

    `real` is torch's accelerator. Without it the device is a stand-in of this `kind`.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, kind: str = "cpu", real: torch.device | None = None
    ) -> None:
        self.log: list[str] = []
        self.pinned: list[torch.Tensor] = []
        self.recorded: list[torch.Tensor] = []
        self.real = real
        self.kind = kind if real is None else real.type
        # As a keyword of a loader.
        self.device = f"{self.kind}:0"
        self._monkeypatch = monkeypatch
        fake = self

        class Stream:
            def __init__(self, device: torch.device) -> None:
                self.device = device
                self.own = None if real is None else STREAM(device=device)

            def __enter__(self) -> None:
                fake.log.append("on the side stream")
                if self.own is not None:
                    self.own.__enter__()

            def __exit__(self, *exception: Any) -> None:
                if self.own is not None:
                    self.own.__exit__(*exception)
                fake.log.append("off it")

            def record_event(self) -> Any:
                fake.log.append("event")
                return object() if self.own is None else self.own.record_event()

        class Current:
            def __init__(self, device: Any) -> None:
                self.own = None if real is None else CURRENT_STREAM(device)

            def wait_event(self, event: Any) -> None:
                assert event is not None
                fake.log.append("wait")
                if self.own is not None:
                    self.own.wait_event(event)

        def empty(*size: Any, pin_memory: bool = False, **keywords: Any) -> torch.Tensor:
            if real is not None:
                keywords["pin_memory"] = pin_memory
            tensor = EMPTY(*size, **keywords)
            if pin_memory:
                # What torch hands out has been used before.
                fake.pinned.append(tensor.fill_(0xA5))
            return tensor

        def record(part: torch.Tensor, stream: Any) -> None:
            fake.recorded.append(part)
            if stream.own is not None:
                RECORD_STREAM(part, stream.own)

        if real is None:
            device = torch.device(kind)
            monkeypatch.setattr(
                torch.accelerator, "current_accelerator", lambda check_available=False: device
            )
            monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 0)
            monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
        monkeypatch.setattr(torch.accelerator, "current_stream", Current)
        monkeypatch.setattr(torch, "Stream", Stream)
        monkeypatch.setattr(torch, "empty", empty)
        monkeypatch.setattr(torch.Tensor, "record_stream", record)

    def copies(self) -> None:
        """Notes what goes to the device; a stand-in makes a copy, as it would be there."""

        def copy(part: torch.Tensor, device: Any = None, *others: Any, **keywords: Any) -> Any:
            if keywords.get("non_blocking"):
                assert device == torch.device(self.kind, 0)
                self.log.append(f"copy {str(part.dtype).removeprefix('torch.')}")
                if self.real is None:
                    return part.clone(memory_format=torch.preserve_format)
            return TO(part, device, *others, **keywords)

        self._monkeypatch.setattr(torch.Tensor, "to", copy)
