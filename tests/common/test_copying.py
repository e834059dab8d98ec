"""Copies of the state that a snapshot holds."""

from __future__ import annotations

from collections import Counter, deque
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from appliance.common.copying import Copyable
from tests.support.copies import shared_mutables


class Inner(Copyable):
    def __init__(self, number: int) -> None:
        self.numbers = [number]


class Outer(Copyable):
    shared_when_copied: ClassVar[frozenset[str]] = frozenset({"table"})

    def __init__(self) -> None:
        self.number = 1
        self.inner = Inner(2)
        self.maybe: Inner | None = None
        self.several = [Inner(3), Inner(4)]
        self.rows = [[5], [6]]
        self.by_name = {"a": [7]}
        self.last = deque([(8, "b")], maxlen=2)
        self.counts = Counter("abc")
        self.some = {9}
        self.pages = (MappingProxyType({1: 2}),)
        self.table: Any = object()


def test_a_copy_is_equal_and_shares_nothing_that_may_change() -> None:
    one = Outer()
    twin = one.copy()
    assert type(twin) is Outer
    assert list(shared_mutables(one, twin)) == []
    assert twin.rows == one.rows
    assert twin.by_name == one.by_name
    assert twin.last == one.last
    assert twin.last.maxlen == 2
    assert twin.counts == one.counts
    assert twin.some == one.some
    assert twin.several[1].numbers == [4]


def test_a_copy_shares_what_cannot_change_and_what_is_named() -> None:
    one = Outer()
    twin = one.copy()
    assert twin.pages is one.pages
    assert twin.table is one.table


def test_an_attribute_that_was_none_at_the_first_copy_is_copied_later() -> None:
    one = Outer()
    one.copy()
    one.maybe = Inner(10)
    twin = one.copy()
    assert twin.maybe is not one.maybe
    assert twin.maybe is not None
    assert twin.maybe.numbers == [10]


def test_a_list_that_was_empty_at_the_first_copy_is_copied_with_its_items() -> None:
    one = Outer()
    one.rows = []
    one.copy()
    one.rows.append([11])
    assert list(shared_mutables(one, one.copy())) == []


def test_an_attribute_added_later_is_copied() -> None:
    one = Outer()
    one.copy()
    vars(one)["added"] = [12]
    twin = one.copy()
    assert vars(twin)["added"] == [12]
    assert list(shared_mutables(one, twin)) == []


def test_a_type_that_may_be_mutable_is_refused() -> None:
    class Unsafe(Copyable):
        def __init__(self) -> None:
            self.thing = object()

    for _ in range(2):
        with pytest.raises(TypeError, match="object cannot be copied"):
            Unsafe().copy()


def test_the_test_helper_finds_what_is_shared() -> None:
    one = Outer()
    twin = one.copy()
    twin.rows[1] = one.rows[1]
    twin.inner = one.inner
    assert list(shared_mutables(one, twin)) == [".inner", ".inner.numbers", ".rows[1]"]
