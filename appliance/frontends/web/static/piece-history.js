// The last pieces, each with its files.

import { element } from './dom.js';
import { TEXTS } from './texts.js';
import { minutes, pieceTitle } from './titles.js';

const MIN_SECONDS = 10; // A piece that has only just begun is hardly the one to be saved.

/** Return the piece that "save" means: the one playing, or the one before if it has just begun. */
export function pieceToSave(pieces) {
  const [first, second] = pieces;
  return first?.playing && first.seconds < MIN_SECONDS && second ? second : first;
}

/** Return a piece of the history in words. */
export function description({ title, seconds, model, playing, complete }) {
  const { playing: stillPlaying, stopped_early: stopped } = TEXTS.history;
  const state = playing ? stillPlaying : complete ? '' : stopped;
  return [pieceTitle(title), model, minutes(seconds), state].filter(Boolean).join(' · ');
}

export class PieceHistory {
  #section;
  #note;
  #list = element('ol', {});
  #savedId = null;
  #fileKinds = [];

  /** `button` opens the list in `section`. */
  constructor(button, section) {
    this.#section = section;
    button.addEventListener('click', () => this.save());

    const title = element('h2', { id: 'history-title', textContent: TEXTS.history.title });
    section.setAttribute('aria-labelledby', title.id);
    this.#note = element('p', {});
    this.#note.setAttribute('role', 'status');
    section.append(title, this.#note, this.#list);
  }

  /** Show the list, with the piece that is or was playing highlighted and its files in focus. */
  async save() {
    const pieces = await this.#fetch();
    if (!pieces) return;
    const piece = pieceToSave(pieces);
    this.#section.hidden = false;
    this.#savedId = piece?.id ?? null;
    this.#show(pieces);
    this.#note.textContent = this.#noteAbout(piece);
    const link = this.#list.querySelector('.highlighted a');
    link?.focus();
    link?.scrollIntoView({ block: 'nearest' });
  }

  /** Fetch the list again, if it is shown: another piece has begun. */
  async refresh() {
    if (this.#section.hidden) return;
    const pieces = await this.#fetch();
    if (pieces) this.#show(pieces);
  }

  #noteAbout(piece) {
    if (!piece) return TEXTS.history.none;
    return piece.playing ? TEXTS.history.still_playing : TEXTS.history.just_played;
  }

  async #fetch() {
    try {
      const response = await fetch('api/pieces');
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
      this.#fileKinds = answer.files;
      return answer.pieces;
    } catch (error) {
      this.#section.hidden = false;
      this.#note.textContent = `${TEXTS.history.failed} ${error.message}`;
      return null;
    }
  }

  #show(pieces) {
    const focused = document.activeElement?.getAttribute?.('href');
    this.#list.replaceChildren(...pieces.map((piece) => this.#item(piece)));
    if (focused) this.#list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  #item(piece) {
    const item = element('li', {});
    item.classList.toggle('highlighted', piece.id === this.#savedId);
    const words = element('span', {
      id: `piece-${piece.id}`,
      textContent: description(piece),
    });
    const links = this.#fileKinds.flatMap((kind) => {
      const link = element('a', {
        href: `api/pieces/${piece.id}.${kind}`,
        download: '',
        textContent: TEXTS.history.files[kind] ?? kind,
      });
      link.setAttribute('aria-describedby', words.id);
      return [' ', link];
    });
    item.append(words, ...links);
    return item;
  }
}
