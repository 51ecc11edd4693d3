// Ctrl+K: jump to a page, to what this page offers, or to a character the server finds.
// body[data-palette-url] answers ?q=: {"results": [{"title", "subtitle"?, "url", "kind"?}]}.
import { ask, later, make, on, withQuery } from './tools.js';

const dialog = document.getElementById('palette');
const input = dialog?.querySelector('input');
const list = dialog?.querySelector('ul');
const note = dialog?.querySelector('.palette-note');
const address = document.body.dataset.paletteUrl;
const fold = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
let shown = [];
let remote = [];
let at = 0;
let abort = null;

function pages() {
  const links = [...document.querySelectorAll('.nav a[href], .account-menu a[href]')].map((link) => ({ title: link.textContent.trim(), kind: 'page', url: link.href }));
  const offers = [...document.querySelectorAll('a[data-shortcut][href]')].map((link) => ({ title: link.textContent.trim(), kind: 'here', url: link.href }));
  return [...offers, ...links];
}

function score(title, text) {
  const name = fold(title);
  const asked = fold(text.trim());
  if (!asked) return 1;
  if (name.startsWith(asked)) return 3;
  return asked.split(/\s+/).every((word) => name.includes(word)) ? 2 : 0;
}

function draw() {
  const text = input.value;
  const local = pages().map((row) => [score(row.title, text), row]).filter(([points]) => points).sort((a, b) => b[0] - a[0]).map(([, row]) => row);
  shown = [...local, ...remote];
  at = Math.min(Math.max(at, 0), Math.max(shown.length - 1, 0));
  list.replaceChildren(...shown.map((row, index) => make('li', { role: 'option', id: `palette-${index}`, 'aria-selected': String(index === at) },
    make('span', { class: 'palette-title' }, row.title), make('span', { class: 'muted' }, row.subtitle || row.kind || ''))));
  mark();
}

function mark() {
  [...list.children].forEach((item, index) => item.setAttribute('aria-selected', String(index === at)));
  const item = list.children[at];
  if (item) { input.setAttribute('aria-activedescendant', item.id); item.scrollIntoView({ block: 'nearest' }); }
  else input.removeAttribute('aria-activedescendant');
}

const look = later(async () => {
  const text = input.value.trim();
  if (!address || text.length < 2) { note.textContent = shown.length ? '' : 'Nothing here is called so.'; return; }
  abort?.abort();
  abort = new AbortController();
  try {
    const answer = await ask(withQuery(address, { q: text }), abort.signal);
    remote = (answer.results || []).slice(0, 20);
    draw();
    note.textContent = shown.length ? '' : 'Nothing is called so.';
  } catch (error) {
    if (error.name !== 'AbortError') note.textContent = error.message;
  }
}, 150);

function open(row, event) {
  if (!row) return;
  const url = new URL(row.url, location.href);
  if (url.origin !== location.origin) return;
  if (event.ctrlKey || event.metaKey) window.open(url, '_blank', 'noopener');
  else { dialog.close(); location.assign(url); }
}

export function openPalette() {
  if (!dialog?.showModal || dialog.open) return;
  document.documentElement.classList.remove('drawer-open');
  for (const behind of document.querySelectorAll('.content, .topbar')) behind.inert = false;
  input.value = '';
  remote = [];
  at = 0;
  note.textContent = '';
  draw();
  dialog.showModal();
  input.focus();
}

on('click', '[data-palette-open]', () => openPalette());
input?.addEventListener('input', () => { at = 0; remote = []; draw(); look(); });
input?.addEventListener('keydown', (event) => {
  if (event.isComposing) return;
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    if (shown.length) at = (at + (event.key === 'ArrowDown' ? 1 : -1) + shown.length) % shown.length;
    mark();
  } else if (event.key === 'Enter') {
    event.preventDefault();
    open(shown[at], event);
  }
});
list?.addEventListener('click', (event) => {
  const item = event.target.closest('[role=option]');
  if (item) open(shown[[...list.children].indexOf(item)], event);
});
