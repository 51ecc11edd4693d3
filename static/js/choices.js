// A select whose options follow from other fields of the form: <div data-choices="address" data-choices-into="field name"
// data-user="…">, around fields with data-choices-by="parameter". Without scripts a button asks for the form anew.
import { on, say } from './tools.js';

let latest = 0;

on('change', '[data-choices] [data-choices-by]', async (event, field) => {
  const box = field.closest('[data-choices]');
  const select = box.querySelector(`select[name="${box.dataset.choicesInto}"]`);
  const asked = new URLSearchParams({ user: box.dataset.user });
  for (const one of box.querySelectorAll('[data-choices-by]')) asked.set(one.dataset.choicesBy, one.value);
  const mine = ++latest;
  let found;
  try {
    const answer = await fetch(`${box.dataset.choices}?${asked}`, { headers: { Accept: 'application/json' } });
    found = (await answer.json()).keys;
  } catch {
    found = null;
  }
  if (mine !== latest || !found) return;
  const before = select.value;
  select.replaceChildren(select.options[0], ...found.map(({ id, name }) => new Option(name, id)));
  select.value = found.some(({ id }) => id === before) ? before : '';
  if (select.value !== before) select.dispatchEvent(new Event('change', { bubbles: true }));
  say(`${found.length} ${found.length === 1 ? 'key' : 'keys'} to choose from`);
});
