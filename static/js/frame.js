// The frame: theme, drawer, menus, dialogs, messages, copying, showing secrets, times, counters.
import { count, enhance, kept, on, say } from './tools.js';

const root = document.documentElement;

// Theme: light, dark or what the system says.
enhance('[data-theme-choice]', (radio) => {
  radio.checked = radio.value === (kept.get('tandem.theme') || 'system');
});
on('change', '[data-theme-choice]', (event, radio) => {
  root.classList.add('at-once'); // no fading through grey
  setTimeout(() => root.classList.remove('at-once'), 100);
  if (radio.value === 'system') {
    kept.drop('tandem.theme');
    delete root.dataset.theme;
  } else {
    kept.set('tandem.theme', radio.value);
    root.dataset.theme = radio.value;
  }
});
window.addEventListener('storage', (event) => {
  if (event.key !== 'tandem.theme') return;
  if (event.newValue) root.dataset.theme = event.newValue; else delete root.dataset.theme;
});

// Drawer on narrow screens. What lies behind it cannot be reached while it is open.
const narrow = window.matchMedia('(max-width: 799px)');
let opener = null;
function drawer(open) {
  root.classList.toggle('drawer-open', open);
  for (const behind of document.querySelectorAll('.content, .topbar')) behind.inert = open;
  document.querySelector('[data-drawer-open]')?.setAttribute('aria-expanded', String(open));
  if (open) document.querySelector('.drawer-close')?.focus();
  else opener?.focus();
}
on('click', '[data-drawer-open]', (event, button) => { opener = button; drawer(true); });
on('click', '[data-drawer-close]', () => drawer(false));
narrow.addEventListener('change', () => drawer(false));

// Small menus close when one clicks elsewhere or presses Escape.
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details[data-menu][open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  const menu = document.querySelector('details[data-menu][open]');
  if (menu) {
    menu.open = false;
    menu.querySelector('summary').focus();
  } else if (root.classList.contains('drawer-open')) {
    drawer(false);
  }
});

// Dialogs: data-dialog="id" opens, data-close closes, a click on the backdrop closes.
on('click', '[data-dialog]', (event, button) => {
  const dialog = document.getElementById(button.dataset.dialog);
  if (!dialog?.showModal) return;
  event.preventDefault();
  button.closest('details[data-menu]')?.removeAttribute('open');
  dialog.showModal();
  dialog.querySelector('.dialog-body input:not([type=hidden]), .dialog-body select, .dialog-body textarea')?.focus();
});
on('click', '[data-close]', (event, button) => button.closest('dialog')?.close());
let pressedOn = null; // a drag that starts inside and ends on the backdrop is no click on the backdrop
document.addEventListener('pointerdown', (event) => { pressedOn = event.target; });
document.addEventListener('click', (event) => {
  if (!(event.target instanceof HTMLDialogElement) || pressedOn !== event.target) return;
  const box = event.target.getBoundingClientRect();
  const within = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!within) event.target.close();
});

on('click', '[data-dismiss]', (event, button) => {
  button.closest('.notice')?.remove();
  document.getElementById('main')?.focus({ preventScroll: true });
});

on('click', '[data-copy]', async (event, button) => {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say('Copied.');
    button.title = 'Copied';
  } catch {
    say('The browser did not allow copying.');
  }
});

on('click', '[data-reveal]', (event, button) => {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === 'text';
  input.type = shown ? 'password' : 'text';
  input.dataset.secret = ''; // stays out of drafts while it is shown
  button.setAttribute('aria-pressed', String(!shown));
  button.querySelector('span').textContent = shown ? 'Show' : 'Hide';
});

// Who writes a text of their own on the merge page means it.
on('input', '[data-merge] .merge-own .input', (event, input) => {
  const own = input.closest('[data-merge]').querySelector('input[type=radio][value=own]');
  if (own) own.checked = true;
});

enhance('[data-focus]', (element) => element.focus());

// Times: relative while they are near, a date when they are far; the exact one stays in the title.
const near = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const STEPS = [[60, 'second', 1], [3600, 'minute', 60], [86400, 'hour', 3600], [86400 * 30, 'day', 86400]];
export function tell(moment) {
  const seconds = (moment - Date.now()) / 1000;
  for (const [limit, unit, size] of STEPS) {
    if (Math.abs(seconds) < limit) return Math.abs(seconds) < 10 ? 'just now' : near.format(Math.round(seconds / size), unit);
  }
  return new Date(moment).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
}
enhance('time[data-when]', (time) => {
  const moment = Date.parse(time.dateTime);
  if (Number.isNaN(moment)) return;
  time.textContent = tell(moment);
  time.title += ` · ${new Date(moment).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' })} here`;
});
setInterval(() => {
  for (const time of document.querySelectorAll('time[data-when]')) {
    const moment = Date.parse(time.dateTime);
    if (!Number.isNaN(moment)) time.textContent = tell(moment);
  }
}, 60000);

// Counters beside long fields. The token number is a rule of thumb: four letters, or one ideograph.
enhance('[data-count]', (input) => {
  const place = document.getElementById(input.dataset.count);
  const show = () => {
    const wide = (input.value.match(/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/g) || []).length;
    const length = [...input.value].length;
    const tokens = Math.ceil((length - wide) / 4 + wide);
    place.textContent = length ? `${count(length)} characters · about ${count(tokens)} tokens` : '';
  };
  input.addEventListener('input', show);
  show();
});

// The section one reads is marked in the list beside a long form.
enhance('.section-nav', (nav) => {
  const links = new Map([...nav.querySelectorAll('a[href^="#"]')].map((link) => [document.getElementById(link.hash.slice(1)), link]));
  links.delete(null);
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target) : seen.delete(entry.target);
    const first = [...links.keys()].find((section) => seen.has(section));
    for (const [section, link] of links) section === first ? link.setAttribute('aria-current', 'true') : link.removeAttribute('aria-current');
  }, { rootMargin: '-10% 0px -55% 0px' });
  for (const section of links.keys()) watcher.observe(section);
});
