"""Outputs: every frame arrives in files, pipes and cards, and errors are one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audio import alsa_cards
from appliance.audio.alsa_cards import HardwareCard
from appliance.audio.outputs import DeviceLost, Output, open_output, sound_card
from appliance.audio.outputs.file_outputs import Pacer, WavFile
from appliance.audio.outputs.sound_card import Card, choose
from appliance.errors import BachboxError, UsageError
from tests.support.virtual_card import VirtualCard

RATE = 48_000
BLOCK = 1024


class Counter:
    """Renders frames that carry their own number, and stops the output after enough of them."""

    def __init__(self, blocks: int = 10**9) -> None:
        self.blocks = blocks
        self.frame = 0
        self.stop = threading.Event()

    def __call__(self, frames: int) -> bytes:
        start, self.frame = self.frame, self.frame + frames
        self.blocks -= 1
        if self.blocks <= 0:
            self.stop.set()
        return b"".join(frame.to_bytes(4, "little") for frame in range(start, self.frame))


def _numbers(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4)]


@contextlib.contextmanager
def _playing(output: Output, counter: Counter) -> Iterator[None]:
    thread = threading.Thread(target=output.run, args=(counter, counter.stop))
    thread.start()
    try:
        yield
    finally:
        counter.stop.set()
        thread.join(120)
        output.close()


def _wait_for(condition: object, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def test_a_wav_file_holds_every_frame(tmp_path: Path) -> None:
    file = tmp_path / "bach.wav"
    counter = Counter(blocks=5)
    output = open_output(f"wav:{file}", BLOCK)
    output.run(counter, counter.stop)
    output.close()
    with wave.open(str(file)) as read:
        assert read.getparams()[:4] == (2, 2, RATE, 5 * BLOCK)
        assert _numbers(read.readframes(5 * BLOCK)) == list(range(5 * BLOCK))


def test_a_wav_file_can_be_read_while_it_grows_and_after_a_kill(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bach.wav"
    counter = Counter()
    growing = WavFile(file, RATE)
    with wave.open(str(file)) as read:
        assert read.getnframes() == 0
    for _ in range(100):
        growing.write(counter(BLOCK))
    with wave.open(str(file)) as read:
        assert 100 * BLOCK - RATE <= read.getnframes() <= 100 * BLOCK
        assert _numbers(read.readframes(BLOCK)) == list(range(BLOCK))
    # Never closed: the next one continues where the header says.
    growing._file.flush()
    successor = WavFile(file, RATE, resume=True)
    successor.write(counter(BLOCK))
    successor.close()
    with wave.open(str(file)) as read:
        assert _numbers(read.readframes(10**9)) == list(range(101 * BLOCK))


def test_a_wav_file_ends_before_its_sizes_overflow(tmp_path: Path) -> None:
    full = WavFile(tmp_path / "long.wav", RATE)
    full._bytes = (1 << 32) - 5000
    with pytest.raises(BachboxError, match="as long as a WAV file can be"):
        full.write(bytes(4096))


@pytest.mark.parametrize("spec", ["wav:{}/none/bach.wav", "pipe:{}/none/bach", "wav:{}"])
def test_a_file_that_cannot_be_written_is_refused_with_a_sentence(
    spec: str, tmp_path: Path
) -> None:
    with pytest.raises(BachboxError, match=r"cannot write .*choose a folder"):
        open_output(spec.format(tmp_path))


def test_a_full_disk_is_reported() -> None:
    with pytest.raises(BachboxError, match="No space left on device"):
        open_output("wav:/dev/full", BLOCK)


@pytest.mark.parametrize("spec", ["wav:", "pipe:", ""])
def test_a_spec_without_a_name_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        open_output(spec)


def test_null_plays_in_real_time() -> None:
    counter = Counter(blocks=20)
    output = open_output("null", BLOCK)
    start = time.monotonic()
    output.run(counter, counter.stop)
    # A busy machine may make it longer, nothing shorter (the last block is not waited for).
    assert time.monotonic() - start >= 19 * BLOCK / RATE * 0.99


def test_a_pacer_counts_a_block_that_comes_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pacer, stop = Pacer(100, RATE), threading.Event()
    stop.set()
    pacer.wait(stop)
    now[0] += 0.05
    pacer.wait(stop)
    assert pacer.xruns == 1
    pacer.wait(stop)
    assert pacer.xruns == 1


def test_a_pipe_is_created_and_its_reader_may_come_and_go(tmp_path: Path) -> None:
    pipe = tmp_path / "bach.pcm"
    counter = Counter()
    output = open_output(f"pipe:{pipe}", BLOCK)
    with _playing(output, counter):
        _wait_for(lambda: counter.frame > 3 * BLOCK)
        heard = []
        for _ in range(2):
            # Unbuffered, so that the reader goes away with nothing left in it.
            with pipe.open("rb", buffering=0) as reader:
                raw = b""
                while len(raw) < 12 * BLOCK:
                    raw += reader.read(4 * BLOCK)
            frame = counter.frame
            _wait_for(lambda: counter.frame > frame + 3 * BLOCK)  # noqa: B023
            heard.append(_numbers(raw))
    for numbers in heard:
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "whole frames"
    assert heard[1][0] > heard[0][-1], "what was played without a reader is lost"
    assert heard[0][0] > 0


def test_a_slow_reader_of_a_pipe_does_not_delay_the_music(tmp_path: Path) -> None:
    pipe = tmp_path / "bach.pcm"
    counter = Counter()
    output = open_output(f"pipe:{pipe}", BLOCK)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with _playing(output, counter):
        # 64 KiB fit into the pipe; nothing reads them.
        _wait_for(lambda: counter.frame > 40 * BLOCK)
        assert output.xruns >= 1
    os.close(reader)


def test_a_pipe_may_be_a_regular_file(tmp_path: Path) -> None:
    file = tmp_path / "bach.raw"
    file.write_bytes(b"old" * 10_000)
    counter = Counter(blocks=3)
    output = open_output(f"pipe:{file}", BLOCK)
    output.run(counter, counter.stop)
    output.close()
    assert _numbers(file.read_bytes()) == list(range(3 * BLOCK))


def test_a_folder_is_refused_as_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(BachboxError, match="neither a pipe nor a file"):
        open_output(f"pipe:{tmp_path}")


_CARDS = [
    Card("USB Audio DAC: Audio (hw:1,0)", 0, 48_000, False, 2, HardwareCard(1, "DAC", 0)),
    Card("bcm2835 Headphones: - (hw:0,0)", 1, 44_100, False, 2, HardwareCard(0, "Headphones", 0)),
    Card("default", 2, 44_100, True),
]


def test_a_card_is_chosen_by_default_by_name_or_by_part_of_it() -> None:
    assert choose(_CARDS, "default").number == 2
    assert choose(_CARDS[:2], "default").number == 0, "without a default, the first"
    assert choose(_CARDS, "usb").number == 0
    assert choose(_CARDS, "bcm2835 Headphones: - (hw:0,0)").number == 1
    assert choose(_CARDS, "headphones").number == 1, "ALSA's ID"


@pytest.mark.parametrize("name", ["plughw:CARD=DAC,DEV=0", "hw:1,0", "plughw:1", "sysdefault:1"])
def test_a_card_is_chosen_as_aplay_spells_it(name: str) -> None:
    assert choose(_CARDS, name).number == 0


def test_an_unknown_card_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DeviceLost, match=r"no sound card is called 'HiFiBerry'.*'default'"):
        choose(_CARDS, "HiFiBerry")
    with pytest.raises(DeviceLost, match="did you mean 'default'"):
        choose(_CARDS, "defualt")
    with pytest.raises(DeviceLost, match="'hw:' can mean 'DAC', 'Headphones'"):
        choose(_CARDS, "hw:")
    with pytest.raises(DeviceLost, match="no sound card: plug one in"):
        choose([], "default")


def test_listing_the_cards_writes_nothing_to_stderr(card: VirtualCard) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from appliance.audio.outputs.sound_card import list_cards\n"
            "for card in list_cards(): print(card.name, card.default)",
        ],
        env=card.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "default True" in done.stdout
    assert done.stderr == ""


def _opened(
    card: VirtualCard, folder: Path, config: str, name: str = "default", patch: str = ""
) -> list[str]:
    """Open a card in a process of its own, with its own ALSA config; return what it is told."""
    asoundrc = folder / "asound.conf"
    asoundrc.write_text(config)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, threading\n"
            "from appliance.audio.outputs import DeviceLost, open_output, sound_card\n"
            "from appliance.audio.silence_stderr import silence_stderr\n"
            "stop, blocks = threading.Event(), []\n"
            f"{patch}\n"
            "def render(frames):\n"
            "    blocks.append(frames)\n"
            "    if len(blocks) > 20: stop.set()\n"
            "    return bytes(4 * frames)\n"
            "try:\n"
            "    with silence_stderr():\n"
            "        output = open_output(sys.argv[1])\n"
            "        output.run(render, stop)\n"
            "except DeviceLost as error:\n"
            "    print('refused', error, sep='\\n')\n"
            "else:\n"
            "    print(output.name, output.problem, output.card.channels, sep='\\n')",
            name,
        ],
        env=card.environment | {"ALSA_CONFIG_PATH": str(asoundrc)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()


SERVER = "pcm.pulse { type pulse }\npcm.!default { type pulse }\n"
BROKEN_DEFAULT = f"{SERVER}pcm.!default {{ type hw card 31 }}\nctl.!default {{ type hw card 31 }}\n"


def test_another_card_plays_in_place_of_a_default_that_cannot_be_opened(
    card: VirtualCard, tmp_path: Path
) -> None:
    name, problem, channels = _opened(card, tmp_path, BROKEN_DEFAULT)
    assert name == "pulse"
    assert problem == (
        "the sound card 'default' cannot be opened: there is no such device; pulse plays instead"
    )
    assert channels == "2"


def test_a_named_card_is_waited_for_and_not_replaced(card: VirtualCard, tmp_path: Path) -> None:
    refused, why = _opened(card, tmp_path, BROKEN_DEFAULT, "Kitchen")
    assert refused == "refused"
    assert "no sound card is called 'Kitchen': there is " in why
    assert "'pulse'" in why
    assert "set output=" in why


def test_a_card_with_one_channel_gets_mono(card: VirtualCard, tmp_path: Path) -> None:
    one_channel = (
        "cards = sound_card._cards\n"
        "sound_card._cards = lambda audio: [c._replace(channels=1) for c in cards(audio)]"
    )
    name, problem, channels = _opened(card, tmp_path, SERVER, "pulse", one_channel)
    assert (name, problem, channels) == ("pulse", "", "1")


@pytest.mark.parametrize("name", ["Headphones", "plughw:CARD=Headphones,DEV=0"])
def test_a_busy_card_is_not_in_portaudios_list_and_the_reason_is_said_all_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headphones = HardwareCard(0, "Headphones", 0)
    monkeypatch.setattr(sound_card, "hardware_cards", lambda: [headphones])
    monkeypatch.setattr(alsa_cards, "open_error", lambda _pcm: errno.EBUSY)
    monkeypatch.setattr(alsa_cards, "holder", lambda *_: "mpd (process 812)")
    with pytest.raises(DeviceLost, match=r"cannot be opened: mpd \(process 812\) uses it"):
        sound_card._refuse_unlisted([_CARDS[0], _CARDS[2]], name)
    sound_card._refuse_unlisted(_CARDS, name)
