// A melody to be harmonised: a file, or notes from a small keyboard. Loaded when somebody asks for it.

import { element } from './dom.js';
import { TEXTS, fill } from './texts.js';

const LOWEST = 60;
const HIGHEST = 81;
const NAMES = ['C', 'C♯', 'D', 'D♯', 'E', 'F', 'F♯', 'G', 'G♯', 'A', 'A♯', 'B'];
const LENGTHS = { '1/8': 1, '1/4': 2, '3/8': 3, '1/2': 4, '3/4': 6, '1': 8 }; // In eighths.
const METERS = { '4/4': 4, '3/4': 3 };
const TICKS_PER_EIGHTH = 240;
const KINDS = { mid: 'mid', midi: 'mid', musicxml: 'musicxml', xml: 'musicxml', mxl: 'mxl', abc: 'abc' };

/** Return notes as the bytes of a MIDI file; each is `{ pitch, eighths }`, of a rest with no pitch. */
export function midiFile(notes, quartersPerBar) {
  const track = [0, 0xff, 0x58, 4, quartersPerBar, 2, 24, 8];
  let wait = 0;
  for (const { pitch, eighths } of notes) {
    const ticks = eighths * TICKS_PER_EIGHTH;
    if (pitch === undefined) {
      wait += ticks;
    } else {
      track.push(...varLength(wait), 0x90, pitch, 80, ...varLength(ticks), 0x80, pitch, 0);
      wait = 0;
    }
  }
  track.push(0, 0xff, 0x2f, 0);
  const size = [24, 16, 8, 0].map((shift) => (track.length >> shift) & 0xff);
  const head = [...'MThd'].map((c) => c.charCodeAt(0)).concat([0, 0, 0, 6, 0, 0, 0, 1, 1, 0xe0]);
  return Uint8Array.from([...head, ...[...'MTrk'].map((c) => c.charCodeAt(0)), ...size, ...track]);
}

function varLength(value) {
  const bytes = [value & 0x7f];
  while ((value >>= 7)) bytes.unshift((value & 0x7f) | 0x80);
  return bytes;
}

function base64(bytes) {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export class MelodyForm {
  #session;
  #onPiece;
  #notes = [];
  #shown = element('output', {});
  #status = element('p', {});
  #length = choice(LENGTHS, '1/4');
  #meter = choice(METERS, '4/4');
  #controls;

  /** Draws into `host`. `onPiece()` is called when a piece has been made. */
  constructor(host, session, onPiece) {
    this.#session = session;
    this.#onPiece = onPiece;
    const file = element('input', { type: 'file', accept: Object.keys(KINDS).map((k) => `.${k}`).join() });
    file.addEventListener('change', () => file.files[0] && this.#sendFile(file.files[0]));
    const keys = element('div', { className: 'keys' });
    for (let pitch = LOWEST; pitch <= HIGHEST; pitch += 1) keys.append(this.#key(pitch));
    this.#status.setAttribute('role', 'status');
    this.#controls = element('fieldset', {});
    this.#controls.append(
      labelled(TEXTS.melody.file, file), keys, labelled(TEXTS.melody.length, this.#length),
      labelled(TEXTS.melody.meter, this.#meter),
      button(TEXTS.melody.rest, () => this.#add(undefined)),
      button(TEXTS.melody.undo, () => this.#change(() => this.#notes.pop())),
      this.#shown,
      button(TEXTS.melody.harmonise, () => this.#send('mid', midiFile(this.#notes, METERS[this.#meter.value]))),
    );
    host.append(element('p', { textContent: TEXTS.melody.explanation }), this.#controls, this.#status);
  }

  #key(pitch) {
    const name = NAMES[pitch % 12];
    const key = button(name, () => this.#add(pitch));
    key.setAttribute('aria-label', `${name}${Math.floor(pitch / 12) - 1}`);
    key.classList.toggle('black', name.length > 1);
    return key;
  }

  #add(pitch) {
    this.#change(() => this.#notes.push({ pitch, eighths: LENGTHS[this.#length.value], length: this.#length.value }));
  }

  #change(change) {
    change();
    const words = ({ pitch, length }) => `${pitch === undefined ? '–' : NAMES[pitch % 12]} ${length}`;
    this.#shown.textContent = this.#notes.map(words).join(' · ');
  }

  async #sendFile(file) {
    const kind = KINDS[file.name.split('.').pop().toLowerCase()];
    await this.#send(kind ?? '', new Uint8Array(await file.arrayBuffer()));
  }

  async #send(kind, bytes) {
    this.#controls.disabled = true;
    this.#status.textContent = TEXTS.melody.composing;
    try {
      const response = await this.#session.request('POST', 'api/melodies', { kind, content: base64(bytes) });
      const answer = await response.json();
      this.#status.textContent = answer.error ?? [
        fill(TEXTS.pieces.plays, { name: answer.piece.name }), ...answer.notices,
      ].join(' · ');
      if (response.ok) this.#onPiece();
    } catch {
      this.#status.textContent = TEXTS.not_connected;
    } finally {
      this.#controls.disabled = false;
    }
  }
}

function button(text, act) {
  const made = element('button', { type: 'button', textContent: text });
  made.addEventListener('click', act);
  return made;
}

function choice(values, chosen) {
  const select = element('select', {});
  select.append(...Object.keys(values).map((value) => new Option(value, value, false, value === chosen)));
  return select;
}

function labelled(text, input) {
  const label = element('label', { textContent: `${text} ` });
  label.append(input);
  return label;
}
