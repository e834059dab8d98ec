// The page: connects what the box sends to what is shown.

import { AudioPlayer, connectPlayerButton } from './audio-player.js';
import { element, setText } from './dom.js';
import { LiveConnection } from './live-connection.js';
import { NoteTimeline } from './note-timeline.js';
import { PianoRoll } from './piano-roll.js';
import { Pieces } from './pieces.js';
import { PlaybackClock } from './playback-clock.js';
import { Scenes } from './scenes.js';
import { ScoreSwitch } from './score-switch.js';
import { Session, loginDialog } from './session.js';
import { SettingsForm } from './settings-form.js';
import { enableShortcuts, listShortcuts } from './shortcuts.js';
import { TEXTS, fill, loadTexts, loadTypeface, offerLanguages, translated } from './texts.js';
import { pieceTitle, placeInGroup, wholeTitle } from './titles.js';
import { Wall } from './wall.js';

const PRODUCT = 'Bachbox';
const NOTICE_MS = 6000;

const find = (selector) => document.querySelector(selector);

await loadTexts();
loadTypeface();
offerLanguages(find('#language'));

const session = new Session();
const clock = new PlaybackClock();
const timeline = new NoteTimeline();
const roll = new PianoRoll(find('#roll'), timeline, clock);
const scoreSwitch = new ScoreSwitch(find('#show-score'), find('#score'), clock, session, showError);
const connection = new LiveConnection(async () => {
  const { permission } = await session.refresh();
  showPermission();
  if (permission === 'none') openLogin();
  return permission !== 'none';
});
const form = new SettingsForm(
  find('#settings'), find('#volume'), find('#transport'), connection, showError,
);
const scenes = new Scenes(
  find('#scenes'), session, (name) => form.request({ set: { scene: name } }), showError,
);
const player = new AudioPlayer();
clock.localTick = () => player.tick();
player.addEventListener('state', () => roll.wake());
connectPlayerButton(find('#listen'), player);
const pieces = new Pieces(
  find('#save'), find('#pieces'), session, showError, showNotice,
  (playing) => form.request({ set: { playing } }),
);
find('#backup').addEventListener('toggle', async ({ target }) => {
  const { drawBackup } = await import('./backup.js');
  drawBackup(target.querySelector('div'), session, () => drawLists());
}, { once: true });
find('#melody').addEventListener('toggle', async ({ target }) => {
  const { MelodyForm } = await import('./melody.js');
  new MelodyForm(target.querySelector('div'), session, () => pieces.refresh());
}, { once: true });
const openLogin = loginDialog(find('#login'), session, () => connection.open());
const wall = new Wall(find('#full-screen'));
enableShortcuts((step) => form.request({ set: { volume: step } }));
listShortcuts(find('#shortcut-list'));

find('#show-shortcuts').addEventListener('click', () => find('#shortcuts').showModal());
find('#log-in').addEventListener('click', openLogin);
find('#log-out').addEventListener('click', async () => {
  await session.logOut();
  connection.open();
});

function showError(text) {
  find('#message').textContent = text;
}

let noticeTimer = null;

/** Say for a while what was done; `link`, if there is one, leads to it. */
function showNotice(text, link) {
  const shown = find('#notice');
  shown.replaceChildren(link ? element('a', { href: link, textContent: text }) : text);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => shown.replaceChildren(), NOTICE_MS);
}

function showPermission() {
  const { permission, csrf_token: token, password_is_set: isSet } = session.info;
  const mayControl = permission === 'control';
  find('#log-in').hidden = mayControl || !isSet;
  find('#log-out').hidden = !token;
  document.body.classList.toggle('read-only', !mayControl);
  document.body.classList.toggle('locked', permission === 'none');
  const inputs =
    '#transport > button, #add-scene, #save, :is(#settings, #volume) :is(input, select, button)';
  for (const input of document.querySelectorAll(inputs)) input.disabled = !mayControl;
  showError(permission === 'read' ? TEXTS.read_only : '');
}

function showConnection(state) {
  const shown = find('#connection');
  shown.dataset.state = state;
  shown.textContent = TEXTS.connection[state];
  document.body.classList.toggle('offline', state !== 'live');
}

let announcedPiece = '';

function showNow({ now, seed_text: seed }) {
  const isComposing = ['starting', 'playing'].includes(now.condition);
  const none = isComposing ? TEXTS.composing_first : TEXTS.waiting_first;
  const piece = now.piece ? wholeTitle(now.title, now.group) : none;
  setText(find('#title'), now.piece ? pieceTitle(now.title) : none);
  setText(find('#group'), placeInGroup(now.group));
  const condition = now.saved && now.condition === 'playing' ? 'playing_saved' : now.condition;
  setText(find('#condition'), TEXTS.condition[condition]);
  const bar = now.bar > 0 ? fill(TEXTS.bar, { bar: now.bar }) : TEXTS.pickup;
  setText(find('#bar'), now.piece ? bar : '');
  setText(find('#seed'), fill(TEXTS.seed, { seed, model: translated(now.model) }));
  find('#seed').hidden = Boolean(now.saved); // It would give other music.
  setText(find('.composed-ahead'), now.saved ? TEXTS.comes_next : TEXTS.composed_ahead);
  pieces.showPlaying(now);
  form.showPieceTempo(now.tempo_bpm);
  setText(find('#sound-problem'), translated(now.problem));
  find('#sound-problem').hidden = !now.problem;
  const beats = find('#beats');
  setText(beats, '●'.padStart(now.beat, '○').padEnd(now.beats_per_bar, '○'));
  beats.hidden = !now.beat;
  if (piece === announcedPiece) return;
  announcedPiece = piece;
  find('#roll').setAttribute('aria-label', fill(TEXTS.roll, { piece }));
  find('#score').setAttribute('aria-label', fill(TEXTS.score.label, { piece }));
  document.title = `${piece} · ${PRODUCT}`;
  find('#announcement').textContent = piece;
}

function drawForm(schema) {
  form.draw(schema);
  showPermission();
  drawLists();
}

function drawLists() {
  scenes.refresh();
  pieces.refresh();
}

let isFirstNotes = true;
connection.addEventListener('state', ({ detail }) => showConnection(detail));
connection.addEventListener('hello', ({ detail }) => {
  isFirstNotes = true;
  find('#name').textContent = detail.name;
  find('#version').textContent = detail.version;
  drawForm(detail.schema);
});
connection.addEventListener('schema', ({ detail }) => drawForm(detail.schema));
connection.addEventListener('settings', ({ detail }) => {
  form.update(detail.values, detail.model_defaults);
  scenes.show(detail.values.scene);
  const { sleep } = detail.values;
  find('#sleep').textContent = sleep ? fill(TEXTS.sleeps_in, { minutes: Math.ceil(sleep) }) : '';
});
connection.addEventListener('now', ({ detail }) => showNow(detail));
connection.addEventListener('notes', ({ detail }) => {
  timeline.update(detail, isFirstNotes);
  clock.horizonTick = detail.horizon_tick;
  isFirstNotes = false;
  roll.wake();
  scoreSwitch.view?.wake();
});
connection.addEventListener('clock', ({ detail }) => {
  const wasMoving = clock.isMoving;
  clock.update(detail);
  clock.horizonTick = timeline.horizonTick = detail.horizon_tick;
  if (clock.isMoving !== wasMoving) roll.wake();
  else if (clock.isMoving) roll.move();
  scoreSwitch.view?.mark();
});

showConnection(connection.state);
connection.open();

// For extensions, and to look into the page from the browser's console.
window.bachbox = { clock, connection, form, pieces, player, roll, scoreSwitch, session, timeline, wall };
