// Widgets for the clock: a time of day with its weekdays, and hours from one time to another.
//
// The box writes them "07:00 Mon Tue" (without days: every day), "22:00-07:00" and "off".

import { element } from './dom.js';
import { TEXTS, fill, region } from './texts.js';

const OFF = 'off';
const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Return {time, days} of what the box writes; the time is "" for "off". */
export function readTime(text) {
  if (text === OFF) return { time: '', days: [...DAYS] };
  const [time, ...days] = text.split(' ');
  return { time, days: days.length ? days : [...DAYS] };
}

/** Return what the box reads; no time or no day is "off". */
export function writeTime({ time, days }) {
  if (!time || !days.length) return OFF;
  return days.length === DAYS.length ? time : [time, ...DAYS.filter((day) => days.includes(day))].join(' ');
}

/** Return [begin, end] of what the box writes, both "" for "off". */
export function readHours(text) {
  return text === OFF ? ['', ''] : text.split('-');
}

/** Append a time and seven days to `widget`; `change(text)` is called. Returns what shows a text. */
export function drawTime(widget, { name, title }, change) {
  const field = timeField(`set-${name}`, title);
  const days = element('div', { className: 'days' });
  days.setAttribute('role', 'group');
  days.setAttribute('aria-label', fill(TEXTS.days_of, { setting: title }));
  let shown = readTime(OFF);
  const buttons = DAYS.map((day, i) => {
    const button = element('button', { type: 'button', textContent: weekday(i) });
    button.addEventListener('click', () => {
      const others = shown.days.filter((one) => one !== day);
      change(writeTime({ ...shown, days: shown.days.includes(day) ? others : [...others, day] }));
    });
    days.append(button);
    return button;
  });
  field.addEventListener('change', () => change(writeTime({ ...shown, time: field.value })));
  const off = offButton(title, () => change(OFF));
  widget.append(element('label', { htmlFor: field.id, textContent: title }), field, off, days);
  return (text) => {
    shown = readTime(text);
    field.value = shown.time;
    days.hidden = off.hidden = !shown.time;
    buttons.forEach((button, i) => {
      button.setAttribute('aria-pressed', String(shown.days.includes(DAYS[i])));
    });
  };
}

/** Append two times to `widget`; `change(text)` is called. Returns what shows a text. */
export function drawHours(widget, { name, title }, change) {
  const begin = timeField(`set-${name}`, title);
  const end = timeField(`end-${name}`, title);
  end.setAttribute('aria-label', fill(TEXTS.end_of, { setting: title }));
  const send = () => {
    if (begin.value && end.value) change(`${begin.value}-${end.value}`);
  };
  begin.addEventListener('change', send);
  end.addEventListener('change', send);
  const off = offButton(title, () => change(OFF));
  const fields = element('div', { className: 'hours' });
  fields.append(begin, element('span', { textContent: '–' }), end, off);
  widget.append(element('label', { htmlFor: begin.id, textContent: title }), fields);
  return (text) => {
    [begin.value, end.value] = readHours(text);
    off.hidden = text === OFF;
  };
}

function timeField(id, title) {
  return element('input', { type: 'time', id, title });
}

function offButton(title, turnOff) {
  const button = element('button', { type: 'button', className: 'off', textContent: TEXTS.turn_off });
  button.setAttribute('aria-label', fill(TEXTS.turn_off_of, { setting: title }));
  button.addEventListener('click', turnOff);
  return button;
}

/** Return a weekday's short name; 0 is Monday. */
function weekday(i) {
  const date = new Date(Date.UTC(2024, 0, 1 + i)); // A Monday.
  const options = { weekday: 'short', timeZone: 'UTC' };
  return new Intl.DateTimeFormat(region(), options).format(date);
}
