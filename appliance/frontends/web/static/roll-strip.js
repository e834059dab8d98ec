// A strip of canvases that moves by itself: the browser's compositor moves it, from tick to tick.

const TILE = 512; // The width of a tile, in pixels.
const LENGTH = 40_000; // How far the strip moves before it starts again at 0, in pixels.
const MAX_ERROR_TICKS = 60; // A larger one is a jump, and is shown as one.
const CORRECTION_MS = 1000; // How long a smaller one takes to be corrected.
const RATE_TOLERANCE = 0.02; // Smaller changes of the speed are not worth a word to the compositor.
const SOFTWARE_FRAMES_PER_S = 25; // Where there is no graphics card, each picture costs the processor.
const USUAL_TICKS_PER_S = 640; // 80 quarter notes a minute.
const REDUCED_MOTION_MS = 500;

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

let isFast = null;

/** Return whether a graphics card draws, as far as the browser says so. */
function hasGraphicsCard() {
  if (isFast !== null) return isFast;
  const context = document.createElement('canvas').getContext('webgl', { powerPreference: 'low-power' });
  const names = context?.getExtension('WEBGL_debug_renderer_info');
  const name = context?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : context.RENDERER);
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  isFast = Boolean(name) && !SOFTWARE.test(name);
  return isFast;
}

export class RollStrip {
  #host;
  #paint;
  #element = document.createElement('div');
  #line = document.createElement('div');
  #animation = null; // Its time, in milliseconds, is in ticks since #originTick.
  #tiles = new Map(); // index -> canvas
  #originTick = 0;
  #view = null; // {width, height, nowX, pixelsPerTick, scale}
  #reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
  #movedMs = 0;

  /** Moves in `host`; `paint(tile)` is called for each tile, with what it needs to know of it. */
  constructor(host, paint) {
    this.#host = host;
    this.#paint = paint;
    this.#element.className = 'strip';
    this.#line.className = 'line';
    host.append(this.#element, this.#line);
  }

  /** Whether it is to be seen. */
  get isShown() {
    return this.#view !== null;
  }

  /** The host has a new size; `nowAt` is where the line is, as a share of its width. */
  resize({ width, height }, nowAt, pixelsPerTick, tick) {
    this.#animation?.cancel();
    this.#view = null;
    if (!width || !height) return; // It is not to be seen.
    const scale = Math.min(devicePixelRatio || 1, 2);
    const nowX = Math.round(nowAt * width * scale) / scale;
    this.#view = { width, height: Math.floor(height * scale) / scale, nowX, pixelsPerTick, scale };
    this.#line.style.left = `${nowX - 1}px`;
    this.#element.style.left = `${nowX}px`;
    this.#begin(tick);
  }

  /** Return the first and the last tick in sight at `tick`. */
  span(tick) {
    const { width, nowX, pixelsPerTick } = this.#view;
    return [tick - nowX / pixelsPerTick, tick + (width - nowX) / pixelsPerTick];
  }

  /**
   * Be at `tick`, and move by `ticksPerMs` from now on. Returns whether the strip was moved from
   * here, which the compositor does otherwise.
   */
  follow(tick, ticksPerMs) {
    const at = this.#originTick + this.#animation.currentTime;
    const isAtEnd = (tick - this.#originTick) * this.#view.pixelsPerTick > LENGTH - this.#view.width;
    if (isAtEnd || tick < this.#originTick) this.#begin(tick);
    this.#fillSpan(tick);
    if (this.#reducedMotion.matches || !ticksPerMs) return this.#jump(tick, ticksPerMs);
    if (Math.abs(tick - at) > MAX_ERROR_TICKS || this.#animation.playState !== 'running') {
      this.#animation.currentTime = tick - this.#originTick;
      this.#animation.playbackRate = ticksPerMs;
      this.#animation.play();
      return true;
    }
    const rate = Math.max(ticksPerMs / 2, ticksPerMs + (tick - at) / CORRECTION_MS);
    if (Math.abs(rate / this.#animation.playbackRate - 1) > RATE_TOLERANCE) {
      this.#animation.playbackRate = rate;
    }
    return false;
  }

  /** Paint all tiles. */
  paintAll() {
    for (const index of this.#tiles.keys()) this.#paintTile(index);
  }

  /** Paint the tiles between two ticks. */
  paint(fromTick, toTick) {
    for (const index of this.#tiles.keys()) {
      if (index >= this.#indexOf(fromTick) && index <= this.#indexOf(toTick)) this.#paintTile(index);
    }
  }

  #jump(tick, ticksPerMs) {
    const ms = performance.now();
    const moved = Math.abs(tick - this.#originTick - this.#animation.currentTime);
    const isInSight = moved * this.#view.pixelsPerTick < this.#view.width;
    if (ticksPerMs && isInSight && ms - this.#movedMs < REDUCED_MOTION_MS) return false;
    this.#movedMs = ms;
    if (this.#animation.playState === 'running') this.#animation.pause();
    if (this.#animation.currentTime === tick - this.#originTick) return false;
    this.#animation.currentTime = tick - this.#originTick;
    return true;
  }

  /** Whether it moves with every picture. */
  get #isSmooth() {
    return !this.#reducedMotion.matches && hasGraphicsCard();
  }

  /** Begin a new strip whose first tick is at the line. */
  #begin(tick) {
    const { pixelsPerTick, scale } = this.#view;
    this.#originTick = tick;
    this.#tiles.clear();
    this.#element.replaceChildren();
    this.#animation?.cancel();
    // Without a graphics card it moves by whole pixels, some at a time: a picture between them would
    // have to be computed.
    const step = Math.max(1, Math.round((pixelsPerTick * USUAL_TICKS_PER_S * scale) / SOFTWARE_FRAMES_PER_S));
    const length = (Math.round((LENGTH * scale) / step) * step) / scale;
    this.#animation = this.#element.animate(
      { transform: ['translateX(0)', `translateX(${-length}px)`] },
      {
        duration: length / pixelsPerTick, fill: 'both',
        easing: this.#isSmooth ? 'linear' : `steps(${Math.round((length * scale) / step)})`,
      },
    );
    this.#animation.pause();
  }

  /** Have tiles for what is in sight at `tick` and soon after. */
  #fillSpan(tick) {
    const [from, to] = this.span(tick);
    const [first, last] = [this.#indexOf(from), this.#indexOf(to) + 1];
    for (const [index, canvas] of this.#tiles) {
      if (index >= first && index <= last) continue;
      canvas.remove();
      this.#tiles.delete(index);
    }
    for (let index = first; index <= last; index++) {
      if (this.#tiles.has(index)) continue;
      this.#tiles.set(index, this.#newTile(index));
      this.#paintTile(index);
    }
  }

  #newTile(index) {
    const { height, scale } = this.#view;
    const canvas = document.createElement('canvas');
    canvas.width = TILE * scale;
    canvas.height = height * scale;
    Object.assign(canvas.style, { left: `${index * TILE}px`, width: `${TILE}px`, height: `${height}px` });
    // Chromium computes every pixel of what an animation moves, even by whole pixels, but for this.
    if (!this.#isSmooth) canvas.style.imageRendering = 'pixelated';
    this.#element.append(canvas);
    return canvas;
  }

  #paintTile(index) {
    const { height, pixelsPerTick, scale } = this.#view;
    const left = index * TILE;
    const context = this.#tiles.get(index).getContext('2d', { alpha: false });
    context.setTransform(scale, 0, 0, scale, -left * scale, 0);
    const tickAt = (x) => this.#originTick + x / pixelsPerTick;
    this.#paint({
      context, left, height, pixelsPerTick,
      width: TILE,
      fromTick: tickAt(left),
      toTick: tickAt(left + TILE),
      x: (tick) => Math.round((tick - this.#originTick) * pixelsPerTick * scale) / scale,
    });
  }

  #indexOf(tick) {
    return Math.floor(((tick - this.#originTick) * this.#view.pixelsPerTick) / TILE);
  }
}
