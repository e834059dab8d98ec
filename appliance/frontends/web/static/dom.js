// Helpers for the document.

/** Return a new element with `properties`. */
export function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
