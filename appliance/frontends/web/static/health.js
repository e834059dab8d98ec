// The health page: asks every two seconds, draws, and runs the tests.

import { histogram, lineChart } from './charts.js';
import { element } from './dom.js';
import { wantsALook } from './health-verdict.js';
import { Session } from './session.js';
import { TEXTS, fill, loadTexts, loadTypeface, translated } from './texts.js';

const REFRESH_MS = 2000;
const INPUT_EVENTS_MS = 400;
const CHARTS = ['xruns', 'look_ahead_s', 'notes_per_s', 'tokens_per_s', 'cpu_percent', 'rss_mib'];

const find = (selector) => document.querySelector(selector);
const session = new Session();
let inputEventsTimer = null;

await loadTexts();
loadTypeface();
for (const name of ['tone', 'broker', 'inputs']) {
  const button = element('button', { type: 'button', id: `test-${name}`, textContent: TEXTS.test[name] });
  button.addEventListener('click', () => (name === 'inputs' ? showInputEvents() : runTest(name)));
  find('#tests').append(button);
}

async function refresh() {
  try {
    const { permission } = await session.refresh();
    if (permission === 'none') location.assign('./');
    for (const name of ['tone', 'broker']) find(`#test-${name}`).disabled = permission !== 'control';
    const response = await fetch('api/health');
    if (response.ok) show(await response.json());
    showConnection(response.ok ? 'live' : 'lost');
  } catch {
    showConnection('lost');
  }
  setTimeout(refresh, REFRESH_MS);
}

function showConnection(state) {
  find('#connection').dataset.state = state;
  find('#connection').textContent = TEXTS.connection[state];
  find('#verdict').hidden = state !== 'live'; // It would be of some time ago.
}

function show(report) {
  const samples = report.samples;
  find('#charts').replaceChildren(...CHARTS.map((name) => chart(name, samples, report)));
  const { bounds_ms: bounds, counts } = report.latency;
  find('#latency').replaceChildren(histogram(TEXTS.latency, TEXTS.milliseconds, bounds, counts));
  const { health, version } = report.status;
  const { condition, output, problem } = report.status.now_playing;
  const facts = { version, ...health, uptime_s: duration(health.uptime_s) };
  facts.sound = translated(problem) || [TEXTS.condition[condition], translated(output)].filter(Boolean).join(' · ');
  facts.xruns_total = health.xruns;
  facts.notices = report.status.notices.join('\n') || null;
  facts.mqtt_topic = report.mqtt_topic || null;
  facts.interventions = Object.values(health.interventions).reduce((a, b) => a + b, 0);
  find('#facts').replaceChildren(
    ...Object.entries(TEXTS.fact)
      .filter(([name]) => facts[name] !== null && facts[name] !== undefined)
      .map(([name, label]) => fact(name, label, facts[name])),
  );
  const log = find('#log');
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  const text = report.log.join('\n');
  if (log.textContent !== text) log.textContent = text;
  if (atEnd) log.scrollTop = log.scrollHeight;
  showVerdict(wantsALook(report));
}

/** Say at the top whether all is well; else lead to the figures called `names`, and mark them. */
function showVerdict(names) {
  const figures = (names ?? []).map((name) => find(`#figure-${name}`));
  find('#figure-latency').classList.remove('look'); // The others are new each time.
  for (const figure of figures) figure.classList.add('look');
  const verdict = find('#verdict');
  const said = String(names);
  if (verdict.dataset.said === said) return; // A link in it may have the focus.
  verdict.dataset.said = said;
  verdict.className = figures.length ? 'look' : names && 'well';
  verdict.replaceChildren(sentence(names), ...figures.map((figure) => {
    const title = figure.querySelector('strong, h2, dt').textContent;
    return element('a', { href: `#${figure.id}`, textContent: title });
  }));
}

function sentence(names) {
  if (!names) return TEXTS.condition.starting;
  if (!names.length) return TEXTS.verdict.well;
  return names.length === 1 ? TEXTS.verdict.one : fill(TEXTS.verdict.many, { count: names.length });
}

function fact(name, label, value) {
  const pair = element('div', { id: `figure-${name}` });
  pair.append(
    element('dt', { textContent: label }),
    element('dd', { className: 'value', textContent: value }),
    element('dd', { className: 'hint', textContent: TEXTS.explain[name] }),
  );
  return pair;
}

function chart(name, samples, report) {
  const values = samples.map((sample) => sample[name]);
  let series = { '': values };
  if (name === 'xruns') series = { '': values.map((n) => (n * 60) / report.sample_interval_s) };
  if (typeof values.at(-1) === 'object') {
    const processes = Object.keys(values.at(-1));
    series = Object.fromEntries(
      processes.map((process) => [process, values.map((value) => value[process] ?? 0)]),
    );
  }
  const panel = element('figure', { className: 'panel', id: `figure-${name}` });
  panel.dataset.chart = name;
  const caption = element('figcaption', {});
  const latest = Object.entries(series).map(([process, numbers], at) => {
    const part = TEXTS.parts[process] ?? process;
    const words = [part, numbers.at(-1) ?? '', TEXTS.units[name]].filter((word) => word !== '');
    const text = process ? words.join(' ') : fill(TEXTS.now, { value: words.join(' ') });
    return element('span', { className: process && `key line-${at}`, textContent: text });
  });
  caption.append(element('strong', { textContent: TEXTS.charts[name] }), ...latest);
  const said = latest.map((span) => span.textContent).join(', ');
  panel.append(
    caption,
    lineChart(TEXTS.charts[name], said, series, report.sample_interval_s),
    element('p', { className: 'hint', textContent: TEXTS.explain[name] }),
  );
  return panel;
}

async function runTest(name) {
  find('#test-result').textContent = '…';
  try {
    const response = await session.request('POST', `api/tests/${name}`);
    const answer = await response.json();
    const done = name === 'tone' ? TEXTS.tone_played : answer.detail;
    find('#test-result').textContent = answer.error ?? done;
  } catch {
    find('#test-result').textContent = TEXTS.connection.lost;
  }
}

function showInputEvents() {
  clearInterval(inputEventsTimer);
  find('#input-events').replaceChildren();
  let lastNumber = null;
  inputEventsTimer = setInterval(poll, INPUT_EVENTS_MS);
  poll();
  async function poll() {
    const response = await fetch('api/input-events').catch(() => null);
    if (!response?.ok) return;
    const { configured, events } = await response.json();
    find('#test-result').textContent = configured ? TEXTS.inputs_shown : TEXTS.no_inputs;
    if (!configured) clearInterval(inputEventsTimer);
    lastNumber ??= events.at(-1)?.number ?? 0;
    for (const { number, at, where, what } of events) {
      if (number <= lastNumber) continue;
      lastNumber = number;
      find('#input-events').append(element('li', { textContent: `${at} ${where}: ${what}` }));
    }
  }
}

function duration(seconds) {
  const [days, rest] = [Math.floor(seconds / 86400), seconds % 86400];
  const clock = new Date(rest * 1000).toISOString().slice(11, 19);
  return days ? `${days} d ${clock}` : clock;
}

showConnection('connecting');
refresh();
