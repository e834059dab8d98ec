"""Addresses that people have: understood, or refused without a word of the password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import loader
from appliance.config.addresses import parse_icecast
from appliance.config.loader import Config, ConfigError
from appliance.errors import UsageError

HERE = Path("/etc/bachbox/bachbox.toml")


def parsed(section: str, key: str, value: str) -> Config:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return loader.parse(f'[{section}]\n{key} = "{quoted}"\n', HERE)


def refusal(section: str, key: str, value: str) -> str:
    with pytest.raises(ConfigError) as error:
        parsed(section, key, value)
    [problem] = error.value.problems
    return problem


def shown(config: Config) -> str:
    return "\n".join(map(repr, loader.items(config)))


@pytest.mark.parametrize(
    ("address", "host", "port", "mount", "user", "password"),
    [
        ("http://source:hunter2#x@h:8000/b.ogg", "h", 8000, "/b.ogg", "source", "hunter2#x"),
        ("http://source:hunter2?x@h:8000/b.ogg", "h", 8000, "/b.ogg", "source", "hunter2?x"),
        ("http://source:hunter2@x@h:8000/b.ogg", "h", 8000, "/b.ogg", "source", "hunter2@x"),
        ("http://source:hunter2/x@h:8000/b.ogg", "h", 8000, "/b.ogg", "source", "hunter2/x"),
        ("http://source:hunter2:x@h:8000/b.ogg", "h", 8000, "/b.ogg", "source", "hunter2:x"),
        ("http://source:hunter2 x@h:8000/b.ogg", "h", 8000, "/b.ogg", "source", "hunter2 x"),
        ("http://source:hunter2%23x@h/b.ogg", "h", 80, "/b.ogg", "source", "hunter2#x"),
        ("http://source:hunter2%x@h/b.ogg", "h", 80, "/b.ogg", "source", "hunter2%x"),
        ("https://dj:hunter2@radio.example/", "radio.example", 443, "/", "dj", "hunter2"),
        ("http://d%3Aj:hunter2@h:8005/a/b", "h", 8005, "/a/b", "d:j", "hunter2"),
        ("http://dj:hunter2@[fd00::1]:8000/ü", "fd00::1", 8000, "/%C3%BC", "dj", "hunter2"),
        ("HTTP://dj:hunter2@[fd00::1]/b", "fd00::1", 80, "/b", "dj", "hunter2"),
        ("http://:hunter2@münchen.example/b", "münchen.example", 80, "/b", "", "hunter2"),
        ("http://h:8000/b.ogg", "h", 8000, "/b.ogg", "source", ""),
    ],
)
def test_icecast_addresses_are_understood(
    address: str, host: str, port: int, mount: str, user: str, password: str
) -> None:
    config = parsed("stream", "icecast", address)
    found = parse_icecast(config.stream.icecast)
    assert (found.host, found.port, found.mount) == (host, port, mount)
    assert (found.user, found.password) == (user, password)
    assert found.is_tls == address.startswith("https")
    assert "hunter2" not in shown(config) + str(found) + repr(found)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://source:hunter2@h:99999/b.ogg", "a number from 1 to 65535"),
        ("http://source:hunter2@h:0/b.ogg", "a number from 1 to 65535"),
        ("http://source:hunter2@h:/b.ogg", "a number from 1 to 65535"),
        ("http://source:hunter2@h:８０００/b.ogg", "a number from 1 to 65535"),
        ("http://source:hunter2@h:8000", "there has to be the mount"),
        ("http://source:hunter2@h:8000/b?c", "must not contain"),
        ("http://source:hunter2@h:8000/b c", "must not contain"),
        ("http://hunter2@h:8000/b", "USER:PASSWORD"),
        ("http://source:hunter2@/b", "not a host name"),
        ("http://source:hunter2@fd00::1:8000/b", "a number from 1 to 65535"),
        ("http://source:hunter2@[fd00::g]:8000/b", "not an IPv6 address"),
        ("http://source:hunter2@a..b:8000/b", "not a host name"),
        ("http://source:hunter2", "the mount"),
        ("http://source:hunter2/b", "the port has to be"),
        ("ftp://source:hunter2@h:8000/b", "http://source:PASSWORD@HOST"),
        ("source:hunter2@h:8000/b", "http://source:PASSWORD@HOST"),
        ("icecast://source:hunter2@h:8000/b", "http://source:PASSWORD@HOST"),
    ],
)
def test_other_icecast_addresses_are_refused_without_the_password(
    address: str, sentence: str
) -> None:
    problem = refusal("stream", "icecast", address)
    assert problem.startswith(f"{HERE}: [stream] icecast: ")
    assert sentence in problem
    assert "hunter2" not in problem


def test_an_icecast_address_of_the_wrong_type_is_not_shown() -> None:
    for value in ('["http://source:hunter2/"]', '{ address = "hunter2" }'):
        with pytest.raises(ConfigError) as error:
            loader.parse(f"[stream]\nicecast = {value}\n", HERE)
        assert "hunter2" not in str(error.value)


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_percent_encoded_login_is_understood(user: str, password: str) -> None:
    try:
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    except UnicodeEncodeError:
        return
    found = parse_icecast(f"http://{login}@h:8000/b")
    assert (found.user, found.password, found.host) == (user, password, "h")


@given(st.text())
def test_any_password_is_understood_or_refused_unseen(text: str) -> None:
    secret = f"<{text}>"
    try:
        found = parse_icecast(f"http://source:{secret}@h:8000/b")
    except UsageError as error:
        assert secret not in str(error)
    else:
        assert found.host == "h"
        assert secret not in repr(found)


@pytest.mark.parametrize(
    ("given_path", "path"),
    [
        ("/run/snapfifo", "/run/snapfifo"),
        ("pipe:///run/snapfifo", "/run/snapfifo"),
        ("pipe:///run/snapfifo?name=Bachbox&mode=read", "/run/snapfifo"),
        ("snapfifo", "/etc/bachbox/snapfifo"),
        ("tcp://127.0.0.1", "tcp://127.0.0.1"),
        ("tcp://[fd00::1]:4953?name=Bachbox", "tcp://[fd00::1]:4953?name=Bachbox"),
        ("tcp://snap.local:4953/", "tcp://snap.local:4953/"),
    ],
)
def test_snapcast_inputs_are_understood(given_path: str, path: str) -> None:
    assert parsed("stream", "snapcast", given_path).stream.snapcast == path


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("pipe://run/snapfifo", "three slashes"),
        ("tcp://h:99999", "a number from 1 to 65535"),
        ("tcp://", "not a host name"),
        ("http://h:1780", "pipe:///PATH or tcp://HOST:PORT"),
        ("spotify:///librespot", "pipe:///PATH or tcp://HOST:PORT"),
    ],
)
def test_other_snapcast_inputs_are_refused(value: str, sentence: str) -> None:
    assert sentence in refusal("stream", "snapcast", value)


@pytest.mark.parametrize("section", ["mqtt", "web"])
def test_hosts_are_understood_or_refused(section: str) -> None:
    for value, host in (
        ("broker.local", "broker.local"),
        ("192.168.1.2", "192.168.1.2"),
        ("fd00::1", "fd00::1"),
        ("[fd00::1]", "fd00::1"),
        ("::", "::"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("", ""),
    ):
        assert getattr(parsed(section, "host", value), section).host == host
    for value, sentence in (
        ("broker:1883", "the port has a key of its own"),
        ("[fd00::1]:1883", "the port has a key of its own"),
        ("broker:", "the port has a key of its own"),
        ("broker/", "a host name or address alone"),
        ("mqtt://broker", "a host name or address alone"),
        ("[fd00::g]", "not an IPv6 address"),
        ("a b", "a host name or address alone"),
        ("a..b", "not a host name"),
        ("me:hunter2@broker", "user and password have keys"),
    ):
        problem = refusal(section, "host", value)
        assert sentence in problem
        assert "hunter2" not in problem


def test_the_discovery_prefix_loses_its_outer_slashes() -> None:
    for value, topic in (("homeassistant/", "homeassistant"), ("/ha/here//", "ha/here")):
        assert parsed("mqtt", "discovery_prefix", value).mqtt.discovery_prefix == topic
    for value in ("/", "", "a//b", "a+", "#", "a b"):
        assert "a topic without +" in refusal("mqtt", "discovery_prefix", value)


def test_files_from_notepad_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file, secret = tmp_path / "bachbox.toml", tmp_path / "password"
    secret.write_bytes("\ufeffhünter2\r\n".encode())
    file.write_bytes('\ufeff[mqtt]\r\nhost = "h"\r\npassword_file = "password"\r\n'.encode())
    config, _ = loader.load(file)
    assert config.mqtt.host == "h"
    assert loader.password(config.mqtt) == "hünter2"
