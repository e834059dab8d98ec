import assert from 'node:assert/strict';
import { test } from 'node:test';

import { pieceToSave } from '../static/piece-history.js';
import { matchingOptions } from '../static/settings-form.js';
import { TEXTS } from '../static/texts.js';

test('the piece to save is the one playing, or the one before if it has just begun', () => {
  const ended = { id: 1, playing: false, seconds: 50 };
  assert.equal(pieceToSave([{ id: 2, playing: true, seconds: 30 }, ended]).id, 2);
  assert.equal(pieceToSave([{ id: 2, playing: true, seconds: 3 }, ended]).id, 1);
  assert.equal(pieceToSave([{ id: 2, playing: true, seconds: 3 }]).id, 2);
  assert.equal(pieceToSave([]), undefined);
});

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
  assert.equal(TEXTS.piece('Gigue in d minor', 'sixth of a suite'), 'Gigue in d minor, sixth of a suite');
  assert.equal(TEXTS.piece('Fugue in C major', ''), 'Fugue in C major');
});

test('a piece in the history is described in words', () => {
  const piece = { title: 'Gigue in G major', seconds: 65, model: 'chorales', playing: false, complete: false };
  assert.equal(TEXTS.history.piece(piece),
    'Gigue in G major · chorales · 1:05 · stopped early');
});
