// Asking before something is destroyed. data-confirm="text" on a form or on its button; {n} and {noun} become the selection.
// The safe button has the focus; data-confirm-type="{n}" asks to type it. A form that was confirmed carries confirmed=1.
import { make } from './tools.js';
import { chosen, noun } from './rows.js';

function fill(text, form) {
  if (!text || !form.matches('[data-bulk]')) return text;
  const told = chosen(form);
  return text.replaceAll('{n}', told.text).replaceAll('{noun}', noun(form, told.number));
}

/** A promise of true when the person said yes. */
export function sure({ title, text, yes = 'Yes', type = '' }) {
  return new Promise((resolve) => {
    const no = make('button', { type: 'button', class: 'btn btn-plain', autofocus: !type }, 'Cancel');
    const ok = make('button', { type: 'button', class: 'btn btn-danger', 'data-sure': true }, yes);
    const body = make('div', { class: 'dialog-body' }, make('p', { class: 'dialog-text', id: 'sure-text' }, text));
    if (type) {
      const input = make('input', { class: 'input', autocomplete: 'off', spellcheck: 'false', autofocus: true });
      body.append(make('label', {}, make('span', {}, 'Type ', make('strong', {}, type), ' to go on'), input));
      ok.disabled = true;
      input.addEventListener('input', () => { ok.disabled = input.value.trim().replaceAll(',', '') !== type.replaceAll(',', ''); });
    }
    body.append(make('div', { class: 'dialog-buttons' }, no, ok));
    const dialog = make('dialog', { class: 'dialog dialog-danger', role: 'alertdialog', 'aria-labelledby': 'sure-title', 'aria-describedby': 'sure-text' },
      make('div', { class: 'dialog-head' }, make('h2', { id: 'sure-title' }, title)), body);
    let answer = false;
    no.addEventListener('click', () => dialog.close());
    ok.addEventListener('click', () => { answer = true; dialog.close(); });
    dialog.addEventListener('close', () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  const button = event.submitter;
  const source = button?.dataset.confirm ? button : form.dataset.confirm ? form : null;
  if (!source || form.dataset.sure) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { confirm: text, confirmTitle: title, confirmOk: yes, confirmType: type } = source.dataset;
  const label = (button?.textContent || 'Go on').trim();
  const go = await sure({ title: fill(title, form) || `${label}?`, text: fill(text, form), yes: fill(yes, form) || label, type: fill(type, form) || '' });
  if (!go) return;
  form.dataset.sure = '1';
  const mark = make('input', { type: 'hidden', name: 'confirmed', value: '1' });
  form.append(mark);
  form.requestSubmit(button?.isConnected ? button : undefined);
  setTimeout(() => { delete form.dataset.sure; mark.remove(); }, 1000); // a download leaves the page where it is
}, true);

// A form is sent once, however often one clicks.
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== 'post') return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = '1';
  event.submitter?.setAttribute('aria-busy', 'true');
  setTimeout(() => { delete form.dataset.sent; event.submitter?.removeAttribute('aria-busy'); }, 4000);
});
window.addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent;
});
