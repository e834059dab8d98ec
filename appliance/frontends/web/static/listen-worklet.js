// Plays what it is sent, at the pace of this machine's own sound card: see listen.js.

const FIRST_TARGET_S = 0.15;
const MAX_TARGET_S = 0.3;
const STEP_S = 0.04;
const MAX_S = 0.5; // With more, it jumps.
const SLACK_S = 0.06;
const HURRY = 0.002; // Three cents: nobody hears it.

class Speaker extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.rate = processorOptions.rate; // Of the box.
    this.queue = []; // {samples, startTick, endTick, frames}
    this.at = 0; // The place in the first of them, in frames.
    this.frames = 0; // In the queue.
    this.target = FIRST_TARGET_S;
    this.level = 0;
    this.speed = 1;
    this.playing = false;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(chunk) {
    chunk.frames = chunk.samples.length / 2;
    this.queue.push(chunk);
    this.frames += chunk.frames;
    if (this.seconds() <= MAX_S) return;
    while (this.queue.length > 1 && this.seconds() > this.target) this.drop();
    this.at = 0;
    this.level = this.seconds();
    this.tell(0);
  }

  seconds() {
    return (this.frames - this.at) / this.rate;
  }

  drop() {
    this.frames -= this.queue.shift().frames;
  }

  /** Say which ticks are heard from the `ahead`th frame of this block on. */
  tell(ahead) {
    const { startTick, endTick, frames } = this.queue[0];
    const duration = frames / this.rate / this.speed;
    this.port.postMessage({ time: currentTime + ahead / sampleRate, startTick, endTick, duration });
  }

  mind() {
    this.level += (this.seconds() - this.level) * 0.002;
    const error = this.level - this.target;
    if (Math.abs(error) > SLACK_S) this.speed = error > 0 ? 1 + HURRY : 1 - HURRY;
    else if (error * (this.speed - 1) <= 0) this.speed = 1;
  }

  process(_inputs, [[left, right]]) {
    if (!this.playing) {
      if (this.seconds() < this.target) return true;
      this.playing = true;
      this.level = this.seconds();
      this.speed = 1;
      this.tell(0);
    }
    this.mind();
    const step = (this.rate / sampleRate) * this.speed;
    for (let i = 0; i < left.length; i++) {
      while (this.at >= this.queue[0].frames) {
        if (this.queue.length < 2) {
          // There is no more: wait until there is a little more than there was.
          this.at = 0;
          this.drop();
          this.playing = false;
          this.target = Math.min(this.target + STEP_S, MAX_TARGET_S);
          this.port.postMessage(null);
          return true;
        }
        this.at -= this.queue[0].frames;
        this.drop();
        this.tell(i);
      }
      const { samples, frames } = this.queue[0];
      const frame = Math.floor(this.at);
      const part = this.at - frame;
      const here = 2 * frame;
      left[i] = samples[here] / 32768;
      right[i] = samples[here + 1] / 32768;
      if (part > 0) {
        const next = frame + 1 < frames ? samples : (this.queue[1]?.samples ?? samples);
        const there = frame + 1 < frames ? here + 2 : this.queue[1] ? 0 : here;
        left[i] += part * (next[there] / 32768 - left[i]);
        right[i] += part * (next[there + 1] / 32768 - right[i]);
      }
      this.at += step;
    }
    return true;
  }
}

registerProcessor('speaker', Speaker);
