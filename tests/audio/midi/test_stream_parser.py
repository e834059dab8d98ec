"""Bytes of a MIDI cable become messages, however they are cut and whatever is among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.midi.stream_parser import StreamParser

data_byte = st.integers(0, 127)
message = st.one_of(
    st.tuples(st.sampled_from([0x80, 0x90, 0xB0, 0xE0]), data_byte, data_byte),
    st.tuples(st.sampled_from([0xC0, 0xD5]), data_byte),
    st.just((0xF8,)),
).map(bytes)


@given(st.lists(message), st.integers(1, 7))
def test_messages_are_found_however_the_bytes_are_cut(messages: list[bytes], size: int) -> None:
    stream, parser = b"".join(messages), StreamParser()
    found = [m for at in range(0, len(stream), size) for m in parser.feed(stream[at : at + size])]
    assert found == messages


@given(st.binary())
def test_any_bytes_do_no_harm(noise: bytes) -> None:
    parser = StreamParser()
    assert all(m[0] >= 0x80 and max(m[1:], default=0) < 0x80 for m in parser.feed(noise))
    assert parser.feed(bytes((0x90, 60, 90)))[-1] == bytes((0x90, 60, 90))


def test_running_status_system_exclusive_and_clocks_amid_a_message() -> None:
    stream = bytes((12, 0xF0, 1, 2, 0xF7, 0x91, 60, 0xF8, 90, 62, 91, 0xF2, 3, 4, 5))
    assert StreamParser().feed(stream) == [b"\xf8", bytes((0x91, 60, 90)), bytes((0x91, 62, 91))]
