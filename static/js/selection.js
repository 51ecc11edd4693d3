// A dialog of the bulk bar names the number of what it will change: <p data-bulk-text="Tag {n} {noun}?">.
import { on } from './tools.js';
import { chosen, noun } from './rows.js';

on('click', '[data-bulk] [data-dialog]', (event, button) => {
  const told = chosen(button.form);
  for (const place of document.getElementById(button.dataset.dialog)?.querySelectorAll('[data-bulk-text]') || []) {
    place.textContent = place.dataset.bulkText.replaceAll('{n}', told.text).replaceAll('{noun}', noun(button.form, told.number));
  }
});
