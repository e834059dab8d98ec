// The pieces: those that were saved, for good, and the last ones that were played.

import { element } from './dom.js';
import { TEXTS, fill, region } from './texts.js';
import { minutes, pieceName, pieceTitle } from './titles.js';

const LISTED_MS = [5000, 20_000]; // A piece is among the last ones once a few notes of it were heard.

/** Return a piece in words: title, length, and whether it plays or was stopped early. */
export function description({ title, seconds, playing = false, complete = true }) {
  const state = playing ? TEXTS.pieces.playing : complete ? '' : TEXTS.pieces.stopped_early;
  return [pieceTitle(title), minutes(seconds), state].filter(Boolean).join(' · ');
}

/** Return when something was, in the reader's language: the time of day, and the day if not today. */
export function when(isoTime, language, now = new Date()) {
  const then = new Date(isoTime);
  const isToday = then.toDateString() === now.toDateString();
  const day = isToday ? {} : { day: 'numeric', month: 'short' };
  return then.toLocaleString(language, { ...day, hour: '2-digit', minute: '2-digit' });
}

export class Pieces {
  #button;
  #savedList;
  #recentList;
  #session;
  #showError;
  #showNotice;
  #setPlaying;
  #listedTimers = [];
  #shownId = '';
  #now = { saved: 0, piece: 0, isPaused: false };
  #keptPiece = 0; // The number of the piece that plays, once it was saved here.
  #saved = null; // The last answers with the lists.
  #recent = null;

  /**
   * `button` saves what plays; `section` has the lists. `showError(text)` shows why not,
   * `showNotice(text, link)` what was done; `setPlaying(playing)` plays or pauses.
   */
  constructor(button, section, session, showError, showNotice, setPlaying) {
    this.#button = button;
    this.#savedList = section.querySelector('#saved-pieces');
    this.#recentList = section.querySelector('#recent-pieces');
    this.#session = session;
    this.#showError = showError;
    this.#showNotice = showNotice;
    this.#setPlaying = setPlaying;
    button.addEventListener('click', () => this.save({}));
    addEventListener('hashchange', () => {
      this.#shownId = '';
      this.refresh();
    });
  }

  /** Fetch both lists again. */
  async refresh() {
    const [saved, recent] = await Promise.all([
      this.#request('GET', 'api/saved'),
      this.#request('GET', 'api/pieces'),
    ]);
    if (recent) this.#recent = recent;
    if (saved) this.#saved = saved;
    this.#draw();
  }

  /** Show what plays: the `id` of a saved piece, or 0, the piece's number, and whether it pauses. */
  showPlaying({ saved, piece, condition }) {
    const [before, isPaused] = [this.#now, condition === 'paused'];
    this.#now = { saved, piece, isPaused };
    if (saved !== before.saved || piece !== before.piece) {
      this.#keptPiece = 0;
      this.refresh();
      this.#listedTimers.forEach(clearTimeout);
      this.#listedTimers = LISTED_MS.map((ms) => setTimeout(() => this.refresh(), ms));
    } else if (isPaused !== before.isPaused) {
      this.#draw();
    }
  }

  #draw() {
    if (this.#recent) this.#showRecent(this.#recent);
    if (this.#saved) this.#showSaved(this.#saved);
    this.#showKept();
  }

  /** Return whether a piece of the list of the last ones plays: the list may be of a moment ago. */
  #isPlaying({ playing, piece }) {
    return playing && piece === this.#now.piece && !this.#now.saved;
  }

  /** Save the piece that plays, or the one of the last with `id`. */
  async save(which) {
    const saved = await this.#request('POST', 'api/saved', which);
    if (!saved) return;
    this.#showNotice(fill(TEXTS.pieces.saved_as, { name: pieceName(saved) }), `#saved-${saved.id}`);
    if (!which.id) this.#keptPiece = this.#now.piece;
    await this.refresh();
  }

  /** Say on the button whether the piece that plays is saved. */
  #showKept() {
    const playedAt = this.#recent?.pieces.find((one) => this.#isPlaying(one))?.played_at;
    const isListed = this.#saved?.pieces.some((one) => one.played_at === playedAt);
    const isKept = Boolean(this.#now.saved || this.#keptPiece || isListed);
    const label = isKept ? TEXTS.pieces.is_saved : TEXTS.pieces.save;
    this.#button.querySelector('span').textContent = label;
    this.#button.title = label;
    this.#button.classList.toggle('done', isKept);
  }

  /** Have the address of a saved piece in the clipboard, for a message to somebody in the house. */
  #copyLink(event, piece) {
    const address = new URL(`#saved-${piece.id}`, location.href).href;
    const field = element('textarea', { value: address, className: 'visually-hidden' });
    document.body.append(field);
    field.select();
    // The newer way is for https only, which few boxes have.
    const isCopied = document.execCommand('copy');
    field.remove();
    event.currentTarget.focus({ preventScroll: true });
    if (!isCopied) return; // The link is followed, and the address is in the browser's field.
    event.preventDefault();
    this.#showNotice(fill(TEXTS.pieces.copied, { name: pieceName(piece) }));
  }

  /** Resolves to the answer, or to null where the request failed. */
  async #request(method, path, content) {
    try {
      const response = await this.#session.request(method, path, content);
      const answer = await response.json();
      if (answer.error || method !== 'GET') this.#showError(answer.error ?? '');
      return response.ok ? answer : null;
    } catch {
      if (method !== 'GET') this.#showError(TEXTS.not_connected);
      return null;
    }
  }

  #showSaved({ pieces, files }) {
    const typing = this.#savedList.querySelector('input:focus');
    if (typing && typing.value !== typing.defaultValue) return;
    const items = pieces.map((piece) => this.#savedItem(piece, files));
    this.#fill(this.#savedList, items, TEXTS.pieces.none_saved);
    this.#showLinked();
  }

  /** Show the piece that the page's address names, `#saved-ID`: once, for people scroll on. */
  #showLinked() {
    const id = location.hash.slice(1);
    if (!id.startsWith('saved-') || id === this.#shownId) return;
    this.#shownId = id;
    const item = this.#savedList.querySelector(`[id="${CSS.escape(id)}"]`);
    if (!item) return void this.#showError(TEXTS.pieces.gone);
    item.closest('details').open = true;
    item.scrollIntoView({ block: 'center' });
    item.querySelector('button').focus({ preventScroll: true });
  }

  #showRecent({ pieces, files }) {
    const items = pieces.map((piece) => {
      const item = element('li', {});
      const words = element('span', { id: `piece-${piece.id}`, className: 'words' });
      const time = when(piece.played_at, region());
      words.textContent = `${time} · ${description({ ...piece, playing: this.#isPlaying(piece) })}`;
      const keep = this.#action(TEXTS.pieces.keep, words.textContent, () => this.save({ id: piece.id }));
      item.append(words, together(...links(`api/pieces/${piece.id}`, files, words.id), keep));
      return item;
    });
    this.#fill(this.#recentList, items, TEXTS.pieces.none);
  }

  #savedItem(piece, files) {
    const { id } = piece;
    const name = pieceName(piece);
    const path = `api/saved/${id}`;
    const item = element('li', { id: `saved-${id}` });
    item.classList.toggle('linked', location.hash === `#${item.id}`);
    const isReplayed = id === this.#now.saved;
    item.classList.toggle('playing', isReplayed);
    const recorded = this.#recent?.pieces.find((one) => this.#isPlaying(one));
    const playing = isReplayed || (!piece.complete && piece.played_at === recorded?.played_at);
    const title = piece.name === piece.title ? '' : piece.title;
    const field = element('input', { defaultValue: name, maxLength: 60, disabled: !this.#mayControl });
    field.setAttribute('aria-label', fill(TEXTS.pieces.name_of, { name }));
    field.addEventListener('change', () => this.#change('PATCH', path, { name: field.value }));
    const words = element('span', { id: `words-${id}`, className: 'words' });
    const time = when(piece.saved_at, region());
    words.textContent = `${description({ ...piece, title, playing })} · ${time}`;
    const remove = this.#action(TEXTS.pieces.delete, name, () => {
      const { sure } = TEXTS.pieces;
      if (remove.textContent === sure) this.#change('DELETE', path);
      remove.textContent = sure;
      remove.setAttribute('aria-label', `${sure} ${name}`);
    });
    const link = element('a', { href: `#saved-${id}`, textContent: TEXTS.pieces.link });
    link.setAttribute('aria-describedby', words.id);
    link.addEventListener('click', (event) => this.#copyLink(event, piece));
    item.append(
      isReplayed ? this.#pauseButton(name) : this.#action(TEXTS.play, name, () => this.#play(piece)),
      field, words, together(...links(path, files, words.id), link, remove),
    );
    return item;
  }

  get #mayControl() {
    return this.#session.info.permission === 'control';
  }

  #pauseButton(name) {
    const { isPaused } = this.#now;
    return this.#action(isPaused ? TEXTS.play : TEXTS.pause, name, () => this.#setPlaying(isPaused));
  }

  async #play(piece) {
    if (!(await this.#request('POST', `api/saved/${piece.id}/play`))) return;
    this.#showNotice(fill(TEXTS.pieces.plays, { name: pieceName(piece) }));
  }

  async #change(method, path, content) {
    document.activeElement?.blur();
    await this.#request(method, path, content);
    await this.refresh();
  }

  #action(text, what, act) {
    const button = element('button', { type: 'button', textContent: text, disabled: !this.#mayControl });
    button.setAttribute('aria-label', `${text}: ${what}`);
    button.addEventListener('click', act);
    return button;
  }

  #fill(list, items, none) {
    const focused = document.activeElement?.getAttribute?.('aria-label');
    list.replaceChildren(...(items.length ? items : [element('li', { textContent: none })]));
    if (!focused) return;
    list.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

/** Return a link for each kind of file; `wordsId` names the element that says what it is of. */
function links(path, kinds, wordsId) {
  return kinds.map((kind) => {
    const link = element('a', {
      href: `${path}.${kind}`,
      download: '',
      textContent: TEXTS.pieces.files[kind] ?? kind,
    });
    link.setAttribute('aria-describedby', wordsId);
    return link;
  });
}

/** Return `parts` as one: a line that has no room for them all has none of them. */
function together(...parts) {
  const actions = element('span', { className: 'actions' });
  actions.append(...parts);
  return actions;
}
