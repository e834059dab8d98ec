// A WebSocket that reconnects: after it was closed, and when the server has sent nothing for a while.

const WATCH_INTERVAL_MS = 1000;

export class ReconnectingSocket {
  #path;
  #options;
  #socket = null;
  #attempts = 0;
  #lastMessageMs = 0;
  #retryTimer = null;
  #watchTimer = null;

  /** Counts the connections: work that outlives an `await` can tell whether its own is over. */
  generation = 0;

  /**
   * `path` is relative to this page. Options:
   * - `silenceMs`: the server sends something at least this often; else the connection is lost;
   * - `retryMs`: waiting times before the first, second ... attempt; the last one is repeated;
   * - `onMessage(data)`: a message has come;
   * - `onLost()`: the connection was lost, and an attempt follows;
   * - `before()`: is awaited before every attempt; there is none if it gives false;
   * - `binaryType`: as of a WebSocket.
   */
  constructor(path, options) {
    this.#path = path;
    this.#options = options;
  }

  /** Connect now, also if there is a connection already. */
  async open() {
    clearTimeout(this.#retryTimer);
    this.#discard();
    this.#watchTimer ??= setInterval(() => this.#checkSilence(), WATCH_INTERVAL_MS);
    const generation = this.generation;
    let wanted = true;
    try {
      wanted = (await this.#options.before?.()) ?? true;
    } catch {
      if (generation === this.generation) this.#lose();
      return;
    }
    if (wanted && generation === this.generation) this.#connect();
  }

  /** Close the connection, and make no more attempts. */
  close() {
    clearTimeout(this.#retryTimer);
    clearInterval(this.#watchTimer);
    this.#watchTimer = null;
    this.#discard();
  }

  send(text) {
    this.#socket.send(text);
  }

  /** The connection works: the waiting times start over after it is lost. */
  confirm() {
    this.#attempts = 0;
  }

  /** Do not wait any longer for the next attempt. */
  retryNow() {
    this.#attempts = 0;
    this.open();
  }

  #connect() {
    // Relative to the page, which may be below a path of a proxy; ws for http, wss for https.
    const url = new URL(this.#path, document.baseURI);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#lastMessageMs = performance.now();
    if (this.#options.binaryType) socket.binaryType = this.#options.binaryType;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#lastMessageMs = performance.now();
      this.#options.onMessage(data);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lose();
    };
  }

  #checkSilence() {
    const silenceMs = performance.now() - this.#lastMessageMs;
    if (this.#socket && silenceMs > this.#options.silenceMs) this.#lose();
  }

  #lose() {
    this.#discard();
    this.#options.onLost();
    const { retryMs } = this.#options;
    const waitMs = retryMs[Math.min(this.#attempts, retryMs.length - 1)];
    this.#attempts += 1;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.open(), waitMs);
  }

  #discard() {
    this.generation += 1;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
