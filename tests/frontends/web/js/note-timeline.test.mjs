import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NoteTimeline } from '../static/note-timeline.js';

const on = (tick, pitch, voice = 0) => ({ type: 'note_on', tick, voice, pitch, velocity: 80 });
const off = (tick, pitch, voice = 0) => ({ type: 'note_off', tick, voice, pitch });
const piece = (tick) => ({
  type: 'piece_start', tick, number: 1, tonic: 7, minor: true, beats_per_bar: 3, beat_ticks: 480,
  pickup_ticks: 480,
});
const message = (events, horizonTick, rewindTick = null) => ({
  events, horizon_tick: horizonTick, rewind_tick: rewindTick,
});

test('a note ends with its note-off', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([on(0, 60), on(0, 48, 3), off(480, 60)], 960), true, 0);
  assert.deepEqual(timeline.notes.map((note) => note.endTick), [480, null]);
});

test('a rewind discards notes and reopens those that sound then', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([on(0, 60), off(960, 60), on(960, 62)], 1440), true, 0);
  timeline.update(message([on(480, 64)], 960, 480), false, 100);
  assert.deepEqual(timeline.notes.map((note) => [note.pitch, note.endTick]), [[60, null], [64, null]]);
  assert.deepEqual(timeline.discarded.map((note) => [note.pitch, note.discardedMs]), [[62, 100]]);
  assert.equal(timeline.rewinds, 1);
  assert.equal(timeline.notes[1].addedMs, 100);
});

test('notes that replace discarded ones are marked, also when they come later', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([on(0, 60), on(480, 62)], 960), true, 0);
  timeline.update(message([], 480, 480), false, 100);
  timeline.update(message([on(480, 64), on(960, 65)], 1440), false, 150);
  assert.deepEqual(timeline.notes.map((note) => note.addedMs), [0, 150, 0]);
});

test('the first message of a connection replaces everything and is not a rewind', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([on(0, 60)], 480), true, 0);
  timeline.update(message([on(0, 61)], 480, 0), true, 100);
  assert.deepEqual(timeline.notes.map((note) => [note.pitch, note.addedMs]), [[61, 0]]);
  assert.deepEqual([timeline.rewinds, timeline.discarded], [0, []]);
});

test('discarded notes are forgotten after a while', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([on(480, 60)], 960), true, 0);
  timeline.update(message([], 480, 480), false, 100);
  timeline.update(message([], 960), false, 5000);
  assert.deepEqual(timeline.discarded, []);
});

test('bars begin after the pickup and are counted from 1', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([piece(1000)], 1000 + 480 + 3 * 1440), true, 0);
  const bars = [...timeline.bars(0, 100_000)].map(({ tick, bar }) => [tick, bar]);
  assert.deepEqual(bars, [[1480, 1], [2920, 2], [4360, 3]]);
  assert.deepEqual([...timeline.bars(2000, 3000)].map(({ bar }) => bar), [2]);
  assert.equal(timeline.pieces[0].minor, true);
});

test('old notes are forgotten, and the current piece is not', () => {
  const timeline = new NoteTimeline();
  timeline.update(message([piece(0), on(0, 60), off(480, 60)], 480), true, 0);
  timeline.update(message([on(100_000, 62)], 100_000), false, 100);
  assert.deepEqual(timeline.notes.map((note) => note.pitch), [62]);
  assert.equal(timeline.pieces.length, 1);
});
