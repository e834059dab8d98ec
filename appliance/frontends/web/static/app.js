// The page: wires the connection to what is shown and turned.

import { Clock } from './clock.js';
import { Controls } from './controls.js';
import { Keeper } from './keep.js';
import { Link } from './link.js';
import { Listener, listenButton } from './listen.js';
import { Roll } from './roll.js';
import { Score } from './score.js';
import { Session, loginDialog } from './session.js';
import { TEXTS, fill, keyName } from './texts.js';

const find = (selector) => document.querySelector(selector);

fill();

const session = new Session();
const clock = new Clock();
const score = new Score();
const roll = new Roll(find('#roll'), score, clock);
const link = new Link(async () => {
  const { may } = await session.refresh();
  showStanding();
  if (may === 'nothing') askPassword();
  return may !== 'nothing';
});
const controls = new Controls(find('#controls'), find('#transport'), link, (text) => {
  find('#message').textContent = text;
});
const listener = new Listener();
clock.heard = () => listener.tick();
listenButton(find('#listen-here'), listener, TEXTS.listen);
const keeper = new Keeper(find('#keep-it'), find('#keepsakes'), TEXTS.keep, keyName);
const askPassword = loginDialog(find('#login'), session, () => link.open());

find('#log-in').addEventListener('click', askPassword);
find('#log-out').addEventListener('click', async () => {
  await session.leave();
  link.open();
});

function showStanding() {
  const { may, csrf, password_is_set: isSet } = session.standing;
  find('#log-in').hidden = may === 'control' || !isSet;
  find('#log-out').hidden = !csrf;
  document.body.classList.toggle('only-looking', may !== 'control');
  for (const control of document.querySelectorAll('#transport > button, #controls :is(input, select, button)')) {
    control.disabled = may !== 'control';
  }
  find('#message').textContent = may === 'look' ? TEXTS.only_looking : '';
}

function showConnection(state) {
  const shown = find('#connection');
  shown.dataset.state = state;
  shown.textContent = TEXTS.connection[state];
  document.body.classList.toggle('offline', state !== 'live');
}

let told = '';

function showNow(now) {
  const condition = TEXTS.condition[now.condition];
  const piece = now.piece ? TEXTS.piece(now.piece, now.key) : TEXTS.before_the_first;
  find('#piece').textContent = condition ? `${piece} · ${condition}` : piece;
  find('#bar').textContent = now.piece ? TEXTS.bar(now.bar) : '';
  find('#seed').textContent = TEXTS.seed(now.seed, now.model);
  const beats = find('#beats');
  beats.textContent = '●'.padStart(now.beat, '○').padEnd(now.beats_per_bar, '○');
  beats.hidden = !now.beat;
  find('#roll').setAttribute('aria-label', TEXTS.roll(piece));
  document.title = `${piece} · ${find('#name').textContent}`;
  if (piece !== told) {
    told = piece;
    keeper.refresh();
    find('#announce').textContent = piece;
  }
}

let whole = true;
link.addEventListener('state', ({ detail }) => showConnection(detail));
link.addEventListener('hello', ({ detail }) => {
  whole = true;
  find('#name').textContent = detail.name;
  find('#version').textContent = detail.version;
  controls.schema(detail.schema);
  showStanding();
});
link.addEventListener('schema', ({ detail }) => {
  controls.schema(detail.schema);
  showStanding();
});
link.addEventListener('settings', ({ detail }) => controls.show(detail.values, detail.own));
link.addEventListener('now', ({ detail }) => showNow(detail.now));
link.addEventListener('notes', ({ detail }) => {
  score.hear(detail, whole);
  clock.horizon = detail.horizon;
  whole = false;
});
link.addEventListener('clock', ({ detail }) => {
  clock.hear(detail);
  clock.horizon = score.horizon = detail.horizon;
});

showConnection(link.state);
link.open();

// For those who add to the page (and look into it): the parts, and the way to the box.
window.bachbox = { clock, controls, keeper, link, listener, roll, score, session };
