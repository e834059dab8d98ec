"""The sound cards that the kernel has, what ALSA calls them, and why one cannot be opened.

Everything is read from ``/proc/asound`` and ``/sys``, without a library; only :func:`open_error`
asks libasound. A card is called by its ID (``Headphones``), because its number changes from one
start of the machine to the next.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from appliance.audio.silence_stderr import silence_stderr
from appliance.common.procfs import text_of
from appliance.common.text import quoted

PROC: Final = Path("/proc")
DRM: Final = Path("/sys/class/drm")

_PCM_LINE: Final = re.compile(r"(\d+)-(\d+): (.*?)(?: : .*)?: playback \d+")
"""A line of ``/proc/asound/pcm``: ``00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8``.
"""

_ALSA_NAME: Final = re.compile(
    r"(?:plug)?(?:hw|sysdefault|default|front|dmix|hdmi|iec958)[:_]"
    r"(?:CARD=)?(?P<card>[^,]+?)(?:,\s*(?:DEV=)?(?P<device>\d+))?(?:,.*)?",
    re.IGNORECASE,
)
"""What ``aplay -L`` prints, and what people write into ``.asoundrc``."""

_PLUGIN_ERROR: Final = re.compile(
    r"^ALSA lib (?!conf|pcm|control|dlmisc)[^ ]+:\d+:\(\w+\) (.+)$", re.MULTILINE
)
"""What a plug-in of ALSA says on standard error; ALSA's own files are left out."""

_MAX_ERROR: Final = 200
"""Characters of it that are shown."""

_SOUND_SERVERS: Final = ("pipewire", "pipewire-pulse", "wireplumber", "pulseaudio")

_ENOTSUPP: Final = 524
"""The kernel's own number, which the Raspberry Pi's HDMI gives when there is no screen."""

_SND_PCM_STREAM_PLAYBACK: Final = 0
_SND_PCM_NONBLOCK: Final = 1


class HardwareCard(NamedTuple):
    """A device of a sound card that can play."""

    number: int
    id: str
    """ALSA's ID of the card, such as ``Headphones``."""
    device: int
    """Most cards have one, number 0."""

    @property
    def label(self) -> str:
        """What Bachbox calls it: the ID, with the device's number if it is not 0."""
        return f"{self.id},{self.device}" if self.device else self.id


def hardware_cards(proc: Path = PROC) -> list[HardwareCard]:
    """Return every playback device that there is now; none on a machine without ALSA."""
    try:
        lines = (proc / "asound" / "pcm").read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        if match := _PCM_LINE.match(line):
            number, device = int(match[1]), int(match[2])
            found.append(HardwareCard(number, _card_id(number, proc), device))
    return found


def find(name: str, cards: list[HardwareCard]) -> HardwareCard | None:
    """Return the card with this label, case ignored, or the one that an ALSA name means."""
    named = [card for card in cards if card.label.casefold() == name.casefold()]
    return named[0] if named else find_by_alsa_name(name, cards)


def find_by_alsa_name(name: str, cards: list[HardwareCard]) -> HardwareCard | None:
    """Return the card that an ALSA name means, such as ``plughw:CARD=Headphones,DEV=0``.

    None: it is no such name, or there is no such card.
    """
    match = _ALSA_NAME.fullmatch(name.strip())
    if not match:
        return None
    wanted, device = match["card"].strip().casefold(), int(match["device"] or 0)
    for card in cards:
        if wanted in (str(card.number), card.id.casefold()) and card.device == device:
            return card
    return None


def is_alsa_name(name: str) -> bool:
    """Return whether ``name`` is spelled as ALSA spells a card."""
    return _ALSA_NAME.fullmatch(name.strip()) is not None


def is_hdmi_without_screen(card: HardwareCard, proc: Path = PROC, drm: Path = DRM) -> bool:
    """Return whether the card is an HDMI output and no screen is connected."""
    if "hdmi" not in card.id.casefold():
        return False
    eld = [text_of(file) for file in (proc / "asound" / f"card{card.number}").glob("eld#*")]
    states = [found[1] for text in eld if (found := re.search(r"monitor_present\s+(\d)", text))]
    if states:
        return "1" not in states
    plugs = [text_of(f / "status").strip() for f in sorted(drm.glob("card*-HDMI-A-*"))]
    # The Raspberry Pi's vc4hdmi0 is the first plug, vc4hdmi1 the second.
    if found := re.fullmatch(r"vc4hdmi(\d)", card.id):
        plugs = plugs[int(found[1]) :][:1]
    return bool(plugs) and "connected" not in plugs


def holder(card: HardwareCard, proc: Path = PROC) -> str:
    """Return the program that uses the card, such as ``mpd (process 812)``.

    Only ``process 812`` if its name is hidden, as it is from the service (``ProtectProc=`` in its
    unit); "" if nothing is known.
    """
    pid = holder_pid(card, proc)
    if pid is None:
        return ""
    name = text_of(proc / str(pid) / "comm").strip()
    return f"{name} (process {pid})" if name else f"process {pid}"


def holder_pid(card: HardwareCard, proc: Path = PROC) -> int | None:
    """Return the process that uses the card; None if there is none, or the kernel hides it."""
    folder = proc / "asound" / f"card{card.number}" / f"pcm{card.device}p"
    for status in sorted(folder.glob("sub*/status")):
        if found := re.search(r"owner_pid\s*:\s*(\d+)", text_of(status)):
            return int(found[1])
    return None


def open_error(pcm: str, stderr: int | None = None) -> int:
    """Try to open an ALSA device, and close it again; return 0 or the error number.

    PortAudio keeps the reason to itself, so ALSA is asked once more.

    Args:
        pcm: the device.
        stderr: a file descriptor that gets ALSA's messages.
    """
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError:
        return 0
    handle = ctypes.c_void_p()
    with silence_stderr(stderr):
        code: int = library.snd_pcm_open(
            ctypes.byref(handle), pcm.encode(), _SND_PCM_STREAM_PLAYBACK, _SND_PCM_NONBLOCK
        )
        if code >= 0:
            library.snd_pcm_close(handle)
    return max(0, -code)


def explanation(pcm: str, code: int, card: HardwareCard | None) -> str:
    """Return :func:`reason`; where a plug-in of ALSA stands behind the device, with its own words.

    Args:
        pcm: the device.
        code: the error number that it gives.
        card: the hardware behind it, if it is known.
    """
    said = _plugin_error(pcm) if code and card is None else ""
    if not said:
        return reason(code, card)
    # BlueALSA's without D-Bus.
    why = "" if code == errno.ENOMEM else f"{reason(code)}; "
    return f"{why}its plug-in of ALSA says {quoted(said, _MAX_ERROR)}"


def _plugin_error(pcm: str) -> str:
    """Return the last error that a plug-in of ALSA reports; "" if there is none."""
    with os.fdopen(os.memfd_create("alsa"), "r+", errors="replace") as said:
        open_error(pcm, said.fileno())
        said.seek(0)
        errors = _PLUGIN_ERROR.findall(said.read())
    return errors[-1] if errors else ""


def card_behind(pcm: str, cards: list[HardwareCard]) -> HardwareCard | None:
    """Return the card that an ALSA device such as ``default`` leads to; None if none is known."""
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError:
        return None
    handle = ctypes.c_void_p()
    with silence_stderr():
        if library.snd_ctl_open(ctypes.byref(handle), pcm.encode(), _SND_PCM_NONBLOCK) < 0:
            return None
        info = ctypes.c_void_p()
        library.snd_ctl_card_info_malloc(ctypes.byref(info))
        failed = library.snd_ctl_card_info(handle, info) < 0
        number = -1 if failed else int(library.snd_ctl_card_info_get_card(info))
        library.snd_ctl_card_info_free(info)
        library.snd_ctl_close(handle)
    return next((card for card in cards if card.number == number), None)


def reason(code: int, card: HardwareCard | None = None, proc: Path = PROC) -> str:
    """Return in words why a card cannot be opened.

    Args:
        code: an error number, as :func:`open_error` returns it.
        card: the card, if it is known.
        proc: where ``/proc`` is.
    """
    if code == errno.EBUSY:
        return _busy(card, proc)
    if code in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        return "there is no such device"
    if code == errno.ENOSPC:
        return "its USB port has no bandwidth left: use another port, or unplug another device"
    if code in (errno.EACCES, errno.EPERM):
        return "you may not use it: sudo usermod -aG audio $USER, then log in again"
    if code in (errno.ECONNREFUSED, errno.EHOSTDOWN, errno.ETIMEDOUT):
        return "its sound server does not answer"
    if code == _ENOTSUPP or (card and is_hdmi_without_screen(card, proc)):
        return "it is HDMI, and no screen is connected"
    return os.strerror(code).lower() if code else "the reason is not known"


def _busy(card: HardwareCard | None, proc: Path) -> str:
    program = holder(card, proc) if card else ""
    if not program:
        return "another program uses it, perhaps the sound server of somebody who is logged in"
    if program.split(" ")[0] in _SOUND_SERVERS:
        return f"the sound server {program} of a desktop session uses it; see docs/sound.md"
    if program.startswith("process "):
        return (
            f"{program} uses it, perhaps the sound server of somebody who is logged in "
            f"(`ps -p {program.removeprefix('process ')}`); see docs/sound.md"
        )
    return f"{program} uses it: end that program first"


def _card_id(number: int, proc: Path) -> str:
    return text_of(proc / "asound" / f"card{number}" / "id").strip() or str(number)
