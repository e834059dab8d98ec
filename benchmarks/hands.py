"""How soon the box obeys a hand, heard in the recording of the card; and how it bears many hands.

The hand is the local socket, as `bachbox set` uses it; the moment of a change is that before its
line is sent. The moment of a recorded frame is when it reached the recorder at the earliest
possible pace, so what the card and the recorder add is counted to our disadvantage.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.frontends import local_socket
from appliance.ipc.ring import events_before
from appliance.ipc.shared_state import SharedState
from appliance.music.events import AS_WRITTEN_PERMILLE, TICKS_PER_BEAT, Event, Kind
from appliance.music.expression import scaled
from appliance.state.box_status import Status
from appliance.state.settings import PREFERRED_EXPRESSION, TEMPERAMENTS
from benchmarks import measure
from benchmarks.measure import FailedError
from benchmarks.player import TIMEOUT_S, Player, playing
from benchmarks.playing import first_new_note
from benchmarks.report import Row
from tests.support.virtual_card import RATE, VirtualCard

CHANGES: Final = 30
BAR_S: Final = 0.1
REWIND_BAR_S: Final = 0.15

STORM_S: Final = 60.0
STORM_RATE: Final = 50
"""Changes a second."""

RINGING_S: Final = 5.0
"""After a pause; a second earlier a glockenspiel or an ice rain may still be heard by itself."""

CLICK: Final = "woodblock"
"""Its onsets are heard to the millisecond."""

_SETTLE_S: Final = 4.0
_MS_FRAMES: Final = RATE // 1000
_MATCH_S: Final = 0.08

Sound = NDArray[np.float64]


class Hand:
    """A connection to the running box."""

    def __init__(self, card: VirtualCard) -> None:
        path = card.folder / "bachbox" / local_socket.FILE_NAME
        deadline = time.monotonic() + TIMEOUT_S
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise FailedError(f"the box does not listen at {path} ({error})") from error
                time.sleep(0.05)
        self._lines = self._socket.makefile("rb")

    def set(self, **wishes: object) -> float:
        """Change settings; when."""
        moment = time.monotonic()
        self.ask(set=wishes)
        return moment

    def ask(self, **request: object) -> Status:
        """Say something; the state then."""
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = msgspec.json.decode(self._lines.readline(), type=local_socket.Answer)
        if answer.status is None:
            raise FailedError(answer.error)
        return answer.status

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


class Ear:
    """What the card plays, from now on, and when."""

    def __init__(self, card: VirtualCard) -> None:
        self._recorder = subprocess.Popen(
            [
                *("parec", "--device=card.monitor", f"--rate={RATE}", "--format=s16le"),
                *("--channels=2", "--raw", "--latency-msec=10"),
            ],
            env=card.environment,
            stdout=subprocess.PIPE,
        )
        self._content = bytearray()
        self._begin = float("inf")
        """When frame 0 reached the recorder, had it always been as quick as at its best."""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._recorder.stdout is not None
        pipe = self._recorder.stdout.fileno()
        while chunk := os.read(pipe, 1 << 14):
            with self._lock:
                self._content += chunk
                self._begin = min(self._begin, time.monotonic() - len(self._content) / 4 / RATE)

    def forget(self) -> None:
        """Begin anew from now on."""
        with self._lock:
            del self._content[: len(self._content) // 4 * 4]
            self._begin = float("inf")

    def stop(self) -> None:
        """Hear no more."""
        self._recorder.terminate()
        self._thread.join()
        self._recorder.wait()

    def sound(self) -> Sound:
        """All of it, as one channel."""
        with self._lock:
            whole = bytes(self._content[: len(self._content) // 4 * 4])
        return np.asarray(np.frombuffer(whole, "<i2").reshape(-1, 2).mean(axis=1), np.float64)

    @property
    def begin(self) -> float:
        """The moment of the first frame."""
        return self._begin


@contextlib.contextmanager
def _at_hand(card: VirtualCard, **wishes: object) -> Iterator[tuple[Player, Hand, Ear]]:
    """A player with these settings, a hand on it and an ear."""
    with playing(card, 1) as player:
        player.attach()
        hand, ear = Hand(card), Ear(card)
        try:
            hand.set(**wishes)
            measure.wait(_SETTLE_S)
            yield player, hand, ear
        finally:
            hand.close()
            ear.stop()


def volume(card: VirtualCard) -> list[Row]:
    """From the hand to the level half way (by ratio) between before and after."""
    dice = random.Random(1)
    with measure.step(f"{CHANGES} volumes"):
        with _at_hand(card, instrument="church organ", tempo=60, volume=100) as (_, hand, ear):
            turns = []
            for volume in itertools.islice(itertools.cycle((25, 100)), CHANGES):
                turns.append(hand.set(volume=volume))
                time.sleep(dice.uniform(0.6, 0.9))
        delays = volume_delays_s(ear, turns)
    return [_row("volume", delays, "level half way between before and after, church organ")]


def volume_delays_s(ear: Ear, turns: Sequence[float]) -> list[float]:
    """From each of these moments to the ear; without those where there was a breath."""
    level = _levels(ear.sound())
    delays = []
    for turn in turns:
        at = round((turn - ear.begin) * 1000)
        before, after = np.median(level[at - 100 : at]), np.median(level[at + 300 : at + 500])
        if max(before, after) < 4 * min(before, after) or min(before, after) < 1:
            continue  # A breath between two phrases.
        inside = level[at : at + 300]
        half = np.sqrt(before * after)
        passed = inside >= half if after > before else inside <= half
        delays.append(int(np.argmax(passed)) / 1000)
    return delays


def instrument(card: VirtualCard) -> list[Row]:
    """From the hand to the first bright sound, from ocarina to harpsichord."""
    dice = random.Random(2)
    with measure.step(f"{CHANGES} instruments"):
        with _at_hand(card, instrument="ocarina", tempo=60, volume=100) as (_, hand, ear):
            turns = []
            for _ in range(CHANGES):
                turns.append(hand.set(instrument="harpsichord"))
                time.sleep(0.5)
                hand.set(instrument="ocarina")
                time.sleep(dice.uniform(1.0, 1.3))
        bright = _levels(np.diff(ear.sound(), n=3))
    delays = []
    for turn in turns:
        at = round((turn - ear.begin) * 1000)
        before, after = np.max(bright[at - 60 : at]), np.max(bright[at : at + 400])
        if after > 8 * max(before, 1):
            inside = bright[at : at + 400]
            delays.append(int(np.argmax(inside > np.sqrt(before * after))) / 1000)
    how = "first sound with a harpsichord's high partials after an ocarina"
    return [_row("instrument", delays, how)]


class _Score:
    """The notes that were played, in units of time that no ritardando bends."""

    def __init__(self, events: Sequence[Event]) -> None:
        pace, tick, place = AS_WRITTEN_PERMILLE, 0, 0.0
        ticks, places, onsets = [0], [0.0], set[float]()
        for event in events:
            place += (event.tick - tick) * AS_WRITTEN_PERMILLE / pace
            tick = event.tick
            ticks.append(tick)
            places.append(place)
            if event.kind is Kind.PACE:
                pace = scaled(event, PREFERRED_EXPRESSION).value
            elif event.kind is Kind.NOTE_ON:
                onsets.add(place)
        self._ticks, self._places = ticks, places
        self.onsets = sorted(onsets)

    def place(self, tick: float) -> float:
        """Where a tick is, in ticks at the pace as written."""
        return float(np.interp(tick, self._ticks, self._places))


def _speed(bpm: float) -> float:
    """Ticks a second."""
    return bpm * TICKS_PER_BEAT / 60


class _Heard(NamedTuple):
    """An onset of the score in the recording."""

    place: float
    moment: float


def _follow(
    score: _Score, moments: list[float], tempos: list[tuple[float, float]], start: _Heard
) -> list[_Heard]:
    """Which onset of the score is heard when; ``tempos`` are moments and beats a minute.

    ``start`` is roughly where the music is when the ear opens.
    """

    def expected(since: _Heard, place: float) -> float:
        left, now = place - since.place, since.moment
        for (begins, bpm), (ends, _) in itertools.pairwise([*tempos, (float("inf"), 0.0)]):
            if ends <= now:
                continue
            now = max(now, begins)
            step = (ends - now) * _speed(bpm)
            if step >= left:
                return now + left / _speed(bpm)
            left -= step
            now = ends
        return now

    def near(moment: float) -> float | None:
        at = bisect.bisect(moments, moment)
        found = min(moments[max(0, at - 1) : at + 1], key=lambda m: abs(m - moment), default=None)
        return found if found is not None and abs(found - moment) <= _MATCH_S else None

    first = [place for place in score.onsets if place > start.place][:20]

    def misses(delay: float) -> float:
        shifted = start._replace(moment=start.moment + delay)
        gaps = [expected(shifted, place) for place in first]
        return sum(abs(gap - (near(gap) or gap + 1.0)) for gap in gaps)

    delay = min((n / 500 for n in range(-50, 200)), key=misses)
    anchor = start._replace(moment=start.moment + delay)
    heard = []
    for place in score.onsets:
        if place > anchor.place and (moment := near(expected(anchor, place))) is not None:
            anchor = _Heard(place, moment)
            heard.append(anchor)
    return heard


class _Witness:
    """Collects what was played before the ring forgets it."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._events: dict[int, Event] = {}
        self.look()

    def look(self) -> None:
        read = self._shared.reader.read().read_index
        events = events_before(self._shared, read)
        self._events |= {read - len(events) + at: event for at, event in enumerate(events)}

    def score(self) -> _Score:
        return _Score([event for _, event in sorted(self._events.items())])


def _beginning(shared: SharedState, score_of: _Witness) -> tuple[float, float]:
    """A tick and when the performer rendered it."""
    tick = shared.reader.read().playhead_tick
    while shared.reader.read().playhead_tick == tick:
        time.sleep(0.0005)
    score_of.look()
    return shared.reader.read().playhead_tick, time.monotonic()


def tempo(card: VirtualCard) -> list[Row]:
    """From the hand to the change of speed, from the distances of the onsets around it."""
    dice = random.Random(3)
    wishes = {"instrument": CLICK, "tempo": 90, "volume": 100}
    with measure.step(f"{CHANGES} tempos"), _at_hand(card, **wishes) as (player, hand, ear):
        witness = _Witness(player.shared)
        tick, moment = _beginning(player.shared, witness)
        measure.wait(_SETTLE_S)
        turns = []
        for bpm in itertools.islice(itertools.cycle((180.0, 90.0)), CHANGES):
            turns.append((hand.set(tempo=bpm), bpm))
            time.sleep(dice.uniform(1.5, 2.3))
            witness.look()
        time.sleep(1.0)
        witness.look()
    score = witness.score()
    # Half way to the bar, so that neither a quick nor a slow box is lost sight of.
    tempos = [(0.0, 90.0), *((turn + BAR_S / 2, bpm) for turn, bpm in turns)]
    heard = _follow(score, _onsets(ear), tempos, _Heard(score.place(tick), moment))
    delays = []
    ends = [turn for turn, _ in turns[1:]] + [float("inf")]
    before_bpm, begins = 90.0, 0.0
    for (turn, bpm), end in zip(turns, ends, strict=True):
        old = [h for h in heard if begins + 0.2 < h.moment < turn]
        new = [h for h in heard if turn + 0.2 < h.moment < end]
        if old and new:
            fast, slow = _speed(before_bpm), _speed(bpm)
            (place_1, moment_1), (place_2, moment_2) = old[-1], new[0]
            changed = (place_2 - place_1 - slow * moment_2 + fast * moment_1) / (fast - slow)
            delays.append(changed - turn)
        before_bpm, begins = bpm, turn
    how = f"the moment that the {CLICK}'s onsets before and after it have in common"
    return [_row("tempo", delays, how)]


def temperature(card: VirtualCard) -> list[Row]:
    """From the hand to the first note composed after it."""
    dice = random.Random(4)
    found = []
    wishes = {"instrument": CLICK, "tempo": 100, "volume": 100}
    with measure.step(f"{CHANGES} temperatures"), _at_hand(card, **wishes) as (player, hand, ear):
        shared, witness = player.shared, _Witness(player.shared)
        tick, moment = _beginning(shared, witness)
        measure.wait(_SETTLE_S)
        for number in range(CHANGES):
            time.sleep(dice.uniform(0.5, 1.5))
            deadline, epoch = time.monotonic() + TIMEOUT_S, shared.writer.read().epoch
            turn = hand.set(temperature=1.0 + 0.05 * (number % 2))
            while shared.writer.read().epoch == epoch or first_new_note(shared) is None:
                player.check(deadline)
            note_tick = first_new_note(shared)
            assert note_tick is not None
            found.append((turn, shared.rewind_request.read().from_tick, note_tick))
            witness.look()
        time.sleep(3.0)
        witness.look()
    score = witness.score()
    start = _Heard(score.place(tick), moment)
    heard = dict(_follow(score, _onsets(ear), [(0.0, 100.0)], start))
    delays, whole, places = [], [], []
    for turn, cut_tick, note_tick in found:
        cut, note_place = score.place(cut_tick), score.place(note_tick)
        note = next((m for p, m in heard.items() if abs(p - note_place) < 1), None)
        if note is not None:
            whole.append(note - turn)
            places.append(note - turn - (note_place - cut) / _speed(100))
            # Whatever is struck after this is new.
            old = [m for p, m in heard.items() if p < cut - 1 and m > turn]
            delays.append(max(old, default=turn) - turn)
    how = (
        "until the last onset of the old music, so that the next one, whenever it comes, is new; "
        f"until the place in the music where it was cut {_milliseconds(places)}; until the first "
        f"new note {_milliseconds(whole)}, which after a last chord is that of the next piece"
    )
    return [_row("temperature", delays, how, REWIND_BAR_S)]


def storm(card: VirtualCard) -> list[Row]:
    """Many changes a second: what the box counts, whether the beat jumps, what is left hanging."""
    dice = random.Random(5)
    wishes: dict[str, Any] = {
        "tempo": lambda: dice.randint(40, 240),
        "volume": lambda: dice.randint(0, 100),
        "instrument": lambda: dice.randint(0, 111),
        "temperature": lambda: round(dice.uniform(0.5, 1.5), 2),
        "top_p": lambda: round(dice.uniform(0.8, 1.0), 2),
        "expression": lambda: dice.randint(0, 100),
        "temperament": lambda: dice.choice(TEMPERAMENTS),
        "pitch": lambda: dice.randint(392, 466),
    }
    jumps, most_sounding, made = 0, 0, 0
    with measure.step(f"{STORM_RATE} changes a second"), _at_hand(card) as (player, hand, ear):
        shared = player.shared
        before = shared.performer.read()
        rewinds = shared.composer.read().rewinds
        begin = now = time.monotonic()
        tick = shared.reader.read().playhead_tick
        while now < begin + STORM_S:
            name = dice.choice(list(wishes))
            hand.set(**{name: wishes[name]()})
            made += 1
            most_sounding = max(most_sounding, shared.performer.read().sounding)
            time.sleep(max(0.0, begin + made / STORM_RATE - time.monotonic()))
            last, last_tick = now, tick
            now, tick = time.monotonic(), shared.reader.read().playhead_tick
            # A block or two may lie between two looks; no phrase is much faster than 240.
            jumps += not 0 <= tick - last_tick <= _speed(250) * (now - last + 0.1)
        took = time.monotonic() - begin
        after = shared.performer.read()
        rewinds = shared.composer.read().rewinds - rewinds
        hand.set(volume=100, instrument="church organ")
        time.sleep(1.0)
        hand.set(playing=False)
        time.sleep(RINGING_S)
        left = shared.performer.read().sounding
        quiet = len(ear.sound())
        time.sleep(1.0)
        tail = ear.sound()[quiet:]
    xruns, late = after.xruns - before.xruns, after.late_events - before.late_events
    starved, loudest = after.starved - before.starved, int(np.abs(tail).max(initial=0))
    good = not (xruns or late or starved or jumps or left) and most_sounding <= 4
    return [
        Row(
            f"{made / took:.0f} changes a second for {took:.0f} s",
            f"xruns {xruns}, starved blocks {starved}, late notes {late}, "
            f"jumps of the beat {jumps}, hanging notes {left}",
            "0 of each",
            good and loudest < 33 and made / took > 0.9 * STORM_RATE,
            f"all settings but the model at random; {rewinds} rewinds, "
            f"at most {most_sounding} notes at once; {RINGING_S:g} s after a pause the loudest "
            f"sample is {loudest}",
        )
    ]


def _levels(sound: Sound) -> Sound:
    """The loudness in 10 ms around every millisecond."""
    hops = len(sound) // _MS_FRAMES
    power = (sound[: hops * _MS_FRAMES].reshape(hops, _MS_FRAMES) ** 2).mean(axis=1)
    return np.asarray(np.sqrt(np.convolve(power, np.full(10, 0.1), "same")), np.float64)


def _onsets(ear: Ear) -> list[float]:
    """The moments at which something is struck."""
    sound = np.diff(ear.sound())
    hops = len(sound) // _MS_FRAMES
    peak = np.abs(sound[: hops * _MS_FRAMES].reshape(hops, _MS_FRAMES)).max(axis=1)
    found: list[float] = []
    last = -1000
    for at in range(20, hops):
        if at - last > 40 and peak[at] > 60 and peak[at] > 4 * peak[at - 15 : at - 1].mean():
            found.append(ear.begin + at / 1000)
            last = at
    return found


def _row(what: str, delays: list[float], how: str, bar_s: float = BAR_S) -> Row:
    if len(delays) < CHANGES / 2:
        raise FailedError(f"only {len(delays)} of {CHANGES} changes of {what} were heard")
    worst = p95(delays)
    return Row(
        f"{what}: from the hand to the ear",
        f"p95 {1e3 * worst:,.0f} ms, median {1e3 * statistics.median(delays):,.0f} ms",
        f"p95 ≤ {1e3 * bar_s:,.0f} ms",
        worst <= bar_s,
        f"{len(delays)} changes; {how}",
    )


def p95(values: list[float]) -> float:
    """What 95 of 100 of them do not exceed."""
    return float(np.quantile(values, 0.95))


def _milliseconds(values: list[float]) -> str:
    return f"p95 {1e3 * p95(values):,.0f} ms, median {1e3 * statistics.median(values):,.0f} ms"


PARTS: Final = (volume, instrument, tempo, temperature, storm)
