"""FluidSynth as the performer's synth: one soundfont, one MIDI channel per voice, stereo.

Only the functions of pyfluidsynth are used. Its ``Synth`` class hides return codes, turns every
block into a numpy array (numpy alone costs 23 MiB), and has no gain. Importing pyfluidsynth takes
about 20 ms and 8 MiB, so it happens when a synth is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import math
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from appliance.audio import soundfont as soundfonts
from appliance.audio.loudness import program_gain
from appliance.audio.silence_stderr import silence_stderr
from appliance.audio.silence_watch import SilenceWatch
from appliance.common.install_hint import install_hint
from appliance.errors import BachboxError

logger = logging.getLogger(__name__)

RAMP_SEGMENT_FRAMES: Final = 64
"""FluidSynth renders in steps of 64 frames, so a finer ramp would have no effect."""

RAMP_S: Final = 0.03
"""How long a change from silence to full volume takes: short, but long enough not to click."""

FULL_GAIN: Final = 1.0
"""FluidSynth's gain at volume 100. Four voices of the default font's loudest instrument, at
velocity 90, then peak at 0.9 of full scale, and its church organ at 0.4."""

_AUDIBLE_GAIN: Final = 0.05
"""With less, silence may be what was asked for."""

_DRUM_CHANNEL: Final = 9
_MIDI_CHANNELS: Final = 16
VOICE_CHANNELS: Final = [c for c in range(_MIDI_CHANNELS) if c != _DRUM_CHANNEL]
"""The MIDI channel, from 0, of each voice."""

_PANS: Final = (46, 58, 70, 82, 64, 64)
"""MIDI pan of soprano, alto, tenor, bass and two more voices, left to right; 64 is the middle."""

_USUAL_CC_VOLUME: Final = 100
"""The MIDI volume of a channel that nobody changed (General MIDI level 1)."""

_CC_VOLUME: Final = 7
_CC_PAN: Final = 10
_CC_REVERB: Final = 91
_REVERB_SEND: Final = 56

_LOG_LEVELS: Final = 5

_TUNING: Final = (0, 0)
"""Tuning bank and program of the only tuning."""

_APPLY_NOW: Final = 1
"""Retune sounding notes too."""

_SETTINGS: Final[dict[str, float | int]] = {
    "synth.midi-channels": _MIDI_CHANNELS,
    "synth.polyphony": 128,
    "synth.cpu-cores": 1,
    "synth.chorus.active": 0,
    # Their defaults have changed between releases. These are those of a small church.
    "synth.reverb.active": 1,
    "synth.reverb.room-size": 0.6,
    "synth.reverb.damp": 0.3,
    "synth.reverb.width": 0.8,
    "synth.reverb.level": 0.7,
}


_LOUDNESS_EXPONENT: Final = 5 / 3
"""10 dB less sound half as loud: Stevens, "The Measurement of Loudness", JASA 27 (1955)."""

_FLOOR_PERCENT: Final = 2.0
"""Added to each percent, so that volume 1 is 51 dB below volume 100 and can still be heard."""


def amplitude(percent: float) -> float:
    """Return the amplitude, 0 to 1, at a volume of 0 to 100 percent of perceived loudness.

    50 percent are 9.7 dB below 100, which sounds about half as loud; 0 is silence.
    """
    if percent <= 0:
        return 0.0
    share = (percent + _FLOOR_PERCENT) / (100.0 + _FLOOR_PERCENT)
    return float(share**_LOUDNESS_EXPONENT)


class FluidSynth:
    """Plays one soundfont; implements :class:`appliance.audio.performer.Synth`.

    Args:
        soundfont: an SF2 or SF3 file.
        sample_rate: frames per second.
        gain: FluidSynth's gain at volume 100.

    Raises:
        BachboxError: FluidSynth or pyfluidsynth is missing or too old, or the file is not a
            soundfont that it can load.
    """

    def __init__(self, soundfont: Path, sample_rate: int, gain: float = FULL_GAIN) -> None:
        self._presets = soundfonts.preset_names(soundfont)
        self._soundfont = soundfont
        self._substituted: tuple[int, int, int] | None = None
        """The preset that last took the place of another, and the program of that one."""
        self._failed: set[tuple[int, int]] = set()
        """Banks and programs that FluidSynth could not select."""
        self.sample_rate = sample_rate
        self._full_gain = gain
        self._percent = 0.0
        self._program_gain = 1.0
        self._fl = _library()
        self._settings = self._fl.new_fluid_settings()
        for name, value in _SETTINGS.items():
            self._set(name, value)
        self._set("synth.sample-rate", float(sample_rate))
        self._is_dynamic = not soundfonts.fits_in_memory(soundfont)
        """Whether only the samples of the current instrument are loaded, until that is logged."""
        if self._is_dynamic:
            self._set("synth.dynamic-sample-loading", 1)
        self._watch = SilenceWatch(sample_rate)
        self._muted: set[int] = set()
        """Channels whose volume is 0."""
        self._gain = self._target_gain = 0.0
        self._set("synth.gain", self._gain)
        self._fresh = True
        self._synth = self._fl.new_fluid_synth(self._settings)
        with soundfonts.warn_if_slow(soundfont), silence_stderr():
            font_id = self._fl.fluid_synth_sfload(self._synth, os.fsencode(soundfont), 1)
        if font_id < 0:
            self.close()
            raise BachboxError(
                f"FluidSynth cannot load the soundfont {soundfont} ({_reason()}): "
                "copy or download it again, or choose another"
            )
        for channel in VOICE_CHANNELS:
            self._fl.fluid_synth_cc(self._synth, channel, _CC_REVERB, _REVERB_SEND)
        # Twice, because on a keyboard there is a channel for each voice in either hand.
        for channel, pan in zip(VOICE_CHANNELS, 2 * _PANS, strict=False):
            self._fl.fluid_synth_cc(self._synth, channel, _CC_PAN, pan)
        self._font_id = font_id
        self._gain_step = gain * RAMP_SEGMENT_FRAMES / (RAMP_S * sample_rate)
        self._buffer = ctypes.create_string_buffer(0)

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        """Begin a note of ``voice`` (0 to 14): MIDI note number and MIDI velocity, 0 to 127."""
        channel = VOICE_CHANNELS[voice]
        self._fl.fluid_synth_noteon(self._synth, channel, pitch, velocity)
        if channel not in self._muted:
            self._watch.strike()

    def note_off(self, voice: int, pitch: int) -> None:
        """Release the MIDI note ``pitch`` of ``voice``."""
        self._fl.fluid_synth_noteoff(self._synth, VOICE_CHANNELS[voice], pitch)

    def program(self, program: int) -> None:
        """Choose the General MIDI program (0 to 127) of every voice, at full level.

        If the font does not have it, the nearest preset that it has plays, and its name is logged.
        """
        preset = self._preset(program)
        for channel in VOICE_CHANNELS:
            self._select(channel, preset)
            self._fl.fluid_synth_cc(self._synth, channel, _CC_VOLUME, _USUAL_CC_VOLUME)
        self._muted.clear()
        self._watch.begin()
        self._program_gain = program_gain(program)
        self._aim()

    def voice(self, voice: int, program: int, level: float) -> None:
        """Choose the program of one voice (0 to 14), as :meth:`program`, and its level.

        Args:
            voice: its channel.
            program: General MIDI program, 0 to 127.
            level: 0 to 100 percent, as in :func:`amplitude`.
        """
        channel, preset = VOICE_CHANNELS[voice], self._preset(program)
        self._select(channel, preset)
        # MIDI volume is the square root of the amplitude (General MIDI level 1 developer
        # guidelines); instruments are made equally loud here, as the gain does for all channels.
        gain = amplitude(level) * program_gain(program) / self._program_gain
        volume = min(127, round(_USUAL_CC_VOLUME * math.sqrt(gain)))
        self._fl.fluid_synth_cc(self._synth, channel, _CC_VOLUME, volume)
        (self._muted.discard if volume else self._muted.add)(channel)

    def _select(self, channel: int, preset: tuple[int, int]) -> None:
        code = self._fl.fluid_synth_program_select(self._synth, channel, self._font_id, *preset)
        if code != self._fl.FLUID_OK and preset not in self._failed:
            self._failed.add(preset)  # Logged once.
            logger.error(
                "FluidSynth cannot play preset %d:%d of the soundfont %s; choose another one",
                *(*preset, self._soundfont),
            )

    def _preset(self, program: int) -> tuple[int, int]:
        """Return bank and number of the preset that plays ``program``; log what is missing."""
        if self._is_dynamic:
            self._is_dynamic = False  # Logged once.
            logger.warning(
                "the soundfont %s is large for the free memory: only the instrument that plays is "
                "loaded, so a change of the instrument may give a gap",
                self._soundfont,
            )
        bank, number = soundfonts.nearest_preset(self._presets, program)
        if (bank, number) != (0, program) and (bank, number, program) != self._substituted:
            self._substituted = bank, number, program
            logger.warning(
                "the soundfont %s has no instrument %d (counted from 0); its preset %d:%d (%s) "
                "plays instead",
                *(self._soundfont, program, bank, number, self._presets[bank, number]),
            )
        return bank, number

    def tune(self, cents: Sequence[float]) -> None:
        """Tune all 128 keys; sounding notes change too.

        Args:
            cents: the pitch of each MIDI key, above the untuned key 0.

        Raises:
            BachboxError: the library is too old.
        """
        # FluidSynth truncates to whole cents; rounding first keeps the error below half a cent.
        fl, pitches = self._fl, (ctypes.c_double * len(cents))(*map(round, cents))
        codes = [
            fl.fluid_synth_activate_key_tuning(
                self._synth, *_TUNING, b"bachbox", pitches, _APPLY_NOW
            )
        ]
        codes += [
            fl.fluid_synth_activate_tuning(self._synth, channel, *_TUNING, _APPLY_NOW)
            for channel in VOICE_CHANNELS
        ]
        if any(code != self._fl.FLUID_OK for code in codes):
            raise BachboxError(
                f"this FluidSynth cannot be tuned ({_reason()}): 2.0 or later is needed; "
                "run `sudo apt install libfluidsynth3`"
            )

    def volume(self, percent: float) -> None:
        """Set the volume, 0 to 100 percent; :func:`amplitude` says what that means.

        Before the first block it acts at once, later within :data:`RAMP_S`.

        Raises:
            BachboxError: the library is too old.
        """
        self._percent = percent
        self._aim()

    def _aim(self) -> None:
        self._target_gain = self._full_gain * self._program_gain * amplitude(self._percent)
        if self._fresh:
            self._set_gain(self._target_gain)

    def render(self, frames: int) -> bytes:
        """Return the next ``frames`` frames of sound, interleaved stereo s16le.

        Raises:
            BachboxError: the library is too old.
        """
        self._fresh = False
        if len(self._buffer) < 4 * frames:
            self._buffer = ctypes.create_string_buffer(4 * frames)
        done = 0
        while self._gain != self._target_gain and done < frames:
            change = self._target_gain - self._gain
            step = max(-self._gain_step, min(self._gain_step, change))
            self._set_gain(self._target_gain if step == change else self._gain + step)
            done = self._write(done, min(RAMP_SEGMENT_FRAMES, frames - done))
        if done < frames:
            self._write(done, frames - done)
        sound = self._buffer.raw[: 4 * frames]
        if self._gain >= _AUDIBLE_GAIN and self._watch.hear(sound):
            logger.warning(
                "the soundfont %s makes no sound for the instrument that plays; choose another "
                "instrument or soundfont",
                self._soundfont,
            )
        return sound

    def close(self) -> None:
        """Free the synth and its font."""
        self._fl.delete_fluid_synth(self._synth)
        self._fl.delete_fluid_settings(self._settings)

    def _write(self, start: int, frames: int) -> int:
        buffer, start_sample = self._buffer, 2 * start
        self._fl.fluid_synth_write_s16(
            self._synth, frames, buffer, start_sample, 2, buffer, start_sample + 1, 2
        )
        return start + frames

    def _set_gain(self, gain: float) -> None:
        self._gain = gain
        self._set("synth.gain", gain)

    def _set(self, name: str, value: float | int) -> None:
        kind = "int" if isinstance(value, int) else "num"
        setter = getattr(self._fl, f"fluid_settings_set{kind}")
        if setter(self._settings, name.encode(), value) != self._fl.FLUID_OK:
            raise BachboxError(
                f"this FluidSynth does not accept {name} = {value}: 2.0 or later is needed; "
                "run `sudo apt install libfluidsynth3`"
            )


_log: Final[deque[str]] = deque(maxlen=4)
"""The last messages of FluidSynth, which would otherwise go to standard error."""

_LogHandler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


def _keep_log(level: int, message: bytes, data: object) -> None:
    _log.append(message.decode(errors="replace"))


_log_handler: Final = _LogHandler(_keep_log)
"""Never freed: the library keeps the pointer for as long as it is loaded."""


def _reason() -> str:
    """The newest message, which gives the reason of a failure that was just met."""
    return _log[-1] if _log else "no reason given"


@functools.cache
def _library() -> ModuleType:
    try:
        # pyfluidsynth prints where it found the library if the variable CI is set.
        with contextlib.redirect_stdout(io.StringIO()):
            import fluidsynth
    except ModuleNotFoundError as error:
        raise BachboxError(
            "the Python package pyfluidsynth is missing", remedy=install_hint()
        ) from error
    except (ImportError, OSError) as error:
        raise BachboxError(
            "the library FluidSynth is missing: run `sudo apt install libfluidsynth3`"
        ) from error
    library: ModuleType = fluidsynth
    if not hasattr(library, "cfunc"):
        raise BachboxError(
            "the Python package fluidsynth is installed, which is another program and hides "
            "pyfluidsynth",
            remedy="run `pip uninstall fluidsynth`, then `pip install --force-reinstall "
            "pyfluidsynth`",
        )
    set_log_function = library.cfunc(
        "fluid_set_log_function",
        ctypes.c_void_p,
        ("level", ctypes.c_int, 1),
        ("function", _LogHandler, 1),
        ("data", ctypes.c_void_p, 1),
    )
    for level in range(_LOG_LEVELS):
        set_log_function(level, _log_handler, None)
    return library
