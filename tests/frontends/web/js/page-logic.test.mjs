import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { axisTop } from '../static/charts.js';
import { readHours, readTime, writeTime } from '../static/clock-widgets.js';
import { keyName, scaleFor } from '../static/piano-roll.js';
import { description, when } from '../static/pieces.js';
import { matchingOptions } from '../static/settings-form.js';
import { inOrder, placeOf } from '../static/settings-places.js';
import { shortcutFor } from '../static/shortcuts.js';
import { TEXTS, chosenLanguage, fill } from '../static/texts.js';
import { pieceName, pieceTitle, wholeTitle } from '../static/titles.js';

const english = JSON.parse(readFileSync(new URL('../static/texts.en.json', import.meta.url)));
Object.assign(TEXTS, english);

test('every word of a search must match the value or its group', () => {
  const options = [
    { value: 'String Ensemble 1', group: 'Ensemble' },
    { value: 'Violin', group: 'Strings' },
    { value: 'Oboe' },
  ];
  const found = (query) => matchingOptions(options, query).map(({ value }) => value);
  assert.deepEqual(found('string'), ['String Ensemble 1', 'Violin']);
  assert.deepEqual(found('ENS string'), ['String Ensemble 1']);
  assert.deepEqual(found(''), options.map(({ value }) => value));
  assert.deepEqual(found('kazoo'), []);
});

test('the title has the place in its group where it has one', () => {
  assert.equal(wholeTitle('Gigue in d minor', 'sixth of a suite'), 'Gigue in d minor, sixth of a suite');
  assert.equal(wholeTitle('Fugue in C major', ''), 'Fugue in C major');
});

test('a title is translated by its kind and its key; one that is not understood stays', () => {
  TEXTS.from_box = { Sarabande: 'Sarabande', 'e-flat minor': 'es-Moll' };
  TEXTS.title_in_key = '{kind}, {key}';
  assert.equal(pieceTitle('Sarabande in e-flat minor'), 'Sarabande, es-Moll');
  assert.equal(pieceTitle('Something else'), 'Something else');
  // So is a saved piece's, with its number, until somebody names it.
  const title = 'Sarabande in e-flat minor';
  assert.equal(pieceName({ title, name: title }), 'Sarabande, es-Moll');
  assert.equal(pieceName({ title, name: `${title} (2)` }), 'Sarabande, es-Moll (2)');
  assert.equal(pieceName({ title, name: `${title} for tea` }), `${title} for tea`);
  assert.equal(pieceName({ title, name: 'Tea time' }), 'Tea time');
  Object.assign(TEXTS, english, { from_box: undefined });
});

test('a piece is described in words, with the time of day and the day if it was not today', () => {
  const piece = { title: 'Gigue in G major', seconds: 65, playing: false, complete: false };
  assert.equal(description(piece), 'Gigue in G major · 1:05 · stopped early');
  const now = new Date(2026, 10, 30, 12, 0);
  assert.equal(when(new Date(2026, 10, 30, 9, 5).toISOString(), 'de', now), '09:05');
  assert.match(when(new Date(2026, 10, 29, 21, 5).toISOString(), 'de', now), /^29\. Nov\.?, 21:05$/);
});

test('the language is the first of the browser that there are texts in, else English', () => {
  assert.equal(chosenLanguage(['xx-YY', 'en-GB']), 'en');
  assert.equal(chosenLanguage(['xx']), 'en');
  assert.equal(chosenLanguage([]), 'en');
  assert.equal(fill('{a} of {b}, {a}', { a: 1, b: 'two' }), '1 of two, 1');
});

test('a setting that the page does not know is shown, with the others of sound and style', () => {
  assert.equal(placeOf({ name: 'brand_new' }), 'style');
  assert.equal(placeOf({ name: 'volume' }), 'volume');
  assert.equal(placeOf({ name: 'playing' }), null);
  const names = inOrder([{ name: 'brand_new' }, { name: 'tempo' }, { name: 'model' }]).map(({ name }) => name);
  assert.deepEqual(names, ['model', 'tempo', 'brand_new']);
});

test('a shortcut is left to the element that has the focus', () => {
  const inside = (...tags) => ({ closest: (selector) => tags.some((tag) => selector.split(', ').includes(tag)) });
  const key = (name, target = inside(), more = {}) => shortcutFor({ key: name, target, ...more });
  assert.equal(key(' '), 'playing');
  assert.equal(key(' ', inside('button')), null);
  assert.equal(key('n', inside('button')), 'next');
  assert.equal(key('n', inside('select')), null);
  assert.equal(key('n', inside('dialog[open]')), null);
  assert.equal(key('N'), 'next');
  assert.equal(key('='), 'louder');
  assert.equal(key('f', inside(), { ctrlKey: true }), null);
  assert.equal(key('Escape'), null);
});

test('the roll shows what is composed on a wide screen, and more of the past instead of wider notes', () => {
  const phone = scaleFor(360);
  const desk = scaleFor(1440);
  assert.deepEqual(phone, { nowAt: 0.36, pixelsPerBeat: 34 });
  assert.equal(desk.pixelsPerBeat, 76);
  assert.ok(Math.abs((1 - desk.nowAt) * 1440 - 8.5 * 76) < 1e-6);
  assert.equal(keyName({ tonic: 3, minor: true }), 'e-flat minor');
  assert.equal(keyName({ tonic: 8, minor: true }), 'g-sharp minor');
  assert.equal(keyName({ tonic: 8, minor: false }), 'A-flat major');
});

test('times and hours are read and written as the box does', () => {
  for (const text of ['off', '07:00', '07:30 Mon Tue Sun']) assert.equal(writeTime(readTime(text)), text);
  assert.deepEqual(readTime('07:00').days.length, 7);
  assert.equal(writeTime({ time: '07:00', days: ['Sun', 'Mon'] }), '07:00 Mon Sun');
  assert.equal(writeTime({ time: '07:00', days: [] }), 'off');
  assert.equal(writeTime({ time: '', days: ['Mon'] }), 'off');
  assert.deepEqual(readHours('22:00-07:00'), ['22:00', '07:00']);
  assert.deepEqual(readHours('off'), ['', '']);
});

test('an axis ends at a round number', () => {
  assert.deepEqual([0, 0.3, 1, 7, 12, 51, 100, 230].map(axisTop), [1, 0.5, 1, 10, 20, 100, 100, 500]);
});
