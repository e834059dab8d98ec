import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BufferOutput } from '../static/audio-outputs.js';
import { heardTick } from '../static/audio-player.js';
import { DriftControl } from '../static/drift-control.js';

const OPTIONS = { targetS: 0.2, maxTargetS: 0.3, stepS: 0.05, toleranceS: 0.08, smoothing: 1 };

test('too much in the buffer is played faster, too little slower, until the target is met', () => {
  const drift = new DriftControl(OPTIONS);
  drift.update(0.25);
  assert.equal(drift.speed, 1);
  drift.update(0.3);
  assert.ok(drift.speed > 1);
  drift.update(0.25);
  assert.ok(drift.speed > 1, 'it goes all the way to the target');
  drift.update(0.19);
  assert.equal(drift.speed, 1);
  drift.update(0.1);
  assert.ok(drift.speed < 1);
});

test('the target grows to a limit', () => {
  const drift = new DriftControl(OPTIONS);
  for (let i = 0; i < 5; i++) drift.increaseTarget();
  assert.equal(drift.targetS, 0.3);
});

/** An audio context that only records when which buffer is to begin. */
class FakeContext {
  currentTime = 0;
  started = [];

  createBuffer(channels, frames) {
    const data = Array.from({ length: channels }, () => new Float32Array(frames));
    return { getChannelData: (channel) => data[channel] };
  }

  createBufferSource() {
    const source = {
      playbackRate: {},
      connect: () => {},
      start: (time) => this.started.push({ time, source }),
      stop: () => {
        source.isStopped = true;
      },
    };
    return source;
  }
}

const chunk = () => new Int16Array(2 * 480).fill(16384); // 10 ms

test('chunks are scheduled one behind the other', () => {
  const context = new FakeContext();
  const positions = [];
  const output = new BufferOutput(context, 48000, (position) => positions.push(position));
  for (let i = 0; i < 3; i++) output.play(chunk(), 10 * i, 10 * i + 10);
  const times = context.started.map(({ time }) => Number(time.toFixed(3)));
  assert.deepEqual(times, [0.2, 0.21, 0.22]);
  assert.equal(context.started[0].source.buffer.getChannelData(1)[0], 0.5);
  assert.deepEqual(positions.map(({ startTick }) => startTick), [0, 10, 20]);
});

test('after an underrun there is a longer lead', () => {
  const context = new FakeContext();
  const output = new BufferOutput(context, 48000, () => {});
  output.play(chunk(), 0, 10);
  context.currentTime = 1;
  output.play(chunk(), 10, 20);
  assert.equal(context.started[1].time, 1.25);
});

test('more than half a second ahead is thrown away', () => {
  const context = new FakeContext();
  const output = new BufferOutput(context, 48000, () => {});
  for (let i = 0; i < 100; i++) output.play(chunk(), 0, 10);
  assert.ok(context.started.at(-1).time <= 0.5);
  output.stop();
  assert.ok(context.started.every(({ source }) => source.isStopped));
});

test('the tick heard is that of the chunk that has left the loudspeaker', () => {
  const positions = [
    { time: 1, duration: 0.1, startTick: 100, endTick: 110 },
    { time: 1.1, duration: 0.1, startTick: 110, endTick: 130 },
  ];
  const at = (currentTime, latencies = {}) =>
    Math.round(heardTick({ currentTime, ...latencies }, positions));
  assert.equal(at(0.5), 100, 'before the first chunk');
  assert.equal(at(1.05), 105);
  assert.equal(at(1.15), 120);
  assert.equal(at(1.15, { outputLatency: 0.1 }), 105);
  assert.equal(at(1.15, { outputLatency: 0, baseLatency: 0.05 }), 110);
  assert.equal(at(9), 150, 'without further chunks it continues for the length of one');
});
