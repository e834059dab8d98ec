"""What a device has heard of MIDI, and what still sounds there."""

from __future__ import annotations

from collections.abc import Iterable

Key = tuple[int, int]
"""MIDI channel, from 0, and MIDI note number."""


def notes(messages: Iterable[bytes]) -> list[tuple[str, int, int]]:
    """The note-ons and note-offs: "on" or "off", channel and note number."""
    names = {0x90: "on", 0x80: "off"}
    return [
        (names[message[0] & 0xF0], message[0] & 0x0F, message[1])
        for message in messages
        if message[0] & 0xF0 in names
    ]


def hanging(messages: Iterable[bytes]) -> set[Key]:
    """The keys that were struck and not released; each has to be released before it is struck."""
    held: set[Key] = set()
    for what, channel, key in notes(messages):
        if what == "on":
            assert (channel, key) not in held, f"{channel}:{key} is struck twice"
            held.add((channel, key))
        else:
            held.discard((channel, key))
    return held
