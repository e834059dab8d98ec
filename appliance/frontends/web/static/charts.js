// Small charts in SVG; the page shows their latest values as text beside them.

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [280, 70];

/** Return a chart with a line for each of `series` ({name: numbers}, the oldest first), from zero up. */
export function lineChart(title, note, series) {
  const max = Math.max(1e-9, ...Object.values(series).flat());
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' });
  chart.setAttribute('aria-label', `${title}: ${note}`);
  Object.values(series).forEach((numbers, at) => {
    const x = (i) => WIDTH - (numbers.length - 1 - i) * (WIDTH / 149);
    const y = (number) => HEIGHT - 2 - (number / max) * (HEIGHT - 8);
    const points = numbers.map((number, i) => `${x(i).toFixed(1)},${y(number).toFixed(1)}`);
    chart.append(svg('polyline', { points: points.join(' '), class: `line voice-${at}` }));
  });
  return chart;
}

/** Return a histogram of `counts`; there is one more of them than `bounds`. */
export function histogram(title, bounds, counts) {
  const max = Math.max(1, ...counts);
  const sum = counts.reduce((a, b) => a + b, 0);
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT + 14}`, role: 'img' });
  const bars = counts
    .map((count, i) => (count ? `${label(bounds, i)} ms: ${count}` : ''))
    .filter(Boolean);
  chart.setAttribute('aria-label', `${title}. ${bars.join(', ') || sum}`);
  const width = WIDTH / counts.length;
  counts.forEach((count, i) => {
    const height = (count / max) * (HEIGHT - 4);
    chart.append(
      svg('rect', { x: i * width + 1, y: HEIGHT - height, width: width - 2, height, class: 'bar' }),
    );
    const text = svg('text', { x: (i + 0.5) * width, y: HEIGHT + 11, class: 'axis-label' });
    text.textContent = i < bounds.length ? bounds[i] : '∞';
    chart.append(text);
  });
  return chart;
}

function label(bounds, i) {
  return i < bounds.length ? `≤${bounds[i]}` : `>${bounds.at(-1)}`;
}

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
