// Selecting rows: single, a range with Shift, all of a page, all that match; and the bar that says how many.
import { count, enhance, on, say } from './tools.js';

const bulks = () => document.querySelectorAll('form[data-bulk]');
const boxes = (form) => [...document.querySelectorAll('[data-select]')].filter((box) => box.form === form);
let last = null;

/** How many records an action of this form would touch, as text and, if known, as a number. */
export function chosen(form) {
  const picked = boxes(form).filter((box) => box.checked).length;
  if (form.elements.all_matching?.value !== '1') return { number: picked, text: count(picked) };
  const total = form.dataset.total;
  return total ? { number: Number(total), text: count(total) } : { number: Infinity, text: 'all matching' };
}

/** “1 character”, “37 characters”: the noun is told in the plural. */
export function noun(form, number) {
  const many = form.dataset.noun || 'rows';
  return number === 1 ? many.replace(/s$/, '') : many;
}

function show(form, speak) {
  const all = boxes(form);
  const picked = all.filter((box) => box.checked).length;
  const everything = form.elements.all_matching?.value === '1';
  if (picked === 0) form.elements.all_matching.value = '';
  form.toggleAttribute('data-on', picked > 0);
  for (const head of document.querySelectorAll(`[data-select-all="${form.id}"]`)) {
    head.checked = picked > 0 && picked === all.length;
    head.indeterminate = picked > 0 && picked < all.length;
  }
  const told = chosen(form);
  const text = everything && picked ? `All ${told.text === 'all matching' ? 'matching' : told.text} ${noun(form, told.number)} selected` : `${count(picked)} ${noun(form, picked)} selected`;
  form.querySelector('[data-bulk-count]').textContent = picked ? text : '';
  const more = form.querySelector('[data-bulk-all]');
  if (more) more.hidden = everything || picked < all.length || picked === 0 || Number(form.dataset.total) === picked;
  if (speak) say(picked ? text : 'Nothing selected');
}

on('click', '[data-select]', (event, box) => {
  const form = box.form;
  if (!form) return;
  const all = boxes(form);
  if (event.shiftKey && last && last !== box && all.includes(last)) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const other of all.slice(from, to + 1)) other.checked = box.checked;
  }
  if (!box.checked && form.elements.all_matching) form.elements.all_matching.value = '';
  last = box;
  show(form);
});
on('mousedown', '.tick', (event) => { if (event.shiftKey) event.preventDefault(); }); // no text selection

on('change', '[data-select-all]', (event, head) => {
  const form = document.getElementById(head.dataset.selectAll);
  if (!form) return;
  for (const box of boxes(form)) box.checked = head.checked;
  if (!head.checked) form.elements.all_matching.value = '';
  show(form, true);
});
on('click', '[data-bulk-all]', (event, button) => {
  const form = button.form;
  form.elements.all_matching.value = '1';
  show(form, true);
  form.querySelector('.bulk-actions button')?.focus();
});
on('click', '[data-bulk-none]', (event, button) => clear(button.form));

export function clear(form) {
  for (const box of boxes(form)) box.checked = false;
  form.elements.all_matching.value = '';
  show(form, true);
}
export function clearAll() {
  const used = [...bulks()].filter((form) => form.hasAttribute('data-on'));
  used.forEach(clear);
  return used.length > 0;
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.matches('[data-bulk]') && chosen(form).number === 0) {
    event.preventDefault();
    event.stopImmediatePropagation();
    say('Select at least one row first.');
  }
}, true);

enhance('form[data-bulk]', (form) => show(form));
window.addEventListener('pageshow', (event) => { if (event.persisted) bulks().forEach((form) => show(form)); });

// The row one is at, for j, k, x, e and Enter.
enhance('[data-row]', (row) => { row.tabIndex = -1; });
export const here = () => document.activeElement?.closest?.('[data-row]');
export function step(by) {
  const rows = [...document.querySelectorAll('[data-row]')];
  if (!rows.length) return;
  const at = rows.indexOf(here());
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next].focus();
}
export function toggle() {
  const box = here()?.querySelector('[data-select]');
  if (!box) return;
  box.checked = !box.checked;
  last = box;
  if (!box.checked && box.form?.elements.all_matching) box.form.elements.all_matching.value = '';
  if (box.form) show(box.form, true);
}
