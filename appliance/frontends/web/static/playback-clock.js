// The tick being played: the box reports it four times a second, the screen needs it sixty times.

const SETTLE_MS = 400; // How long a small error takes to be corrected.
const MAX_ERROR_TICKS = 240; // A larger one is a jump (a pause, a restart) and is shown as one.
const MAX_EXTRAPOLATION_MS = 2000;

export class PlaybackClock {
  #last = null; // The last report: {ms, tick, ticksPerMs}
  #error = 0; // In ticks, at #errorMs.
  #errorMs = 0;

  /** Returns the tick heard in this browser, or null. Whatever plays the sound here sets it. */
  localTick = () => null;

  /** Everything before this tick is composed. */
  horizonTick = Infinity;

  /** Take a `clock` message; `ms` is when it came. */
  update(message, ms = performance.now()) {
    const report = { ms, tick: message.tick, ticksPerMs: message.ticks_per_s / 1000 };
    if (this.#last) {
      const error = this.#extrapolate(ms) + this.#correction(ms) - report.tick;
      this.#error = Math.abs(error) < MAX_ERROR_TICKS ? error : 0;
      this.#errorMs = ms;
    }
    this.#last = report;
  }

  /** Whether the music moves. */
  get isMoving() {
    return this.ticksPerMs > 0;
  }

  /** How quick it is. */
  get ticksPerMs() {
    return this.#last?.ticksPerMs ?? 0;
  }

  /** Return the tick heard here at `ms`. */
  tick(ms = performance.now()) {
    const localTick = this.localTick();
    if (localTick !== null) return localTick;
    if (!this.#last) return 0;
    return this.#extrapolate(ms) + this.#correction(ms);
  }

  #correction(ms) {
    return this.#error * Math.max(0, 1 - (ms - this.#errorMs) / SETTLE_MS);
  }

  #extrapolate(ms) {
    const last = this.#last;
    const ticks = Math.min(ms - last.ms, MAX_EXTRAPOLATION_MS) * last.ticksPerMs;
    // The box does not play beyond what is composed either.
    return Math.min(last.tick + ticks, Math.max(last.tick, this.horizonTick));
  }
}
