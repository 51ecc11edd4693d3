// Keys. Single keys can be switched off (WCAG 2.1.4) and never work while one types.
import { enhance, kept, on } from './tools.js';
import { clearAll, here, step, toggle } from './rows.js';
import { saveForm } from './guard.js';
import { openPalette } from './palette.js';

const root = document.documentElement;
const follow = (address) => { if (address) location.assign(address); };
const click = (name) => document.querySelector(`[data-shortcut="${name}"]`)?.click();

const SINGLE = {
  '/': () => { const box = document.querySelector('[data-search]'); if (box) { box.focus(); box.select(); } else openPalette(); },
  n: () => click('new'),
  e: () => { const row = here(); if (row?.dataset.edit) follow(row.dataset.edit); else click('edit'); },
  j: () => step(1),
  k: () => step(-1),
  x: () => toggle(),
  '?': () => document.getElementById('shortcuts')?.showModal(),
};

document.addEventListener('keydown', (event) => {
  if (event.isComposing || event.defaultPrevented) return;
  const control = event.ctrlKey || event.metaKey;
  const dialog = document.querySelector('dialog[open]');
  if (control && !event.altKey && !event.shiftKey) {
    if (event.key.toLowerCase() === 'k') { event.preventDefault(); if (!dialog) openPalette(); }
    else if (event.key.toLowerCase() === 's' && !dialog) { if (saveForm()) event.preventDefault(); }
    else if (event.key === 'Enter' && !dialog && event.target.closest('form:has([data-save])')) { event.preventDefault(); saveForm(); }
    return;
  }
  if (control || event.altKey || dialog) return;
  const typing = event.target.closest('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]');
  if (typing) return;
  if (event.key === 'Enter' && event.target.matches('[data-row]')) { follow(event.target.dataset.href); return; }
  if (event.key === 'Escape') { clearAll(); return; }
  if (root.dataset.keys === 'off' || !SINGLE[event.key]) return;
  event.preventDefault();
  SINGLE[event.key]();
});

enhance('[data-keys-choice]', (box) => { box.checked = root.dataset.keys !== 'off'; });
on('change', '[data-keys-choice]', (event, box) => {
  if (box.checked) { kept.drop('tandem.keys'); delete root.dataset.keys; }
  else { kept.set('tandem.keys', 'off'); root.dataset.keys = 'off'; }
});
