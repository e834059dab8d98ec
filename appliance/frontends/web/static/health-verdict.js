// What on the health page wants a look: the rules behind the sentence at its top.

const COUNTS = ['xruns', 'starved_blocks', 'late_notes', 'restarts']; // Bad if any is new.
const LATEST = 15; // Samples: half a minute.
const LEAST_AHEAD_S = 1; // Of 2 or more that are asked for.
const LONGEST_MS = 150; // Of most changes until they are heard.
const FEWEST_CHANGES = 5; // Fewer say nothing about most of them.
const HOT_CELSIUS = 80; // A Raspberry Pi slows down.

/**
 * Return the names of the figures in `report`, an answer of /api/health, that want a look; null
 * while the box starts. Counts are those of the samples in it: what happened long ago is over.
 */
export function wantsALook(report) {
  const { now_playing: now, health, notices } = report.status;
  if (now.condition === 'starting' && !now.problem) return null;
  const isSilent = ['no_sound_card', 'stopped'].includes(now.condition) || !report.healthy;
  const isBad = {
    sound: isSilent || now.problem !== '',
    ...Object.fromEntries(COUNTS.map((name) => [name, report.samples.some((one) => one[name] > 0)])),
    look_ahead_s: now.condition === 'playing' && isShort(report.samples),
    latency: isSlow(report.latency),
    cpu_celsius: health.cpu_celsius > HOT_CELSIUS,
    notices: notices.length > 0,
  };
  return Object.keys(isBad).filter((name) => isBad[name]);
}

function isShort(samples) {
  const latest = samples.slice(-LATEST);
  return latest.length === LATEST && latest.every((one) => one.look_ahead_s < LEAST_AHEAD_S);
}

function isSlow({ bounds_ms: bounds, counts }) {
  const all = counts.reduce((a, b) => a + b, 0);
  const slow = counts.filter((_, i) => !(bounds[i] <= LONGEST_MS)).reduce((a, b) => a + b, 0);
  return all >= FEWEST_CHANGES && slow > all / 2;
}
