// The living piano roll: what was played to the left of the line, what is to come to the right.

const NOW_AT = 0.36; // Of the width.
const GHOST_MS = 1200;
const FRESH_MS = 1600;
const FRAME_MS = 30; // Between two pictures: smooth, and half of a phone's battery.
const CALM_MS = 500; // The same, where less motion is wished for.
const MIN_PIXELS_A_BEAT = 34;
const BEATS_AHEAD = 8.5; // What is seen of the future, where there is room: a little more than is composed.
const MIN_PITCHES = 26;
const KEYS = ['C', 'D♭', 'D', 'E♭', 'E', 'F', 'F♯', 'G', 'A♭', 'A', 'B♭', 'B'];

export class Roll {
  #canvas;
  #context;
  #score;
  #clock;
  #colours = null;
  #low = 48;
  #high = 84;
  #drawn = 0;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(canvas, score, clock) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    this.#score = score;
    this.#clock = clock;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#colours = null;
    });
    requestAnimationFrame((ms) => this.#frame(ms));
  }

  #frame(ms) {
    requestAnimationFrame((next) => this.#frame(next));
    if (ms - this.#drawn < (this.#calm.matches ? CALM_MS : FRAME_MS)) return;
    this.#drawn = ms;
    this.draw(ms);
  }

  /** One picture. */
  draw(ms = performance.now()) {
    const { width, height, scale } = this.#size();
    const context = this.#context;
    const colours = (this.#colours ??= this.#read());
    const now = this.#clock.tick(ms);
    const pixelsABeat = Math.max(MIN_PIXELS_A_BEAT, ((1 - NOW_AT) * width) / BEATS_AHEAD);
    const ticksPerPixel = 480 / pixelsABeat;
    const x = (tick) => NOW_AT * width + (tick - now) / ticksPerPixel;
    const from = now - NOW_AT * width * ticksPerPixel;
    const to = now + (1 - NOW_AT) * width * ticksPerPixel;
    const seen = (note) => note.start < to && (note.end ?? this.#score.horizon) > from;
    const notes = this.#score.notes.filter(seen);
    this.#fit(notes);
    const step = (height - 22) / (this.#high - this.#low + 1);
    const y = (pitch) => 20 + (this.#high - pitch) * step;

    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = colours.back;
    context.fillRect(0, 0, width, height);
    this.#grid(context, colours, { x, y, from, to, step, width, height });

    const bar = (note, style, alpha) => {
      const left = x(note.start);
      const right = x(note.end ?? Math.max(this.#score.horizon, note.start));
      context.globalAlpha = alpha;
      context.fillStyle = style;
      context.beginPath();
      context.roundRect(left, y(note.pitch) + 0.5, Math.max(2, right - left - 1.5), step - 1, 3);
      context.fill();
    };
    for (const ghost of this.#score.ghosts) {
      const left = 1 - (ms - ghost.died) / GHOST_MS;
      if (left > 0 && seen(ghost)) bar(ghost, colours.ghost, 0.5 * left);
    }
    for (const note of notes) {
      const colour = colours.voices[note.voice % colours.voices.length];
      const end = note.end ?? this.#score.horizon;
      if (note.start > now) bar(note, colour, colours.ahead);
      else if (end >= now) bar(note, colour, 1);
      else bar(note, colour, colours.past);
      const fresh = note.born ? 1 - (ms - note.born) / FRESH_MS : 0;
      if (fresh > 0) {
        context.globalAlpha = fresh;
        context.strokeStyle = colours.ink;
        context.lineWidth = 1.5;
        context.stroke();
      }
    }
    context.globalAlpha = 1;
    context.fillStyle = colours.now;
    context.fillRect(NOW_AT * width - 1, 0, 2, height);
  }

  #grid(context, colours, { x, y, from, to, step, width, height }) {
    for (let pitch = this.#low; pitch <= this.#high; pitch++) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) {
        context.fillStyle = colours.black;
        context.fillRect(0, y(pitch), width, step);
      }
    }
    context.font = '12px system-ui, sans-serif';
    context.textBaseline = 'top';
    for (const { tick, bar, piece } of this.#score.bars(from, to)) {
      const left = Math.round(x(tick));
      context.fillStyle = colours.line;
      context.fillRect(left, 0, 1, height);
      if (bar % 2 === 1 || bar < 3) {
        context.fillStyle = colours.muted;
        const key = piece.minor ? KEYS[piece.tonic].toLowerCase() : KEYS[piece.tonic];
        context.fillText(bar === 1 ? `${piece.number} · ${key}` : String(bar), left + 4, 3);
      }
    }
    // What lies beyond the horizon is not composed yet.
    const edge = x(this.#score.horizon);
    if (edge < width) {
      context.fillStyle = colours.unknown;
      context.fillRect(edge, 0, width - edge, height);
    }
  }

  /** Widen the range to what is seen, and narrow it slowly. */
  #fit(notes) {
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

  #read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
      back: colour('roll'),
      black: colour('roll-black'),
      line: colour('roll-line'),
      unknown: colour('roll-unknown'),
      muted: colour('muted'),
      ink: colour('ink'),
      now: colour('accent'),
      ghost: colour('ghost'),
      past: Number(colour('past')),
      ahead: Number(colour('ahead')),
      voices: [0, 1, 2, 3, 4, 5].map((voice) => colour(`voice-${voice}`)),
    };
  }
}
