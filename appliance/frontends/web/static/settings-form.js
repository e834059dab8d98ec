// The settings as widgets, drawn from the schema that the box sends, and always up to date.

import { ChangeQueue } from './change-queue.js';
import { drawHours, drawTime } from './clock-widgets.js';
import { element, setText } from './dom.js';
import { inOrder, placeOf } from './settings-places.js';
import { TEXTS, fill, translated } from './texts.js';

const DEFAULT = 'default'; // In place of a value: use the model's default.
const MIN_SEARCHED_OPTIONS = 40; // From as many options on, a choice has a search field.
const MAX_RESULTS = 8; // The most results of a search that are shown.
const MAY_NOT_PLAY = ['output', 'soundfont']; // Then the box goes back to the one before.
const HAND_MS = 600; // How long after an accepted change the widget is set to the value of the box.

export class SettingsForm {
  #places;
  #playButton;
  #connection;
  #showError;
  #changes = new ChangeQueue((name, value) => this.request({ set: { [name]: value } }));
  #updates = new Map(); // name -> function(value, isDefault), which updates the widget
  #values = {};
  #modelDefaults = [];
  #chosen = {}; // name -> the value that was chosen here last, of those in MAY_NOT_PLAY
  #drawnSchema = '';
  #pieceTempo = element('p', { className: 'hint', id: 'piece-tempo', hidden: true });

  /**
   * Draws into the elements of `form` that have a `data-place`, and the volume into `volume`;
   * connects the buttons in `transport`. `showError(text)` shows why something failed, or with ""
   * that nothing did.
   */
  constructor(form, volume, transport, connection, showError) {
    this.#places = new Map([['volume', volume]]);
    for (const place of form.querySelectorAll('[data-place]')) {
      this.#places.set(place.dataset.place, place.querySelector('.widgets') ?? place);
    }
    this.#playButton = transport.querySelector('#playing');
    this.#connection = connection;
    this.#showError = showError;
    form.addEventListener('submit', (event) => event.preventDefault());
    this.#playButton.addEventListener('click', () => {
      // What the button shows counts: the answer to a press before this one may be on its way.
      const playing = this.#playButton.dataset.playing !== 'true';
      this.#updates.get('playing')(playing);
      this.#change('playing', playing);
    });
    for (const button of transport.querySelectorAll('[data-action]')) {
      button.addEventListener('click', () => this.request({ actions: [button.dataset.action] }));
    }
    this.#updates.set('playing', (playing) => {
      const label = playing ? TEXTS.pause : TEXTS.play;
      this.#playButton.querySelector('span').textContent = label;
      this.#playButton.title = label;
      this.#playButton.dataset.playing = playing;
    });
  }

  /** Draw a widget for every setting of `schema`. */
  draw(schema) {
    // A piece that is saved elsewhere, for example, changes nothing here.
    const drawn = inOrder(schema).filter((sent) => this.#places.has(placeOf(sent)));
    const text = JSON.stringify(drawn);
    if (text === this.#drawnSchema) return;
    this.#drawnSchema = text;
    for (const place of this.#places.values()) place.replaceChildren();
    for (const sent of drawn) {
      const place = this.#places.get(placeOf(sent));
      const setting = { ...sent, title: translated(sent.title), hint: translated(sent.hint ?? '') };
      this.#updates.delete(setting.name);
      place.append(this.#widget(setting));
    }
    for (const place of this.#places.values()) {
      const folded = place.closest('details');
      if (folded) folded.hidden = !place.childElementCount;
    }
    this.update(this.#values, this.#modelDefaults);
  }

  /** Show the current values, and which settings follow the model's default. */
  update(values, modelDefaults) {
    for (const [name, refused] of Object.entries(this.#chosen)) {
      if (this.#values[name] !== refused || values[name] === refused) continue;
      delete this.#chosen[name];
      const working = translated(values[name]);
      this.#showError(fill(TEXTS.went_back, { refused: translated(refused), working }));
    }
    [this.#values, this.#modelDefaults] = [values, modelDefaults];
    for (const name of this.#updates.keys()) this.#updateWidget(name);
  }

  /** Show how fast the piece plays, in BPM: each kind has its own share of the tempo that is set. */
  showPieceTempo(bpm) {
    this.#pieceTempo.hidden = !bpm;
    setText(this.#pieceTempo, fill(TEXTS.piece_tempo, { bpm: Math.round(bpm) }));
  }

  #widget(setting) {
    const widget = element('div', { className: `widget ${setting.kind}` });
    widget.dataset.setting = setting.name;
    const show = this.#draw(widget, setting);
    const showDefault = setting.has_default ? this.#appendDefaultButton(widget, setting) : null;
    const hint = this.#hintFor(setting);
    if (hint) {
      widget.append(hint);
      widget.querySelector(`#set-${setting.name}`).setAttribute('aria-describedby', hint.id);
    }
    this.#updates.set(setting.name, (value, isDefault) => {
      show(value);
      showDefault?.(isDefault);
    });
    return widget;
  }

  #hintFor({ name, hint }) {
    if (name === 'tempo') return this.#pieceTempo;
    return hint && element('p', { className: 'hint', id: `hint-${name}`, textContent: hint });
  }

  /** Append to `widget` what its kind needs; returns what shows a value. */
  #draw(widget, setting) {
    const change = (value) => this.#change(setting.name, value);
    switch (setting.kind) {
      case 'number':
        return this.#drawNumber(widget, setting);
      case 'switch':
        return this.#drawSwitch(widget, setting);
      case 'time':
        return drawTime(widget, setting, change);
      case 'hours':
        return drawHours(widget, setting, change);
      default:
        return this.#drawChoice(widget, setting);
    }
  }

  /** A slider, and a field to type the number. */
  #drawNumber(widget, { name, title, low, high, step, unit }) {
    const id = `set-${name}`;
    const limits = { min: low, max: high, step };
    const slider = element('input', { type: 'range', id, ...limits });
    const field = element('input', { type: 'number', inputMode: 'decimal', ...limits });
    const label = unit ? TEXTS.number_field_unit : TEXTS.number_field;
    field.setAttribute('aria-label', fill(label, { setting: title, unit }));
    slider.addEventListener('input', () => {
      field.value = slider.value;
      this.#change(name, slider.valueAsNumber);
    });
    // What is typed replaces the number, wherever in it a finger has tapped.
    field.addEventListener('click', () => field.select());
    let isTyping = false; // A half-typed number is not overwritten.
    field.addEventListener('input', () => {
      isTyping = true;
    });
    field.addEventListener('blur', () => {
      isTyping = false;
      this.#updateWidget(name);
    });
    field.addEventListener('change', () => {
      isTyping = false;
      if (field.value === '') return this.#updateWidget(name);
      slider.value = field.value;
      return this.#change(name, field.valueAsNumber);
    });
    widget.append(
      element('label', { htmlFor: id, textContent: title }),
      slider,
      field,
      element('span', { className: 'unit', textContent: unit ?? '' }),
    );
    return (value) => {
      slider.value = value;
      if (!isTyping) field.value = Number(value.toFixed(4));
    };
  }

  #drawSwitch(widget, { name, title }) {
    const id = `set-${name}`;
    const box = element('input', { type: 'checkbox', id });
    box.addEventListener('change', () => this.#change(name, box.checked));
    widget.append(element('label', { htmlFor: id, textContent: title }), box);
    return (value) => {
      box.checked = value;
    };
  }

  #drawChoice(widget, { name, title, group, choices }) {
    const id = `set-${name}`;
    const select = element('select', { id });
    widget.append(element('label', { htmlFor: id, textContent: title }));
    select.append(...optionElements(choices));
    select.addEventListener('change', () => {
      if (MAY_NOT_PLAY.includes(name)) this.#chosen[name] = select.value;
      this.#change(name, select.value);
    });
    widget.append(select);
    if (!group && choices.length >= MIN_SEARCHED_OPTIONS) {
      this.#appendSearch(widget, title, choices, (value) => this.#change(name, value));
    }
    return (value) => {
      if (![...select.options].some((option) => option.value === String(value))) {
        select.append(element('option', { value, textContent: translated(String(value)) }));
      }
      select.value = value;
    };
  }

  /** A field with a button below for each option that matches; Enter chooses the first one. */
  #appendSearch(widget, title, choices, change) {
    widget.classList.add('searched');
    const label = fill(TEXTS.search, { setting: title });
    const field = element('input', { type: 'search', placeholder: label });
    field.setAttribute('aria-label', label);
    const count = element('span', { className: 'result-count' });
    count.setAttribute('role', 'status');
    const results = element('div', { className: 'results' });
    const choose = ({ value }) => {
      field.value = '';
      search();
      change(value);
    };
    const search = () => {
      const found = field.value ? matchingOptions(choices, field.value) : [];
      count.textContent = field.value ? foundText(found.length) : '';
      results.replaceChildren(...found.slice(0, MAX_RESULTS).map((option) => {
        const button = element('button', { type: 'button', textContent: translated(option.value) });
        button.addEventListener('click', () => {
          widget.querySelector('select').focus();
          choose(option);
        });
        return button;
      }));
      return found;
    };
    field.addEventListener('input', search);
    field.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter') return;
      const [first] = search();
      if (first) choose(first);
    });
    widget.append(field, count, results);
  }

  #appendDefaultButton(widget, { name, title }) {
    widget.classList.add('has-default');
    const button = element('button', {
      type: 'button', className: 'use-default', textContent: TEXTS.use_default,
    });
    button.setAttribute('aria-label', fill(TEXTS.use_default_of, { setting: title }));
    button.addEventListener('click', () => this.#change(name, DEFAULT));
    widget.append(button);
    return (isDefault) => button.setAttribute('aria-pressed', String(isDefault));
  }

  async #change(name, value) {
    const accepted = await this.#changes.change(name, value);
    if (accepted === null) return;
    if (accepted) setTimeout(() => this.#updateWidget(name), HAND_MS);
    else this.#updateWidget(name);
  }

  /** Send a change; resolves to whether it was accepted. */
  async request(change) {
    const answer = await this.#connection.request(change);
    if (answer.type === 'done') {
      this.#showError((answer.warnings ?? []).join(' '));
      return true;
    }
    this.#showError(answer.offline ? TEXTS.not_connected : answer.error);
    return false;
  }

  #updateWidget(name) {
    if (name in this.#values && !this.#changes.isPending(name)) {
      this.#updates.get(name)?.(this.#values[name], this.#modelDefaults.includes(name));
    }
  }
}

function foundText(count) {
  return count ? fill(TEXTS.found, { count }) : TEXTS.found_none;
}

/** Return the options that contain every word of `query`, in their value or their group. */
export function matchingOptions(options, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return options.filter(({ value, group = '' }) => {
    const text = `${translated(value)} ${translated(group)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Return an `option` for every option, those with a group inside an `optgroup`. */
function optionElements(options) {
  const groups = new Map();
  for (const { value, group = '' } of options) {
    groups.set(group, [...(groups.get(group) ?? []), value]);
  }
  return [...groups].flatMap(([group, values]) => {
    const found = values.map((value) => element('option', { value, textContent: translated(value) }));
    if (!group) return found;
    const parent = element('optgroup', { label: translated(group) });
    parent.append(...found);
    return [parent];
  });
}
