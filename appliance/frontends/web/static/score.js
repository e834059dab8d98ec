// The notes that the box has played and will play, as it tells them event by event.

export const KIND = { noteOn: 1, noteOff: 2, piece: 3, pace: 4 };

const KEPT_TICKS = 480 * 120;
const GHOST_MS = 1500;

export class Score {
  notes = []; // {voice, pitch, start, end (null: open), velocity, born (ms; 0: from the start)}
  pieces = []; // {number, tonic, minor, beat (ticks), beatsPerBar, pickup, start}
  ghosts = []; // notes that were composed, never heard, and written anew: {..., died}
  horizon = 0;
  cuts = 0;

  /** A `notes` message. `whole`: it is the first of a connection, and nothing of it is new. */
  hear(message, whole, ms = performance.now()) {
    if (message.cut !== null) this.#cut(message.cut, whole, ms);
    const born = whole || message.cut === null ? 0 : ms;
    for (const [tick, kind, voice, pitch, velocity, value, aux] of message.events) {
      if (kind === KIND.noteOn) {
        this.notes.push({ voice, pitch, start: tick, end: null, velocity, born });
      } else if (kind === KIND.noteOff) {
        const open = this.notes.findLast(
          (note) => note.voice === voice && note.pitch === pitch && note.end === null,
        );
        if (open) open.end = tick;
      } else if (kind === KIND.piece) {
        this.pieces.push({
          number: value,
          tonic: pitch,
          minor: (voice & 1) === 1,
          beat: (voice >> 1) * 120,
          beatsPerBar: velocity,
          pickup: aux,
          start: tick,
        });
      }
    }
    this.horizon = message.horizon;
    this.#forget(ms);
  }

  /** Ticks at which bars begin between `from` and `to`: {tick, bar, piece}. */
  *bars(from, to) {
    for (let i = 0; i < this.pieces.length; i++) {
      const piece = this.pieces[i];
      const end = Math.min(to, this.pieces[i + 1]?.start ?? this.horizon);
      const length = piece.beatsPerBar * piece.beat;
      const first = piece.start + piece.pickup;
      let bar = Math.max(0, Math.floor((from - first) / length));
      for (; first + bar * length < end; bar++) {
        if (first + bar * length >= from) yield { tick: first + bar * length, bar: bar + 1, piece };
      }
    }
  }

  #cut(tick, whole, ms) {
    const gone = this.notes.filter((note) => note.start >= tick);
    this.notes = this.notes.filter((note) => note.start < tick);
    for (const note of this.notes) {
      if (note.end !== null && note.end >= tick) note.end = null;
    }
    this.pieces = this.pieces.filter((piece) => piece.start < tick);
    this.ghosts = whole ? [] : [...this.ghosts, ...gone.map((note) => ({ ...note, died: ms }))];
    if (!whole) this.cuts += 1;
  }

  #forget(ms) {
    const oldest = this.horizon - KEPT_TICKS;
    if (this.notes.length && this.notes[0].start < oldest - KEPT_TICKS / 4) {
      this.notes = this.notes.filter((note) => note.start >= oldest);
      const current = this.pieces.findLastIndex((piece) => piece.start <= oldest);
      this.pieces.splice(0, Math.max(0, current));
    }
    this.ghosts = this.ghosts.filter((ghost) => ms - ghost.died < GHOST_MS);
  }
}
