// The score of what plays: systems of bars, as far as they are composed.
//
// Nothing moves: the bar that plays is marked. What is drawn changes when more is composed, or composed
// again; the first system goes when there is no more room for the last one.

import { barWidth, engrave, headWidth, loadEngraver, systemShape } from './score-engraver.js';

const REFRESH_MS = 300; // How long further notes are awaited before the score is fetched again.
const SCALES = [0.55, 1.6]; // The smallest that can be read, and the largest.
const SYSTEMS = 2; // As many are to fit, where they can be read then.
const BARS_BEFORE = 8; // So many bars before the one that plays are shown at first.
const MIN_FULLNESS = 0.75; // Bars are stretched to fill a system that is fuller than this.

export class ScoreView {
  #host;
  #clock;
  #fetchScore;
  #score = null;
  #firstBar = 0;
  #timer = null;
  #markTimer = null;
  #drawn = []; // The systems: {key, bars, element}
  #secondBar = null; // Where the second system begins, while more are composed than there is room for.
  #space = { width: 0, height: 0 };
  #isWanted = false;
  /** Whether it is to be seen, and the engraver is there. */
  isShown = false;
  /** How many systems were engraved. */
  engraved = 0;

  /** Draws into `host`; `fetchScore(bar)` resolves to the score from a bar on, or to null. */
  constructor(host, clock, fetchScore) {
    this.#host = host;
    this.#clock = clock;
    this.#fetchScore = fetchScore;
    new ResizeObserver(([{ contentRect }]) => {
      this.#space = contentRect;
      this.#layOut();
    }).observe(host);
    document.addEventListener('visibilitychange', () => this.wake());
  }

  async show() {
    this.#isWanted = true;
    await loadEngraver();
    this.isShown = this.#isWanted;
    this.wake(0);
  }

  hide() {
    this.#isWanted = this.isShown = false;
    this.#host.replaceChildren();
    this.#drawn = [];
  }

  /** Something was composed. */
  wake(afterMs = REFRESH_MS) {
    if (!this.isShown || document.hidden || this.#timer !== null) return;
    this.#timer = setTimeout(async () => {
      try {
        await this.#refresh();
      } finally {
        this.#timer = null;
      }
    }, afterMs);
  }

  /** The clock has moved: mark the bar that plays, now and when the next one begins. */
  mark() {
    if (!this.isShown || !this.#score || document.hidden) return;
    const now = this.#clock.tick();
    const { bars } = this.#score;
    const playing = bars.find(({ tick, end_tick: endTick }) => tick <= now && now < endTick);
    for (const group of this.#host.querySelectorAll('.vf-bar')) {
      const tick = Number(group.dataset.tick);
      group.classList.toggle('playing', tick === playing?.tick);
      group.classList.toggle('ahead', tick > now);
    }
    const isInFirst = !playing || this.#drawn[0]?.bars.includes(playing);
    if (!isInFirst && this.#secondBar !== null) {
      this.#firstBar = this.#secondBar;
      this.#score.bars = bars.filter(({ number }) => number >= this.#firstBar);
      return void this.#layOut();
    }
    if (playing || now >= (bars.at(-1)?.end_tick ?? Infinity)) this.#markNext(playing?.end_tick, now);
  }

  #markNext(endTick, now) {
    if (endTick === undefined) return void this.wake(); // The next piece has begun, or begins soon.
    clearTimeout(this.#markTimer);
    if (!this.#clock.isMoving) return;
    const ms = (endTick - now) / this.#clock.ticksPerMs;
    if (ms < 250) this.#markTimer = setTimeout(() => this.mark(), ms + 5);
  }

  async #refresh() {
    let score = await this.#fetchScore(this.#firstBar);
    if (score && score.piece !== this.#score?.piece) {
      const now = this.#clock.tick();
      const isNew = this.#score !== null;
      if (this.#firstBar) score = await this.#fetchScore(0);
      // Of a piece that has begun long ago, only the last bars are shown.
      const playing = score?.bars.find(({ end_tick: endTick }) => now < endTick);
      this.#firstBar = isNew ? 0 : Math.max(0, (playing?.number ?? 0) - BARS_BEFORE);
      if (score) score.bars = score.bars.filter(({ number }) => number >= this.#firstBar);
    }
    if (!score || !this.isShown) return;
    this.#score = score;
    this.#layOut();
  }

  /** Break the bars into systems, and engrave those that have changed. */
  #layOut() {
    const score = this.#score;
    if (!this.isShown || !score || !this.#space.width) return;
    const shape = score.bars.length ? systemShape(score, score.bars) : null;
    const systems = shape ? this.#systems(score, shape) : [];
    this.#host.replaceChildren(
      ...systems.map((system, i) => {
        const known = this.#drawn.find(({ key }) => key === system.key);
        if (known) system.element = known.element;
        else this.#engrave(score, system);
        system.element.dataset.system = i;
        return system.element;
      }),
    );
    this.#drawn = systems;
    this.mark();
  }

  #systems(score, shape) {
    const { width, height } = this.#space;
    const scale = Math.min(
      Math.max(SCALES[0], Math.min(SCALES[1], height / SYSTEMS / shape.height)),
      Math.max(0.4, height / shape.height),
    );
    const room = width / scale - 4;
    const systems = [];
    let [bars, widths, filled] = [[], [], 0];
    const close = (isFull) => {
      if (!bars.length) return;
      const stretch = isFull || filled > MIN_FULLNESS * room ? room / filled : 1;
      const stretched = widths.map((one) => one * stretch);
      const first = bars[0].number <= 1;
      const key = JSON.stringify([score.key_fifths, score.clefs, bars, stretched, scale, shape]);
      systems.push({ key, bars, options: { widths: stretched, shape, scale, first } });
      [bars, widths, filled] = [[], [], 0];
    };
    for (const bar of score.bars) {
      let needed = barWidth(score, bar);
      if (filled + needed > room) close(true);
      if (!bars.length) needed += headWidth(score, bar.number <= 1);
      bars.push(bar);
      widths.push(needed);
      filled += needed;
    }
    close(false);
    const count = Math.max(1, Math.floor(height / (shape.height * scale) + 0.01));
    this.#secondBar = systems.length > count ? systems[1].bars[0].number : null;
    return systems.slice(0, count);
  }

  #engrave(score, system) {
    const element = document.createElement('div');
    system.element = element;
    engrave(element, score, system.bars, system.options);
    this.engraved += 1;
  }
}
