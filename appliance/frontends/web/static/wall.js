// Full screen, for a tablet on the wall: nothing but title and roll, until somebody touches it.

const AWAKE_MS = 4000; // How long the controls stay after a touch.
const SHIFT_MS = 60_000; // How often the picture moves a little, so that it does not burn in.
const SHIFTS = 4; // As many places as style.css knows.

/** Turns the mode on and off; `#wall` in the page's address begins in it. */
export class Wall {
  #body = document.body;
  #button;
  #sleepTimer = null;
  #shiftTimer = null;
  #wakeLock = null;

  constructor(button) {
    this.#button = button;
    button.addEventListener('click', () => (this.isOn ? this.leave() : this.enter()));
    for (const type of ['pointermove', 'pointerdown', 'keydown', 'focusin']) {
      addEventListener(type, () => this.isOn && this.#awake());
    }
    addEventListener('keydown', ({ key }) => key === 'Escape' && this.leave());
    document.addEventListener('fullscreenchange', () => {
      if (!document.fullscreenElement && location.hash !== '#wall') this.leave();
    });
    document.addEventListener('visibilitychange', () => this.isOn && this.#keepScreenOn());
    if (location.hash === '#wall') this.#show();
  }

  get isOn() {
    return this.#body.classList.contains('wall');
  }

  enter() {
    this.#show();
    // Refused where the page is in a frame, and on iPhones: it fills the window then.
    document.documentElement.requestFullscreen?.().catch(() => {});
  }

  leave() {
    if (!this.isOn) return;
    this.#body.classList.remove('wall', 'asleep');
    this.#button.setAttribute('aria-pressed', 'false');
    clearTimeout(this.#sleepTimer);
    clearInterval(this.#shiftTimer);
    delete this.#body.dataset.shift;
    this.#wakeLock?.release();
    this.#wakeLock = null;
    if (document.fullscreenElement) document.exitFullscreen();
  }

  #show() {
    this.#body.classList.add('wall');
    this.#button.setAttribute('aria-pressed', 'true');
    this.#shiftTimer = setInterval(() => {
      this.#body.dataset.shift = (Number(this.#body.dataset.shift ?? 0) + 1) % SHIFTS;
    }, SHIFT_MS);
    this.#keepScreenOn();
    this.#awake();
  }

  #awake() {
    this.#body.classList.remove('asleep');
    clearTimeout(this.#sleepTimer);
    this.#sleepTimer = setTimeout(() => this.#body.classList.add('asleep'), AWAKE_MS);
  }

  /** Browsers offer it over https and on this machine only, and end it when the page is hidden. */
  async #keepScreenOn() {
    if (document.hidden) return;
    this.#wakeLock = await navigator.wakeLock?.request('screen').catch(() => null);
  }
}
