"""Functions and classes for the compiled half, which imports none: handed over once, by name."""

from __future__ import annotations

from . import _arrays, _face, _foreign, _ndlens, _sending, _torchvision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._holders import Holders
    from ._samples import Samples


def _holders(facts: dict[str, Any], search: bool) -> Holders:
    # A program asks for it only to look at itself.
    from . import _holders

    return _holders.holders(facts, search)


def _samples(samples: _ndlens._SampleSet) -> Samples:
    # A program that opens no archive need not have it.
    from . import _samples

    return _samples.Samples(samples)


_ndlens._provide(
    Arrays=_arrays.Arrays,
    check_whole=_foreign.check_whole,
    face=_face.face,
    holders=_holders,
    is_one_list=_torchvision.is_one_list,
    lowered=_torchvision.lowered,
    lowered_mix=_torchvision.lowered_mix,
    register_senders=_sending.register,
    samples=_samples,
    storage=_foreign.storage,
    strided=_foreign.strided,
    suggestion=_foreign.suggestion,
    unexported=_foreign.unexported,
)
