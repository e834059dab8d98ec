"""The score shows the notes that play: read back from where the engraver put each sign."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page, Route, expect

from appliance.music.key_names import KEYS
from tests.support.browser import page, violations, wait_until
from tests.support.web_server import WebBox, eventually

READ_BARS = """() => [...document.querySelectorAll('#score .vf-bar')].map((bar) => {
  const signs = (root, name) => [...root.querySelectorAll(`.vf-${name} text`)].flatMap((text) =>
    [...text.textContent].map((sign) => ({
      sign: sign.codePointAt(0),
      x: Number(text.getAttribute('x')),
      y: Number(text.getAttribute('y')),
    })));
  return {
    tick: Number(bar.dataset.tick),
    isPlaying: bar.classList.contains('playing'),
    isAhead: bar.classList.contains('ahead'),
    opacity: Number(getComputedStyle(bar).opacity),
    staves: [...bar.querySelectorAll('.vf-stave')].map((staff) =>
      Number(staff.firstElementChild.getAttribute('d').match(/ ([0-9.]+)L/)[1])),
    signature: signs(bar, 'keysignature'),
    notes: [...bar.querySelectorAll('.vf-stavenote')].map((note) => signs(note, 'notehead')),
  };
})"""

HEADS = (0xE0A2, 0xE0A3, 0xE0A4)
ALTERATIONS = {0xE260: -1, 0xE261: 0, 0xE262: 1, 0xE263: 2, 0xE264: -2}
"""Signs of the Standard Music Font Layout."""

TOP_LINES = (38, 38, 31, 26)
"""F5 for soprano and alto, F4 for the tenor, A3 for the bass: in steps from C0."""

NATURALS = (0, 2, 4, 5, 7, 9, 11)

LINE_GAP = 10.0


def drawn_pitches(bar: dict[str, Any], fifths: int) -> set[tuple[int, int]]:
    """The notes of a drawn bar of four staves: staff and MIDI note."""
    altered = {"FCGDAEB".index(letter) for letter in "FCGDAEB"[: max(0, fifths)]}
    flat = {"FCGDAEB".index(letter) for letter in "BEADGCF"[: max(0, -fifths)]}
    in_force: dict[tuple[int, int], int] = {}
    found = set()
    # A sign stands at its own height, before the head that it belongs to.
    for note in sorted(bar["notes"], key=lambda signs: max(sign["x"] for sign in signs)):
        signs = {s["y"]: ALTERATIONS[s["sign"]] for s in note if s["sign"] in ALTERATIONS}
        for head in (head for head in note if head["sign"] in HEADS):
            staff = min(range(4), key=lambda s: abs(bar["staves"][s] + 20 - head["y"]))
            below = round((head["y"] - bar["staves"][staff] + 0.5) / (LINE_GAP / 2))
            step = TOP_LINES[staff] - below
            place = "FCGDAEB".index("CDEFGAB"[step % 7])
            if head["y"] in signs:
                in_force[staff, step] = signs[head["y"]]
            usual = (place in altered) - (place in flat)
            alter = in_force.get((staff, step), usual)
            found.add((staff, 12 * (step // 7) + NATURALS[step % 7] + alter + 12))
    return found


def agrees(one: Page, box: WebBox) -> bool:
    """Whether all drawn bars show the notes that the composer wrote, in the key as it is called."""
    roll, score = box.get("/api/roll"), box.get("/api/score/0")
    ends = {bar["tick"]: bar["end_tick"] for bar in score["bars"]}
    bars = one.evaluate(READ_BARS)
    if len(bars) < 3 or not {bar["tick"] for bar in bars} <= ends.keys():
        return False
    fifths = KEYS[box.get("/api/now")["key"]].fifths
    for bar in bars:
        start, end = bar["tick"], ends[bar["tick"]]
        played = {
            (note["voice"], note["pitch"])
            for note in roll["notes"]
            if note["start_tick"] < end and (note["end_tick"] or end) > start
        }
        if drawn_pitches(bar, fifths) != played:
            return False
    return len(bars[0]["signature"]) == 4 * abs(fifths)


def test_noteheads_shown_are_the_notes_that_play(browser: Browser, box: WebBox) -> None:
    box.set(playing=True, tempo="default", temperature="default")
    with page(browser, box.url, viewport={"width": 1280, "height": 800}) as one:
        assert not one.evaluate("performance.getEntriesByName(new URL('static/vexflow.js', "
                                "document.baseURI).href).length")  # fmt: skip
        one.get_by_role("button", name="Score").click()
        eventually(lambda: agrees(one, box))
        # After a change of what is composed ahead, too.
        box.set(temperature=1.3)
        eventually(lambda: agrees(one, box))
        assert not violations(one)
        one.reload()
        expect(one.locator("#score .vf-bar").first).to_be_visible()
        one.keyboard.press("v")
        expect(one.locator("#score")).to_be_hidden()
        expect(one.locator("#roll")).to_be_visible()
    box.set(temperature="default")


def test_bar_that_plays_is_marked_and_what_comes_is_dimmed(browser: Browser, box: WebBox) -> None:
    box.set(playing=True)
    with page(browser, box.url, viewport={"width": 390, "height": 800}) as one:
        one.get_by_role("button", name="Score").click()
        wait_until(one, "() => document.querySelector('#score .vf-bar.ahead')")
        ends: dict[int, int] = {}

        def marked_bar() -> int:
            """The tick of the bar that is marked as it should be; -1 if none is."""
            bars, now = one.evaluate(f"[({READ_BARS})(), bachbox.clock.tick()]")
            marked = [bar["tick"] for bar in bars if bar["isPlaying"]]
            dimmed = [bar["tick"] for bar in bars if bar["isAhead"] and bar["opacity"] < 0.6]
            ends.update({b["tick"]: b["end_tick"] for b in box.get("/api/score/0")["bars"]})
            # By the page's own clock: test_roll compares that with the box's.
            is_right = (
                len(marked) == 1
                and marked[0] <= now < ends.get(marked[0], 0)
                and dimmed == [bar["tick"] for bar in bars if bar["tick"] > marked[0]]
            )
            return int(marked[0]) if is_right else -1

        seen: set[int] = set()

        def are_two_marked() -> bool:
            seen.add(marked_bar())
            return len(seen - {-1}) > 1

        # Bar after bar.
        eventually(are_two_marked)


def test_the_score_comes_although_notes_come_before_the_engraver(
    browser: Browser, box: WebBox
) -> None:
    with page(browser, box.url, viewport={"width": 844, "height": 390}) as one:
        held: list[Route] = []
        one.route("**/vexflow.js", lambda route: held.append(route))
        one.click("#show-score")
        wait_until(one, "() => Boolean(bachbox.scoreSwitch.view)")
        one.evaluate("bachbox.scoreSwitch.view.wake(0)")
        while not held:
            one.wait_for_timeout(50)
        # What was woken would ask the box, and draw.
        one.wait_for_timeout(1000)
        held[0].continue_()
        expect(one.locator("#score svg").first).to_be_visible()
