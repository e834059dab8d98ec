// The last pieces, each with its files.

import { element } from './dom.js';

const MIN_SECONDS = 10; // A piece that has only just begun is hardly the one to be saved.

/** Return the piece that "save" means: the one playing, or the one before if it has just begun. */
export function pieceToSave(pieces) {
  const [first, second] = pieces;
  return first?.playing && first.seconds < MIN_SECONDS && second ? second : first;
}

export class PieceHistory {
  #section;
  #texts;
  #note;
  #list = element('ol', {});
  #savedId = null;
  #fileKinds = [];

  /** A button in `parent` opens the list in `section`. */
  constructor(parent, section, texts) {
    this.#section = section;
    this.#texts = texts;
    const button = element('button', { type: 'button', id: 'save', textContent: texts.save });
    button.addEventListener('click', () => this.save());
    parent.append(button);

    const title = element('h2', { id: 'history-title', textContent: texts.title });
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
    if (!piece) return this.#texts.none;
    return piece.playing ? this.#texts.still_playing : this.#texts.just_played;
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
      this.#note.textContent = `${this.#texts.failed} ${error.message}`;
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
    const description = element('span', {
      id: `piece-${piece.id}`,
      textContent: this.#texts.piece(piece),
    });
    const links = this.#fileKinds.flatMap((kind) => {
      const link = element('a', {
        href: `api/pieces/${piece.id}.${kind}`,
        download: '',
        textContent: this.#texts.files[kind] ?? kind,
      });
      link.setAttribute('aria-describedby', description.id);
      return [' ', link];
    });
    item.append(description, ...links);
    return item;
  }
}
