// Two ways to play chunks of sound without gaps, less than half a second behind the box.
//
// Where the page is a secure context (https, localhost) an AudioWorklet plays them. Elsewhere there
// is none, and each chunk becomes an AudioBuffer that is scheduled behind the one before.

import { DriftControl } from './drift-control.js';

const MAX_BUFFERED_S = 0.5;
const MIN_LEAD_S = 0.005; // A chunk cannot be scheduled any closer to the present.

/** Plays through the worklet in audio-worklet.js. */
export class WorkletOutput {
  kind = 'worklet';

  /**
   * `onPosition` is called for each chunk with {time, duration, startTick, endTick}, by the
   * context's clock; with null where nothing is left to play.
   */
  static async create(context, sampleRate, onPosition) {
    await context.audioWorklet.addModule('static/audio-worklet.js');
    return new WorkletOutput(context, sampleRate, onPosition);
  }

  constructor(context, sampleRate, onPosition) {
    this.node = new AudioWorkletNode(context, 'queue', {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions: { sampleRate },
    });
    this.node.port.onmessage = ({ data }) => onPosition(data);
    this.node.connect(context.destination);
  }

  /** Play `samples`, an Int16Array of stereo frames. */
  play(samples, startTick, endTick) {
    this.node.port.postMessage({ samples, startTick, endTick }, [samples.buffer]);
  }

  stop() {
    this.node.disconnect();
  }
}

/** Plays every chunk as a buffer of its own, each scheduled behind the one before. */
export class BufferOutput {
  kind = 'buffers';

  constructor(context, sampleRate, onPosition) {
    this.context = context;
    this.sampleRate = sampleRate;
    this.onPosition = onPosition;
    this.nextTime = 0; // When the next chunk begins, by the context's clock; 0 before the first.
    this.drift = new DriftControl({
      targetS: 0.2, maxTargetS: 0.35, stepS: 0.05, toleranceS: 0.08, smoothing: 0.02,
    });
    this.sources = new Set();
  }

  /** Play `samples`, an Int16Array of stereo frames. */
  play(samples, startTick, endTick) {
    const { context, drift, sampleRate } = this;
    const now = context.currentTime;
    if (this.nextTime < now + MIN_LEAD_S) {
      if (this.nextTime) drift.increaseTarget();
      this.nextTime = now + drift.targetS;
      drift.reset(drift.targetS);
    }
    const bufferedS = this.nextTime - now;
    if (bufferedS > MAX_BUFFERED_S) return;
    drift.update(bufferedS);

    const source = context.createBufferSource();
    source.buffer = this.#buffer(samples);
    source.playbackRate.value = drift.speed;
    source.connect(context.destination);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
    source.start(this.nextTime);
    const duration = samples.length / 2 / sampleRate / drift.speed;
    this.onPosition({ time: this.nextTime, startTick, endTick, duration });
    this.nextTime += duration;
  }

  stop() {
    for (const source of this.sources) source.stop();
  }

  #buffer(samples) {
    const frames = samples.length / 2;
    const buffer = this.context.createBuffer(2, frames, this.sampleRate);
    for (const side of [0, 1]) {
      const channel = buffer.getChannelData(side);
      for (let i = 0; i < frames; i++) channel[i] = samples[2 * i + side] / 32768;
    }
    return buffer;
  }
}
