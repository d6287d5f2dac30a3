"""The groups of keywords that the compiled half takes."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

import ndlens as nl
from ndlens import _ndlens, _options

# What the groups have beside keywords, and keywords that are Python's alone.
INNER = {"fields", "source", "sampled", "destination"}
OUTER = {"rank", "world_size", "sampler", "sampler_state"}


def options_of(group: type) -> set[str]:
    return set(inspect.get_annotations(group))


def test_each_keyword_of_a_loader_is_in_one_group() -> None:
    groups = [
        _options.FieldOptions,
        _options.OrderOptions,
        _options.RankOptions,
        _options.BatchOptions,
        _options.OutputOptions,
        _options.MixingOptions,
    ]
    names = [name for group in groups for name in options_of(group)]
    assert len(names) == len(set(names))
    keywords = set(inspect.signature(nl.Loader).parameters) - {"fields"}
    assert set(names) - INNER == keywords - OUTER


def test_a_group_without_an_option_is_an_error_that_names_it() -> None:
    fields = SimpleNamespace(fields=b"abc", transforms=None, joint=None)
    options: Any = SimpleNamespace(fields=fields, seed=0)
    with pytest.raises(AttributeError, match="channels"):
        _ndlens._Gatherer(options)


def test_what_python_provides_is_complete() -> None:
    with pytest.raises(TypeError, match=r"^_provide misses Arrays$"):
        _ndlens._provide()
