// Every text of the pages. Another language is another file like this one.

export const TEXTS = {
  skip: 'To the controls',
  pages: 'Pages',
  health: 'Health',
  back: 'Back to the music',
  log_in: 'Log in',
  log_out: 'Log out',
  past: 'played',
  ahead: 'composed ahead, may still change',
  transport: 'Playing',
  controls: 'Settings',
  made_by: 'Bachbox',
  password: 'Password',
  ok: 'OK',
  cancel: 'Cancel',

  play: 'Play',
  pause: 'Pause',
  restart_piece: 'Again',
  next_piece: 'Next',

  listen: {
    off: 'Listen here',
    connecting: 'Listening: one moment …',
    playing: 'Listening here',
  },
  keep: {
    like: 'I liked that',
    title: 'The last pieces',
    none: 'Nothing has been played yet.',
    so_far: 'It is still playing: this is what was heard of it. Once it has ended, here is all of it.',
    just_played: 'This is the piece that was just played.',
    failed: 'The pieces cannot be had just now.',
    files: { mid: 'MIDI', wav: 'Sound (WAV)', musicxml: 'Score (MusicXML)' },
    piece: ({ piece, seconds, model, playing, complete }, key) =>
      [
        `Piece ${piece} in ${key}`,
        model,
        `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`,
        playing ? 'playing' : complete ? '' : 'not to its end',
      ]
        .filter(Boolean)
        .join(' · '),
  },

  connection: {
    connecting: 'Connecting …',
    live: 'Connected',
    lost: 'No connection; trying again …',
  },
  condition: {
    starting: 'Starting …',
    paused: 'Paused',
    no_sound_card: 'No sound card',
    stopped: 'Stopped',
  },
  before_the_first: 'Composing …',
  piece: (piece, key) => `Piece ${piece} in ${keyName(key)}`,
  bar: (bar) => (bar > 0 ? `bar ${bar}` : 'pickup'),
  seed: (seed, model) => `${model}, seed ${seed}`,
  roll: (piece) => `Piano roll of the music, scrolling as it plays. ${piece}`,

  settings: {
    playing: 'Playing',
    model: 'Model',
    instrument: 'Instrument',
    tempo: 'Tempo',
    temperature: 'Temperature',
    top_p: 'Top-p',
    volume: 'Volume',
    expression: 'Expression',
    temperament: 'Temperament',
    pitch: 'Pitch of A',
  },
  hints: {
    temperature: 'Low is strict, high is wild',
    top_p: 'Leaves the unlikeliest notes out',
  },
  units: { 'beats a minute': 'beats/min', percent: '%' },
  typed: (setting, unit) => `${setting} as a number${unit ? `, ${unit}` : ''}`,
  own: 'Own',
  own_hint: (setting) => `Leave ${setting.toLowerCase()} to the model`,
  is_own: 'as the model wants it',
  search: (setting) => `Search ${setting.toLowerCase()}`,
  found: (count) => (count === 1 ? '1 found' : `${count} found`),
  none_found: 'Nothing found',

  not_connected: 'Not connected: nothing was changed.',
  only_looking: 'You can look. Log in to steer.',
  say_password: 'Log in',
  say_password_why: 'This box is steered with a password.',
  see_password_why: 'This box is seen and steered with a password.',
  choose_password: 'Choose a password',
  choose_password_why: 'This box is new. From now on it is steered with the password that you choose (8 characters or more).',

  health_title: 'Health',
  charts: {
    xruns: 'Xruns a minute',
    look_ahead_s: 'Look-ahead, s',
    notes_per_s: 'Notes a second',
    tokens_per_s: 'Tokens a second',
    cpu_percent: 'Processor, % of a core',
    rss_mib: 'Memory, MiB',
  },
  latency: 'From a hand to the sound, ms',
  latency_note: 'How long a change waits until a block of sound with it is made; the sound card adds its own.',
  facts: 'Since the start',
  fact: {
    uptime_s: 'Running',
    xruns: 'Xruns',
    starved: 'Blocks without music',
    late: 'Late notes',
    notes: 'Notes',
    pieces: 'Pieces',
    restarts: 'Restarts',
    rewinds: 'Written anew',
    cures: 'Cured',
    cpu_celsius: 'Processor, °C',
    version: 'Version',
  },
  tests: 'Tests',
  test: { tone: 'Play a test tone', broker: 'Ask the broker', knobs: 'Watch the knobs' },
  tone_played: 'A tone of one second (A) was asked for.',
  knobs_watched: 'Turn and press; what is felt appears here.',
  no_knobs: 'No knobs are wired ([gpio] is empty).',
  log: 'Log',
  now: (value) => `now ${value}`,
};

/** "bb minor" as people write it: "B♭ minor". */
export function keyName(key) {
  return key.replace(/^([a-g])([b#]?)/i, (_, letter, sign) =>
    letter.toUpperCase() + (sign && (sign === 'b' ? '♭' : '♯')),
  );
}

/** Fill in the elements that name their text. */
export function fill(root = document) {
  for (const element of root.querySelectorAll('[data-text]')) {
    element.textContent = TEXTS[element.dataset.text];
  }
  for (const element of root.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', TEXTS[element.dataset.label]);
  }
}

/** A setting's name in words; one that is not known yet is shown as it is called. */
export function settingName(name) {
  const spoken = TEXTS.settings[name] ?? name.replaceAll('_', ' ');
  return spoken[0].toUpperCase() + spoken.slice(1);
}
