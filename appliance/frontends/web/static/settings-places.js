// Where on the page a setting is: what is used daily is in sight, the rest is folded away.

const QUICK = ['model', 'instrument', 'tempo', 'key'];
const LOUDSPEAKER = ['output', 'soundfont', 'balance', 'swap_channels', 'mono'];
const ELSEWHERE = ['playing', 'scene', 'saved_piece']; // Those that are no widget in the form.

/** Return the place of a setting of the schema; null for one that is no widget. New ones are style. */
export function placeOf({ name, group }) {
  if (ELSEWHERE.includes(name)) return null;
  if (name === 'volume') return 'volume';
  if (QUICK.includes(name)) return 'quick';
  if (group) return group;
  return LOUDSPEAKER.includes(name) ? 'loudspeaker' : 'style';
}

/** Return the settings of `schema` in the order of the page: the quick ones first, as listed here. */
export function inOrder(schema) {
  const rank = ({ name }) => (QUICK.includes(name) ? QUICK.indexOf(name) : QUICK.length);
  return [...schema].sort((a, b) => rank(a) - rank(b));
}
