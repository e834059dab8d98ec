// Listen here: the box's own sound in this browser, less than half a second behind.
//
// The box sends its rate as JSON, then chunks: two doubles (the ticks at the chunk's two ends),
// then stereo s16le. Where the page is a secure context (https, localhost) an AudioWorklet plays
// them; elsewhere there is none, and each chunk is an AudioBuffer that is set behind the last.

const FIRST_TARGET_S = 0.2;
const MAX_TARGET_S = 0.35;
const STEP_S = 0.05;
const MAX_S = 0.5;
const SLACK_S = 0.08;
const HURRY = 0.002;
const HEAD_BYTES = 16;
const MARKS = 60;
const RETRY_MS = [500, 1000, 2000, 4000];
const SILENCE_MS = 3000; // The box says something thirty times a second.

/** Plays through the worklet in listen-worklet.js. */
class Worklet {
  static async of(context, rate, mark) {
    await context.audioWorklet.addModule('/static/listen-worklet.js');
    return new Worklet(context, rate, mark);
  }

  constructor(context, rate, mark) {
    this.kind = 'worklet';
    this.node = new AudioWorkletNode(context, 'speaker', {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions: { rate },
    });
    this.node.port.onmessage = ({ data }) => mark(data);
    this.node.connect(context.destination);
  }

  play(samples, startTick, endTick) {
    this.node.port.postMessage({ samples, startTick, endTick }, [samples.buffer]);
  }

  stop() {
    this.node.disconnect();
  }
}

/** Plays chunk behind chunk. */
class Chain {
  constructor(context, rate, mark) {
    this.kind = 'chain';
    this.context = context;
    this.rate = rate;
    this.mark = mark;
    this.next = 0; // When the next chunk begins, by the context's clock.
    this.target = FIRST_TARGET_S;
    this.level = 0;
    this.speed = 1;
    this.sources = new Set();
  }

  play(samples, startTick, endTick) {
    const { context, rate } = this;
    const now = context.currentTime;
    if (this.next < now + 0.005) {
      if (this.next) this.target = Math.min(this.target + STEP_S, MAX_TARGET_S);
      this.next = now + this.target;
      this.level = this.target;
    }
    const ahead = this.next - now;
    if (ahead > MAX_S) return;
    this.level += (ahead - this.level) * 0.02;
    const error = this.level - this.target;
    if (Math.abs(error) > SLACK_S) this.speed = error > 0 ? 1 + HURRY : 1 - HURRY;
    else if (error * (this.speed - 1) <= 0) this.speed = 1;

    const frames = samples.length / 2;
    const buffer = context.createBuffer(2, frames, rate);
    for (const side of [0, 1]) {
      const channel = buffer.getChannelData(side);
      for (let i = 0; i < frames; i++) channel[i] = samples[2 * i + side] / 32768;
    }
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.playbackRate.value = this.speed;
    source.connect(context.destination);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
    source.start(this.next);
    const duration = frames / rate / this.speed;
    this.mark({ time: this.next, startTick, endTick, duration });
    this.next += duration;
  }

  stop() {
    for (const source of this.sources) source.stop();
  }
}

/** The box's sound, as long as it is wanted; `state` is off, connecting or playing. */
export class Listener extends EventTarget {
  #context = null;
  #socket = null;
  #player = null;
  #marks = []; // {time, duration, startTick, endTick}, by the context's clock
  #tries = 0;
  #retry = null;
  #heard = 0;
  #watch = null;
  state = 'off';

  /** What plays: worklet or chain; null while nothing does. */
  get kind() {
    return this.#player?.kind ?? null;
  }

  /** The audio context, for those who look into the page. */
  get context() {
    return this.#context;
  }

  /** To be called from a press of a button: browsers make no sound otherwise. */
  async start() {
    if (this.state !== 'off') return;
    this.#become('connecting');
    this.#context = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
    this.#connect();
    this.#watch = setInterval(() => {
      if (this.#socket && performance.now() - this.#heard > SILENCE_MS) this.#lost();
    }, 1000);
    await this.#context.resume();
  }

  stop() {
    this.#become('off');
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#drop();
    this.#context?.close();
    this.#context = null;
  }

  /** The tick that is heard just now; null while none is. */
  tick() {
    const marks = this.#marks;
    if (this.state !== 'playing' || !marks.length) return null;
    const { currentTime, outputLatency, baseLatency } = this.#context;
    const heard = currentTime - (outputLatency || baseLatency || 0);
    let mark = marks[0];
    for (const later of marks) if (later.time <= heard) mark = later;
    const share = Math.min(2, Math.max(0, (heard - mark.time) / mark.duration));
    return mark.startTick + share * (mark.endTick - mark.startTick);
  }

  #connect() {
    const secure = location.protocol === 'https:';
    const socket = new WebSocket(`${secure ? 'wss' : 'ws'}://${location.host}/api/listen`);
    this.#socket = socket;
    this.#heard = performance.now();
    socket.binaryType = 'arraybuffer';
    // One after the other: the worklet takes a moment to load.
    let work = Promise.resolve();
    socket.onmessage = ({ data }) => {
      this.#heard = performance.now();
      work = work.then(() => (socket === this.#socket ? this.#hear(data, socket) : null));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #lost() {
    this.#drop();
    this.#become('connecting');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), RETRY_MS[Math.min(this.#tries++, 3)]);
  }

  async #hear(data, socket) {
    if (typeof data === 'string') {
      this.#player?.stop();
      const rate = JSON.parse(data).sample_rate;
      const mark = (mark) => socket === this.#socket && this.#mark(mark);
      const player = this.#context.audioWorklet
        ? await Worklet.of(this.#context, rate, mark)
        : new Chain(this.#context, rate, mark);
      if (socket === this.#socket) this.#player = player;
      else player.stop();
      return;
    }
    this.#tries = 0;
    const ticks = new DataView(data);
    const samples = new Int16Array(data.slice(HEAD_BYTES));
    this.#player?.play(samples, ticks.getFloat64(0, true), ticks.getFloat64(8, true));
  }

  #mark(mark) {
    if (this.state === 'off') return;
    if (mark === null) {
      this.#marks = [];
      return;
    }
    this.#marks.push(mark);
    if (this.#marks.length > MARKS) this.#marks.shift();
    this.#become('playing');
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#player?.stop();
    this.#player = null;
    this.#marks = [];
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}

/** A button in `place` that turns `listener` on and off. */
export function listenButton(place, listener, texts) {
  const button = document.createElement('button');
  button.type = 'button';
  button.id = 'listen';
  const show = () => {
    button.textContent = texts[listener.state];
    button.setAttribute('aria-pressed', String(listener.state !== 'off'));
  };
  button.addEventListener('click', () => {
    if (listener.state === 'off') listener.start();
    else listener.stop();
  });
  listener.addEventListener('state', show);
  show();
  place.append(button);
}
