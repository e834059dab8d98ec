// Draws bars of a score with VexFlow. What is written, the box says: see /api/score in its API.

const KEY_SIGNATURES = ['Gb', 'Db', 'Ab', 'Eb', 'Bb', 'F', 'C', 'G', 'D', 'A', 'E', 'B', 'F#']; // -6 to 6.
const TYPES = {
  whole: 'w', half: 'h', quarter: 'q', eighth: '8', '16th': '16', '32nd': '32', '64th': '64', '': '64',
};
const CLEFS = { treble: ['treble'], tenor: ['treble', 'default', '8vb'], alto: ['alto'], bass: ['bass'] };
const MIDDLE_LINE = { treble: 'b/4', tenor: 'b/4', alto: 'c/4', bass: 'd/3' };
const ALTERED = { '-2': 'bb', '-1': 'b', 0: '', 1: '#', 2: '##' };
const WHOLE_TRIPLETS = [12, 24, 48, 96, 192]; // Where a group of triplets is complete, in 48ths.
const LINE_GAP = 10; // VexFlow's units between two lines of a staff.
const STAFF_MARGINS = [26, 42]; // Above and below a staff: of one layer, and where stems go both ways.
const OVERLAP = 9; // Of the margins of neighbouring staves.
const AIR = 1.45; // How much wider than its notes a bar is at least.
const BAR_PADDING = 34;
const MIN_BAR_WIDTH = 150;

let VexFlow = null;

/** Load the engraver and its signs; once, and only for who wants to see a score. */
export async function loadEngraver() {
  if (VexFlow) return;
  const signs = fetch('static/music.woff2').then((response) => response.arrayBuffer());
  await import('./vexflow.js');
  document.fonts.add(await new FontFace('BachboxMusic', await signs).load());
  window.VexFlow.setFonts('BachboxMusic');
  VexFlow = window.VexFlow;
}

/** Return how wide, in units, a system's clefs and key are; `withTime`: its time signature too. */
export function headWidth(score, withTime) {
  return Math.max(...score.clefs.map((_, i) => headedStave(score, i, 0, 0, 500, withTime).getNoteStartX()));
}

/** Return how wide, in units, `bar` of `score` must be. */
export function barWidth(score, bar) {
  const { staves } = buildBar(score, bar);
  const formatter = joined(staves);
  const notes = formatter.preCalculateMinTotalWidth(staves.flatMap(({ voices }) => voices));
  return Math.max(MIN_BAR_WIDTH, notes * AIR + BAR_PADDING);
}

/** Return where the top line of each staff is, and the height of it all, in units, for `bars`. */
export function systemShape(score, bars) {
  let y = 0;
  const tops = score.clefs.map((clef, i) => {
    const lines = bars.flatMap((bar) =>
      bar.staves[i].flat().flatMap(({ keys }) => keys.map((key) => lineOf(key, clef))),
    );
    const margin = STAFF_MARGINS[bars.some((bar) => bar.staves[i].length > 1) ? 1 : 0];
    const top = y + (Math.max(4, ...lines) - 4) * LINE_GAP + margin;
    y = top + (4 - Math.min(0, ...lines)) * LINE_GAP + margin - OVERLAP;
    return top;
  });
  return { tops, height: y + OVERLAP };
}

/** Return the line of a staff that a key is on: 0 the lowest, 4 the highest, halves between them. */
export function lineOf({ step, octave }, clef) {
  const lowest = { treble: 30, tenor: 30, alto: 24, bass: 18 }[clef]; // E4, F3, G2, in steps from C0.
  return (octave * 7 + 'CDEFGAB'.indexOf(step) - lowest) / 2;
}

/**
 * Draw `bars`, one beside the other, into an `svg` appended to `host`. `widths` has theirs, in units;
 * `shape` is from `systemShape`, `first` says whether the piece begins here. Each bar is a group that
 * says its first tick in `data-tick`.
 */
export function engrave(host, score, bars, { widths, shape, scale, first }) {
  const context = new VexFlow.SVGContext(host);
  const total = widths.reduce((sum, width) => sum + width, 0) + 3;
  context.resize(total * scale, shape.height * scale);
  context.scale(scale, scale);
  let x = 1;
  const drawn = [];
  for (const [i, bar] of bars.entries()) {
    const built = buildBar(score, bar);
    const group = context.openGroup('bar');
    group.dataset.tick = bar.tick;
    drawBar(context, score, built, { x, width: widths[i], tops: shape.tops, isHead: i === 0, first });
    context.closeGroup();
    drawn.push({ built, group });
    x += widths[i];
  }
  drawTies(context, drawn, bars);
}

function drawBar(context, score, { staves }, { x, width, tops, isHead, first }) {
  const drawnStaves = tops.map((top, i) =>
    isHead
      ? headedStave(score, i, x, top, width, first)
      : new VexFlow.Stave(x, top, width, { spaceAboveStaffLn: 0 }),
  );
  const startX = Math.max(...drawnStaves.map((stave) => stave.getNoteStartX()));
  for (const stave of drawnStaves) {
    stave.setNoteStartX(startX);
    stave.setContext(context).draw();
  }
  connect(context, drawnStaves, isHead);
  const formatter = joined(staves);
  formatter.format(staves.flatMap(({ voices }) => voices), x + width - startX - BAR_PADDING / 2);
  for (const [i, { voices, beams, tuplets }] of staves.entries()) {
    for (const voice of voices) voice.draw(context, drawnStaves[i]);
    for (const sign of [...beams, ...tuplets]) sign.setContext(context).draw();
  }
}

function headedStave(score, i, x, top, width, withTime) {
  const stave = new VexFlow.Stave(x, top, width, { spaceAboveStaffLn: 0 });
  stave.addClef(...CLEFS[score.clefs[i]]).addKeySignature(signature(score));
  if (withTime) stave.addTimeSignature(`${score.numerator}/${score.denominator}`);
  return stave;
}

/** Lines that join the staves of a system, and what they are joined by at its beginning. */
function connect(context, staves, isHead) {
  if (staves.length < 2) return;
  const { StaveConnector } = VexFlow;
  const join = (type) =>
    new StaveConnector(staves[0], staves.at(-1)).setType(type).setContext(context).draw();
  join('singleRight');
  if (isHead) join('singleLeft');
}

function drawTies(context, drawn, bars) {
  const open = new Map(); // By staff and pitch: where a tie comes from.
  const draw = (tie, group) => {
    const parent = context.parent;
    context.parent = group;
    new VexFlow.StaveTie(tie).setContext(context).draw();
    context.parent = parent;
  };
  const notes = drawn.flatMap(({ built, group }) => built.notes.map((note) => ({ ...note, group })));
  notes.sort((a, b) => a.source.tick - b.source.tick);
  for (const { source, note, staff, group } of notes) {
    for (const [index, { pitch }] of source.keys.entries()) {
      const place = `${staff} ${pitch}`;
      const from = source.tied_from && open.get(place);
      if (from) {
        draw({ firstNote: from.note, firstIndexes: [from.index], lastNote: note, lastIndexes: [index] }, from.group);
      } else if (source.tied_from && source.tick === bars[0].tick) {
        draw({ lastNote: note, firstIndexes: [index], lastIndexes: [index] }, group);
      }
      open.delete(place);
      if (source.tied_on) open.set(place, { note, index, group });
    }
  }
  for (const { note, index, group } of open.values()) {
    draw({ firstNote: note, firstIndexes: [index], lastIndexes: [index] }, group);
  }
}

/** Return VexFlow's objects for a bar: by staff its voices, beams and tuplets, and all its notes. */
function buildBar(score, bar) {
  const notes = [];
  const staves = bar.staves.map((layers, staff) => {
    const clef = score.clefs[staff];
    const [voices, beams, tuplets] = [[], [], []];
    for (const [i, layer] of layers.entries()) {
      const made = layer.map((source) => ({ source, staff, note: makeNote(source, clef, i, layers.length) }));
      tuplets.push(...grouped(made, tripletEnds).map(makeTuplet));
      beams.push(...grouped(made, beamEnds).map((group) => makeBeam(group, layers.length === 1)));
      voices.push(makeVoice(made.map(({ note }) => note)));
      notes.push(...made);
    }
    if (!layers.length) voices.push(makeVoice([wholeRest(clef, bar)]));
    VexFlow.Accidental.applyAccidentals(voices, signature(score));
    return { voices, beams, tuplets };
  });
  return { staves, notes: notes.filter(({ source }) => source.keys.length) };
}

function makeNote({ type, keys, dots, triplet }, clef, layer, layerCount) {
  if (!keys.length && layer > 0) {
    return new VexFlow.GhostNote({ duration: TYPES[type], dots });
  }
  const note = new VexFlow.StaveNote({
    clef: clef === 'tenor' ? 'treble' : clef,
    keys: keys.length ? keys.map(vexKey) : [MIDDLE_LINE[clef]],
    duration: TYPES[type],
    type: keys.length ? 'n' : 'r',
    dots,
    ...(layerCount > 1 && keys.length ? { stemDirection: layer % 2 ? -1 : 1 } : { autoStem: true }),
  });
  for (let dot = 0; dot < dots; dot++) VexFlow.Dot.buildAndAttach([note], { all: true });
  note.isTriplet = triplet;
  return note;
}

function wholeRest(clef, { tick, end_tick: endTick }) {
  const ticks = new VexFlow.Fraction((endTick - tick) * 128, 15); // 4096 of its own are a quarter.
  return new VexFlow.StaveNote({
    clef: clef === 'tenor' ? 'treble' : clef,
    keys: [MIDDLE_LINE[clef]], duration: 'w', type: 'r', durationOverride: ticks,
  });
}

function vexKey({ step, alter, octave }) {
  return `${step.toLowerCase()}${ALTERED[alter]}/${octave}`;
}

function makeVoice(notes) {
  return new VexFlow.Voice({ numBeats: 4, beatValue: 4 })
    .setMode(VexFlow.VoiceMode.SOFT)
    .setStrict(false)
    .addTickables(notes);
}

function makeTuplet(group) {
  return new VexFlow.Tuplet(group.map(({ note }) => note), {
    numNotes: 3, notesOccupied: 2, bracketed: !group.every(({ source }) => source.beam), ratioed: false,
  });
}

function makeBeam(group, isAlone) {
  return new VexFlow.Beam(group.map(({ note }) => note), isAlone);
}

/**
 * Return runs of the notes of a layer: `ends(note, run)` is null outside a run, and says whether
 * `note` is the last of `run`.
 */
function grouped(layer, ends) {
  const found = [];
  let run = [];
  for (const one of layer) {
    const end = ends(one.source, run);
    if (end === null) {
      run = [];
      continue;
    }
    run.push(one);
    if (!end) continue;
    found.push(run);
    run = [];
  }
  return found;
}

function beamEnds({ beam }) {
  return beam ? beam === 'end' : null;
}

function tripletEnds({ triplet, duration }, run) {
  if (!triplet) return null;
  return WHOLE_TRIPLETS.includes(run.reduce((sum, { source }) => sum + source.duration, duration));
}

function joined(staves) {
  const formatter = new VexFlow.Formatter();
  for (const { voices } of staves) formatter.joinVoices(voices);
  return formatter;
}

function signature({ key_fifths: fifths }) {
  return KEY_SIGNATURES[fifths + 6];
}
