// The connection to the box: it comes back by itself, and every wish gets an answer.

const SILENCE_MS = 4000; // The box says something four times a second.
const FIRST_WAIT_MS = 400;
const MAX_WAIT_MS = 3000;

export class Link extends EventTarget {
  #socket = null;
  #number = 0;
  #wishes = new Map();
  #heard = 0;
  #wait = FIRST_WAIT_MS;
  #retry = null;

  /** `allowed` is asked (and waited for) before each attempt: false, and nothing is attempted. */
  constructor(allowed) {
    super();
    this.allowed = allowed;
    this.state = 'connecting';
    setInterval(() => this.#watch(), 1000);
    addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.hurry();
    });
  }

  /** Begin, or begin anew. */
  async open() {
    clearTimeout(this.#retry);
    this.#drop();
    let allowed = false;
    try {
      allowed = await this.allowed();
    } catch {
      this.#lost();
      return;
    }
    if (!allowed) {
      this.#become('connecting');
      return;
    }
    const secure = location.protocol === 'https:';
    const socket = new WebSocket(`${secure ? 'wss' : 'ws'}://${location.host}/api/live`);
    this.#socket = socket;
    this.#heard = performance.now();
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#hear(JSON.parse(event.data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  /** Do not wait any longer to try again. */
  hurry() {
    if (this.state === 'lost') {
      this.#wait = FIRST_WAIT_MS;
      this.open();
    }
  }

  /** Ask for `{set, act}`; resolves to the answer, whose `is` is `done` or `refused`. */
  ask(wish) {
    if (this.state !== 'live') return Promise.resolve({ is: 'refused', offline: true });
    const id = ++this.#number;
    this.#socket.send(JSON.stringify({ id, ...wish }));
    return new Promise((resolve) => this.#wishes.set(id, resolve));
  }

  #hear(message) {
    this.#heard = performance.now();
    if (message.is === 'hello') {
      this.#wait = FIRST_WAIT_MS;
      this.#become('live');
    }
    if (message.is === 'done' || message.is === 'refused') {
      this.#wishes.get(message.id)?.(message);
      this.#wishes.delete(message.id);
    }
    this.dispatchEvent(new CustomEvent(message.is, { detail: message }));
  }

  #watch() {
    if (this.#socket && performance.now() - this.#heard > SILENCE_MS) this.#lost();
  }

  #lost() {
    this.#drop();
    this.#become('lost');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.open(), this.#wait);
    this.#wait = Math.min(2 * this.#wait, MAX_WAIT_MS);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const resolve of this.#wishes.values()) resolve({ is: 'refused', offline: true });
    this.#wishes.clear();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
