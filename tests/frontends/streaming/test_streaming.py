"""Debian's own Snapcast and Icecast play the sound of the box."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.config import loader
from appliance.frontends import local_socket
from appliance.offline import stream_checks
from appliance.offline.findings import CheckStatus, Finding
from tests.support import audio_analysis
from tests.support.broker import free_port
from tests.support.command import Playing, home, playing
from tests.support.priority import hurry_children
from tests.support.programs import ROOMS, program, two_rooms
from tests.support.virtual_card import VirtualCard, listen, virtual_card

MIN_LIKENESS = 0.9
"""Correlation of two recordings of the same sound."""

TRIES = 20
"""A snapclient needs some seconds to begin, on a busy machine many; a test that is repeated says
so."""

MIN_HEARD_S = 3.0
"""Shorter than this, a listener has heard nothing yet."""

TIMEOUT_S = 120.0

PASSWORD = "for the tests"  # it protects nothing


@pytest.fixture(scope="module")
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        plugged_in.split(*ROOMS)
        yield plugged_in


@contextlib.contextmanager
def box(folder: Path, line: str, env: dict[str, str], output: str = "null") -> Iterator[Playing]:
    """Run a box with one more line in its config; fail if it logs a bug."""
    config = folder / "bachbox.toml"
    config.write_text(f'[sound]\noutput = "{output}"\n[stream]\n{line}\n')
    with playing("--config", config, "--seed", 5, env=env) as one:
        hurry_children()
        one.wait_for("piece 1")
        yield one
        assert one.end() == 0
        assert not [result for result in one.lines if "a bug in Bachbox" in result], one.lines


def eventually(condition: Callable[[], object], log: Path) -> None:
    """Wait until it is true; a server that does not answer yet counts as false."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_two_snapclients_play_the_box(
    card: VirtualCard, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """How far apart they are depends on the machine: `make bench` measures it."""
    pipe, recording, sound = tmp_path / "pipe", tmp_path / "rooms.raw", tmp_path / "box.wav"
    with (
        two_rooms(card, tmp_path, pipe) as log,
        box(tmp_path, f'snapcast = "{pipe}"', home(tmp_path), f"wav:{sound}"),
    ):
        for tries in range(1, TRIES + 1):
            record_property("tries", tries)
            with card.recording(recording):
                listen(recording, 6.0)
            sides = audio_analysis.sides(recording.read_bytes())
            played = audio_analysis.picture(audio_analysis.wav(sound))
            likeness = [audio_analysis.best_likeness(side, played) for side in sides]
            if min(likeness) > MIN_LIKENESS:
                break
        assert min(likeness) > MIN_LIKENESS, log()


ICECAST = """<icecast>
<limits><sources>4</sources><clients>20</clients></limits>
<authentication><source-password>{password}</source-password>
<admin-user>admin</admin-user><admin-password>{password}</admin-password></authentication>
<hostname>127.0.0.1</hostname>
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
<paths><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot><basedir>{folder}</basedir></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
<security><chroot>0</chroot>{owner}</security>
</icecast>
"""

OWNER = "<changeowner><user>nobody</user><group>nogroup</group></changeowner>"


@contextlib.contextmanager
def icecast(folder: Path, port: int, password: str = PASSWORD) -> Iterator[Path]:
    """Run Debian's server; started as root it changes to another user, who needs the folder."""
    place = folder / "icecast"
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    for parent in (folder, *folder.parents[:3]):
        if str(parent).startswith("/tmp/") and os.geteuid() == 0:
            parent.chmod(0o755)
    config = place / "icecast.xml"
    owner = OWNER if os.geteuid() == 0 else ""
    config.write_text(ICECAST.format(password=password, port=port, folder=place, owner=owner))
    with program(place, "icecast2", "-c", config) as log:
        yield log


def _heard(port: int, seconds: float) -> bytes:
    """Return what a listener of the mount receives."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request("GET", "/bachbox.ogg")
        response = connection.getresponse()
        if response.status != 200:
            return b""
        assert response.headers["Content-Type"] in ("audio/ogg", "application/ogg")
        found, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            found += response.read1(65536)
        return found


def _decoded(ogg: bytes, folder: Path) -> NDArray[np.int16]:
    """The sound of a stream that was cut off somewhere."""
    file = folder / "heard.ogg"
    file.write_bytes(ogg)
    command = ["opusdec", "--quiet", "--rate", "48000", "--force-stereo", str(file), "-"]
    return audio_analysis.raw(subprocess.run(command, capture_output=True, check=False).stdout)


def test_icecast_plays_sound_and_reconnects(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    port, tries = free_port(), 0
    line = f'icecast = "http://source:{PASSWORD.replace(" ", "%20")}@127.0.0.1:{port}/bachbox.ogg"'
    sound = tmp_path / "box.wav"

    def is_alike() -> bool:
        nonlocal tries
        tries += 1
        heard = _decoded(_heard(port, 6.0), tmp_path)
        if len(heard) < MIN_HEARD_S * audio_analysis.RATE:
            return False
        # A busy machine leaves something out; between such gaps the music is the same.
        played = audio_analysis.picture(audio_analysis.wav(sound))
        return audio_analysis.best_likeness(heard, played) > MIN_LIKENESS

    with box(tmp_path, line, home(tmp_path), f"wav:{sound}") as one:
        one.wait_for("icecast: .*trying again")
        for count in (1, 2):
            with icecast(tmp_path, port) as log:
                one.wait_for(f"icecast: playing at 127.0.0.1:{port}/bachbox.ogg", count)
                eventually(lambda: _heard(port, 0.1), log)
                if count == 2:
                    eventually(is_alike, log)
        record_property("tries", tries)
        assert PASSWORD not in " ".join(one.lines)


def test_icecast_wrong_password_is_reported(tmp_path: Path) -> None:
    port = free_port()
    with (
        icecast(tmp_path, port),
        box(
            tmp_path,
            f'icecast = "http://source:wrong@127.0.0.1:{port}/bachbox.ogg"',
            home(tmp_path),
        ) as one,
    ):
        one.wait_for("icecast: .*(does not accept the password|trying again)")
        one.wait_for("icecast: .*does not accept the password")


def test_doctor_finds_out_whether_icecast_takes_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "is_box_running", lambda: False)
    port = free_port()

    def examine(password: str) -> Finding:
        address = f"http://source:{password}@127.0.0.1:{port}/bachbox.mp3"
        text = f'[stream]\nicecast = "{address}"'
        [finding] = stream_checks.check_icecast(loader.parse(text, tmp_path))
        return finding

    with icecast(tmp_path, port) as log:
        eventually(lambda: "does not accept the password" in examine("wrong").detail, log)
        # The mount is free again a moment after a source has left it.
        for _ in range(2):
            eventually(lambda: examine(PASSWORD.replace(" ", "%20")).status is CheckStatus.OK, log)


def test_icecast_takes_a_password_full_of_signs(tmp_path: Path) -> None:
    port, password = free_port(), "hunter2#a?b@c/d:e%f"
    line = f'icecast = "http://source:{password}@127.0.0.1:{port}/bachbox.ogg"'
    with icecast(tmp_path, port, password), box(tmp_path, line, home(tmp_path)) as one:
        one.wait_for(f"icecast: playing at 127.0.0.1:{port}/bachbox.ogg")
        assert "hunter2" not in " ".join(one.lines)


def test_snapserver_takes_the_sound_over_tcp(tmp_path: Path) -> None:
    stream, control, web, source = free_port(), free_port(), free_port(), free_port()
    server = (
        "snapserver", "--config", os.devnull, "--server.datadir", tmp_path,
        "--stream.port", stream, "--tcp.port", control, "--http.port", web, "--stream.source",
        f"tcp://127.0.0.1:{source}?name=Bachbox&sampleformat=48000:16:2&mode=server",
    )  # fmt: skip

    def is_playing() -> bool:
        request = b'{"id": 1, "jsonrpc": "2.0", "method": "Server.GetStatus"}'
        connection = http.client.HTTPConnection("127.0.0.1", web, timeout=120)
        with contextlib.closing(connection):
            connection.request("POST", "/jsonrpc", request)
            status = json.load(connection.getresponse())
        return bool(status["result"]["server"]["streams"][0]["status"] == "playing")

    with box(tmp_path, f'snapcast = "tcp://127.0.0.1:{source}"', home(tmp_path)) as one:
        one.wait_for("snapcast: .*trying again")
        for count in (1, 2):
            with program(tmp_path, *map(str, server)) as log:
                one.wait_for(f"snapcast: playing at 127.0.0.1:{source}", count)
                eventually(is_playing, log)


def test_snapcast_path_that_is_not_a_pipe(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("mine")
    with box(tmp_path, f'snapcast = "{plain}"', home(tmp_path)) as one:
        one.wait_for("snapcast: .*is not a pipe")
        assert plain.read_text() == "mine"


def test_snapcast_pipe_may_appear_later_and_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "snapserver"
    pipe = folder / "bachbox"
    with box(tmp_path, f'snapcast = "{pipe}"', home(tmp_path)) as one:
        one.wait_for("snapcast: cannot write to the pipe")
        folder.mkdir()
        for _ in range(2):
            # A server that restarts removes its pipe and creates a new one.
            pipe.unlink(missing_ok=True)
            os.mkfifo(pipe)
            with pipe.open("rb") as reader:
                assert len(reader.read(100_000)) == 100_000
