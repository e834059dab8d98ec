// What this browser may do, and the dialog that asks for the password.

import { TEXTS, translated } from './texts.js';

export class Session {
  /** The last answer of /api/session. */
  info = { permission: 'none', password_is_set: false, must_choose_password: false, csrf_token: '' };

  /** Fetch and return the session's info. */
  async refresh() {
    this.info = await (await fetch('api/session')).json();
    return this.info;
  }

  /** Send a request that changes something; resolves to the response. */
  async request(method, path, content) {
    return this.send(method, path, JSON.stringify(content));
  }

  /** Send a request whose `body` is JSON already. */
  async send(method, path, body) {
    const headers = { 'X-CSRF-Token': this.info.csrf_token };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    return fetch(path, { method, headers, body });
  }

  /** Log in, or choose the first password; resolves to "" or an error. */
  async logIn(password) {
    const path = this.info.must_choose_password ? 'api/password' : 'api/session';
    const response = await this.request('POST', path, { password });
    const answer = await response.json();
    if (!response.ok) return translated(answer.error);
    this.info = answer;
    return '';
  }

  async logOut() {
    const response = await this.request('DELETE', 'api/session');
    this.info = await response.json();
  }
}

/** Return a function that opens `dialog`; `onLogin` is called after a login. */
export function loginDialog(dialog, session, onLogin) {
  const input = dialog.querySelector('#password');
  const isShown = dialog.querySelector('#show-password');
  const error = dialog.querySelector('#login-error');
  const cancel = dialog.querySelector('#login-cancel');
  cancel.addEventListener('click', () => dialog.close());
  isShown.addEventListener('change', () => { input.type = isShown.checked ? 'text' : 'password'; });
  dialog.addEventListener('cancel', (event) => {
    if (session.info.permission === 'none') event.preventDefault();
  });
  dialog.querySelector('form').addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      error.textContent = await session.logIn(input.value);
    } catch {
      error.textContent = TEXTS.connection.lost;
    }
    if (error.textContent) {
      input.select();
      return;
    }
    input.value = '';
    isShown.checked = false;
    input.type = 'password';
    dialog.close();
    onLogin();
  });
  return () => {
    if (dialog.open) return;
    const { must_choose_password: mustChoose, permission } = session.info;
    const reason = permission === 'none' ? TEXTS.login_to_see : TEXTS.login_to_control;
    dialog.querySelector('h2').textContent = mustChoose ? TEXTS.choose_password : TEXTS.log_in;
    dialog.querySelector('#login-reason').textContent = mustChoose
      ? TEXTS.choose_password_reason
      : reason;
    dialog.querySelector('button[type=submit]').textContent = mustChoose
      ? TEXTS.save_password
      : TEXTS.log_in;
    input.autocomplete = mustChoose ? 'new-password' : 'current-password';
    input.minLength = mustChoose ? 8 : 1;
    cancel.hidden = permission === 'none';
    error.textContent = '';
    dialog.showModal();
  };
}
