// Small charts in SVG with axes; the page shows their latest values as text beside them.

import { TEXTS, fill } from './texts.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [320, 110];
const [LEFT, BOTTOM, TOP] = [34, 16, 8]; // The space of the axes' labels, and above the highest line.
const SAMPLES = 150;

/** Return the top of an axis that holds `max`: 1, 2 or 5 times a power of ten. */
export function axisTop(max) {
  if (!(max > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  return [1, 2, 5, 10].map((n) => n * power).find((top) => top >= max * 0.999);
}

/**
 * Return a chart with a line for each of `series` ({name: numbers}, the oldest first), from zero up;
 * `intervalS` is between two numbers. `note` describes it for screen readers.
 */
export function lineChart(title, note, series, intervalS) {
  const top = axisTop(Math.max(0, ...Object.values(series).flat()));
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' });
  chart.setAttribute('aria-label', `${title}: ${note}`);
  const y = (number) => HEIGHT - BOTTOM - (number / top) * (HEIGHT - BOTTOM - TOP);
  for (const tick of [0, top / 2, top]) {
    chart.append(svg('line', { x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick), class: 'grid' }));
    chart.append(label(LEFT - 4, y(tick) + 3, 'end', Number(tick.toPrecision(2))));
  }
  const minutes = Math.round((SAMPLES * intervalS) / 60);
  chart.append(label(LEFT, HEIGHT - 3, 'start', fill(TEXTS.minutes_ago, { minutes })));
  chart.append(label(WIDTH - 1, HEIGHT - 3, 'end', TEXTS.axis_now));
  Object.values(series).forEach((numbers, at) => {
    const x = (i) => WIDTH - 1 - (numbers.length - 1 - i) * ((WIDTH - LEFT) / (SAMPLES - 1));
    const points = numbers.map((number, i) => `${x(i).toFixed(1)},${y(number).toFixed(1)}`);
    chart.append(svg('polyline', { points: points.join(' '), class: `line line-${at}` }));
  });
  return chart;
}

/** Return a histogram of `counts`; there is one more of them than `bounds`, in `unit`. */
export function histogram(title, unit, bounds, counts) {
  const top = axisTop(Math.max(...counts));
  const sum = counts.reduce((a, b) => a + b, 0);
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT + 10}`, role: 'img' });
  const bars = counts
    .map((count, i) => (count ? `${bucket(bounds, i)} ${unit}: ${count}` : ''))
    .filter(Boolean);
  chart.setAttribute('aria-label', `${title}. ${bars.join(', ') || sum}`);
  const width = (WIDTH - LEFT) / counts.length;
  const y = (count) => HEIGHT - BOTTOM - (count / top) * (HEIGHT - BOTTOM - TOP);
  for (const tick of [0, top]) {
    chart.append(svg('line', { x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick), class: 'grid' }));
    chart.append(label(LEFT - 4, y(tick) + 3, 'end', tick));
  }
  counts.forEach((count, i) => {
    const [x, height] = [LEFT + i * width, HEIGHT - BOTTOM - y(count)];
    chart.append(svg('rect', { x: x + 1, y: y(count), width: width - 2, height, class: 'bar' }));
    chart.append(label(x + width / 2, HEIGHT - 3, 'middle', i < bounds.length ? bounds[i] : '∞'));
  });
  chart.append(label(WIDTH - 1, HEIGHT + 8, 'end', unit));
  return chart;
}

function bucket(bounds, i) {
  return i < bounds.length ? `≤${bounds[i]}` : `>${bounds.at(-1)}`;
}

function label(x, y, anchor, text) {
  const made = svg('text', { x, y, 'text-anchor': anchor, class: 'axis-label' });
  made.textContent = text;
  return made;
}

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
