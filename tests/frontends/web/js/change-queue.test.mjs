import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ChangeQueue } from '../static/change-queue.js';

/** A queue whose answers come when the test gives them. */
function queue() {
  const sent = [];
  const changes = new ChangeQueue(
    (name, value) => new Promise((answer) => sent.push({ name, value, answer })),
  );
  return { changes, sent };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('of the changes that wait only the last one is sent', async () => {
  const { changes, sent } = queue();
  const first = changes.change('tempo', 60);
  assert.equal(await changes.change('tempo', 61), null);
  assert.equal(await changes.change('tempo', 62), null);
  assert.deepEqual(sent.map(({ value }) => value), [60]);
  sent[0].answer(true);
  await settle();
  assert.deepEqual(sent.map(({ value }) => value), [60, 62]);
  assert.equal(changes.isPending('tempo'), true);
  sent[1].answer(true);
  assert.equal(await first, true);
  assert.equal(changes.isPending('tempo'), false);
});

test('settings do not wait for one another', () => {
  const { changes, sent } = queue();
  changes.change('tempo', 60);
  changes.change('volume', 50);
  assert.deepEqual(sent.map(({ name }) => name), ['tempo', 'volume']);
});

test('after a refusal nothing more is sent', async () => {
  const { changes, sent } = queue();
  const first = changes.change('tempo', 300);
  changes.change('tempo', 301);
  sent[0].answer(false);
  assert.equal(await first, false);
  assert.equal(sent.length, 1);
  assert.equal(changes.isPending('tempo'), false);
});
