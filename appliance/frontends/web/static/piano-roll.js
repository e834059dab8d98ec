// The piano roll: what was played left of the line, what comes next right of it.

const NOW_AT = 0.36; // Where the line is, as a share of the width.
const FADE_MS = 1200; // How long discarded notes take to fade.
const HIGHLIGHT_MS = 1600; // How long new notes have a border.
const FRAME_MS = 30; // Half of a screen's frames: still smooth, and it saves a phone's battery.
const REDUCED_MOTION_FRAME_MS = 500;
const MIN_PIXELS_PER_BEAT = 34;
const BEATS_AHEAD = 8.5; // How much of the future is shown on a wide screen: a little more than is composed.
const MIN_PITCHES = 26;
const KEYS = ['C', 'D♭', 'D', 'E♭', 'E', 'F', 'F♯', 'G', 'A♭', 'A', 'B♭', 'B'];

export class PianoRoll {
  #canvas;
  #context;
  #timeline;
  #clock;
  #colours = null;
  #low = 48;
  #high = 84;
  #lastFrameMs = 0;
  #reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(canvas, timeline, clock) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    this.#timeline = timeline;
    this.#clock = clock;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#colours = null;
    });
    requestAnimationFrame((ms) => this.#frame(ms));
  }

  #frame(ms) {
    requestAnimationFrame((next) => this.#frame(next));
    if (ms - this.#lastFrameMs < (this.#reducedMotion.matches ? REDUCED_MOTION_FRAME_MS : FRAME_MS)) return;
    this.#lastFrameMs = ms;
    this.draw(ms);
  }

  /** Draw one frame. */
  draw(ms = performance.now()) {
    const { width, height, scale } = this.#size();
    const context = this.#context;
    const colours = (this.#colours ??= this.#readColours());
    const now = this.#clock.tick(ms);
    const pixelsPerBeat = Math.max(MIN_PIXELS_PER_BEAT, ((1 - NOW_AT) * width) / BEATS_AHEAD);
    const ticksPerPixel = 480 / pixelsPerBeat;
    const x = (tick) => NOW_AT * width + (tick - now) / ticksPerPixel;
    const fromTick = now - NOW_AT * width * ticksPerPixel;
    const toTick = now + (1 - NOW_AT) * width * ticksPerPixel;
    const endOf = (note) => note.endTick ?? this.#timeline.horizonTick;
    const isVisible = (note) => note.startTick < toTick && endOf(note) > fromTick;
    const notes = this.#timeline.notes.filter(isVisible);
    this.#fitPitches(notes);
    const step = (height - 22) / (this.#high - this.#low + 1);
    const y = (pitch) => 20 + (this.#high - pitch) * step;

    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = colours.background;
    context.fillRect(0, 0, width, height);
    this.#grid(context, colours, { x, y, fromTick, toTick, step, width, height });

    const drawNote = (note, style, alpha) => {
      const left = x(note.startTick);
      const right = x(Math.max(endOf(note), note.startTick));
      context.globalAlpha = alpha;
      context.fillStyle = style;
      context.beginPath();
      context.roundRect(left, y(note.pitch) + 0.5, Math.max(2, right - left - 1.5), step - 1, 3);
      context.fill();
    };
    for (const note of this.#timeline.discarded) {
      const opacity = 0.5 * (1 - (ms - note.discardedMs) / FADE_MS);
      if (opacity > 0 && isVisible(note)) drawNote(note, colours.discarded, opacity);
    }
    for (const note of notes) {
      const colour = colours.voices[note.voice % colours.voices.length];
      if (note.startTick > now) drawNote(note, colour, colours.aheadOpacity);
      else if (endOf(note) >= now) drawNote(note, colour, 1);
      else drawNote(note, colour, colours.playedOpacity);
      const highlight = note.addedMs ? 1 - (ms - note.addedMs) / HIGHLIGHT_MS : 0;
      if (highlight > 0) {
        context.globalAlpha = highlight;
        context.strokeStyle = colours.text;
        context.lineWidth = 1.5;
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    context.fillStyle = colours.now;
    context.fillRect(NOW_AT * width - 1, 0, 2, height);
  }

  #grid(context, colours, { x, y, fromTick, toTick, step, width, height }) {
    for (let pitch = this.#low; pitch <= this.#high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) {
        context.fillStyle = colours.blackKeys;
        context.fillRect(0, y(pitch), width, step);
      }
    }
    context.font = '12px system-ui, sans-serif';
    context.textBaseline = 'top';
    for (const { tick, bar, piece } of this.#timeline.bars(fromTick, toTick)) {
      const left = Math.round(x(tick));
      context.fillStyle = colours.barLine;
      context.fillRect(left, 0, 1, height);
      if (bar % 2 === 1 || bar < 3) {
        context.fillStyle = colours.mutedText;
        const key = piece.minor ? KEYS[piece.tonic].toLowerCase() : KEYS[piece.tonic];
        context.fillText(bar === 1 ? `${piece.number} · ${key}` : String(bar), left + 4, 3);
      }
    }
    // Beyond the horizon nothing is composed yet.
    const edge = x(this.#timeline.horizonTick);
    if (edge < width) {
      context.fillStyle = colours.notComposed;
      context.fillRect(edge, 0, width - edge, height);
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

  #size() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== across || this.#canvas.height !== down) {
      this.#canvas.width = across;
      this.#canvas.height = down;
    }
    return { width, height, scale };
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
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
