#!/usr/bin/python3
"""Takes the card's settings from the text file that any computer can edit.

Runs at every start, before the network and Bachbox, as bachbox-card.service. The table ``[card]`` is
for the machine (its name, Wi-Fi, the broker's password), and everything else is Bachbox's config.
A mistake is told of, on the screen and in the journal, and the box plays without what it is about.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

TEXT = Path("/boot/firmware/bachbox.txt")
RUN = Path("/run/bachbox-card")
DEFAULT = Path("/etc/bachbox/bachbox.toml")
MAX_CHARACTERS = 65536

KEYS = {
    "hostname": (
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
        "letters, digits and -, at most 63",
    ),
    "wifi_name": (r".{0,32}", "at most 32 characters"),
    "wifi_password": (
        r"|[ -~]{8,63}|[0-9a-fA-F]{64}",
        "8 to 63 letters, digits and signs, or empty",
    ),
    "wifi_country": (r"[A-Z]{2}", "two capital letters, such as DE"),
    "broker_password": (r"[^\r\n]{0,1000}", "one line"),
}


def say(sentence: str) -> None:
    """To the journal, and by the unit to the screen."""
    print(f"bachbox.txt: {sentence}", file=sys.stderr)


def read(path: Path) -> str:
    """The file as text, whatever editor it comes from; "" where there is none."""
    try:
        text = path.read_bytes()[:MAX_CHARACTERS].decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        say(f"cannot be read ({error}); save it as plain text, UTF-8")
        return ""
    # Some editors make them from plain ones.
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(str.maketrans("“”„", '"""'))


def split(text: str) -> tuple[str, str]:
    """The table ``[card]``, and all the rest with its lines where they were."""
    card: list[str] = []
    rest: list[str] = []
    inside = False
    for line in text.split("\n"):
        if line.lstrip().startswith("["):
            inside = line.strip().partition("#")[0].strip() == "[card]"
        (card if inside else rest).append(line)
        (rest if inside else card).append("")
    return "\n".join(card), "\n".join(rest)


def understand(card: str) -> dict[str, str]:
    """What ``[card]`` says and may say; the rest is told of and left out."""
    try:
        table = tomllib.loads(card).get("card", {})
    except tomllib.TOMLDecodeError as error:
        say(f"under [card]: {error}; every value stands in quotation marks")
        return {}
    known = {}
    for key, value in table.items():
        pattern, allowed = KEYS.get(key, ("", ""))
        if not allowed:
            say(f"under [card]: there is no {key}; there are {', '.join(KEYS)}")
        elif not isinstance(value, str) or not re.fullmatch(pattern, value):
            say(f"under [card]: {key} has to be {allowed}, in quotation marks")
        else:
            known[key] = value
    return known


def wpa_config(name: str, password: str, country: str) -> str:
    """wpa_supplicant's config for one network."""
    if not password:
        key = "key_mgmt=NONE"
    elif len(password) == 64:
        key = f"psk={password}"
    else:
        key = f'psk="{password}"'
    # The name as hex, so that nothing in it can be anything but a name.
    network = f"network={{\n\tssid={name.encode().hex()}\n\tscan_ssid=1\n\t{key}\n}}\n"
    return f"ctrl_interface=/run/wpa_supplicant\ncountry={country}\n{network}"


def write(name: str, text: str, mode: int = 0o600) -> None:
    """Into the folder that goes when the machine does."""
    path = RUN / name
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)


def main() -> None:
    """Write everything that the other services look for."""
    RUN.mkdir(mode=0o755, exist_ok=True)
    card, box = split(read(TEXT))
    known = understand(card)
    if "hostname" in known:
        socket.sethostname(known["hostname"])
    if known.get("wifi_name"):
        wpa = wpa_config(
            known["wifi_name"], known.get("wifi_password", ""), known.get("wifi_country", "DE")
        )
        write("wpa_supplicant-wlan0.conf", wpa)
    write("mqtt-password", known.get("broker_password", "") + "\n")
    write("bachbox.toml", box, 0o644)
    checked = subprocess.run(
        ["bachbox", "config", "--config", str(RUN / "bachbox.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode:
        for line in checked.stderr.strip().splitlines():
            say(line.replace(f"{RUN / 'bachbox.toml'}: ", ""))
        say("Bachbox plays as if nothing stood there but [card]")
        write("bachbox.toml", DEFAULT.read_text(), 0o644)


if __name__ == "__main__":
    main()
