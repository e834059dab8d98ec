// Keeps the buffered sound at its target length: the clocks of two sound cards are never equal.

const SPEED_CHANGE = 0.002; // Three cents: not audible.

export class DriftControl {
  /** The playback speed that is needed now; 1 is normal. */
  speed = 1;

  /**
   * Options: `targetS` and `maxTargetS` (seconds to be buffered, at first and at most), `stepS` (how
   * much more after an underrun), `toleranceS` (of the target), `smoothing` (the share that a new
   * measurement has in the average).
   */
  constructor({ targetS, maxTargetS, stepS, toleranceS, smoothing }) {
    Object.assign(this, { targetS, maxTargetS, stepS, toleranceS, smoothing });
    this.averageS = 0;
  }

  /** Forget earlier measurements: `bufferedS` seconds are buffered now. */
  reset(bufferedS) {
    this.averageS = bufferedS;
  }

  /** The buffer ran empty: from now on keep more in it. */
  increaseTarget() {
    this.targetS = Math.min(this.targetS + this.stepS, this.maxTargetS);
  }

  /** Take the measurement that `bufferedS` seconds are buffered, and adapt `speed`. */
  update(bufferedS) {
    this.averageS += (bufferedS - this.averageS) * this.smoothing;
    const errorS = this.averageS - this.targetS;
    if (Math.abs(errorS) > this.toleranceS) {
      this.speed = errorS > 0 ? 1 + SPEED_CHANGE : 1 - SPEED_CHANGE;
    } else if (errorS * (this.speed - 1) <= 0) this.speed = 1;
  }
}
