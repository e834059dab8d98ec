// The notes that were played and that will be played, from the events of the box.

const KEPT_TICKS = 480 * 120;
const DISCARDED_MS = 1500; // How long discarded notes are kept, to be drawn as they fade.

export class NoteTimeline {
  /** {voice, pitch, startTick, endTick (null: not known yet), velocity, addedMs (0: it replaces none)} */
  notes = [];
  /** {number, tonic, minor, beatTicks, beatsPerBar, pickupTicks, startTick} */
  pieces = [];
  /** Notes that the composer took back before they were played: {..., discardedMs} */
  discarded = [];
  /** Everything before this tick is composed. */
  horizonTick = 0;
  /** How often the composer has gone back since the page was loaded. */
  rewinds = 0;
  /** Notes before this tick replace others: the composer had been here before it went back. */
  #replacedBeforeTick = 0;

  /** Take a `notes` message. `isFirst`: it is the first of a connection, so nothing in it is new. */
  update(message, isFirst, ms = performance.now()) {
    if (message.rewind_tick !== null) this.#rewind(message.rewind_tick, isFirst, ms);
    for (const event of message.events) {
      const isReplacement = !isFirst && event.tick < this.#replacedBeforeTick;
      this.#add(event, isReplacement ? ms : 0);
    }
    this.horizonTick = message.horizon_tick;
    this.#forgetOld(ms);
  }

  /** Yield the bars that begin between two ticks: {tick, bar, piece}. */
  *bars(fromTick, toTick) {
    for (const [i, piece] of this.pieces.entries()) {
      const endTick = Math.min(toTick, this.pieces[i + 1]?.startTick ?? this.horizonTick);
      const barTicks = piece.beatsPerBar * piece.beatTicks;
      const firstTick = piece.startTick + piece.pickupTicks;
      let bar = Math.max(0, Math.floor((fromTick - firstTick) / barTicks));
      for (; firstTick + bar * barTicks < endTick; bar++) {
        const tick = firstTick + bar * barTicks;
        if (tick >= fromTick) yield { tick, bar: bar + 1, piece };
      }
    }
  }

  #add(event, addedMs) {
    const { tick, voice, pitch } = event;
    if (event.type === 'note_on') {
      const { velocity } = event;
      this.notes.push({ voice, pitch, startTick: tick, endTick: null, velocity, addedMs });
    } else if (event.type === 'note_off') {
      const open = this.notes.findLast(
        (note) => note.voice === voice && note.pitch === pitch && note.endTick === null,
      );
      if (open) open.endTick = tick;
    } else if (event.type === 'piece_start') {
      this.pieces.push({
        number: event.number,
        tonic: event.tonic,
        minor: event.minor,
        beatTicks: event.beat_ticks,
        beatsPerBar: event.beats_per_bar,
        pickupTicks: event.pickup_ticks,
        startTick: tick,
      });
    }
  }

  #rewind(tick, isFirst, ms) {
    const dropped = this.notes.filter((note) => note.startTick >= tick);
    this.notes = this.notes.filter((note) => note.startTick < tick);
    for (const note of this.notes) {
      if (note.endTick !== null && note.endTick >= tick) note.endTick = null;
    }
    this.pieces = this.pieces.filter((piece) => piece.startTick < tick);
    if (isFirst) {
      this.discarded = [];
      this.#replacedBeforeTick = 0;
      return;
    }
    this.discarded.push(...dropped.map((note) => ({ ...note, discardedMs: ms })));
    this.#replacedBeforeTick = Math.max(this.#replacedBeforeTick, this.horizonTick);
    this.rewinds += 1;
  }

  #forgetOld(ms) {
    const oldestTick = this.horizonTick - KEPT_TICKS;
    if (this.notes.length && this.notes[0].startTick < oldestTick - KEPT_TICKS / 4) {
      this.notes = this.notes.filter((note) => note.startTick >= oldestTick);
      const current = this.pieces.findLastIndex((piece) => piece.startTick <= oldestTick);
      this.pieces.splice(0, Math.max(0, current));
    }
    this.discarded = this.discarded.filter((note) => ms - note.discardedMs < DISCARDED_MS);
  }
}
