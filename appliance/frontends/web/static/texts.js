// Every text of the pages. A translation is another file like this one.

export const TEXTS = {
  skip: 'Skip to the settings',
  pages: 'Pages',
  health: 'Health',
  back: 'Back to the music',
  log_in: 'Log in',
  log_out: 'Log out',
  played: 'played',
  composed_ahead: 'composed ahead, may still change',
  transport: 'Playback',
  settings: 'Settings',
  password: 'Password',
  cancel: 'Cancel',

  play: 'Play',
  pause: 'Pause',
  restart_piece: 'Restart piece',
  next_piece: 'Next piece',

  listen: {
    off: 'Play on this device',
    connecting: 'Play on this device: connecting …',
    playing: 'Playing on this device',
  },
  history: {
    save: 'Save this piece',
    title: 'Recent pieces',
    none: 'Nothing has been played yet.',
    still_playing:
      'This piece is still playing: the files hold what you have heard so far. Download them after its end for the whole piece.',
    just_played: 'The highlighted piece has just ended. Choose a file to download.',
    failed: 'The list of pieces cannot be loaded.',
    files: { mid: 'MIDI', wav: 'Sound (WAV)', musicxml: 'Score (MusicXML)' },
    piece: ({ title, seconds, model, playing, complete }) =>
      [
        title,
        model,
        `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`,
        playing ? 'playing' : complete ? '' : 'stopped early',
      ]
        .filter(Boolean)
        .join(' · '),
  },

  connection: {
    connecting: 'Connecting …',
    live: 'Connected',
    lost: 'Connection lost; trying again …',
  },
  condition: {
    starting: 'Starting …',
    paused: 'Paused',
    no_sound_card: 'No sound card',
    stopped: 'Stopped',
  },
  composing_first: 'Composing the first piece …',
  piece: (title, group) => (group ? `${title}, ${group}` : title),
  bar: (bar) => (bar > 0 ? `Bar ${bar}` : 'Pickup'),
  seed: (seed, model) => `Model ${model}, seed ${seed}`,
  roll: (piece) => `Piano roll of the music, scrolling as it plays. ${piece}`,

  number_field: (setting, unit) => `${setting} as a number${unit ? `, ${unit}` : ''}`,
  use_default: "Use the model's default",
  use_default_of: (setting) => `Use the model's default ${setting.toLowerCase()}`,
  search: (setting) => `Search ${setting.toLowerCase()}`,
  found: (count) => (count ? `${count} found` : 'Nothing found'),

  not_connected: 'Not connected: nothing was changed.',
  read_only: 'View only. Log in to change settings.',
  login_to_control: 'A password is needed to change settings.',
  login_to_see: 'A password is needed to see this page and to change settings.',
  choose_password: 'Choose a password',
  choose_password_reason:
    'This box is new. Choose a password of 8 characters or more; from now on it is needed to change settings.',
  save_password: 'Save password',

  health_title: 'Health',
  charts: {
    xruns: 'Audio dropouts (xruns) per minute',
    look_ahead_s: 'Music composed ahead, in seconds',
    notes_per_s: 'Notes composed per second',
    tokens_per_s: 'Model tokens per second',
    cpu_percent: 'Processor, % of one core',
    rss_mib: 'Memory, MiB',
  },
  latency: 'From a change to its sound, in ms',
  latency_note:
    'How long it takes until a changed setting is in the rendered sound. The sound card adds its own delay.',
  facts: 'Since the start',
  fact: {
    uptime_s: 'Running for',
    xruns: 'Audio dropouts (xruns)',
    starved_blocks: 'Silent blocks (composer too slow)',
    late_notes: 'Notes played late',
    notes: 'Notes composed',
    pieces: 'Pieces composed',
    restarts: 'Process restarts',
    rewinds: 'Rewinds (music composed again)',
    interventions: 'Stalls resolved',
    cpu_celsius: 'Processor temperature, °C',
    version: 'Bachbox version',
    mqtt_topic: 'Topics on the MQTT broker',
  },
  tests: 'Tests',
  test: {
    tone: 'Play a test tone',
    broker: 'Test the MQTT connection',
    inputs: 'Show knob and button events',
  },
  tone_played: 'Playing a tone of one second (A).',
  inputs_shown: 'Turn a knob or press a button; each event appears here.',
  no_inputs: 'No knobs or buttons are configured ([gpio] is empty).',
  log: 'Log',
  now: (value) => `now ${value}`,
};

/** Fill in the elements that name their text. */
export function fillTexts(root = document) {
  for (const element of root.querySelectorAll('[data-text]')) {
    element.textContent = TEXTS[element.dataset.text];
  }
  for (const element of root.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', TEXTS[element.dataset.label]);
  }
}
