// Every text of the pages, in the reader's language: texts.LANGUAGE.json.

const LANGUAGES = ['en', 'de', 'fr', 'es'];

/** The texts by name; empty until `loadTexts` is done. */
export const TEXTS = {};

/** Return the first of `wanted`, such as "de-AT", that there are texts in; else English. */
export function chosenLanguage(wanted) {
  const languages = wanted.map((tag) => tag.toLowerCase().split('-')[0]);
  return languages.find((language) => LANGUAGES.includes(language)) ?? LANGUAGES[0];
}

/** Fetch the texts in the language of the browser, and fill them into the document. */
export async function loadTexts() {
  const language = chosenLanguage(navigator.languages ?? []);
  const response = await fetch(`static/texts.${language}.json`);
  Object.assign(TEXTS, await response.json());
  document.documentElement.lang = language;
  fillTexts(document);
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
  for (const element of root.querySelectorAll('[data-text]')) {
    element.textContent = textAt(element.dataset.text);
  }
  for (const element of root.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', textAt(element.dataset.label));
    if (element.matches('button')) element.title = textAt(element.dataset.label);
  }
  for (const element of root.querySelectorAll('[data-placeholder]')) {
    element.placeholder = textAt(element.dataset.placeholder);
  }
}

function textAt(path) {
  return path.split('.').reduce((texts, name) => texts[name], TEXTS);
}
