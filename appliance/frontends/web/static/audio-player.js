// Plays the sound of the box in this browser.
//
// The box sends its sample rate as JSON, then chunks: two doubles (the ticks at which the chunk
// begins and ends), then stereo samples as signed 16-bit integers.

import { BufferOutput, WorkletOutput } from './audio-outputs.js';
import { ReconnectingSocket } from './reconnecting-socket.js';
import { TEXTS } from './texts.js';

const HEADER_BYTES = 16;
const MAX_POSITIONS = 60;
const RETRY_MS = [500, 1000, 2000, 4000];
const SILENCE_MS = 3000; // The box sends thirty chunks a second.

/**
 * Return the tick heard now through an audio context with the chunks `positions`, earliest first:
 * the context is ahead of the loudspeaker by its latency.
 */
export function heardTick({ currentTime, outputLatency, baseLatency }, positions) {
  const heardTime = currentTime - (outputLatency || baseLatency || 0);
  let position = positions[0];
  for (const later of positions) if (later.time <= heardTime) position = later;
  const { time, duration, startTick, endTick } = position;
  const fraction = Math.min(2, Math.max(0, (heardTime - time) / duration));
  return startTick + fraction * (endTick - startTick);
}

/** Dispatches `state`: its detail is `off`, `connecting` or `playing`. */
export class AudioPlayer extends EventTarget {
  #socket;
  #context = null;
  #output = null;
  #positions = []; // {time, duration, startTick, endTick}, by the context's clock
  #queue = Promise.resolve(); // One message after the other: the worklet takes a moment to load.
  state = 'off';

  constructor() {
    super();
    this.#socket = new ReconnectingSocket('api/listen', {
      silenceMs: SILENCE_MS,
      retryMs: RETRY_MS,
      binaryType: 'arraybuffer',
      onMessage: (data) => this.#enqueue(data),
      onLost: () => {
        this.#discardOutput();
        this.#setState('connecting');
      },
    });
  }

  /** What plays: `worklet` or `buffers`; null while nothing does. */
  get outputKind() {
    return this.#output?.kind ?? null;
  }

  /** The audio context, or null. */
  get context() {
    return this.#context;
  }

  /** Must be called from a click: otherwise browsers make no sound. */
  async start() {
    if (this.state !== 'off') return;
    this.#setState('connecting');
    this.#context = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
    this.#socket.open();
    await this.#context.resume();
  }

  stop() {
    this.#setState('off');
    this.#socket.close();
    this.#discardOutput();
    this.#context?.close();
    this.#context = null;
  }

  /** Return the tick that is heard now; null while nothing is heard. */
  tick() {
    if (this.state !== 'playing' || !this.#positions.length) return null;
    return heardTick(this.#context, this.#positions);
  }

  #enqueue(data) {
    const { generation } = this.#socket;
    const handle = () => {
      if (generation !== this.#socket.generation) return null;
      return typeof data === 'string'
        ? this.#startOutput(JSON.parse(data).sample_rate, generation)
        : this.#play(data);
    };
    // An error with one message must not end the queue.
    this.#queue = this.#queue.then(handle).catch((error) => console.error(error));
  }

  async #startOutput(sampleRate, generation) {
    this.#output?.stop();
    const isCurrent = () => generation === this.#socket.generation;
    const onPosition = (position) => isCurrent() && this.#addPosition(position);
    const output = this.#context.audioWorklet
      ? await WorkletOutput.create(this.#context, sampleRate, onPosition)
      : new BufferOutput(this.#context, sampleRate, onPosition);
    if (isCurrent()) this.#output = output;
    else output.stop();
  }

  #play(data) {
    this.#socket.confirm();
    const ticks = new DataView(data);
    const samples = new Int16Array(data.slice(HEADER_BYTES));
    this.#output?.play(samples, ticks.getFloat64(0, true), ticks.getFloat64(8, true));
  }

  #addPosition(position) {
    if (this.state === 'off') return;
    if (position === null) {
      this.#positions = [];
      return;
    }
    this.#positions.push(position);
    if (this.#positions.length > MAX_POSITIONS) this.#positions.shift();
    this.#setState('playing');
  }

  #discardOutput() {
    this.#output?.stop();
    this.#output = null;
    this.#positions = [];
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}

/** Have `button` turn `player` on and off. */
export function connectPlayerButton(button, player) {
  const show = () => {
    button.querySelector('span').textContent = button.title = TEXTS.listen[player.state];
    button.setAttribute('aria-pressed', String(player.state !== 'off'));
  };
  button.addEventListener('click', () => {
    if (player.state === 'off') player.start();
    else player.stop();
  });
  player.addEventListener('state', show);
  show();
}
