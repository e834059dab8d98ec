// The connection to the box: every message becomes an event, every change gets an answer.

import { ReconnectingSocket } from './reconnecting-socket.js';

const SILENCE_MS = 4000; // The box sends its clock four times a second.
const RETRY_MS = [400, 800, 1600, 3000];

/**
 * Dispatches `state` (its detail is `connecting`, `live` or `lost`), and an event for each message,
 * called by its type.
 */
export class LiveConnection extends EventTarget {
  #socket;
  #lastId = 0;
  #pending = new Map(); // id -> function(answer)
  state = 'connecting';

  /** `isAllowed` is awaited before each attempt to connect; there is none if it gives false. */
  constructor(isAllowed) {
    super();
    this.#socket = new ReconnectingSocket('api/live', {
      silenceMs: SILENCE_MS,
      retryMs: RETRY_MS,
      onMessage: (data) => this.#receive(JSON.parse(data)),
      onLost: () => this.#lose(),
      before: async () => {
        const allowed = await isAllowed();
        if (!allowed) this.#setState('connecting');
        return allowed;
      },
    });
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#hurry();
    });
  }

  /** Connect, or connect again. */
  open() {
    this.#refusePending();
    return this.#socket.open();
  }

  /**
   * Ask for a change, `{set, actions}`. Resolves to the answer, whose `type` is `done` or
   * `refused`; `offline` is set where nothing was sent or the answer was lost.
   */
  request(change) {
    if (this.state !== 'live') return Promise.resolve({ type: 'refused', offline: true });
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, ...change }));
    return new Promise((resolve) => this.#pending.set(id, resolve));
  }

  #hurry() {
    if (this.state === 'lost') this.#socket.retryNow();
  }

  #receive(message) {
    if (message.type === 'hello') {
      this.#socket.confirm();
      this.#setState('live');
    }
    if (message.type === 'done' || message.type === 'refused') {
      this.#pending.get(message.id)?.(message);
      this.#pending.delete(message.id);
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  #lose() {
    this.#refusePending();
    this.#setState('lost');
  }

  #refusePending() {
    for (const resolve of this.#pending.values()) resolve({ type: 'refused', offline: true });
    this.#pending.clear();
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
