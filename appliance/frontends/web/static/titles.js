// What pieces are called. The box says it in English: "Sarabande in d minor", "third of a suite".

import { TEXTS, fill, translated } from './texts.js';

/** Return a title that the box sent, in the reader's language. */
export function pieceTitle(title) {
  const found = /^(.+) in (\S+ (?:major|minor))$/.exec(title);
  if (!found) return title;
  return fill(TEXTS.title_in_key, { kind: translated(found[1]), key: translated(found[2]) });
}

/** Return what a saved piece is called; one that nobody has named has its title, maybe with a number. */
export function pieceName({ name, title }) {
  const rest = name.slice(title.length);
  const isUnnamed = name.startsWith(title) && /^( \(\d+\))?$/.test(rest);
  return isUnnamed ? pieceTitle(title) + rest : name;
}

/** Return a piece's place in its group, in the reader's language. */
export function placeInGroup(place) {
  const found = /^(\w+) of a (.+)$/.exec(place);
  if (!found) return translated(place);
  return fill(TEXTS.place_in_group, { ordinal: translated(found[1]), group: translated(found[2]) });
}

/** Return title and place in one. */
export function wholeTitle(title, group) {
  const piece = pieceTitle(title);
  return group ? fill(TEXTS.title_in_group, { title: piece, group: placeInGroup(group) }) : piece;
}

/** Return `seconds` as minutes and seconds, such as "1:05". */
export function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
