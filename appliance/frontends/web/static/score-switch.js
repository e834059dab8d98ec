// Shows the score in place of the piano roll. The engraver is loaded when somebody asks for it first.

import { TEXTS } from './texts.js';

const KEPT_AS = 'bachbox-shows-score'; // In the browser, from one visit to the next.

export class ScoreSwitch {
  #button;
  #host;
  #makeView;
  #showError;
  /** The score, from when it was wanted first. */
  view = null;

  /** `button` switches; the score is drawn into `host`. `showError(text)` shows why it is not. */
  constructor(button, host, clock, session, showError) {
    this.#button = button;
    this.#host = host;
    this.#showError = showError;
    this.#makeView = async () => {
      const { ScoreView } = await import('./score-view.js');
      return new ScoreView(host, clock, async (bar) => {
        const response = await session.request('GET', `api/score/${bar}`).catch(() => null);
        return response?.ok ? response.json() : null;
      });
    };
    button.addEventListener('click', () => this.show(!this.isOn));
    if (kept()) this.show(true);
  }

  get isOn() {
    return this.#button.getAttribute('aria-pressed') === 'true';
  }

  /** Show the score, or the roll again. */
  async show(isOn) {
    this.#button.setAttribute('aria-pressed', String(isOn));
    document.body.classList.toggle('shows-score', isOn);
    this.#host.hidden = !isOn;
    keep(isOn);
    try {
      if (isOn) this.view ??= await this.#makeView();
      if (this.isOn) await this.view?.show();
      else this.view?.hide();
    } catch {
      this.show(false);
      this.#showError(TEXTS.score.failed);
    }
  }
}

// Browsers that refuse a page in a frame its storage throw an error.

function kept() {
  try {
    return localStorage.getItem(KEPT_AS) !== null;
  } catch {
    return false;
  }
}

function keep(isOn) {
  try {
    if (isOn) localStorage.setItem(KEPT_AS, '1');
    else localStorage.removeItem(KEPT_AS);
  } catch {
    // It is forgotten, then.
  }
}
