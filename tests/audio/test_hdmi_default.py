"""An HDMI output without a screen as the default card: another one plays, if there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from appliance.audio import alsa_cards
from appliance.audio.alsa_cards import HardwareCard
from appliance.audio.outputs import DeviceLost, sound_card
from appliance.audio.outputs.sound_card import Card, open_card

HDMI_HARDWARE = HardwareCard(0, "vc4hdmi0", 0)
HDMI = Card("vc4-hdmi-0 (hw:0,0)", 0, 48_000, True, 2, HDMI_HARDWARE)
HDMI_1 = Card("vc4-hdmi-1 (hw:1,0)", 1, 48_000, False, 2, HardwareCard(1, "vc4hdmi1", 0))
HEADPHONES = Card("Headphones (hw:2,0)", 2, 48_000, False, 2, HardwareCard(2, "Headphones", 0))
PLUGIN = Card("default", 3, 48_000, True)
"""A device of ``.asoundrc`` that leads to the HDMI output."""

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Give this machine some cards; no screen is connected, and those in ``broken`` do not open."""

    def have(*cards: Card, broken: tuple[Card, ...] = ()) -> None:
        def open_stream(*, output_device_index: int, **_more: object) -> object:
            if output_device_index in [card.number for card in broken]:
                raise OSError
            return object()

        audio = SimpleNamespace(open=open_stream, is_format_supported=lambda *_, **__: True)
        library = SimpleNamespace(paInt16=8)
        monkeypatch.setattr(
            sound_card, "_portaudio", lambda: contextlib.nullcontext((library, audio))
        )
        monkeypatch.setattr(sound_card, "_cards", lambda _audio: list(cards))
        hardware = [card.hardware for card in cards if card.hardware]
        monkeypatch.setattr(sound_card, "hardware_cards", lambda: hardware)
        monkeypatch.setattr(alsa_cards, "open_error", lambda _pcm: 0)
        monkeypatch.setattr(alsa_cards, "card_behind", lambda *_: HDMI_HARDWARE)
        monkeypatch.setattr(
            alsa_cards, "is_hdmi_without_screen", lambda card, *_: "hdmi" in card.id
        )

    return have


SILENT = "the sound card 'vc4hdmi0' is HDMI, and no screen is connected"


@pytest.mark.parametrize("default", [HDMI, PLUGIN])
def test_another_card_plays_in_place_of_hdmi_without_a_screen(
    machine: Machine, default: Card
) -> None:
    machine(default, HDMI_1, HEADPHONES)
    output = open_card("default", 1024)
    assert output.name == "Headphones"
    assert output.problem == f"{SILENT}; Headphones plays instead"


@pytest.mark.parametrize("broken", [(), (HEADPHONES,)])
def test_hdmi_plays_all_the_same_if_nothing_else_can(
    machine: Machine, broken: tuple[Card, ...]
) -> None:
    """The screen may be switched on later."""
    machine(HDMI, HDMI_1, *broken, broken=broken)
    output = open_card("default", 1024)
    assert (output.name, output.problem) == ("vc4hdmi0", "")


def test_hdmi_that_is_named_is_used(machine: Machine) -> None:
    machine(HDMI, HEADPHONES)
    assert open_card("vc4hdmi0", 1024).name == "vc4hdmi0"


def test_if_no_card_can_be_opened_the_default_ones_reason_is_said(machine: Machine) -> None:
    machine(HDMI, HEADPHONES, broken=(HDMI, HEADPHONES))
    with pytest.raises(DeviceLost, match=SILENT):
        open_card("default", 1024)
