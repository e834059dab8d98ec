// The piano roll: what was played left of the line, what comes next right of it.
//
// It is drawn only when the picture changes: when the music has moved by a pixel of the screen, while
// a note fades, and when the box has sent something. A paused or hidden page draws nothing.

import { translated } from './texts.js';

const MOST_AHEAD = 0.64; // What comes next takes at most this share of the width,
const BEATS_AHEAD = 8.5; // and no more than this: a little more than is composed.
const PIXELS_PER_BEAT = [34, 76]; // At least and at most.
const FADE_MS = 1200; // How long discarded notes take to fade.
const HIGHLIGHT_MS = 1600; // How long new notes have a border.
const EARLY_MS = 12; // A frame is asked for this long before the picture has to change.
const REDUCED_MOTION_FRAME_MS = 500;
const MIN_PITCHES = 26;
const TOP = 24; // The height of the line with the numbers of the bars.
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
  #canvas;
  #context;
  #timeline;
  #clock;
  #colours = null;
  #low = 48;
  #high = 84;
  #isWaiting = false; // A frame is asked for.
  #isStale = true; // More has changed than the time.
  #drawnShift = NaN;
  #frame = { width: 0, height: 0 }; // The space for the canvas.
  #fadesUntilMs = 0;
  #reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
  /** How many frames were drawn. */
  frames = 0;

  constructor(canvas, timeline, clock) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false });
    this.#timeline = timeline;
    this.#clock = clock;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.restyle());
    new ResizeObserver(([{ contentRect }]) => {
      this.#frame = contentRect;
      this.wake();
    }).observe(canvas.parentElement);
    document.addEventListener('visibilitychange', () => this.wake());
  }

  /** Read the colours again. */
  restyle() {
    this.#colours = null;
    this.wake();
  }

  /** Something has changed: draw, and go on while the music moves. */
  wake() {
    this.#isStale = true;
    if (this.#isWaiting || document.hidden) return;
    this.#isWaiting = true;
    requestAnimationFrame((ms) => this.#show(ms));
  }

  #show(ms) {
    this.#isWaiting = false;
    if (document.hidden) return;
    const isFading = ms < this.#fadesUntilMs;
    const { width, height, scale } = this.#size();
    const { nowAt, pixelsPerBeat } = scaleFor(width);
    const pixelsPerTick = pixelsPerBeat / 480;
    const now = this.#clock.tick(ms);
    const shift = Math.round(now * pixelsPerTick * scale) / scale;
    if (this.#isStale || isFading || shift !== this.#drawnShift) {
      this.#isStale = false;
      this.#drawnShift = shift;
      this.frames += 1;
      const left = Math.round(nowAt * width) - shift;
      const x = (tick) => left + Math.round(tick * pixelsPerTick * scale) / scale;
      const [fromTick, toTick] = [-left / pixelsPerTick, (width - left) / pixelsPerTick];
      this.#context.setTransform(scale, 0, 0, scale, 0, 0);
      this.#draw({ ms, now, x, fromTick, toTick, width, height, pixelsPerTick });
    }
    if (isFading || this.#clock.isMoving) this.#scheduleNext(isFading, pixelsPerTick * scale);
  }

  /** Ask for a frame when the picture has to change next. */
  #scheduleNext(isFading, pixelsPerTick) {
    this.#isWaiting = true;
    const ask = () => requestAnimationFrame((ms) => this.#show(ms));
    let waitMs = isFading ? 0 : 1 / (pixelsPerTick * this.#clock.ticksPerMs);
    if (this.#reducedMotion.matches) waitMs = REDUCED_MOTION_FRAME_MS;
    if (waitMs > 2 * EARLY_MS) setTimeout(ask, waitMs - EARLY_MS);
    else ask();
  }

  #draw(view) {
    const { ms, now, x, fromTick, toTick, width, height } = view;
    const context = this.#context;
    const colours = (this.#colours ??= this.#readColours());
    const endOf = (note) => note.endTick ?? this.#timeline.horizonTick;
    const isVisible = (note) => note.startTick < toTick && endOf(note) > fromTick;
    const notes = this.#timeline.notes.filter(isVisible);
    this.#fitPitches(notes);
    const step = (height - TOP - 6) / (this.#high - this.#low + 1);
    const y = (pitch) => TOP + (this.#high - pitch) * step;
    this.#drawGrid(colours, { ...view, y, step });

    const drawNote = (note, colour, opacity) => {
      const left = x(note.startTick);
      const length = x(Math.max(endOf(note), note.startTick)) - left;
      context.globalAlpha = opacity;
      context.fillStyle = colour;
      context.beginPath();
      context.roundRect(left, y(note.pitch) + 0.5, Math.max(2, length - 1.5), step - 1, 3);
      context.fill();
    };
    for (const note of this.#timeline.discarded) {
      const opacity = 0.5 * (1 - (ms - note.discardedMs) / FADE_MS);
      if (opacity <= 0 || !isVisible(note)) continue;
      this.#fadesUntilMs = Math.max(this.#fadesUntilMs, note.discardedMs + FADE_MS);
      drawNote(note, colours.discarded, opacity);
    }
    for (const note of notes) {
      const colour = colours.voices[note.voice % colours.voices.length];
      const isSounding = note.startTick <= now && endOf(note) >= now;
      const restOpacity = note.startTick > now ? colours.aheadOpacity : colours.playedOpacity;
      drawNote(note, colour, isSounding ? 1 : restOpacity);
      const highlight = note.addedMs ? 1 - (ms - note.addedMs) / HIGHLIGHT_MS : 0;
      if (highlight > 0) {
        this.#fadesUntilMs = Math.max(this.#fadesUntilMs, note.addedMs + HIGHLIGHT_MS);
        context.globalAlpha = highlight;
        context.strokeStyle = colours.text;
        context.lineWidth = 1.5;
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    context.fillStyle = colours.now;
    context.fillRect(x(now) - 1, 0, 2, height);
    // Beyond the horizon nothing is composed yet.
    const edge = x(this.#timeline.horizonTick);
    if (edge < width) {
      context.fillStyle = colours.notComposed;
      context.fillRect(edge, 0, width - edge, height);
    }
  }

  #drawGrid(colours, { x, y, fromTick, toTick, step, width, height, pixelsPerTick }) {
    const context = this.#context;
    context.fillStyle = colours.background;
    context.fillRect(0, 0, width, height);
    context.fillStyle = colours.blackKeys;
    for (let pitch = this.#low; pitch <= this.#high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) context.fillRect(0, y(pitch), width, step);
    }
    context.font = '13px Bachbox, Georgia, serif';
    context.textBaseline = 'top';
    for (const { tick, bar, piece } of this.#timeline.bars(fromTick, toTick)) {
      const left = x(tick);
      context.fillStyle = colours.barLine;
      context.fillRect(left, 0, 1, height);
      const barWidth = piece.beatsPerBar * piece.beatTicks * pixelsPerTick;
      const every = Math.max(1, Math.ceil(MIN_BAR_LABEL / barWidth));
      if (bar === 1) {
        context.fillStyle = colours.now;
        context.fillText(translated(keyName(piece)), left + 5, 4);
      } else if (bar % every === 0 && (bar - 1) * barWidth > 2.2 * MIN_BAR_LABEL) {
        context.fillStyle = colours.mutedText;
        context.fillText(bar, left + 5, 4);
      }
    }
  }

  /** Widen the range of pitches at once where a note needs it, and narrow it slowly. */
  #fitPitches(notes) {
    if (!notes.length) return;
    let [low, high] = [127, 0];
    for (const { pitch } of notes) {
      low = Math.min(low, pitch);
      high = Math.max(high, pitch);
    }
    [low, high] = [low - 2, high + 2];
    const missing = MIN_PITCHES - (high - low);
    if (missing > 0) [low, high] = [low - Math.ceil(missing / 2), high + Math.floor(missing / 2)];
    this.#low = low < this.#low || low > this.#low + 5 ? low : this.#low;
    this.#high = high > this.#high || high < this.#high - 5 ? high : this.#high;
  }

  /** Make the canvas as large as its frame, in whole pixels: scaling it would cost twice as much. */
  #size() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const canvas = this.#canvas;
    const across = Math.max(1, Math.floor(this.#frame.width * scale));
    const down = Math.max(1, Math.floor(this.#frame.height * scale));
    const [width, height] = [across / scale, down / scale];
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      this.#isStale = true;
    }
    return { width, height, scale };
  }

  #readColours() {
    const style = getComputedStyle(document.body);
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
