// Where the music is: the box says it four times a second, the screen wants it sixty times.

const KEPT_MS = 30000;
const SETTLE_MS = 400; // How long a small difference takes to be made good.

export class Clock {
  #said = []; // {ms, tick, rate (ticks a ms), frame}
  #error = 0;
  #errorAt = 0;
  #shown = 0;

  /**
   * How far behind the box the music is heard here, in ms; whoever plays it in the browser sets
   * this. Or `frame`, if that is known: the frame of the box's sound that is heard just now.
   */
  delayMs = () => 0;
  frame = () => null;

  /** A `clock` message; `ms` is when it came. */
  hear(message, ms = performance.now()) {
    const said = {
      ms,
      tick: message.tick,
      rate: message.ticks_per_s / 1000,
      frame: message.frame,
      framesPerMs: message.frames_per_s / 1000,
    };
    const before = this.#said.at(-1);
    if (before) {
      const expected = this.#ahead(ms) + this.#left(ms);
      const error = expected - said.tick;
      // A jump (a pause, a restart) is shown as one.
      this.#error = Math.abs(error) < 240 ? error : 0;
      this.#errorAt = ms;
      if (said.tick < before.tick - 480 || said.frame < before.frame) this.#said = [];
    }
    this.#said.push(said);
    while (this.#said.length > 2 && this.#said[0].ms < ms - KEPT_MS) this.#said.shift();
  }

  /** The tick that is heard here at `ms`. */
  tick(ms = performance.now()) {
    if (!this.#said.length) return 0;
    const frame = this.frame();
    if (frame !== null) return this.#ofFrame(frame);
    const delay = this.delayMs();
    return delay > 0 ? this.#past(ms - delay) : this.#ahead(ms) + this.#left(ms);
  }

  #left(ms) {
    return this.#error * Math.max(0, 1 - (ms - this.#errorAt) / SETTLE_MS);
  }

  #ahead(ms) {
    const last = this.#said.at(-1);
    return last.tick + Math.min(ms - last.ms, 2000) * last.rate;
  }

  #past(ms) {
    return this.#between((said) => said.ms, ms, (last) => this.#ahead(ms) - last.tick);
  }

  #ofFrame(frame) {
    return this.#between((said) => said.frame, frame, (last) =>
      last.framesPerMs ? ((frame - last.frame) / last.framesPerMs) * last.rate : 0,
    );
  }

  #between(place, at, beyond) {
    const last = this.#said.at(-1);
    if (at >= place(last)) return last.tick + beyond(last);
    for (let i = this.#said.length - 1; i > 0; i--) {
      const [a, b] = [this.#said[i - 1], this.#said[i]];
      if (at >= place(a)) {
        const share = (at - place(a)) / Math.max(1e-9, place(b) - place(a));
        return a.tick + share * (b.tick - a.tick);
      }
    }
    return this.#said[0].tick;
  }
}
