// Keyboard shortcuts: each is the same as a click on a button, or a step of the volume.

import { element } from './dom.js';
import { TEXTS } from './texts.js';

/** By the key: the id of the button, `louder` or `quieter`. */
const SHORTCUTS = {
  ' ': 'playing',
  n: 'next',
  r: 'restart',
  '+': 'louder',
  '-': 'quieter',
  f: 'full-screen',
  s: 'save',
  v: 'show-score',
  '?': 'show-shortcuts',
};

/** Return what a key event asks for; null where it is for the element that has the focus. */
export function shortcutFor(event) {
  const { key, target, ctrlKey, altKey, metaKey } = event;
  if (ctrlKey || altKey || metaKey) return null;
  if (target.closest?.('input, select, textarea, dialog[open]')) return null;
  if (key === ' ' && target.closest?.('button, a, summary')) return null;
  const name = key === '=' ? '+' : key.toLowerCase(); // + needs Shift on many keyboards.
  return SHORTCUTS[name] ?? null;
}

/** Do what the keys ask for; `changeVolume` is called with "+5" or "-5". */
export function enableShortcuts(changeVolume) {
  addEventListener('keydown', (event) => {
    const wanted = shortcutFor(event);
    if (!wanted) return;
    event.preventDefault();
    if (wanted === 'louder') changeVolume('+5');
    else if (wanted === 'quieter') changeVolume('-5');
    else document.getElementById(wanted)?.click();
  });
}

/** Fill `list`, a `dl`, with every shortcut. */
export function listShortcuts(list) {
  for (const [key, name] of Object.entries(SHORTCUTS)) {
    const term = element('dt', {});
    term.append(element('kbd', { textContent: key === ' ' ? TEXTS.space_key : key }));
    list.append(term, element('dd', { textContent: TEXTS.shortcut[name] }));
  }
}
