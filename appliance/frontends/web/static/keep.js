// Keep it: the last pieces, and each of them as a file.

const SHORTLY_S = 10; // A piece that has only just begun is hardly the one that was liked.

/** The piece that "that" means: the one that plays, or the one before if it has just begun. */
export function meant(pieces) {
  const [first, second] = pieces;
  return first?.playing && first.seconds < SHORTLY_S && second ? second : first;
}

export class Keeper {
  #section;
  #texts;
  #list;
  #note;
  #liked = null;

  /** A button in `place` opens the list in `section`; `texts` are TEXTS.keep. */
  constructor(place, section, texts, keyName) {
    this.#section = section;
    this.#texts = texts;
    this.keyName = keyName;
    const button = document.createElement('button');
    button.type = 'button';
    button.id = 'like';
    button.textContent = texts.like;
    button.addEventListener('click', () => this.like());
    place.append(button);

    const title = document.createElement('h2');
    title.id = 'keepsakes-title';
    title.textContent = texts.title;
    section.setAttribute('aria-labelledby', title.id);
    this.#note = document.createElement('p');
    this.#note.setAttribute('role', 'status');
    this.#list = document.createElement('ol');
    section.append(title, this.#note, this.#list);
  }

  /** "I liked that": show it, with its files. */
  async like() {
    const pieces = await this.#fetch();
    if (!pieces) return;
    const piece = meant(pieces);
    this.#section.hidden = false;
    this.#liked = piece?.id ?? null;
    this.#show(pieces);
    this.#note.textContent = piece ? this.#said(piece) : this.#texts.none;
    const link = this.#list.querySelector('.liked a');
    link?.focus();
    link?.scrollIntoView({ block: 'nearest' });
  }

  /** The music has gone on: if the list is seen, it is to be true. */
  async refresh() {
    if (this.#section.hidden) return;
    const pieces = await this.#fetch();
    if (pieces) this.#show(pieces);
  }

  #said(piece) {
    return piece.playing ? this.#texts.so_far : this.#texts.just_played;
  }

  async #fetch() {
    try {
      const response = await fetch('/api/pieces');
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
      this.files = answer.files;
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
    const item = document.createElement('li');
    item.classList.toggle('liked', piece.id === this.#liked);
    const about = document.createElement('span');
    about.id = `piece-${piece.id}`;
    about.textContent = this.#texts.piece(piece, this.keyName(piece.key));
    const links = this.files.flatMap((kind) => {
      const link = document.createElement('a');
      link.href = `/api/pieces/${piece.id}.${kind}`;
      link.download = '';
      link.textContent = this.#texts.files[kind] ?? kind;
      link.setAttribute('aria-describedby', about.id);
      return [' ', link];
    });
    item.append(about, ...links);
    return item;
  }
}
