// Small charts in SVG; what they show stands beside them in words.

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [280, 70];

/** A line for each of `series` ({name: numbers}, the oldest first), all from zero up. */
export function lineChart(title, note, series) {
  const most = Math.max(1e-9, ...Object.values(series).flat());
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' });
  chart.setAttribute('aria-label', `${title}: ${note}`);
  Object.values(series).forEach((numbers, at) => {
    const x = (i) => WIDTH - (numbers.length - 1 - i) * (WIDTH / 149);
    const y = (number) => HEIGHT - 2 - (number / most) * (HEIGHT - 8);
    const points = numbers.map((number, i) => `${x(i).toFixed(1)},${y(number).toFixed(1)}`);
    chart.append(svg('polyline', { points: points.join(' '), class: `line voice-${at}` }));
  });
  return chart;
}

/** Bars of a histogram. */
export function histogram(title, bounds, counts) {
  const most = Math.max(1, ...counts);
  const sum = counts.reduce((a, b) => a + b, 0);
  const chart = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT + 14}`, role: 'img' });
  const said = counts
    .map((count, i) => (count ? `${label(bounds, i)} ms: ${count}` : ''))
    .filter(Boolean);
  chart.setAttribute('aria-label', `${title}. ${said.join(', ') || sum}`);
  const width = WIDTH / counts.length;
  counts.forEach((count, i) => {
    const height = (count / most) * (HEIGHT - 4);
    chart.append(
      svg('rect', { x: i * width + 1, y: HEIGHT - height, width: width - 2, height, class: 'bar' }),
    );
    const text = svg('text', { x: (i + 0.5) * width, y: HEIGHT + 11, class: 'mark' });
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
