// The tag picker: a select that becomes chips and a text field with suggestions from the server.
// Root: data-tag-picker data-name data-url? data-can-create? data-placeholder. Posts name=<id>, and <name>-new=<text> for new ones.
// Events: "change" bubbles from the root; root.picker = {values(), set(values)} with values [{id, name, isNew}].
import { ask, count, drawing, enhance, later, make, say, withQuery } from './tools.js';

let number = 0;
const fold = (text) => text.normalize('NFC').trim().toLocaleLowerCase();

class Picker {
  constructor(root) {
    this.root = root;
    this.name = root.dataset.name;
    const select = root.querySelector('select');
    this.local = [...select.options].map((option) => ({ id: option.value, name: option.textContent.trim() }));
    this.chosen = [...select.options].filter((option) => option.selected).map((option) => ({ id: option.value, name: option.textContent.trim() }));
    this.found = [];
    this.at = -1;
    this.build(select);
    this.draw();
    root.picker = { values: () => this.chosen.map((tag) => ({ ...tag })), set: (tags) => { this.chosen = tags; this.draw(); this.changed(); } };
    root.dataset.ready = '';
  }

  build(select) {
    const id = select.id;
    const list = `${id}-list-${++number}`;
    const described = select.getAttribute('aria-describedby');
    const label = this.root.querySelector('label');
    const error = this.root.querySelector('.field-errors');
    this.input = make('input', {
      type: 'text', id, role: 'combobox', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', 'aria-expanded': 'false', 'aria-controls': list,
      'aria-autocomplete': 'list', 'aria-describedby': [described, error?.id].filter(Boolean).join(' ') || null, 'aria-invalid': error ? 'true' : null,
    });
    this.list = make('ul', { id: list, role: 'listbox', class: 'picker-list', 'aria-label': label?.textContent || 'Tags', hidden: true });
    this.box = make('div', { class: 'picker', 'data-invalid': Boolean(error) }, this.input, this.list);
    this.root.querySelector('[data-plain-new]')?.closest('label').remove();
    select.replaceWith(this.box);

    this.input.addEventListener('input', () => {
      this.search.cancel();
      if (this.input.value.trim()) this.search();
      else { this.abort?.abort(); this.close(); } // an open list would cover what comes below
    });
    this.input.addEventListener('click', () => { if (this.list.hidden) this.search(); });
    this.input.addEventListener('keydown', (event) => this.key(event));
    this.input.addEventListener('blur', () => { this.abort?.abort(); this.search.cancel(); this.close(); });
    this.list.addEventListener('pointerdown', (event) => event.preventDefault()); // the field keeps the focus
    this.list.addEventListener('click', (event) => {
      const item = event.target.closest('[role=option]');
      if (item) this.take(this.found[[...this.list.children].indexOf(item)]);
    });
    this.box.addEventListener('click', (event) => {
      const button = event.target.closest('.chip-x');
      if (button) this.remove(Number(button.dataset.at));
      else if (event.target === this.box) this.input.focus();
    });
    this.search = later(() => this.look(), 160);
  }

  draw() {
    for (const old of this.box.querySelectorAll('.chip, input[type=hidden]')) old.remove();
    this.chosen.forEach((tag, at) => {
      const away = make('button', { type: 'button', class: 'chip-x', 'data-at': at, 'aria-label': `Remove ${tag.name}`, title: `Remove ${tag.name}` }, drawing('close'));
      const chip = make('span', { class: tag.isNew ? 'chip chip-new' : 'chip', title: tag.isNew ? 'New tag; made when you save' : null }, make('span', { class: 'chip-text' }, tag.name), away);
      const sent = make('input', { type: 'hidden', name: tag.isNew ? `${this.name}-new` : this.name, value: tag.isNew ? tag.name : tag.id });
      this.input.before(chip, sent);
    });
    this.input.placeholder = this.chosen.length ? '' : this.root.dataset.placeholder || '';
  }

  changed() {
    this.root.dispatchEvent(new Event('change', { bubbles: true }));
  }

  async look() {
    const text = this.input.value.trim();
    let rows;
    let more = false;
    this.abort?.abort();
    this.abort = new AbortController();
    if (this.root.dataset.url) {
      try {
        const answer = await ask(withQuery(this.root.dataset.url, { q: text }), this.abort.signal);
        rows = answer.results || [];
        more = Boolean(answer.more);
      } catch (error) {
        if (error.name === 'AbortError') return;
        this.show([], error.message);
        return;
      }
    } else {
      rows = this.local.filter((tag) => fold(tag.name).includes(fold(text)));
      more = rows.length > 50;
      rows = rows.slice(0, 50);
    }
    if (document.activeElement !== this.input) return;
    const taken = new Set(this.chosen.map((tag) => tag.isNew ? `new:${fold(tag.name)}` : tag.id));
    const exact = rows.some((tag) => fold(tag.name) === fold(text)) || this.chosen.some((tag) => fold(tag.name) === fold(text));
    const found = rows.filter((tag) => !taken.has(tag.id));
    const creates = text && !exact && 'canCreate' in this.root.dataset;
    if (creates) found.push({ id: '', name: text, isNew: true });
    const note = found.length ? (more ? 'More match: type on to narrow them down' : '') : text ? (exact ? `“${text}” is already chosen` : `No tag called “${text}”`) : 'No tags yet';
    this.show(found, note, text);
    const known = found.length - (creates ? 1 : 0);
    say(found.length ? `${known === 1 ? '1 tag' : `${count(known)} tags`} found${creates ? `, or make “${text}”` : ''}` : note);
  }

  show(found, note = '', text = '') {
    this.found = found;
    this.at = found.length && text ? 0 : -1;
    const rows = found.map((tag, at) => {
      const item = make('li', { role: 'option', id: `${this.list.id}-${at}`, 'aria-selected': String(at === this.at) });
      if (tag.isNew) item.append(make('span', {}, 'Create ', make('strong', {}, `“${tag.name}”`)));
      else {
        item.append(this.marked(tag.name, text));
        if (tag.count !== undefined && tag.count !== null) item.append(make('span', { class: 'muted' }, count(tag.count)));
      }
      return item;
    });
    if (note) rows.push(make('li', { role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false' }, make('span', { class: 'muted' }, note)));
    this.list.replaceChildren(...rows);
    this.list.hidden = false;
    this.input.setAttribute('aria-expanded', 'true');
    this.list.classList.remove('upward');
    const box = this.list.getBoundingClientRect();
    const above = this.box.getBoundingClientRect().top;
    if (box.bottom > window.innerHeight && above > box.height) this.list.classList.add('upward');
    this.mark();
  }

  marked(name, text) {
    const at = text ? name.toLocaleLowerCase().indexOf(text.toLocaleLowerCase()) : -1;
    if (at < 0) return make('span', {}, name);
    return make('span', {}, name.slice(0, at), make('mark', {}, name.slice(at, at + text.length)), name.slice(at + text.length));
  }

  mark() {
    [...this.list.children].forEach((item, at) => item.setAttribute('aria-selected', String(at === this.at)));
    const item = this.list.children[this.at];
    if (item) {
      this.input.setAttribute('aria-activedescendant', item.id);
      item.scrollIntoView({ block: 'nearest' });
    } else this.input.removeAttribute('aria-activedescendant');
  }

  close() {
    this.list.hidden = true;
    this.at = -1;
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
  }

  key(event) {
    const open = !this.list.hidden;
    if (event.isComposing) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!open) { this.look(); return; }
      const by = event.key === 'ArrowDown' ? 1 : -1;
      if (this.found.length) this.at = (this.at + by + this.found.length + (this.at < 0 && by < 0 ? 1 : 0)) % this.found.length;
      this.mark();
    } else if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) {
      if (open || this.input.value) event.preventDefault(); // Enter here never sends the form
      if (open && this.found[this.at]) this.take(this.found[this.at]);
    } else if (event.key === ',') {
      event.preventDefault();
      const text = fold(this.input.value);
      const match = this.found.find((tag) => fold(tag.name) === text);
      if (match) this.take(match);
    } else if (event.key === 'Escape' && open) {
      event.preventDefault(); // closes the list, not the dialog around it
      event.stopPropagation();
      this.close();
    } else if (event.key === 'Backspace' && !this.input.value && this.chosen.length) {
      this.remove(this.chosen.length - 1);
    }
  }

  take(tag) {
    if (!tag) return;
    this.chosen.push({ id: tag.id, name: tag.name, isNew: Boolean(tag.isNew) });
    this.input.value = '';
    this.draw();
    this.close();
    this.changed();
    say(`${tag.name} added`);
  }

  remove(at) {
    const [gone] = this.chosen.splice(at, 1);
    this.draw();
    this.changed();
    this.input.focus();
    this.close();
    say(`${gone.name} removed`);
  }
}

enhance('[data-tag-picker]', (root) => new Picker(root));
