// Plays chunks of sound in the audio thread: see audio-outputs.js.

import { DriftControl } from './drift-control.js';

const MAX_BUFFERED_S = 0.5; // With more in the queue, it jumps ahead.

class QueueProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.boxRate = processorOptions.sampleRate;
    this.queue = []; // {samples, startTick, endTick, frames}
    this.position = 0; // In frames of the first chunk; between two frames where rates differ.
    this.queuedFrames = 0;
    this.isPlaying = false;
    this.drift = new DriftControl({
      targetS: 0.15, maxTargetS: 0.3, stepS: 0.04, toleranceS: 0.06, smoothing: 0.002,
    });
    this.port.onmessage = ({ data }) => this.enqueue(data);
  }

  enqueue(chunk) {
    chunk.frames = chunk.samples.length / 2;
    this.queue.push(chunk);
    this.queuedFrames += chunk.frames;
    if (this.bufferedSeconds() <= MAX_BUFFERED_S) return;
    while (this.queue.length > 1 && this.bufferedSeconds() > this.drift.targetS) this.dropFirst();
    this.position = 0;
    this.drift.reset(this.bufferedSeconds());
    this.reportPosition(0);
  }

  bufferedSeconds() {
    return (this.queuedFrames - this.position) / this.boxRate;
  }

  dropFirst() {
    this.queuedFrames -= this.queue.shift().frames;
  }

  /** Report which ticks are played from the frame `offset` of this block on. */
  reportPosition(offset) {
    const { startTick, endTick, frames } = this.queue[0];
    const duration = frames / this.boxRate / this.drift.speed;
    const time = currentTime + offset / sampleRate;
    this.port.postMessage({ time, startTick, endTick, duration });
  }

  /** The queue is empty: wait until it holds a little more than before. */
  underrun() {
    this.position = 0;
    this.dropFirst();
    this.isPlaying = false;
    this.drift.increaseTarget();
    this.port.postMessage(null);
  }

  process(_inputs, [[left, right]]) {
    if (!this.isPlaying) {
      if (this.bufferedSeconds() < this.drift.targetS) return true;
      this.isPlaying = true;
      this.drift.reset(this.bufferedSeconds());
      this.drift.speed = 1;
      this.reportPosition(0);
    }
    this.drift.update(this.bufferedSeconds());
    const step = (this.boxRate / sampleRate) * this.drift.speed;
    for (let i = 0; i < left.length; i++) {
      while (this.position >= this.queue[0].frames) {
        if (this.queue.length < 2) {
          this.underrun();
          return true;
        }
        this.position -= this.queue[0].frames;
        this.dropFirst();
        this.reportPosition(i);
      }
      this.interpolate(left, right, i);
      this.position += step;
    }
    return true;
  }

  /** Write the frame at the current position, between two frames of the queue. */
  interpolate(left, right, i) {
    const { samples, frames } = this.queue[0];
    const frame = Math.floor(this.position);
    const fraction = this.position - frame;
    left[i] = samples[2 * frame] / 32768;
    right[i] = samples[2 * frame + 1] / 32768;
    if (fraction === 0) return;
    const isLast = frame + 1 === frames;
    const nextChunk = isLast ? this.queue[1] : this.queue[0];
    const next = nextChunk?.samples ?? samples;
    const at = isLast ? (nextChunk ? 0 : 2 * frame) : 2 * frame + 2;
    left[i] += fraction * (next[at] / 32768 - left[i]);
    right[i] += fraction * (next[at + 1] / 32768 - right[i]);
  }
}

registerProcessor('queue', QueueProcessor);
