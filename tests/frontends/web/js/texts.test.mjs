import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../static/', import.meta.url);
const read = (name) => readFileSync(new URL(name, folder), 'utf8');
const files = readdirSync(folder);
const languages = files.filter((name) => /^texts\..*\.json$/.test(name));
const texts = Object.fromEntries(languages.map((name) => [name, JSON.parse(read(name))]));

/** Yield every text: its path, such as "fact.notes", and itself; not those that the box sends. */
function* leaves(part, path = '') {
  for (const [name, value] of Object.entries(part)) {
    if (name === 'from_box') continue;
    if (typeof value === 'string') yield [path + name, value];
    else yield* leaves(value, `${path}${name}.`);
  }
}

const english = new Map(leaves(texts['texts.en.json']));
const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort();

test('there are four languages, and texts.js knows them all', () => {
  const [, known] = /const LANGUAGES = \[(.*)\];/.exec(read('texts.js'));
  const codes = languages.map((name) => name.split('.')[1]);
  assert.deepEqual(known.match(/\w+/g).sort(), codes.sort());
  assert.ok(codes.length >= 4);
});

for (const name of languages) {
  test(`${name} has every text and no other, with the same values to fill in`, () => {
    const own = new Map(leaves(texts[name]));
    assert.deepEqual([...own.keys()].sort(), [...english.keys()].sort());
    for (const [path, text] of own) {
      assert.deepEqual(holes(text), holes(english.get(path)), path);
      assert.equal(text === '', english.get(path) === '', `${path} is empty`);
    }
  });
}

test('every text is used, and every text that is used exists', () => {
  const sources = files.filter((name) => /\.(js|html)$/.test(name)).map(read).join('\n');
  const used = new Set();
  for (const [, path] of sources.matchAll(/TEXTS\.(\w+(?:\.\w+)*)/g)) used.add(path);
  for (const [, path] of sources.matchAll(/data-(?:text|label|placeholder)="([\w.-]+)"/g)) used.add(path);
  used.delete('from_box');
  const isUsed = (path) => [...used].some((one) => path === one || path.startsWith(`${one}.`));
  assert.deepEqual([...english.keys()].filter((path) => !isUsed(path)), []);
  const exists = (path) => [...english.keys()].some((one) => one === path || one.startsWith(`${path}.`));
  assert.deepEqual([...used].filter((path) => !exists(path)), []);
});
