"""The box knows under which name its page is found in the home network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from appliance.config.schema import Web
from appliance.frontends.page_url import mdns_name, page_url


@pytest.fixture
def busctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A busctl that answers as Avahi does where another machine has the same name."""
    program = tmp_path / "busctl"
    program.write_text("#!/bin/sh\necho 's \"bachbox-2.local\"'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(socket, "gethostname", lambda: "bachbox.home.arpa")
    return program


def test_avahi_says_what_the_name_is(busctl: Path) -> None:
    assert mdns_name() == "bachbox-2.local"
    assert page_url(Web(host="", port=8080)) == "http://bachbox-2.local:8080/"


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "echo 's \"a/b\"'"])
def test_without_avahi_it_is_the_host_name(busctl: Path, script: str) -> None:
    busctl.write_text(f"#!/bin/sh\n{script}\n")
    assert mdns_name() == "bachbox.local"


def test_without_busctl_it_is_the_host_name(busctl: Path) -> None:
    busctl.unlink()
    assert mdns_name() == "bachbox.local"


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("192.168.1.7", 80, "http://192.168.1.7:80/"),
        ("fd00::7", 8080, "http://[fd00::7]:8080/"),
        ("127.0.0.1", 8080, ""),
        ("localhost", 8080, ""),
        ("::1", 8080, ""),
        ("", 0, ""),
    ],
)
def test_a_page_that_others_cannot_reach_has_no_address(host: str, port: int, url: str) -> None:
    assert page_url(Web(host=host, port=port)) == url
