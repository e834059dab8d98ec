// The piano roll: what was played left of the line, what comes next right of it.
//
// It is a strip of tiles that the browser's compositor moves; no JavaScript runs for a picture. A tile
// is painted when something in it changes: a note begins or ends, or the box has sent something. A
// paused or hidden page paints nothing.

import { RollStrip } from './roll-strip.js';
import { translated } from './texts.js';

const MOST_AHEAD = 0.64; // What comes next takes at most this share of the width,
const BEATS_AHEAD = 8.5; // and no more than this: a little more than is composed.
const PIXELS_PER_BEAT = [34, 76]; // At least and at most.
const FADE_MS = 1200; // How long discarded notes take to fade.
const HIGHLIGHT_MS = 1600; // How long new notes have a border.
const FADING_FRAME_MS = 100; // How often it is painted while notes fade.
const MIN_FRAME_MS = 40; // Notes that begin or end so near to each other are painted together.
const MIN_PITCHES = 26;
const TOP = 24; // The height of the line with the numbers of the bars.
const WIDEST_LABEL = 120; // In pixels.
const MIN_BAR_LABEL = 44; // Numbers nearer to each other than this, in pixels, are left out.
const KEYS = ['C', 'D-flat', 'D', 'E-flat', 'E', 'F', 'F-sharp', 'G', 'A-flat', 'A', 'B-flat', 'B'];
const MINOR_KEYS = { 1: 'c-sharp', 8: 'g-sharp' };

/** Return a piece's key as the box spells it, such as "e-flat minor". */
export function keyName({ tonic, minor }) {
  if (!minor) return `${KEYS[tonic]} major`;
  return `${MINOR_KEYS[tonic] ?? KEYS[tonic].toLowerCase()} minor`;
}

/** Return where the line is, as a share of `width`, and how wide a quarter note is, in pixels. */
export function scaleFor(width) {
  const [least, most] = PIXELS_PER_BEAT;
  const pixelsPerBeat = Math.min(most, Math.max(least, (MOST_AHEAD * width) / BEATS_AHEAD));
  return { nowAt: 1 - Math.min(MOST_AHEAD, (BEATS_AHEAD * pixelsPerBeat) / width), pixelsPerBeat };
}

export class PianoRoll {
  #host;
  #timeline;
  #clock;
  #strip;
  #colours = null;
  #low = 48;
  #high = 84;
  #timer = null;
  #paintedTick = 0;
  #fadesUntilMs = 0;
  /** How often something was painted. */
  frames = 0;

  /** Draws into `host`, whose size counts. */
  constructor(host, timeline, clock) {
    this.#host = host;
    this.#timeline = timeline;
    this.#clock = clock;
    this.#strip = new RollStrip(host, (tile) => this.#paint(tile));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.restyle());
    new ResizeObserver(([{ contentRect }]) => {
      const { nowAt, pixelsPerBeat } = scaleFor(contentRect.width);
      this.#strip.resize(contentRect, nowAt, pixelsPerBeat / 480, this.#clock.tick());
      this.wake();
    }).observe(host);
    document.addEventListener('visibilitychange', () => this.wake());
  }

  /** Read the colours again. */
  restyle() {
    this.#colours = null;
    this.wake();
  }

  /** The clock has been set: move with it. */
  move() {
    if (document.hidden || !this.#strip.isShown) return;
    this.frames += this.#strip.follow(this.#clock.tick(), this.#clock.ticksPerMs);
    this.#schedule();
  }

  /** Something has changed: paint everything. */
  wake() {
    if (document.hidden || !this.#strip.isShown) return;
    const now = this.#clock.tick();
    this.#fitPitches(now);
    this.#strip.follow(now, this.#clock.ticksPerMs);
    this.#paintedTick = now;
    this.#strip.paintAll();
    this.frames += 1;
    this.#schedule();
  }

  /** Paint the tiles in which a note began or ended, or fades. */
  #show() {
    this.#timer = null;
    if (document.hidden || !this.#strip.isShown) return;
    if (performance.now() < this.#fadesUntilMs) return void this.wake();
    const [from, now] = [this.#paintedTick, this.#clock.tick()];
    this.#paintedTick = now;
    const isChanged = (tick) => from < tick && tick <= now;
    const changed = this.#timeline.notes.filter(
      (note) => isChanged(note.startTick) || isChanged(this.#endOf(note)),
    );
    if (changed.length) {
      const starts = changed.map(({ startTick }) => startTick);
      this.#strip.paint(Math.min(...starts), Math.max(...changed.map((note) => this.#endOf(note))));
      this.frames += 1;
    }
    this.#schedule();
  }

  /** Wait until the picture changes next by more than its place. */
  #schedule() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const isFading = performance.now() < this.#fadesUntilMs;
    if (!this.#clock.isMoving && !isFading) return;
    let next = Infinity;
    for (const note of this.#timeline.notes) {
      for (const tick of [note.startTick, this.#endOf(note)]) {
        if (tick > this.#paintedTick) next = Math.min(next, tick);
      }
    }
    const ms = this.#clock.isMoving ? (next - this.#clock.tick()) / this.#clock.ticksPerMs : Infinity;
    const wait = Math.max(MIN_FRAME_MS, isFading ? Math.min(FADING_FRAME_MS, ms) : ms);
    if (wait < Infinity) this.#timer = setTimeout(() => this.#show(), wait);
  }

  #endOf(note) {
    return Math.max(note.startTick, note.endTick ?? this.#timeline.horizonTick);
  }

  #paint({ context, x, fromTick, toTick, left, width, height, pixelsPerTick }) {
    const ms = performance.now();
    const now = this.#paintedTick;
    const colours = (this.#colours ??= this.#readColours());
    const step = (height - TOP - 6) / (this.#high - this.#low + 1);
    const y = (pitch) => TOP + (this.#high - pitch) * step;
    this.#paintGrid(context, colours, { x, y, step, fromTick, toTick, left, width, height, pixelsPerTick });
    const isVisible = (note) => note.startTick < toTick && this.#endOf(note) > fromTick;

    const paintNote = (note, colour, opacity) => {
      const begin = x(note.startTick);
      context.globalAlpha = opacity;
      context.fillStyle = colour;
      context.beginPath();
      const length = Math.max(2, x(this.#endOf(note)) - begin - 1.5);
      context.roundRect(begin, y(note.pitch) + 0.5, length, step - 1, 3);
      context.fill();
    };
    for (const note of this.#timeline.discarded) {
      const opacity = 0.5 * (1 - (ms - note.discardedMs) / FADE_MS);
      if (opacity <= 0 || !isVisible(note)) continue;
      this.#fadesUntilMs = Math.max(this.#fadesUntilMs, note.discardedMs + FADE_MS + FADING_FRAME_MS);
      paintNote(note, colours.discarded, opacity);
    }
    for (const note of this.#timeline.notes) {
      if (!isVisible(note)) continue;
      const colour = colours.voices[note.voice % colours.voices.length];
      const isSounding = note.startTick <= now && this.#endOf(note) > now;
      const restOpacity = note.startTick > now ? colours.aheadOpacity : colours.playedOpacity;
      paintNote(note, colour, isSounding ? 1 : restOpacity);
      const highlight = note.addedMs ? 1 - (ms - note.addedMs) / HIGHLIGHT_MS : 0;
      if (highlight <= 0) continue;
      this.#fadesUntilMs = Math.max(this.#fadesUntilMs, note.addedMs + HIGHLIGHT_MS + FADING_FRAME_MS);
      context.globalAlpha = highlight;
      context.strokeStyle = colours.text;
      context.lineWidth = 1.5;
      context.stroke();
    }
    context.globalAlpha = 1;
    // Beyond the horizon nothing is composed yet.
    const edge = Math.max(left, x(this.#timeline.horizonTick));
    if (edge >= left + width) return;
    context.fillStyle = colours.notComposed;
    context.fillRect(edge, 0, left + width - edge, height);
  }

  #paintGrid(context, colours, { x, y, step, fromTick, toTick, left, width, height, pixelsPerTick }) {
    context.fillStyle = colours.background;
    context.fillRect(left, 0, width, height);
    context.fillStyle = colours.blackKeys;
    for (let pitch = this.#low; pitch <= this.#high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) context.fillRect(left, y(pitch), width, step);
    }
    context.font = '13px Bachbox, Georgia, serif';
    context.textBaseline = 'top';
    // What is written beside a bar line reaches into the next tile.
    const reach = WIDEST_LABEL / pixelsPerTick;
    for (const { tick, bar, piece } of this.#timeline.bars(fromTick - reach, toTick)) {
      const line = x(tick);
      context.fillStyle = colours.barLine;
      context.fillRect(line, 0, 1, height);
      const barWidth = piece.beatsPerBar * piece.beatTicks * pixelsPerTick;
      const every = Math.max(1, Math.ceil(MIN_BAR_LABEL / barWidth));
      if (bar === 1) {
        context.fillStyle = colours.now;
        context.fillText(translated(keyName(piece)), line + 5, 4);
      } else if (bar % every === 0 && (bar - 1) * barWidth > 2.2 * MIN_BAR_LABEL) {
        context.fillStyle = colours.mutedText;
        context.fillText(bar, line + 5, 4);
      }
    }
  }

  /** Widen the range of pitches at once where a note needs it, and narrow it slowly. */
  #fitPitches(now) {
    const [fromTick, toTick] = this.#strip.span(now);
    let [low, high] = [127, 0];
    for (const note of this.#timeline.notes) {
      if (note.startTick >= toTick || this.#endOf(note) <= fromTick) continue;
      const { pitch } = note;
      low = Math.min(low, pitch);
      high = Math.max(high, pitch);
    }
    if (low > high) return;
    [low, high] = [low - 2, high + 2];
    const missing = MIN_PITCHES - (high - low);
    if (missing > 0) [low, high] = [low - Math.ceil(missing / 2), high + Math.floor(missing / 2)];
    this.#low = low < this.#low || low > this.#low + 5 ? low : this.#low;
    this.#high = high > this.#high || high < this.#high - 5 ? high : this.#high;
  }

  #readColours() {
    const style = getComputedStyle(this.#host);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      background: colour('roll'),
      blackKeys: colour('roll-black-keys'),
      barLine: colour('roll-bar-line'),
      notComposed: colour('roll-not-composed'),
      mutedText: colour('muted-text'),
      text: colour('text'),
      now: colour('accent'),
      discarded: colour('discarded-note'),
      playedOpacity: Number(colour('played-opacity')),
      aheadOpacity: Number(colour('ahead-opacity')),
      voices: [0, 1, 2, 3, 4, 5].map((voice) => colour(`voice-${voice}`)),
    };
  }
}
