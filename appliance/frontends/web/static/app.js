// The page: connects what the box sends to what is shown.

import { AudioPlayer, appendPlayerButton } from './audio-player.js';
import { LiveConnection } from './live-connection.js';
import { NoteTimeline } from './note-timeline.js';
import { PianoRoll } from './piano-roll.js';
import { PieceHistory } from './piece-history.js';
import { PlaybackClock } from './playback-clock.js';
import { Session, loginDialog } from './session.js';
import { SettingsForm } from './settings-form.js';
import { TEXTS, fillTexts } from './texts.js';

const PRODUCT = 'Bachbox';

const find = (selector) => document.querySelector(selector);

fillTexts();

const session = new Session();
const clock = new PlaybackClock();
const timeline = new NoteTimeline();
const roll = new PianoRoll(find('#roll'), timeline, clock);
const connection = new LiveConnection(async () => {
  const { permission } = await session.refresh();
  showPermission();
  if (permission === 'none') openLogin();
  return permission !== 'none';
});
const form = new SettingsForm(find('#settings'), find('#transport'), connection, (error) => {
  find('#message').textContent = error;
});
const player = new AudioPlayer();
clock.localTick = () => player.tick();
appendPlayerButton(find('#listen-button'), player, TEXTS.listen);
const history = new PieceHistory(find('#save-button'), find('#history'), TEXTS.history);
const openLogin = loginDialog(find('#login'), session, () => connection.open());

find('#log-in').addEventListener('click', openLogin);
find('#log-out').addEventListener('click', async () => {
  await session.logOut();
  connection.open();
});

function showPermission() {
  const { permission, csrf_token: token, password_is_set: isSet } = session.info;
  const mayControl = permission === 'control';
  find('#log-in').hidden = mayControl || !isSet;
  find('#log-out').hidden = !token;
  document.body.classList.toggle('read-only', !mayControl);
  const inputs = '#transport > button, #settings :is(input, select, button)';
  for (const input of document.querySelectorAll(inputs)) input.disabled = !mayControl;
  find('#message').textContent = permission === 'read' ? TEXTS.read_only : '';
}

function showConnection(state) {
  const shown = find('#connection');
  shown.dataset.state = state;
  shown.textContent = TEXTS.connection[state];
  document.body.classList.toggle('offline', state !== 'live');
}

let announcedPiece = '';

function showNow({ now, seed_text: seed }) {
  const condition = TEXTS.condition[now.condition];
  const piece = now.piece ? TEXTS.piece(now.title, now.group) : TEXTS.composing_first;
  find('#piece').textContent = condition ? `${piece} · ${condition}` : piece;
  find('#bar').textContent = now.piece ? TEXTS.bar(now.bar) : '';
  find('#seed').textContent = TEXTS.seed(seed, now.model);
  find('#sound-problem').textContent = now.problem;
  find('#sound-problem').hidden = !now.problem;
  const beats = find('#beats');
  beats.textContent = '●'.padStart(now.beat, '○').padEnd(now.beats_per_bar, '○');
  beats.hidden = !now.beat;
  find('#roll').setAttribute('aria-label', TEXTS.roll(piece));
  document.title = `${piece} · ${PRODUCT}`;
  if (piece !== announcedPiece) {
    announcedPiece = piece;
    history.refresh();
    find('#announcement').textContent = piece;
  }
}

function drawForm(schema) {
  form.draw(schema);
  showPermission();
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
});
connection.addEventListener('now', ({ detail }) => showNow(detail));
connection.addEventListener('notes', ({ detail }) => {
  timeline.update(detail, isFirstNotes);
  clock.horizonTick = detail.horizon_tick;
  isFirstNotes = false;
});
connection.addEventListener('clock', ({ detail }) => {
  clock.update(detail);
  clock.horizonTick = timeline.horizonTick = detail.horizon_tick;
});

showConnection(connection.state);
connection.open();

// For extensions, and to look into the page from the browser's console.
window.bachbox = { clock, connection, form, history, player, roll, session, timeline };
