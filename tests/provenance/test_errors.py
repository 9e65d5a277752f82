"""Errors: one line each, fit for a terminal, and they cross from process to process whole."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from provenance import errors
from provenance.errors import CannotRead, CountermarkError, UnknownName


def kinds(root: type[CountermarkError] = CountermarkError) -> Iterator[type[CountermarkError]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


def test_what_a_name_quotes_cannot_steer_the_terminal() -> None:
    error = CannotRead("\x1b[31mred\x07\udcff\u202e.mp4:\n no video", hint="a\tb")
    assert error.message.isprintable()
    assert error.message.endswith(".mp4: no video")
    assert str(error) == error.message
    assert error.hint == "a b"


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_error_crosses_whole_and_stands_in_the_tree(kind: type[CountermarkError]) -> None:
    error = UnknownName("key", "hom", ["home"]) if kind is UnknownName else kind("what", hint="way out")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.hint, again.exit_status) == (error.message, error.hint, error.exit_status)
    assert f"{kind.__name__} " in (errors.__doc__ or "")
    assert kind.exit_status in (1, 2, 3)
