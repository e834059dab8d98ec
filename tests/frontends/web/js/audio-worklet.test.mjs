import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

const RATE = 48000;
const BLOCK = 128;

globalThis.sampleRate = RATE;
globalThis.currentTime = 0;
globalThis.AudioWorkletProcessor = class {
  port = { posted: [], postMessage: (message) => this.port.posted.push(message) };
};
let Processor;
globalThis.registerProcessor = (_name, processor) => {
  Processor = processor;
};
await import('../static/audio-worklet.js');

let number; // Of the next frame; the sound counts its own frames.
let processor;

beforeEach(() => start(RATE));

function start(boxRate) {
  number = 0;
  globalThis.currentTime = 0;
  processor = new Processor({ processorOptions: { sampleRate: boxRate } });
}

/** Give it `count` chunks of `frames` frames. */
function enqueue(count, frames = 480) {
  for (let i = 0; i < count; i++) {
    const samples = new Int16Array(2 * frames);
    const startTick = number;
    for (let frame = 0; frame < frames; frame++, number++) {
      samples[2 * frame] = number;
      samples[2 * frame + 1] = -number;
    }
    processor.port.onmessage({ data: { samples, startTick, endTick: number } });
  }
}

/** What is played in `count` blocks, as the numbers of the frames of the box. */
function play(count) {
  const heard = [];
  for (let block = 0; block < count; block++) {
    const [left, right] = [new Float32Array(BLOCK), new Float32Array(BLOCK)];
    assert.equal(processor.process([], [[left, right]]), true);
    left.forEach((value, i) => {
      assert.ok(Math.abs(value + right[i]) < 1e-6, 'left and right belong together');
      heard.push(value * 32768);
    });
    globalThis.currentTime += BLOCK / RATE;
  }
  return heard;
}

test('it is silent until enough is buffered, then every frame comes once and in order', () => {
  enqueue(14);
  assert.ok(play(3).every((value) => value === 0));
  enqueue(1);
  assert.deepEqual(play(20), Array.from({ length: 20 * BLOCK }, (_, i) => i));
});

test('each chunk is reported when it begins, with its ticks', () => {
  enqueue(15);
  play(8);
  const reported = processor.port.posted;
  assert.deepEqual(reported.map(({ startTick, endTick }) => [startTick, endTick]), [[0, 480], [480, 960], [960, 1440]]);
  reported.forEach(({ time, duration }, i) => {
    assert.ok(Math.abs(time - (i * 480) / RATE) < 1e-9);
    assert.ok(Math.abs(duration - 0.01) < 1e-9);
  });
});

test('after an underrun it waits for more than before', () => {
  enqueue(15);
  play(60);
  assert.equal(processor.port.posted.at(-1), null);
  enqueue(18);
  assert.ok(play(3).every((value) => value === 0));
  enqueue(1);
  assert.equal(play(1)[0], 15 * 480, 'nothing that came later is left out');
  assert.equal(processor.port.posted.at(-1).startTick, 15 * 480);
});

test('with too much in the buffer it jumps to the newest sound', () => {
  enqueue(15);
  play(2);
  enqueue(36);
  const [first] = play(1);
  assert.equal(first % 480, 0, 'at the beginning of a chunk');
  const bufferedS = (number - first) / RATE;
  assert.ok(bufferedS <= 0.15 && bufferedS > 0.13, `${bufferedS} s`);
  assert.equal(processor.port.posted.at(-1).startTick, first);
});

test('sound of another rate is interpolated, across chunks too', () => {
  start(RATE / 2);
  enqueue(20, 240);
  play(10).forEach((value, i) => assert.ok(Math.abs(value - i / 2) < 1e-3, `frame ${i}: ${value}`));
});
