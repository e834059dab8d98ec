import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lineOf, systemShape } from '../static/score-engraver.js';

test('a key is on the line that its clef gives it', () => {
  assert.equal(lineOf({ step: 'E', octave: 4 }, 'treble'), 0);
  assert.equal(lineOf({ step: 'F', octave: 5 }, 'treble'), 4);
  assert.equal(lineOf({ step: 'C', octave: 4 }, 'treble'), -1);
  assert.equal(lineOf({ step: 'C', octave: 4 }, 'alto'), 2);
  assert.equal(lineOf({ step: 'C', octave: 4 }, 'bass'), 5);
  // The tenor's clef is that of the treble: octaves are as written.
  assert.equal(lineOf({ step: 'E', octave: 4 }, 'tenor'), 0);
});

test('a system has room for notes above and below its staves', () => {
  const score = { clefs: ['treble', 'bass'] };
  const bar = (step, octave) => ({ staves: [[[{ keys: [{ step, octave }] }]], []] });
  const usual = systemShape(score, [bar('B', 4)]);
  const high = systemShape(score, [bar('B', 4), bar('F', 6)]);
  assert.equal(high.tops[0] - usual.tops[0], 35);
  const low = systemShape(score, [bar('C', 4)]);
  assert.equal(low.tops[0], usual.tops[0]);
  assert.equal(low.tops[1] - usual.tops[1], 10);
  assert.ok(low.height > usual.height);
});
