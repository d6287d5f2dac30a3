"""Functions and classes for the compiled half, which imports none: handed over once, by name."""

from __future__ import annotations

from . import _arrays, _face, _foreign, _ndlens, _sending, _torchvision

_ndlens._provide(
    Arrays=_arrays.Arrays,
    check_whole=_foreign.check_whole,
    face=_face.face,
    is_one_list=_torchvision.is_one_list,
    lowered=_torchvision.lowered,
    lowered_mix=_torchvision.lowered_mix,
    register_senders=_sending.register,
    storage=_foreign.storage,
    strided=_foreign.strided,
    suggestion=_foreign.suggestion,
    unexported=_foreign.unexported,
)
