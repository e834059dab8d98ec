// The controls, drawn from what the box says can be set; both ways, whoever turns.

import { TEXTS, settingName } from './texts.js';

const ORDER = ['volume', 'tempo', 'temperature', 'instrument', 'model', 'top_p'];
const SEARCHED = 12; // A choice among more than so many gets a search field.
const HAND_MS = 600; // So long after a hand's last move its control is left alone.

export class Controls {
  #form;
  #play;
  #link;
  #say;
  #shows = new Map(); // name -> function(value, isOwn)
  #wishes = new Map(); // name -> {next, at}
  #values = {};
  #own = [];
  #drawn = '';

  /** `say(text)` shows why something did not work; `""` that all is well. */
  constructor(form, transport, link, say) {
    this.#form = form;
    this.#play = transport.querySelector('#playing');
    this.#link = link;
    this.#say = say;
    form.addEventListener('submit', (event) => event.preventDefault());
    this.#play.addEventListener('click', () => this.#wish('playing', !this.#values.playing));
    for (const button of transport.querySelectorAll('[data-act]')) {
      button.addEventListener('click', () => this.#ask({ act: [button.dataset.act] }));
    }
    this.#shows.set('playing', (playing) => {
      this.#play.textContent = playing ? TEXTS.pause : TEXTS.play;
      this.#play.dataset.playing = playing;
    });
  }

  /** What can be set. */
  schema(settings) {
    const said = JSON.stringify(settings);
    if (said === this.#drawn) return;
    this.#drawn = said;
    this.#form.replaceChildren();
    for (const name of [...this.#shows.keys()]) if (name !== 'playing') this.#shows.delete(name);
    const place = ({ name }) => (ORDER.indexOf(name) + 1 || ORDER.length + 1);
    for (const setting of settings.toSorted((a, b) => place(a) - place(b))) {
      if (setting.name !== 'playing') this.#form.append(this.#control(setting));
    }
    this.show(this.#values, this.#own);
  }

  /** What is set. */
  show(values, own) {
    [this.#values, this.#own] = [values, own];
    for (const [name, show] of this.#shows) {
      if (name in values && !this.#inHand(name)) show(values[name], own.includes(name));
    }
  }

  #control(setting) {
    const row = element('div', { className: `control ${setting.kind}` });
    row.dataset.setting = setting.name;
    if (setting.kind === 'number') this.#number(row, setting);
    else if (setting.kind === 'switch') this.#switch(row, setting);
    else this.#choice(row, setting);
    return row;
  }

  #number(row, { name, low, high, step, unit, has_own: hasOwn }) {
    const spoken = settingName(name);
    const [id, hint] = [`set-${name}`, TEXTS.hints[name]];
    const label = element('label', { htmlFor: id, textContent: spoken });
    const limits = { min: low, max: high, step };
    const range = element('input', { type: 'range', id, ...limits });
    const typed = element('input', { type: 'number', inputMode: 'decimal', ...limits });
    const unitText = TEXTS.units[unit] ?? unit ?? '';
    typed.setAttribute('aria-label', TEXTS.typed(spoken, unitText));
    range.addEventListener('input', () => {
      typed.value = range.value;
      this.#wish(name, range.valueAsNumber);
    });
    let typing = false; // What is half written is left alone.
    typed.addEventListener('input', () => {
      typing = true;
    });
    typed.addEventListener('blur', () => {
      typing = false;
      this.#show(name);
    });
    typed.addEventListener('change', () => {
      typing = false;
      if (typed.value === '') return this.#show(name);
      range.value = typed.value;
      return this.#wish(name, typed.valueAsNumber);
    });
    row.append(label, range, typed, element('span', { className: 'unit', textContent: unitText }));
    const own = hasOwn ? this.#ownButton(row, name) : null;
    if (hint) {
      row.append(element('p', { className: 'hint', id: `${id}-hint`, textContent: hint }));
      range.setAttribute('aria-describedby', `${id}-hint`);
    }
    this.#shows.set(name, (value, isOwn) => {
      range.value = value;
      if (!typing) typed.value = Number(value.toFixed(4));
      own?.(isOwn);
    });
  }

  #switch(row, { name, has_own: hasOwn }) {
    const id = `set-${name}`;
    const box = element('input', { type: 'checkbox', id });
    box.addEventListener('change', () => this.#wish(name, box.checked));
    row.append(element('label', { htmlFor: id, textContent: settingName(name) }), box);
    const own = hasOwn ? this.#ownButton(row, name) : null;
    this.#shows.set(name, (value, isOwn) => {
      box.checked = value;
      own?.(isOwn);
    });
  }

  #choice(row, { name, choices, has_own: hasOwn }) {
    const id = `set-${name}`;
    const select = element('select', { id });
    row.append(element('label', { htmlFor: id, textContent: settingName(name) }));
    const fill = (wanted) => {
      const kept = String(this.#values[name] ?? '');
      const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = ({ value, group = '' }) => {
        const text = `${value} ${group}`.toLowerCase();
        return words.every((word) => text.includes(word));
      };
      const found = choices.filter(fits);
      const groups = new Map();
      for (const choice of choices) {
        if (!found.includes(choice) && choice.value !== kept) continue;
        const group = choice.group ?? '';
        groups.set(group, [...(groups.get(group) ?? []), choice.value]);
      }
      select.replaceChildren();
      for (const [group, values] of groups) {
        const options = values.map((value) => element('option', { value, textContent: value }));
        if (group) {
          const together = element('optgroup', { label: group });
          together.append(...options);
          select.append(together);
        } else select.append(...options);
      }
      select.value = kept;
      return found;
    };
    if (choices.length > SEARCHED) {
      const search = element('input', { type: 'search', placeholder: TEXTS.search(settingName(name)) });
      search.setAttribute('aria-label', TEXTS.search(settingName(name)));
      const count = element('span', { className: 'found' });
      count.setAttribute('role', 'status');
      const look = () => {
        const found = fill(search.value);
        const said = found.length ? TEXTS.found(found.length) : TEXTS.none_found;
        count.textContent = search.value ? said : '';
        return found;
      };
      search.addEventListener('input', look);
      search.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter') return;
        const [first] = look();
        if (first && search.value) this.#wish(name, first.value);
      });
      row.append(search, count);
    }
    select.addEventListener('change', () => this.#wish(name, select.value));
    row.append(select);
    const own = hasOwn ? this.#ownButton(row, name) : null;
    fill('');
    this.#shows.set(name, (value, isOwn) => {
      if (![...select.options].some((option) => option.value === String(value))) {
        select.append(element('option', { value, textContent: value }));
      }
      select.value = value;
      own?.(isOwn);
    });
  }

  #ownButton(row, name) {
    const button = element('button', { type: 'button', className: 'own', textContent: TEXTS.own });
    button.setAttribute('aria-label', TEXTS.own_hint(settingName(name)));
    button.title = TEXTS.own_hint(settingName(name));
    button.addEventListener('click', () => this.#wish(name, 'own'));
    row.append(button);
    return (isOwn) => button.setAttribute('aria-pressed', String(isOwn));
  }

  /** One wish of each setting is on its way at a time; of those that wait the last one counts. */
  async #wish(name, value) {
    const waiting = this.#wishes.get(name);
    if (waiting) {
      Object.assign(waiting, { next: value, some: true, at: performance.now() });
      return;
    }
    const mine = { next: value, some: true, at: performance.now() };
    this.#wishes.set(name, mine);
    let refused = false;
    while (mine.some && !refused) {
      mine.some = false;
      refused = !(await this.#ask({ set: { [name]: mine.next } }));
    }
    this.#wishes.delete(name);
    if (refused) this.#show(name);
    else setTimeout(() => this.#show(name), HAND_MS);
  }

  async #ask(wish) {
    const answer = await this.#link.ask(wish);
    if (answer.is === 'done') {
      this.#say('');
      return true;
    }
    this.#say(answer.offline ? TEXTS.not_connected : answer.error);
    return false;
  }

  #inHand(name) {
    return this.#wishes.has(name);
  }

  #show(name) {
    if (name in this.#values && !this.#inHand(name)) {
      this.#shows.get(name)?.(this.#values[name], this.#own.includes(name));
    }
  }
}

/** A new element with `properties`. */
export function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
