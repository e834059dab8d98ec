// Scenes: settings under a name, each a button. The current settings can become one.

import { element } from './dom.js';
import { TEXTS, fill, translated } from './texts.js';

export class Scenes {
  #list;
  #form;
  #session;
  #choose;
  #showError;
  #scenes = [];
  #current = '';

  /**
   * Draws into `section`. `choose(name)` sets a scene, `showError(text)` shows why something
   * failed.
   */
  constructor(section, session, choose, showError) {
    this.#list = section.querySelector('#scene-list');
    this.#form = section.querySelector('#new-scene');
    this.#session = session;
    this.#choose = choose;
    this.#showError = showError;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add(this.#form.querySelector('input').value.trim());
    });
    section.querySelector('#add-scene').addEventListener('click', ({ currentTarget }) => {
      this.#form.hidden = !this.#form.hidden;
      currentTarget.setAttribute('aria-expanded', String(!this.#form.hidden));
      if (!this.#form.hidden) this.#form.querySelector('input').focus();
    });
  }

  /** Fetch the list. */
  async refresh() {
    await this.#request('GET', 'api/scenes');
  }

  /** Mark the scene called `name`; "none" marks none of them. */
  show(name) {
    if (name === this.#current) return;
    this.#current = name;
    this.#draw();
  }

  async #add(name) {
    if (!name) return;
    if (await this.#request('POST', 'api/scenes', { name })) {
      this.#form.reset();
      this.#form.hidden = true;
    }
  }

  /** Send a request whose answer is the list; resolves to whether it was done. */
  async #request(method, path, content) {
    try {
      const response = await this.#session.request(method, path, content);
      const answer = await response.json();
      if (answer.error || method !== 'GET') this.#showError(answer.error ?? '');
      if (!response.ok) return false;
      this.#scenes = answer.scenes;
      this.#draw();
      return true;
    } catch {
      if (method !== 'GET') this.#showError(TEXTS.not_connected);
      return false;
    }
  }

  #draw() {
    const focused = document.activeElement?.textContent;
    const mayControl = this.#session.info.permission === 'control';
    this.#list.replaceChildren(
      ...this.#scenes.map(({ name, supplied }) => {
        const item = element('li', {});
        const button = element('button', {
          type: 'button', textContent: supplied ? translated(name) : name, disabled: !mayControl,
        });
        button.setAttribute('aria-pressed', String(name === this.#current));
        button.addEventListener('click', () => this.#choose(name));
        item.append(button);
        if (!supplied && mayControl) item.append(this.#removeButton(name));
        return item;
      }),
    );
    for (const button of this.#list.querySelectorAll('button')) {
      if (button.textContent === focused) button.focus();
    }
  }

  #removeButton(name) {
    const button = element('button', { type: 'button', className: 'icon', textContent: '×' });
    const label = fill(TEXTS.scenes.remove, { name });
    button.setAttribute('aria-label', label);
    button.title = label;
    button.addEventListener('click', () => {
      this.#request('DELETE', `api/scenes/${encodeURIComponent(name)}`);
    });
    return button;
  }
}
