// Helpers for the document.

/** Set the text of `shown` where it is another: the page is drawn again for what is set. */
export function setText(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
}

/** Return a new element with `properties`. */
export function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
