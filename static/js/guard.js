// Text is not lost: leaving a changed form asks first, and what was changed is kept in this browser until it is saved.
// <form data-guard data-draft="characters:ID" data-version="…"; data-dirty when the server gives back what was typed>.
// Only fields that differ from what the page showed are kept. Never kept: passwords, keys, files, hidden fields.
import { enhance, inThisTab, kept, make, on, say } from './tools.js';
import { tell } from './frame.js';

const PREFIX = `tandem.draft.${document.body.dataset.account || ''}.`;
const OLDEST = 30 * 24 * 3600 * 1000;
const SECRET = /pass|secret|(?<!max_)token|api.?key|cipher|pepper|credential/i;

function keeps(field) {
  if (!field.name || field.disabled || field.closest('[data-secret]') || SECRET.test(field.name)) return false;
  if (/^(password|file|hidden|submit|button|image|reset)$/.test(field.type)) return false;
  return !/password|one-time-code/.test(field.autocomplete || '');
}

/** name -> values as a form stands; pickers as "picker:name" -> [{id, name, isNew}]. */
function state(form) {
  const now = {};
  for (const field of form.elements) {
    if (!keeps(field)) continue;
    const values = (now[field.name] ||= []);
    if (field.type === 'checkbox' || field.type === 'radio') { if (field.checked) values.push(field.value); }
    else if (field.multiple) values.push(...[...field.selectedOptions].map((option) => option.value));
    else values.push(field.value);
  }
  for (const root of form.querySelectorAll('[data-tag-picker]')) {
    if (root.picker) now[`picker:${root.dataset.name}`] = root.picker.values();
  }
  return now;
}

function put(form, draft) {
  for (const [name, values] of Object.entries(draft)) {
    if (name.startsWith('picker:')) {
      [...form.querySelectorAll('[data-tag-picker]')].find((root) => root.dataset.name === name.slice(7))?.picker?.set(values);
      continue;
    }
    const fields = [...form.elements].filter((field) => field.name === name && keeps(field));
    fields.forEach((field, at) => {
      if (field.type === 'checkbox' || field.type === 'radio') field.checked = values.includes(field.value);
      else if (field.multiple) for (const option of field.options) option.selected = values.includes(option.value);
      else field.value = values[at] ?? '';
      field.dispatchEvent(new Event('input', { bubbles: true }));
    });
  }
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const differing = (now, before) => Object.fromEntries(Object.entries(now).filter(([name, values]) => !same(values, before[name])));

function load(key) {
  try { return JSON.parse(kept.get(key)); } catch { return null; }
}

function guard(form) {
  const key = PREFIX + (form.dataset.draft || location.pathname + location.search);
  const note = form.querySelector('[data-save-note]');
  const usual = note?.textContent || '';
  const before = state(form);
  const given = 'dirty' in form.dataset;
  const stored = load(key);
  let carried = given ? stored?.fields || {} : {};
  let sending = false;
  let timer;

  const dirty = () => given || Object.keys(differing(state(form), before)).length > 0;
  const save = () => {
    const fields = { ...carried, ...differing(state(form), before) };
    if (!Object.keys(fields).length) { kept.drop(key); return true; }
    return kept.set(key, JSON.stringify({ fields, at: Date.now(), version: form.dataset.version || '', path: location.pathname }));
  };
  const changed = () => {
    const is = dirty();
    form.classList.toggle('is-dirty', is);
    if (note) note.textContent = is ? 'Not saved yet' : usual;
    clearTimeout(timer);
    timer = setTimeout(() => { if (!sending) save(); }, 600);
  };
  form.addEventListener('input', changed);
  form.addEventListener('change', changed);
  window.addEventListener('submit', (event) => { // on the window: after all others could stop it
    if (event.target !== form || event.defaultPrevented) return;
    clearTimeout(timer);
    save();
    inThisTab.set('tandem.sent', key);
    sending = true;
    setTimeout(() => { sending = false; }, 8000);
  });
  window.addEventListener('beforeunload', (event) => { if (!sending && dirty()) event.preventDefault(); });
  window.addEventListener('pagehide', () => { if (!sending && dirty()) save(); });
  if (given) changed();

  if (!stored?.fields || given) return;
  const now = state(form);
  const left = Object.fromEntries(Object.entries(stored.fields).filter(([name, values]) => name in now && !same(values, now[name])));
  if (!Object.keys(left).length) { kept.drop(key); return; }
  const names = Object.keys(left).map((name) => label(form, name));
  const newer = stored.version && form.dataset.version && stored.version !== form.dataset.version;
  const back = make('button', { type: 'button', class: 'btn btn-primary btn-small' }, 'Bring it back');
  const away = make('button', { type: 'button', class: 'btn btn-plain btn-small' }, 'Throw it away');
  const offer = make('div', { class: 'notice notice-warn draft-offer', role: 'status' }, make('div', { class: 'notice-text' },
    make('p', {}, make('strong', {}, `You typed something here ${tell(stored.at)} that was not saved: ${names.join(', ')}.`),
      newer ? ' The record was saved since then; look before you save over it.' : '')), make('div', { class: 'row-buttons' }, back, away));
  back.addEventListener('click', () => { put(form, left); offer.remove(); changed(); say('Your text is back. It is not saved yet.'); form.querySelector('.input')?.focus(); });
  away.addEventListener('click', () => { kept.drop(key); offer.remove(); form.querySelector('.input')?.focus(); });
  form.prepend(offer);
}

function label(form, name) {
  const root = name.startsWith('picker:') ? [...form.querySelectorAll('[data-tag-picker]')].find((one) => one.dataset.name === name.slice(7)) : null;
  const field = root ? null : [...form.elements].find((one) => one.name === name);
  const text = (root?.querySelector('label') || field?.labels?.[0])?.firstChild?.textContent?.trim();
  return text || name;
}

// The page after a save: with a message of success the draft has done its work.
const sent = inThisTab.get('tandem.sent');
if (sent) {
  inThisTab.drop('tandem.sent');
  if (document.querySelector('[data-flash="ok"]') && !document.querySelector('form[data-dirty]')) kept.drop(sent);
}
for (const key of kept.keys()) {
  if (key.startsWith('tandem.draft.') && !(Date.now() - load(key)?.at < OLDEST)) kept.drop(key);
}
on('submit', '[data-sign-out]', () => {
  for (const key of kept.keys()) if (key.startsWith(PREFIX)) kept.drop(key);
});

enhance('form[data-guard]', (form) => guard(form)); // after the pickers: their module comes first

/** The form that Ctrl+S means. */
export function saveForm() {
  const form = document.activeElement?.closest?.('form:has([data-save])') || document.querySelector('form:has([data-save])');
  form?.requestSubmit(form.querySelector('[data-save]'));
  return Boolean(form);
}
