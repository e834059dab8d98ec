"""The text file on the card: what people write into it, and what becomes of it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.frontends.mqtt import topics
from tests.deployment.card_scripts import CARD, load
from tests.support.programs import program

script = vars(load("settings"))

PASSWORDS = st.from_regex(r"[ -~]{8,63}", fullmatch=True).filter(lambda text: '" ' not in text)


@pytest.fixture(autouse=True)
def no_problems() -> Iterator[None]:
    """Start with no problems, and leave none to the next test."""
    script["problems"].clear()
    yield
    script["problems"].clear()


def parsed(text: str) -> dict[str, str | None]:
    script["problems"].clear()
    known: dict[str, str | None] = script["parse"](script["split"](text)[0])
    return known


def wifi(*lines: str) -> str:
    """Return wpa_supplicant's config for these lines under [card]."""
    config: str = script["wpa_config"](parsed("\n".join(("[card]", *lines))))
    return config


def told() -> str:
    return "\n".join(script["problems"])


def test_nobody_can_log_in_to_the_card_and_the_way_to_update_it_needs_no_login() -> None:
    image = (CARD.parent / "image.sh").read_text()
    assert "inside passwd --quiet --lock root" in image
    assert "useradd" not in image
    assert "ssh" not in (CARD / "packages").read_text()
    readme = (CARD.parent / "README.md").read_text()
    assert "login is needed" not in readme
    updating = readme.split("### Updating a card\n")[1].split("\n###")[0]
    assert "http://bachbox.local/api/backup" in updating
    assert "sudo" not in updating


def test_the_file_that_comes_along_is_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, box = script["split"]((CARD / "bachbox.txt").read_text())
    settings = script["parse"](card)
    assert set(settings) == set(script["KEYS"])
    assert script["wpa_config"](settings) == ""
    assert not script["problems"]
    assert "card" not in tomllib.loads(box)
    monkeypatch.setattr(topics, "short_machine_id", lambda: "3fa2")
    monkeypatch.setattr(socket, "gethostname", lambda: settings["hostname"])
    assert f" {topics.ROOT}/{topics.box_id('')}/... on the broker" in card
    config = tmp_path / "bachbox.toml"
    config.write_text(box)
    checked = subprocess.run(
        [sys.executable, "-m", "appliance", "config", "--config", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff[card]\r\nwifi_name = “Zuhause ü”\r\n".encode(),
        '\ufeff[card]\r\nwifi_name = "Zuhause ü"\r\n'.encode("utf-16-le"),
        '\ufeff[card]\r\nwifi_name = "Zuhause ü"\r\n'.encode("utf-16-be"),
        "[ card ]\rwifi_name = 'Zuhause ü' # ours\r".encode(),
    ],
)
def test_any_editor(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bachbox.txt"
    path.write_bytes(content)
    assert parsed(script["read"](path)) == {"wifi_name": "Zuhause ü"}
    assert not told()


def test_another_encoding_is_guessed_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "bachbox.txt"
    path.write_bytes('[card]\nwifi_name = "Grüße"\n'.encode("cp1252"))
    text = script["read"](path)
    assert "UTF-8" in told()
    assert parsed(text) == {"wifi_name": "Grüße"}


@pytest.mark.parametrize(
    ("line", "key", "sentence"),
    [
        ('wifi = "home"', "", "there is no key wifi;"),
        ('wifi_password = "short"', "wifi_password", "wifi_password has to be 8 to 63"),
        ('wifi_country = "Germany"', "wifi_country", "two capital letters"),
        ("hostname = 7", "hostname", "write the value of hostname in quotation marks"),
        ("wifi_name = home", "wifi_name", "quotation marks"),
        ('wifi_name = "home', "wifi_name", "quotation marks"),
        ('wifi_name = "home" cellar', "wifi_name", "nothing after it"),
        ('wifi_name = "home" # "ours"', "wifi_name", "a line of its own"),
        ("wifi_open = yes", "wifi_open", "true or false"),
        ("wifi_name", "", "not a key and a value"),
    ],
)
def test_a_mistake_is_reported_alone(line: str, key: str, sentence: str) -> None:
    known = parsed(f'[card]\nhostname = "box"\n{line}\nbroker_password = "x"\n'.replace(
        'hostname = "box"', 'hostname = "box"' if key != "hostname" else ""
    ))  # fmt: skip
    assert told().startswith("line 3: ")
    assert sentence in told()
    assert len(script["problems"]) == 1
    expected = {"hostname": "box", "broker_password": "x"} | ({key: None} if key else {})
    assert known == expected


@pytest.mark.parametrize(
    "password", [r"pa\ssw0rd1", 'pa"ssw0rd1', r"\"\"\"\"\"", "it's # 1", "\\u00e4bcd", ' " " " " ']
)
def test_values_are_taken_as_they_stand(password: str) -> None:
    lines = (
        'hostname = "box"', f'wifi_name = "{password}"',
        f'wifi_password = "{password}"  # ours', f'broker_password = "{password}"',
    )  # fmt: skip
    assert parsed("\n".join(("[card]", *lines))) == {
        "hostname": "box",
        "wifi_name": password,
        "wifi_password": password,
        "broker_password": password,
    }
    assert not told()


BAD_PASSWORDS = (
    "short", "1234567", "x" * 64, "f" * 63 + "g", "f" * 65, "x" * 200, "Grüße123",
    "日本語日本語日本語", "pass\tword", "emoji😀😀😀😀😀😀", "naïve password",
)  # fmt: skip


@pytest.mark.parametrize("password", BAD_PASSWORDS)
@pytest.mark.parametrize("is_open", ["true", "false"])
def test_a_wrong_password_never_leads_to_an_open_network(password: str, is_open: str) -> None:
    name = 'wifi_name = "Haus"'
    assert wifi(name, f'wifi_password = "{password}"', f"wifi_open = {is_open}") == ""
    assert "wifi_password has to be" in told()
    assert "no Wi-Fi is joined" in told()
    assert password not in told()
    assert wifi(name, f"wifi_open = {is_open}", f"wifi_password = {password}") == ""
    assert password not in told()


@given(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])))
@example("")
def test_a_network_with_any_password_is_never_open(password: str) -> None:
    config = wifi('wifi_name = "Haus"', f'wifi_password = "{password}"')
    assert "NONE" not in config
    assert bool(config) != bool(script["problems"])


def test_an_open_network_is_joined_only_on_request() -> None:
    name = 'wifi_name = "Café"'
    assert wifi(name) == wifi(name, 'wifi_password = ""') == ""
    assert "write wifi_open = true" in told()
    assert "key_mgmt=NONE" in wifi(name, 'wifi_password = ""', "wifi_open = true")
    assert not told()
    assert wifi("wifi_open = true") == ""
    both = wifi(name, 'wifi_password = "12345678"', "wifi_open = true")
    assert "NONE" not in both
    assert f"sae_password={b'12345678'.hex()}" in both
    assert "wifi_open" in told()


def test_names_have_32_bytes() -> None:
    password = 'wifi_password = "12345678"'
    assert wifi(f'wifi_name = "{"ü" * 16}"', password)
    assert not told()
    for name in ("ü" * 17, "😀" * 9, "x" * 33, "ü" * 20):
        assert wifi(f'wifi_name = "{name}"', password) == ""
        assert "32 bytes" in told()


def test_a_key_in_hex() -> None:
    config = wifi('wifi_name = "home"', f'wifi_password = "{"0f" * 32}"')
    assert f"psk={'0f' * 32}\n" in config
    assert "SAE" not in config


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=32), PASSWORDS)
def test_name_and_password_cannot_be_taken_for_anything_else(name: str, password: str) -> None:
    settings = {"wifi_name": "x" + name, "wifi_password": password}
    lines = script["wpa_config"](settings).splitlines()
    assert lines[3] == f"\tssid={('x' + name).encode().hex()}"
    assert lines[5:7] == ["\tkey_mgmt=WPA-PSK SAE", "\tieee80211w=1"]
    assert re.fullmatch(r"\tpsk=[0-9a-f]{64}", lines[7])
    assert lines[8] == f"\tsae_password={password.encode().hex()}"
    assert len(lines) == 10


def test_the_key_is_the_one_of_the_standard() -> None:
    """IEEE 802.11-2016, J.4.2: two of the test vectors."""
    for name, password, key in (
        ("IEEE", "password", "f42c6fc52df0ebef9ebb4b90b38a5f90" "2e83fe1b135a70e23aed762e9710a12e"),
        ("ThisIsASSID", "ThisIsAPassword",
         "0dc0d6eb90555ed6419756b9a15ec3e3" "209b63df707dd508d14581f8982721af"),
    ):  # fmt: skip
        assert f"psk={key}\n" in wifi(f'wifi_name = "{name}"', f'wifi_password = "{password}"')


def test_without_a_name_there_is_no_wifi() -> None:
    assert wifi('wifi_name = ""', 'wifi_password = ""') == ""
    assert not told()
    assert wifi('wifi_password = "12345678"') == ""
    assert "no wifi_name" in told()


def test_the_box_s_lines_stay_where_they_are() -> None:
    card, box = script["split"]('[card]\nhostname = "a"\n[sound]\nvolume = 1\n')
    assert box == "\n\n[sound]\nvolume = 1\n"
    assert card == '[card]\nhostname = "a"\n\n\n'


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    assert script["read"](tmp_path / "none") == ""
    assert not told()


def test_problems_are_listed_beside_the_file(tmp_path: Path) -> None:
    list_file = tmp_path / "bachbox-problems.txt"
    script["save_problems"](tmp_path)
    assert not list_file.exists()
    parsed("[card]\nhostname = box\nwifi_name = home")
    script["save_problems"](tmp_path)
    lines = list_file.read_bytes().decode().split("\r\n")
    assert [line[:6] for line in lines[2:4]] == ["line 2", "line 3"]
    written_at = list_file.stat().st_mtime_ns
    script["save_problems"](tmp_path)
    assert list_file.stat().st_mtime_ns == written_at, "the same list is not written again"
    script["problems"].clear()
    script["save_problems"](tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "beeps"),
    [
        (["nonsense"], [1]),
        (['wifi_name = "home"', 'wifi_password = "short"'], [2]),
        (['hostname = "a b"'], [3]),
        (["broker_password = x"], [4]),
        (['hostname = "a b"', "wifi_country = 7"], [2, 3]),
    ],
)
def test_beeps_count_out_what_is_wrong(lines: list[str], beeps: list[int], tmp_path: Path) -> None:
    wifi(*lines)
    assert script["beep_counts"](script["problems"]) == beeps
    sound = tmp_path / "beeps.wav"
    script["write_beeps"](sound, beeps)
    with wave.open(str(sound)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    # Which pitch sounds in each 50 ms: a low tone, a number of high ones, for each mistake.
    pieces = samples[: len(samples) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    crossings = (np.diff(np.signbit(pieces), axis=1)).sum(axis=1)
    is_high = (abs(pieces).max(axis=1) > 1000) & (crossings > 60)
    is_low = (abs(pieces).max(axis=1) > 1000) & (crossings <= 60)
    assert np.diff(is_high.astype(int)).clip(0).sum() == sum(beeps)
    assert np.diff(is_low.astype(int), prepend=0).clip(0).sum() == len(beeps)


def test_a_mistake_in_bachboxs_own_config_has_five_beeps() -> None:
    sentences = ["[sound] volume is 200", "Bachbox plays as if there were only the section [card]"]
    assert script["beep_counts"](sentences) == [5]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_problems_reach_a_read_only_partition(tmp_path: Path) -> None:
    def is_read_only() -> bool:
        return bool(os.statvfs(tmp_path).f_flag & os.ST_RDONLY)

    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "bachbox-test", tmp_path], check=True)
    try:
        parsed("[card]\nhostname = box")
        script["save_problems"](tmp_path)
        assert "hostname" in (tmp_path / "bachbox-problems.txt").read_text()
        assert is_read_only()
        script["problems"].clear()
        script["save_problems"](tmp_path)
        assert list(tmp_path.iterdir()) == []
        assert is_read_only()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run wpa_supplicant")
@pytest.mark.parametrize(
    ("name", "password", "key_management"),
    [
        ("Haus", "12345678", "key_mgmt: 0x402"),
        ("ü" * 16, r'a\b"c#"d e"' + " " * 52, "key_mgmt: 0x402"),
        ('😀 "}\\', '12345"#678', "key_mgmt: 0x402"),
        ("#home", "f" * 64, "key_mgmt: 0x2"),
    ],
)
def test_wpa_supplicant_reads_it(
    name: str, password: str, key_management: str, tmp_path: Path
) -> None:
    config = wifi(f'wifi_name = "{name}"', f'wifi_password = "{password}"')
    path = tmp_path / "wpa.conf"
    path.write_text(config.replace("/run/wpa_supplicant", str(tmp_path / "control")))
    with program(tmp_path, "wpa_supplicant", "-ddK", f"-c{path}", "-ilo", "-Dwired") as log:
        until = time.monotonic() + 120
        while not re.search(r"Added interface lo\n|ailed to", log.read_text(errors="replace")):
            assert time.monotonic() < until
            time.sleep(0.1)
    # What comes after it depends on when it is ended.
    text = log.read_text(errors="replace").partition("Added interface lo\n")[0]
    if len(password) < 64:
        assert f"sae_password - hexdump_ascii(len={len(password)})" in text
    for sentence in (key_management, "ieee80211w=1", "PSK - hexdump(len=32)"):
        assert sentence in text
    assert "ailed to" not in text, text
    assert not re.search(r"Line \d+:", text.partition("Priority group")[0]), text
