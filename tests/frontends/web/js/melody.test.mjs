import assert from 'node:assert/strict';
import { test } from 'node:test';

import { midiFile } from '../static/melody.js';

test('notes and rests become a MIDI file of one track', () => {
  const notes = [{ pitch: 67, eighths: 2 }, { eighths: 1 }, { pitch: 60, eighths: 1 }];
  const bytes = [...midiFile(notes, 3)];
  const text = (from, to) => String.fromCharCode(...bytes.slice(from, to));
  assert.equal(text(0, 4) + text(14, 18), 'MThdMTrk');
  assert.deepEqual(bytes.slice(4, 14), [0, 0, 0, 6, 0, 0, 0, 1, 1, 0xe0]); // 480 ticks a quarter.
  const track = bytes.slice(22);
  assert.deepEqual(bytes.slice(18, 22), [0, 0, 0, track.length]);
  assert.deepEqual(track, [
    0, 0xff, 0x58, 4, 3, 2, 24, 8,
    0, 0x90, 67, 80, 0x83, 0x60, 0x80, 67, 0, // 480 ticks.
    0x81, 0x70, 0x90, 60, 80, 0x81, 0x70, 0x80, 60, 0, // After 240 ticks, for 240.
    0, 0xff, 0x2f, 0,
  ]);
});
