import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PlaybackClock } from '../static/playback-clock.js';

const RATE = { ticks_per_s: 960 };

test('between two reports the clock runs at the reported rate', () => {
  const clock = new PlaybackClock();
  clock.update({ tick: 1000, ...RATE }, 0);
  assert.equal(clock.tick(250), 1240);
});

test('it does not run beyond what is composed', () => {
  const clock = new PlaybackClock();
  clock.update({ tick: 1000, ...RATE }, 0);
  clock.horizonTick = 1100;
  assert.equal(clock.tick(500), 1100);
});

test('a small error is corrected smoothly', () => {
  const clock = new PlaybackClock();
  clock.update({ tick: 0, ...RATE }, 0);
  clock.update({ tick: 200, ...RATE }, 250);
  assert.equal(clock.tick(250), 240);
  assert.equal(clock.tick(650), 200 + 384);
});

test('a large error is shown at once', () => {
  const clock = new PlaybackClock();
  clock.update({ tick: 0, ...RATE }, 0);
  clock.update({ tick: 5000, ...RATE }, 250);
  assert.equal(clock.tick(250), 5000);
});

test('a paused clock stands still', () => {
  const clock = new PlaybackClock();
  clock.update({ tick: 480, ticks_per_s: 0 }, 0);
  assert.equal(clock.tick(1000), 480);
});

test('local playback sets the clock', () => {
  const clock = new PlaybackClock();
  clock.update({ tick: 480, ...RATE }, 0);
  clock.localTick = () => 123;
  assert.equal(clock.tick(100), 123);
});
