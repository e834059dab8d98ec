// Who may: asks the box, and asks for the password where one is needed.

import { TEXTS } from './texts.js';

export class Session {
  standing = { may: 'nothing', password_is_set: false, has_to_choose: false, csrf: '' };

  /** Ask the box how far we may go. */
  async refresh() {
    this.standing = await (await fetch('/api/session')).json();
    return this.standing;
  }

  /** Ask for something that changes something; gives the response. */
  async request(method, path, content) {
    const headers = { 'X-CSRF-Token': this.standing.csrf };
    if (content !== undefined) headers['Content-Type'] = 'application/json';
    return fetch(path, { method, headers, body: JSON.stringify(content) });
  }

  /** Say or choose the password; gives "" or why not. */
  async say(password) {
    const path = this.standing.has_to_choose ? '/api/password' : '/api/session';
    const response = await this.request('POST', path, { password });
    const answer = await response.json();
    if (!response.ok) return answer.error;
    this.standing = answer;
    return '';
  }

  /** Be a guest again. */
  async leave() {
    const response = await this.request('DELETE', '/api/session');
    this.standing = await response.json();
  }
}

/** The dialog; `changed` is called when we may do more than before. */
export function loginDialog(dialog, session, changed) {
  const input = dialog.querySelector('input[type=password]');
  const error = dialog.querySelector('#login-error');
  const cancel = dialog.querySelector('#login-cancel');
  cancel.addEventListener('click', () => dialog.close());
  dialog.addEventListener('cancel', (event) => {
    if (session.standing.may === 'nothing') event.preventDefault();
  });
  dialog.querySelector('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      error.textContent = await session.say(input.value);
    } catch {
      error.textContent = TEXTS.connection.lost;
    }
    if (error.textContent) {
      input.select();
      return;
    }
    input.value = '';
    dialog.close();
    changed();
  });
  return () => {
    if (dialog.open) return;
    const { has_to_choose: choose, may } = session.standing;
    const why = may === 'nothing' ? TEXTS.see_password_why : TEXTS.say_password_why;
    dialog.querySelector('h2').textContent = choose ? TEXTS.choose_password : TEXTS.say_password;
    dialog.querySelector('#login-why').textContent = choose ? TEXTS.choose_password_why : why;
    input.autocomplete = choose ? 'new-password' : 'current-password';
    input.minLength = choose ? 8 : 1;
    cancel.hidden = may === 'nothing';
    error.textContent = '';
    dialog.showModal();
  };
}
