// The health page: asks every two seconds, draws, and runs the tests.

import { histogram, lineChart } from './charts.js';
import { element } from './controls.js';
import { Session } from './session.js';
import { TEXTS, fill } from './texts.js';

const ASK_MS = 2000;
const KNOBS_MS = 400;
const CHARTS = ['xruns', 'look_ahead_s', 'notes_per_s', 'tokens_per_s', 'cpu_percent', 'rss_mib'];

const find = (selector) => document.querySelector(selector);
const session = new Session();
let watching = null;

fill();
for (const name of ['tone', 'broker', 'knobs']) {
  const button = element('button', { type: 'button', id: `test-${name}`, textContent: TEXTS.test[name] });
  button.addEventListener('click', () => (name === 'knobs' ? watchKnobs() : runTest(name)));
  find('#tests').append(button);
}

async function ask() {
  try {
    const { may } = await session.refresh();
    if (may === 'nothing') location.assign('/');
    for (const name of ['tone', 'broker']) find(`#test-${name}`).disabled = may !== 'control';
    const response = await fetch('/api/health');
    if (response.ok) show(await response.json());
    showConnection(response.ok ? 'live' : 'lost');
  } catch {
    showConnection('lost');
  }
  setTimeout(ask, ASK_MS);
}

function showConnection(state) {
  find('#connection').dataset.state = state;
  find('#connection').textContent = TEXTS.connection[state];
}

function show(report) {
  const samples = report.samples;
  find('#charts').replaceChildren(...CHARTS.map((name) => chart(name, samples, report)));
  const { bounds_ms: bounds, counts } = report.latency;
  find('#latency').replaceChildren(histogram(TEXTS.latency, bounds, counts));
  const { health, version } = report.status;
  const facts = { version, ...health, uptime_s: duration(health.uptime_s) };
  facts.cures = Object.entries(health.cures).map(([kind, n]) => `${kind} ${n}`).join(', ');
  find('#facts').replaceChildren(
    ...Object.entries(TEXTS.fact)
      .filter(([name]) => facts[name] !== null && facts[name] !== undefined)
      .map(([name, spoken]) => {
        const pair = element('div', {});
        pair.append(
          element('dt', { textContent: spoken }),
          element('dd', { textContent: facts[name] }),
        );
        return pair;
      }),
  );
  const log = find('#log');
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  const text = report.log.join('\n');
  if (log.textContent !== text) log.textContent = text;
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function chart(name, samples, report) {
  const values = samples.map((sample) => sample[name]);
  let series = { all: values };
  if (name === 'xruns') series = { all: values.map((n) => (n * 60) / report.every_s) };
  const last = values.at(-1);
  let now = last === undefined ? '' : String(name === 'xruns' ? series.all.at(-1) : last);
  if (last && typeof last === 'object') {
    series = {};
    for (const process of Object.keys(last)) series[process] = values.map((v) => v[process] ?? 0);
    now = Object.entries(last).map(([process, value]) => `${process} ${value}`).join(', ');
  }
  const panel = element('figure', { className: 'panel' });
  panel.dataset.chart = name;
  const caption = element('figcaption', {});
  caption.append(
    element('strong', { textContent: TEXTS.charts[name] }),
    element('span', { textContent: now && TEXTS.now(now) }),
  );
  panel.append(caption, lineChart(TEXTS.charts[name], TEXTS.now(now), series));
  return panel;
}

async function runTest(name) {
  find('#tried').textContent = '…';
  try {
    const response = await session.request('POST', `/api/tests/${name}`);
    const answer = await response.json();
    const said = answer.error ?? (name === 'tone' ? TEXTS.tone_played : answer.detail);
    find('#tried').textContent = said;
  } catch {
    find('#tried').textContent = TEXTS.connection.lost;
  }
}

function watchKnobs() {
  clearInterval(watching);
  find('#touches').replaceChildren();
  let seen = null;
  watching = setInterval(look, KNOBS_MS);
  look();
  async function look() {
    const response = await fetch('/api/touches').catch(() => null);
    if (!response?.ok) return;
    const { wired, touches } = await response.json();
    find('#tried').textContent = wired ? TEXTS.knobs_watched : TEXTS.no_knobs;
    if (!wired) clearInterval(watching);
    seen ??= touches.at(-1)?.number ?? 0;
    for (const { number, at, where, what } of touches) {
      if (number <= seen) continue;
      seen = number;
      find('#touches').append(element('li', { textContent: `${at} ${where}: ${what}` }));
    }
  }
}

function duration(seconds) {
  const [days, rest] = [Math.floor(seconds / 86400), seconds % 86400];
  const clock = new Date(rest * 1000).toISOString().slice(11, 19);
  return days ? `${days} d ${clock}` : clock;
}

showConnection('connecting');
ask();
