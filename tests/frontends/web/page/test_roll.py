"""The piano roll shows what the composer wrote, when it plays."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.browser import page, slide, wait_until
from tests.support.web_server import WebBox, eventually

ROLL = "({notes: bachbox.timeline.notes, horizonTick: bachbox.timeline.horizonTick})"


def test_timeline_agrees_with_composer_after_rewinds(shown: Page, box: WebBox) -> None:
    for temperature in (1.4, 0.7, 1.0):
        box.set(temperature=temperature)

        def agree() -> bool:
            theirs = box.get("/api/roll")
            ours = shown.evaluate(ROLL)
            last_tick = min(theirs["horizon_tick"], ours["horizonTick"])
            first_tick = max(n["startTick"] for n in ours["notes"][:1])
            box_notes = {
                (n["voice"], n["pitch"], n["start_tick"], n["end_tick"]) for n in theirs["notes"]
            }
            page_notes = {
                (n["voice"], n["pitch"], n["startTick"], n["endTick"]) for n in ours["notes"]
            }

            def finished(notes: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
                return {
                    note
                    for note in notes
                    if first_tick < note[2] and (note[3] or last_tick + 1) <= last_tick
                }

            return len(finished(box_notes)) > 8 and finished(box_notes) == finished(page_notes)

        eventually(agree)


def test_temperature_change_is_visible_in_roll(shown: Page, box: WebBox) -> None:
    def screenshot() -> bytes:
        return bytes(shown.locator("#roll").screenshot())

    eventually(lambda: box.get("/api/health")["status"]["health"]["look_ahead_s"] > 3)
    rewinds = shown.evaluate("bachbox.timeline.rewinds")
    slide(shown, "Temperature", 1.7)
    # Looked at before each picture: they are kept only until they have faded.
    wait_until(
        shown,
        "(rewinds) => bachbox.timeline.rewinds > rewinds && bachbox.timeline.discarded.length > 0",
        rewinds,
    )
    before = screenshot()
    wait_until(shown, "() => bachbox.timeline.notes.some((note) => note.addedMs)")
    wait_until(
        shown,
        "() => bachbox.timeline.discarded.every((n) => performance.now() - n.discardedMs > 1300)",
    )
    assert screenshot() != before
    box.set(temperature=0.9)


def test_roll_is_in_time_with_sound(shown: Page, box: WebBox) -> None:
    """The tick on the screen is the performer's, but for an audio block and the network."""
    box.set(tempo=60)

    def off_ticks() -> float:
        before = box.get("/api/roll")["playhead_tick"]
        here = shown.evaluate("bachbox.clock.tick()")
        after = box.get("/api/roll")["playhead_tick"]
        return float(max(before - here, here - after, 0.0))

    # 480 ticks last a second. A clock that is wrong is wrong by more, however often one looks; on a
    # busy machine either side may be late for a while.
    for _ in range(3):
        eventually(lambda: off_ticks() < 120)


def test_roll_follows_local_playback(shown: Page) -> None:
    """What plays the sound here sets the clock; test_listen measures how well."""
    seen = shown.evaluate(
        """() => {
          const { clock } = bachbox;
          const before = clock.localTick;
          clock.localTick = () => 12345;
          const tick = clock.tick();
          clock.localTick = before;
          return tick;
        }"""
    )
    assert seen == 12345


def test_paused_page_draws_nothing(browser: Browser, box: WebBox) -> None:
    with page(browser, box.url) as one:
        wait_until(one, "() => bachbox.roll.frames > 3")
        box.set(playing=False)
        # What is composed ahead is complete after a while, and nothing changes from then on.
        wait_until(
            one,
            """async () => {
              const frames = bachbox.roll.frames;
              await new Promise((done) => setTimeout(done, 1500));
              return !bachbox.clock.isMoving && bachbox.roll.frames === frames;
            }""",
        )
        frames = one.evaluate("bachbox.roll.frames")
        box.set(playing=True)
        wait_until(one, "(frames) => bachbox.roll.frames > frames + 3", frames)


MOVES_WITH_THE_CLOCK = """async () => {
  const host = document.querySelector('#roll');
  const strip = host.querySelector('.strip');
  const { scaleFor } = await import('./static/piano-roll.js');
  const pixelsPerTick = scaleFor(host.clientWidth).pixelsPerBeat / 480;
  const seen = () => new Promise((done) => requestAnimationFrame(() => done({
    x: strip.getBoundingClientRect().left,
    tick: bachbox.clock.tick(document.timeline.currentTime),
  })));
  const before = await seen();
  await new Promise((done) => setTimeout(done, 1000));
  const [after, [animation]] = [await seen(), strip.getAnimations()];
  const pixels = (after.tick - before.tick) * pixelsPerTick;
  const off = Math.abs(before.x - after.x - pixels);
  const rate = animation.playbackRate / bachbox.clock.ticksPerMs;
  return animation.playState === 'running' && pixels > 30 && off < 15 && Math.abs(rate - 1) < 0.3;
}"""


def test_strip_moves_with_the_clock_and_stands_while_paused(browser: Browser, box: WebBox) -> None:
    """As for most people; all other tests ask for reduced motion."""
    box.set(playing=True)
    with page(browser, box.url, reduced_motion="no-preference") as one:
        # A jump between two pieces is no movement, so it may take a few looks.
        wait_until(one, MOVES_WITH_THE_CLOCK)
        box.set(playing=False)
        wait_until(
            one,
            """() => document.querySelector('#roll .strip').getAnimations()
              .every((animation) => animation.playState === 'paused')""",
        )
        stood = one.evaluate(
            """async () => {
              const strip = document.querySelector('#roll .strip');
              const x = () => strip.getBoundingClientRect().left;
              const [animation] = strip.getAnimations();
              const before = [x(), animation.playState];
              await new Promise((done) => setTimeout(done, 1000));
              return [...before, x(), animation.playState];
            }"""
        )
        assert stood[1::2] == ["paused", "paused"]
        assert stood[0] == stood[2]
        box.set(playing=True)
        wait_until(one, MOVES_WITH_THE_CLOCK)
