#!/usr/bin/python3
"""Applies the settings in the text file on the card, which any computer can edit.

Runs at every start, before the network and Bachbox, as bachbox-card.service. The section ``[card]``
is for the machine (its name, Wi-Fi, the broker's password); everything else is Bachbox's config.
The card has no login and often no screen, so mistakes are also listed in a file beside the text
file, the activity LED blinks evenly, and where there is sound, beeps count out what is wrong
(bachbox-card-beeps.service plays them). The box plays without the settings that are wrong.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import math
import os
import re
import socket
import subprocess
import sys
import tomllib
import wave
from pathlib import Path

import dac

TEXT = Path("/boot/firmware/bachbox.txt")
PROBLEMS = "bachbox-problems.txt"
RUN = Path("/run/bachbox-card")
MODPROBE = Path("/run/modprobe.d/bachbox-card.conf")
DEFAULT = Path("/etc/bachbox/bachbox.toml")
LED = Path("/sys/class/leds/ACT")
MAX_BYTES = 65536
BEEPS = "beeps.wav"
RATE = 48_000

KEYS = {
    "hostname": (
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
        "letters, digits and -, at most 63",
    ),
    "wifi_name": (
        r".{0,32}",
        "at most 32 bytes long; letters beyond A to Z count 2 to 4 bytes each",
    ),
    "wifi_password": (
        r"|[ -~]{8,63}|[0-9a-fA-F]{64}",
        "8 to 63 characters without umlauts or accents, or 64 digits from 0 to f",
    ),
    "wifi_open": (r"true|false", "true or false"),
    "wifi_country": (r"[A-Z]{2}", "two capital letters, such as DE"),
    "setup_password": (r"|[ -~]{8,63}", "8 to 63 characters without umlauts or accents, or empty"),
    "broker_password": (r"[^\r\n]{0,1000}", "at most 1000 characters"),
    "dac": (r"[\w-]{0,60}", "the name of a sound card's overlay, such as hifiberry-dac"),
}
"""The keys of ``[card]``: the pattern of their values, and what is allowed, in words."""

BEEPS_BY_TOPIC = {
    "wifi": 2,
    "setup_password": 2,
    "hostname": 3,
    "broker_password": 4,
    "section [card]": 5,
    "dac": 6,
}
"""How many beeps tell where the mistake is, by a word in its sentence; one beep for the rest."""

_QUOTES = str.maketrans("“”„‘’‚", "\"\"\"'''")
"""The quotation marks that some editors make from plain ones."""

_LINE = re.compile(r"\s*([\w-]+)\s*=\s*(.*?)\s*")

problems: list[str] = []
"""The sentences about mistakes so far. None contains a password."""


def report(sentence: str) -> None:
    """Print a mistake to the journal, and by the unit to the screen, and remember it."""
    problems.append(sentence)
    print(f"bachbox.txt: {sentence}", file=sys.stderr)


def read(path: Path) -> str:
    """Return the file as text, from whatever editor it comes; "" if it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        report(f"the file cannot be read ({error.strerror})")
        return ""
    if len(content) > MAX_BYTES:
        report("the file is larger than 64 KiB, so it is not read; make it shorter")
        return ""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        report("the file is not saved as UTF-8, so umlauts and accents in it may be read wrongly")
        text = content.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def split(text: str) -> tuple[str, str]:
    """Return the section ``[card]`` and all the rest; each line keeps its number."""
    card: list[str] = []
    rest: list[str] = []
    inside = False
    for line in text.split("\n"):
        if line.lstrip().startswith("["):
            inside = line.partition("#")[0].strip().strip("[]").strip() == "card"
        card.append(line if inside else "")
        rest.append("" if inside else line.translate(_QUOTES))
    return "\n".join(card), "\n".join(rest)


def unquote(text: str) -> str | None:
    """Return what stands between the first and the last quotation mark, as it stands.

    Returns None if ``text`` is not a value in quotation marks that a comment may follow.
    """
    plain = text.translate(_QUOTES)
    mark = plain[:1]
    end = plain.rfind(mark) if mark in ("'", '"') else 0
    if not end or not re.fullmatch(r"\s*(#.*)?", plain[end + 1 :]):
        return None
    return text[1:end]


def parse(card: str) -> dict[str, str | None]:
    """Return the settings in ``[card]``. A wrong value is reported, and None stands in its place.

    Each line is read by itself, and without escape sequences: passwords may contain backslashes and
    quotation marks, and a mistake in one line leaves the others as they are.
    """
    known: dict[str, str | None] = {}
    for number, line in enumerate(card.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith(("#", "[")):
            continue
        found = _LINE.fullmatch(line)
        if not found or found[1] not in KEYS:
            what = f"there is no key {found[1]}" if found else "this is not a key and a value"
            report(f"line {number}: {what}; the keys under [card] are {', '.join(KEYS)}")
            continue
        key, given = found[1], found[2]
        if key in known:
            report(f"line {number}: {key} is there twice; the last line counts")
        known[key] = value = _value(key, given, number)
        if key == "wifi_name" and value and len(value.encode(errors="replace")) > 32:
            report(f"line {number}: wifi_name has to be {KEYS[key][1]}")
            known[key] = None
    return known


def _value(key: str, given: str, number: int) -> str | None:
    pattern, allowed = KEYS[key]
    if key == "wifi_open":
        value: str | None = given.partition("#")[0].translate(_QUOTES).strip(" \t\"'").lower()
    else:
        value = unquote(given)
    if value is None:
        report(f"line {number}: write the value of {key} in quotation marks, and nothing after it")
    elif re.search(rf"{given.translate(_QUOTES)[0]}\s+#", value.translate(_QUOTES)):
        # This is either a comment that contains quotation marks, or part of a password.
        report(f"line {number}: write the comment after {key} on a line of its own")
    elif not re.fullmatch(pattern, value):
        report(f"line {number}: {key} has to be {allowed}")
    else:
        return value
    return None


def wpa_config(settings: dict[str, str | None]) -> str:
    """Return wpa_supplicant's config for the network in ``settings``; "" for no Wi-Fi.

    A network without a password is joined only if ``wifi_open`` says so: anybody can put up an open
    network of the same name.
    """
    name, password = settings.get("wifi_name", ""), settings.get("wifi_password", "")
    is_open = settings.get("wifi_open", "false") == "true"
    if name is None or password is None:
        report("no Wi-Fi is joined until wifi_name and wifi_password are right")
        return ""
    if not name:
        if password:
            report("no Wi-Fi is joined: there is a wifi_password, but no wifi_name")
        return ""
    if password and is_open:
        report("wifi_open is true, but there is a wifi_password; only a network with it is joined")
    if password:
        lines = _with_password(name, password)
    elif is_open:
        lines = ["key_mgmt=NONE"]
    else:
        report(
            "no Wi-Fi is joined: wifi_password is empty; if the network really has no password, "
            "write wifi_open = true"
        )
        return ""
    # In hex, the name cannot be taken for anything else.
    lines = [f"ssid={name.encode().hex()}", "scan_ssid=1", *lines]
    network = "".join(f"\t{line}\n" for line in lines)
    country = settings.get("wifi_country") or "DE"
    return f"ctrl_interface=/run/wpa_supplicant\ncountry={country}\nnetwork={{\n{network}}}\n"


def _with_password(name: str, password: str) -> list[str]:
    # All in hex: in quotation marks, wpa_supplicant takes a # after a " for a comment.
    if len(password) == 64:
        # This is the key itself, not the password, which WPA3 (SAE) would need.
        return ["key_mgmt=WPA-PSK", "ieee80211w=1", f"psk={password}"]
    # IEEE 802.11 (J.4.1): how a key for WPA2 is made of a password.
    key = hashlib.pbkdf2_hmac("sha1", password.encode(), name.encode(), 4096, 32).hex()
    return [
        "key_mgmt=WPA-PSK SAE",
        "ieee80211w=1",
        f"psk={key}",
        f"sae_password={password.encode().hex()}",
    ]


def write(name: str, text: str, mode: int = 0o600) -> None:
    """Write a file below ``RUN``, which is in memory; the mode applies from the start."""
    path = RUN / name
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)


def check_config(box: str) -> None:
    """Write Bachbox's config; the default one if ``box`` has mistakes in what the music needs."""
    write("bachbox.toml", box, 0o644)
    command = ["bachbox", "config", "--as-played", "--config", str(RUN / "bachbox.toml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in checked.stderr.strip().splitlines():
        report(line.removeprefix("bachbox: ").removeprefix(f"{RUN / 'bachbox.toml'}: "))
    if checked.returncode:
        report("Bachbox plays as if there were only the section [card]")
        write("bachbox.toml", DEFAULT.read_text(), 0o644)


def save_problems(folder: Path) -> None:
    """List the problems in a file in ``folder``, the boot partition; remove it without any."""
    lines = ["Bachbox found these mistakes in bachbox.txt at its last start:", "", *problems, ""]
    write_to_card(folder / PROBLEMS, "\r\n".join(lines) if problems else "")


def write_to_card(path: Path, text: str) -> bool:
    """Write a file on the boot partition, or remove it if ``text`` is empty.

    The partition is mounted read-only. It is writable only for this moment, and only if the
    content changes, because FAT has no journal and the plug may be pulled.

    Returns:
        Whether the file was changed, and now has this content.
    """
    folder, content = path.parent, text.encode() or None
    if content == (path.read_bytes() if path.exists() else None):
        return False
    is_remounted = bool(os.statvfs(folder).f_flag & os.ST_RDONLY) and _remount(folder, "rw")
    try:
        temporary = path.with_suffix(".new")
        if content is None:
            path.unlink()
        else:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        os.sync()
    finally:
        if is_remounted:
            _remount(folder, "ro")
    return content == (path.read_bytes() if path.exists() else None)


def _remount(folder: Path, how: str) -> bool:
    command = ["mount", "-o", f"remount,{how}", str(folder)]
    return subprocess.run(command, check=False).returncode == 0


def apply_dac(name: str, box: str) -> bool:
    """Use the sound card ``name`` on the header; return whether the box has to start once more.

    Args:
        name: as in ``[card]``; "" for none.
        box: Bachbox's config, whose pins must not be those of the sound card.
    """
    if sentence := dac.refusal(name) if name else "":
        report(sentence)
        return False
    (RUN / "environment").unlink(missing_ok=True)
    if name:
        with contextlib.suppress(tomllib.TOMLDecodeError):
            for sentence in dac.clashes(tomllib.loads(box)):
                report(sentence)
        # The default card is this one, and the Pi's own output is off.
        write("environment", f"ALSA_CARD={dac.CARD_ID}\n", 0o644)
        MODPROBE.parent.mkdir(exist_ok=True)
        MODPROBE.write_text("blacklist snd_bcm2835\n")
        subprocess.run(["modprobe", "--quiet", "--remove", "snd_bcm2835"], check=False)
    try:
        return write_to_card(TEXT.parent / dac.INCLUDED, dac.included(name))
    except OSError as error:
        report(f"dac: {dac.INCLUDED} cannot be written beside this file ({error.strerror})")
        return False


def blink() -> None:
    """Let the activity LED blink evenly, twice a second, instead of showing reads of the card."""
    subprocess.run(["modprobe", "--quiet", "ledtrig-timer"], check=False)
    for name, value in (("trigger", "timer"), ("delay_on", "250"), ("delay_off", "250")):
        (LED / name).write_text(value)


def beep_counts(sentences: list[str]) -> list[int]:
    """Return how often to beep, in groups: each kind of mistake once, the smallest number first."""

    def topic(text: str) -> int:
        return next((n for word, n in BEEPS_BY_TOPIC.items() if word in text), 1)

    return sorted(
        {
            5 if text.startswith("[") else topic(text.lower())
            # What follows a semicolon may name other keys, as a remedy.
            for text in (s.partition(";")[0].replace("Wi-Fi", "wifi") for s in sentences)
        }
    )


def write_beeps(path: Path, groups: list[int]) -> None:
    """Write a WAV file: for each group a low tone, then as many short high ones."""
    sound = bytearray()
    for count in groups:
        sound += _tone(196, 0.6) + _tone(0, 0.4)
        sound += count * (_tone(880, 0.15) + _tone(0, 0.25)) + _tone(0, 0.8)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(sound))


def _tone(hertz: float, seconds: float) -> bytes:
    turn = 2 * math.pi * hertz / RATE
    values = (int(8000 * math.sin(turn * frame)) for frame in range(int(seconds * RATE)))
    return b"".join(value.to_bytes(2, "little", signed=True) for value in values)


def main() -> None:
    """Write everything that the other services look for."""
    RUN.mkdir(mode=0o755, exist_ok=True)
    card, box = split(read(TEXT))
    settings = parse(card)
    if hostname := settings.get("hostname"):
        socket.sethostname(hostname)
    if wpa := wpa_config(settings):
        write("wpa_supplicant-wlan0.conf", wpa)
    else:
        (RUN / "wpa_supplicant-wlan0.conf").unlink(missing_ok=True)
    write("mqtt-password", (settings.get("broker_password") or "") + "\n")
    check_config(box)
    given = settings.get("dac", "")
    starts_again = given is not None and apply_dac(given, box)
    with contextlib.suppress(OSError):
        save_problems(TEXT.parent)
    (RUN / BEEPS).unlink(missing_ok=True)
    if problems:
        write_beeps(RUN / BEEPS, beep_counts(problems))
        with contextlib.suppress(OSError):
            blink()
    if starts_again:
        print("bachbox.txt: another sound card (dac); starting once more", file=sys.stderr)
        subprocess.run(["systemctl", "--no-block", "reboot"], check=False)


if __name__ == "__main__":
    main()
