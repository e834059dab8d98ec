// Where the music is: the box says it four times a second, the screen wants it sixty times.

const SETTLE_MS = 400; // How long a small difference takes to be made good.

export class Clock {
  #said = null; // {ms, tick, rate (ticks a ms)}
  #error = 0;
  #errorAt = 0;
  #shown = 0;

  /**
   * The tick that is heard here just now, if it is known: whoever plays the sound in the browser
   * sets this.
   */
  heard = () => null;

  /** Before this tick all is composed. */
  horizon = Infinity;

  /** A `clock` message; `ms` is when it came. */
  hear(message, ms = performance.now()) {
    const said = {
      ms,
      tick: message.tick,
      rate: message.ticks_per_s / 1000,
    };
    if (this.#said) {
      const expected = this.#ahead(ms) + this.#left(ms);
      const error = expected - said.tick;
      // A jump (a pause, a restart) is shown as one.
      this.#error = Math.abs(error) < 240 ? error : 0;
      this.#errorAt = ms;
    }
    this.#said = said;
  }

  /** The tick that is heard here at `ms`. */
  tick(ms = performance.now()) {
    const heard = this.heard();
    if (heard !== null) return heard;
    if (!this.#said) return 0;
    return this.#ahead(ms) + this.#left(ms);
  }

  #left(ms) {
    return this.#error * Math.max(0, 1 - (ms - this.#errorAt) / SETTLE_MS);
  }

  #ahead(ms) {
    const last = this.#said;
    const ahead = Math.min(ms - last.ms, 2000) * last.rate;
    // The box does not go beyond what is composed either.
    return Math.min(last.tick + ahead, Math.max(last.tick, this.horizon));
  }
}
