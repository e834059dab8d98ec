import assert from 'node:assert/strict';
import { test } from 'node:test';

import { wantsALook } from '../static/health-verdict.js';

const sample = { xruns: 0, starved_blocks: 0, late_notes: 0, restarts: 0, look_ahead_s: 4 };

/** Return a report in which all is well, but for what the arguments say. */
function report({ healthy = true, now = {}, health = {}, notices = [], samples = [] } = {}) {
  return {
    healthy,
    status: {
      now_playing: { condition: 'playing', problem: '', ...now },
      health: { cpu_celsius: null, ...health },
      notices,
    },
    samples: [...Array(20).fill(sample), ...samples],
    latency: { bounds_ms: [75, 150, 1000], counts: [9, 0, 0, 0] },
  };
}

test('nothing wants a look where all is well, paused or playing; while it starts nobody knows', () => {
  assert.deepEqual(wantsALook(report()), []);
  assert.deepEqual(wantsALook(report({ now: { condition: 'paused' } })), []);
  assert.equal(wantsALook(report({ healthy: false, now: { condition: 'starting' } })), null);
});

test('no sound wants a look: no card, another output than the one asked for, or nothing moves', () => {
  assert.deepEqual(wantsALook(report({ now: { condition: 'no_sound_card', problem: 'none' } })), ['sound']);
  assert.deepEqual(wantsALook(report({ now: { problem: 'the other plays instead' } })), ['sound']);
  assert.deepEqual(wantsALook(report({ now: { condition: 'starting', problem: 'none' } })), ['sound']);
  assert.deepEqual(wantsALook(report({ healthy: false })), ['sound']);
});

for (const name of ['xruns', 'starved_blocks', 'late_notes', 'restarts']) {
  test(`new ${name} want a look for as long as a sample tells of them`, () => {
    assert.deepEqual(wantsALook(report({ samples: [{ ...sample, [name]: 1 }, sample] })), [name]);
  });
}

test('too little music ahead wants a look if it lasts, and while music plays', () => {
  const short = { ...sample, look_ahead_s: 0.4 };
  const lasting = Array(15).fill(short);
  assert.deepEqual(wantsALook(report({ samples: lasting })), ['look_ahead_s']);
  assert.deepEqual(wantsALook(report({ samples: lasting.slice(1) })), []);
  assert.deepEqual(wantsALook(report({ samples: lasting, now: { condition: 'paused' } })), []);
});

test('changes want a look if most of five or more are heard late', () => {
  const changes = (...counts) => wantsALook({ ...report(), latency: { bounds_ms: [75, 150, 1000], counts } });
  assert.deepEqual(changes(0, 2, 2, 1), ['latency']);
  assert.deepEqual(changes(0, 3, 2, 0), []);
  assert.deepEqual(changes(0, 0, 4, 0), []);
});

test('heat and what was left out of the files want a look, all of them in the order of the rules', () => {
  assert.deepEqual(wantsALook(report({ health: { cpu_celsius: 80 } })), []);
  const all = report({ health: { cpu_celsius: 81 }, notices: ['[gpio] is off'], healthy: false });
  assert.deepEqual(wantsALook(all), ['sound', 'cpu_celsius', 'notices']);
});
