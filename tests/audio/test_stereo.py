"""Mono, swapped channels and balance, sample for sample, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.audio.stereo import ChannelMixer, Layout, to_one_channel

SOUND = st.binary(max_size=400).map(lambda raw: raw[: len(raw) // 4 * 4])

EXTREMES = np.array([[-32768, -32768], [32767, 32767], [-32768, 32767], [-1, 0]], "<i2").tobytes()


def frames(sound: bytes) -> NDArray[np.int64]:
    return np.frombuffer(sound, "<i2").reshape(-1, 2).astype(np.int64)


@given(SOUND | st.just(EXTREMES))
def test_mono_is_the_mean_of_both_channels(sound: bytes) -> None:
    mean = frames(sound).sum(axis=1) >> 1
    mixed = frames(ChannelMixer().apply(sound, Layout(is_mono=True)))
    assert (mixed[:, 0] == mean).all()
    assert (mixed[:, 1] == mean).all()
    assert (np.frombuffer(to_one_channel(sound), "<i2") == mean).all()


@given(SOUND | st.just(EXTREMES))
def test_swapped_channels_change_places(sound: bytes) -> None:
    swapped = frames(ChannelMixer().apply(sound, Layout(is_swapped=True)))
    assert (swapped == frames(sound)[:, ::-1]).all()


@given(SOUND | st.just(EXTREMES), st.integers(-100, 100))
def test_balance_makes_one_side_quieter_and_leaves_the_other(sound: bytes, balance: int) -> None:
    heard = frames(ChannelMixer().apply(sound, Layout(balance=balance)))
    quiet, full = (0, 1) if balance > 0 else (1, 0)
    assert (heard[:, full] == frames(sound)[:, full]).all()
    wanted = frames(sound)[:, quiet] * (1 - abs(balance) / 100)
    assert (abs(heard[:, quiet] - wanted) < 1.6).all()


@given(SOUND)
def test_without_a_wish_the_sound_is_untouched(sound: bytes) -> None:
    assert ChannelMixer().apply(sound, Layout()) is sound


def test_a_change_of_the_balance_glides() -> None:
    mixer, loud = ChannelMixer(), np.full((4, 2), 20_000, "<i2").tobytes()
    mixer.apply(loud, Layout())
    heard = [frames(mixer.apply(loud, Layout(balance=100)))[0].tolist() for _ in range(5)]
    assert heard == [[15000, 20000], [10000, 20000], [5000, 20000], [0, 20000], [0, 20000]]
