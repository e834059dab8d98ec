"""The card's hotspot: what is entered on its page, and the page in a network of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.deployment.card_scripts import CARD, load

settings = load("settings")
hotspot = load("hotspot")

SHIPPED = (CARD / "bachbox.txt").read_text()
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: name == name.strip()
)
KEYS = st.from_regex(r"[ -~]{8,63}", fullmatch=True)


def wifi(text: str) -> tuple[object, object]:
    """Name and password in a bachbox.txt, as the box reads them."""
    parsed = settings.parse(settings.split(text)[0])
    return parsed.get("wifi_name"), parsed.get("wifi_password")


@hypothesis_settings(max_examples=25)
@given(
    NAMES,
    KEYS,
    st.sampled_from([SHIPPED, "", '[sound]\nvolume = 1\n[ card ] # mine\nhostname = "x"']),
)
def test_what_is_entered_is_what_the_box_reads_and_all_else_stays(
    name: str, password: str, text: str
) -> None:
    try:
        new = hotspot.entered(text, name, password, False)
    except ValueError as error:
        # Quotation marks of both kinds before a #: only an editor can write that.
        assert "comment" in " ".join(error.args)
        return
    assert wifi(new) == (name, password)
    left = [line for line in new.split("\n") if not line.startswith("wifi_") and line != "[card]"]
    kept = [line for line in text.split("\n") if not line.startswith("wifi_") and line != "[card]"]
    assert left == kept
    assert hotspot.entered(new, name, password, False) == new


@pytest.mark.parametrize(
    ("name", "password", "is_open", "sentence"),
    [
        ("", "12345678", False, "Enter the name"),
        ("Haus", "short", False, "8 to 63 characters"),
        ("Haus", "Grüße123", False, "without umlauts"),
        ("ü" * 17, "12345678", False, "32 bytes"),
        ("Haus", "", False, "wifi_password is empty"),
        ("Ha\nhostname = 'x'", "12345678", False, "quotation marks"),
    ],
)
def test_what_cannot_be_a_wifi_is_refused(
    name: str, password: str, is_open: bool, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        hotspot.entered(SHIPPED, name, password, is_open)


def test_an_open_network_is_joined_only_if_somebody_says_so() -> None:
    new = hotspot.entered(SHIPPED, "Café", "", True)
    assert "wifi_open = true" in new
    assert "wifi_open = true" not in hotspot.entered(new, "Haus", "12345678", True)


def test_names_around_are_listed_the_strongest_first() -> None:
    results = (
        "bssid / frequency / signal level / flags / ssid\n"
        "02:00:00:00:00:01\t2412\t-70\t[WPA2-PSK-CCMP][ESS]\tCaf\\xc3\\xa9\n"
        '02:00:00:00:00:02\t2437\t-40\t[ESS]\tHaus \\"1\\"\n'
        "02:00:00:00:00:03\t2437\t-90\t[ESS]\tCaf\\xc3\\xa9\n"
        "02:00:00:00:00:04\t2437\t-20\t[ESS]\t\n"
        "02:00:00:00:00:05\t2437\t-10\t[ESS]\tbachbox-setup\n"
    )
    assert hotspot.scanned(results) == ['Haus "1"', "Café"]


def test_only_another_network_than_its_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*addresses: str) -> bool:
        links = [{"addr_info": [{"local": one} for one in addresses]}, {}]
        monkeypatch.setattr(
            hotspot.subprocess, "run",
            lambda *_a, **_k: subprocess.CompletedProcess([], 0, json.dumps(links)),
        )  # fmt: skip
        return bool(hotspot.is_connected())

    assert not answer()
    assert not answer(hotspot.ADDRESS)
    assert answer(hotspot.ADDRESS, "192.168.1.5")


def test_the_hotspot_has_a_password(tmp_path: Path) -> None:
    config = hotspot.access_point("johann sebastian", "FR")
    assert "mode=2\n" in config
    assert "key_mgmt=WPA-PSK\n" in config
    assert "country=FR\n" in config
    assert hotspot.NAME.encode().hex() in config


SERVER = """
import sys, time
sys.path.insert(0, {card!r})
import hotspot, settings
from pathlib import Path
settings.TEXT, settings.RUN = Path({folder!r}) / "bachbox.txt", Path({folder!r})
with hotspot.serving("setup0", ["Haus", "Caf\\u00e9 <1>"]) as page:
    print("serves", flush=True)
    page.changed.wait(120)
    time.sleep(0.5)
print("changed", flush=True)
"""

CLIENT = """
import json, socket, sys, urllib.error, urllib.request
# Any name leads to the box: a query for the A record of one.
query = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\x05apple\\3com\\0\\0\\1\\0\\1"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    asked.settimeout(120)
    asked.sendto(query, ("192.168.77.1", 53))
    address = socket.inet_ntoa(asked.recv(512)[-4:])
def fetch(path, data=None):
    request = urllib.request.Request(f"http://{address}{path}", data, {"Host": "apple.com"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
answers = [fetch(path, data and data.encode()) for path, data in json.load(sys.stdin)]
print(json.dumps([address, *answers]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make networks")
def test_a_phone_in_the_hotspot_gets_the_page_and_sets_the_wifi(tmp_path: Path) -> None:
    (tmp_path / "bachbox.txt").write_text(SHIPPED)
    box, phone = f"bachbox-b{os.getpid()}", f"bachbox-p{os.getpid()}"

    def inside(namespace: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", namespace, *command]

    def run(*command: str, **more: Any) -> str:
        return str(
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=120, **more
            ).stdout
        )

    with contextlib.ExitStack() as stack:
        for name in (box, phone):
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "delete", name)
        # A cable in place of the radio, which needs a kernel module.
        run(*inside(box, "ip", "link", "add", "setup0", "type", "veth", "peer", "phone0"))
        run(*inside(box, "ip", "link", "set", "phone0", "netns", phone))
        for name, link, address in (
            (box, "setup0", hotspot.ADDRESS), (phone, "phone0", "192.168.77.10")
        ):  # fmt: skip
            run(*inside(name, "ip", "address", "add", f"{address}/24", "dev", link))
            run(*inside(name, "ip", "link", "set", link, "up"))
        script = SERVER.format(card=str(CARD), folder=str(tmp_path))
        server = stack.enter_context(
            subprocess.Popen(
                inside(box, sys.executable, "-c", script), stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(server.terminate)
        assert server.stdout is not None
        assert server.stdout.readline() == "serves\n"
        wishes = [
            ("/", None),
            ("/hotspot-detect.html", None),
            ("/", "name=Haus&password=short"),
            ("/", "x" * 5000),
            ("/", urllib.parse.urlencode({"name": "Café <1>", "password": 'a"b\\c d#'})),
        ]
        said = run(*inside(phone, sys.executable, "-c", CLIENT), input=json.dumps(wishes))
        address, page, captive, short, long, done = json.loads(said)
        assert address == hotspot.ADDRESS
        assert page[0] == 200
        assert '<option value="Café &lt;1&gt;">' in page[1]
        assert captive == page
        assert (short[0], long[0], done[0]) == (422, 413, 200)
        assert "8 to 63 characters" in short[1]
        assert "Café &lt;1&gt;" in done[1]
        assert server.stdout.readline() == "changed\n"
    assert wifi((tmp_path / "bachbox.txt").read_text()) == ("Café <1>", 'a"b\\c d#')
