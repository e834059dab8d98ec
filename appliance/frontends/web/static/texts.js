// Every text of the pages, in the reader's language: texts.LANGUAGE.json.

import { element } from './dom.js';

const LANGUAGES = ['en', 'de', 'fr', 'es'];
const LANGUAGE_KEY = 'bachbox-language';

/** The texts by name; empty until `loadTexts` is done. */
export const TEXTS = {};

/** Return the first of `wanted`, such as "de-AT", that there are texts in; else English. */
export function chosenLanguage(wanted) {
  const languages = wanted.map((tag) => tag.toLowerCase().split('-')[0]);
  return languages.find((language) => LANGUAGES.includes(language)) ?? LANGUAGES[0];
}

/** Return the page's language with the reader's region, such as "en-GB", to write times. */
export function region() {
  const { lang } = document.documentElement;
  return (navigator.languages ?? []).find((tag) => tag.split('-')[0] === lang) ?? lang;
}

/** Fetch the texts in the language chosen here before, else the browser's; fill in the document. */
export async function loadTexts() {
  const language = chosenLanguage([keptLanguage(), ...(navigator.languages ?? [])]);
  const response = await fetch(`static/texts.${language}.json`);
  Object.assign(TEXTS, await response.json());
  document.documentElement.lang = language;
  fillTexts(document);
}

/** Have `select` offer the languages; the one chosen stays this browser's, on every page. */
export function offerLanguages(select) {
  for (const language of LANGUAGES) {
    const name = new Intl.DisplayNames([language], { type: 'language' }).of(language);
    const option = element('option', { value: language, textContent: name, lang: language });
    option.selected = language === document.documentElement.lang;
    select.append(option);
  }
  select.addEventListener('change', () => {
    localStorage.setItem(LANGUAGE_KEY, select.value);
    location.reload();
  });
}

/** Return the language that was chosen in this browser; "" where none was or nothing is kept. */
function keptLanguage() {
  try {
    return localStorage.getItem(LANGUAGE_KEY) ?? '';
  } catch {
    return '';
  }
}

/** Return `template` with each `{name}` in it replaced by the value of that name. */
export function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Return `english`, a text that the box sent, in the reader's language where it is known. */
export function translated(english) {
  return TEXTS.from_box?.[english] ?? english;
}

/**
 * Load the page's typeface. Not by @font-face: the policy of the page allows it to fetch files of
 * its own, and no fonts.
 */
export async function loadTypeface() {
  const response = await fetch('static/fraunces.woff2');
  const face = new FontFace('Bachbox', await response.arrayBuffer(), { weight: '100 900' });
  document.fonts.add(await face.load());
}

/** Fill in the elements that name their text: `data-text`, and `data-label` for what has no text. */
function fillTexts(root) {
  for (const one of root.querySelectorAll('[data-text]')) {
    one.textContent = textAt(one.dataset.text);
  }
  for (const one of root.querySelectorAll('[data-label]')) {
    one.setAttribute('aria-label', textAt(one.dataset.label));
    if (one.matches('a, button')) one.title = textAt(one.dataset.label);
  }
  for (const one of root.querySelectorAll('[data-placeholder]')) {
    one.placeholder = textAt(one.dataset.placeholder);
  }
}

function textAt(path) {
  return path.split('.').reduce((texts, name) => texts[name], TEXTS);
}
