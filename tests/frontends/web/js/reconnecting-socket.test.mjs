import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { ReconnectingSocket } from '../static/reconnecting-socket.js';

let sockets, timers, now;
const real = { setTimeout: globalThis.setTimeout, setInterval: globalThis.setInterval,
  clearTimeout: globalThis.clearTimeout, clearInterval: globalThis.clearInterval };
const settle = () => new Promise((resolve) => setImmediate(resolve));

class FakeWebSocket {
  constructor(url) {
    this.url = String(url);
    this.isClosed = false;
    sockets.push(this);
  }

  close() {
    this.isClosed = true;
  }
}

beforeEach(() => {
  [sockets, timers, now] = [[], [], 0];
  globalThis.document = { baseURI: 'http://box:8080/bach/' };
  globalThis.WebSocket = FakeWebSocket;
  Object.defineProperty(globalThis, 'performance', { value: { now: () => now }, configurable: true });
  const schedule = (call, ms) => timers.push({ call, ms });
  const cancel = (number) => {
    if (number) timers[number - 1] = null;
  };
  Object.assign(globalThis, { setTimeout: schedule, setInterval: schedule, clearTimeout: cancel,
    clearInterval: cancel });
});
afterEach(() => Object.assign(globalThis, real));

function connect(options = {}) {
  const events = [];
  const socket = new ReconnectingSocket('api/live', {
    silenceMs: 4000,
    retryMs: [400, 800],
    onMessage: (data) => events.push(data),
    onLost: () => events.push('lost'),
    ...options,
  });
  socket.open();
  return { socket, events };
}

const waits = () => timers.filter((timer) => timer && timer.ms !== 1000).map(({ ms }) => ms);

test('a closed connection is opened again, after longer and longer waits', async () => {
  const { socket, events } = connect();
  await settle();
  assert.equal(sockets[0].url, 'ws://box:8080/bach/api/live');
  for (let i = 0; i < 3; i++) {
    sockets.at(-1).onclose();
    timers.findLast((timer) => timer && timer.ms !== 1000).call();
    await settle();
  }
  assert.deepEqual(events, ['lost', 'lost', 'lost']);
  assert.equal(sockets.length, 4);
  sockets.at(-1).onclose();
  assert.equal(waits().at(-1), 800);
  socket.confirm();
  socket.open();
  await settle();
  sockets.at(-1).onclose();
  assert.equal(waits().at(-1), 400);
});

test('a silent connection is given up', async () => {
  const { events } = connect();
  await settle();
  const watch = timers.find((timer) => timer?.ms === 1000);
  now = 3000;
  sockets[0].onmessage({ data: 'hello' });
  now = 6000;
  watch.call();
  assert.deepEqual(events, ['hello']);
  now = 7001;
  watch.call();
  assert.deepEqual(events, ['hello', 'lost']);
  assert.equal(sockets[0].isClosed, true);
});

test('messages of an earlier connection are ignored', async () => {
  const { socket, events } = connect();
  await settle();
  socket.open();
  await settle();
  sockets[0].onmessage({ data: 'old' });
  sockets[0].onclose();
  sockets[1].onmessage({ data: 'new' });
  assert.deepEqual(events, ['new']);
});

test('no attempt is made where it is not allowed, and none after close', async () => {
  const { events } = connect({ before: async () => false });
  await settle();
  assert.deepEqual([sockets.length, events.length], [0, 0]);
  const { socket } = connect();
  socket.close();
  await settle();
  assert.equal(sockets.length, 0);
});
