// Testing a connection without leaving the page, finding models for a form, and the parameters that a provider takes.
// <form data-test> shows its outcome in the next [data-test-result]; without scripts, or when the server wants to ask
// something first (such as for the password again), the forms are sent as they are.
import { on, refresh, say } from './tools.js';

const PART = { 'X-Tandem-Part': '1', Accept: 'text/html' };

/** A page's document; null when the answer is none of what was asked for. */
async function page(address, options) {
  try {
    const answer = await fetch(address, { credentials: 'same-origin', ...options });
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), 'text/html');
  } catch {
    return null;
  }
}

function busy(button, on) {
  button?.toggleAttribute('disabled', on);
  if (on) button?.setAttribute('aria-busy', 'true');
  else button?.removeAttribute('aria-busy');
}

on('submit', 'form[data-test]', async (event, form) => {
  if (form.dataset.plain) return;
  event.preventDefault();
  const button = event.submitter;
  const place = form.parentElement.querySelector('[data-test-result]');
  const sent = new FormData(form);
  busy(button, true);
  place.replaceChildren();
  say('Testing…');
  const found = await page(form.action, { method: 'POST', body: sent, headers: PART });
  busy(button, false);
  const outcome = found?.querySelector('[data-outcome]');
  if (!outcome) {
    form.dataset.plain = '1';
    form.requestSubmit(button);
    return;
  }
  place.replaceChildren(document.adoptNode(outcome));
  const fresh = await page(location.href);
  for (const part of document.querySelectorAll('[data-after][id]')) {
    const again = fresh?.getElementById(part.id);
    if (again) part.replaceWith(document.adoptNode(again));
  }
  refresh(document);
}, true);

on('click', 'button[data-find-models]', async (event, button) => {
  const form = button.form;
  if (form.dataset.plain) return;
  event.preventDefault();
  const sent = new FormData(form);
  sent.set(button.name, button.value);
  busy(button, true);
  say('Asking for models…');
  const found = await page(form.action, { method: 'POST', body: sent, headers: { Accept: 'text/html' } });
  busy(button, false);
  const models = found?.getElementById('models');
  if (!models) {
    form.dataset.plain = '1';
    button.click();
    return;
  }
  document.getElementById('models').replaceWith(document.adoptNode(models));
  if (models.querySelector('option')) form.elements.modelName.focus();
});

on('change', '[data-parameters]', async (event, select) => {
  const address = new URL(select.dataset.parameters, location.href);
  address.searchParams.set('provider', select.value);
  const found = (await page(address, { headers: PART }))?.getElementById('parameter-fields');
  const place = document.getElementById('parameter-fields');
  if (!found || select.value !== address.searchParams.get('provider')) return;
  // What was typed stays, also where this provider does not take it: the server says so, and nothing is lost.
  for (const old of place.querySelectorAll('[name]')) {
    if (!old.value) continue;
    const field = [...found.querySelectorAll('[name]')].find((one) => one.name === old.name);
    if (!field) {
      found.append(old.closest('.field'));
    } else {
      if (field.options && ![...field.options].some((option) => option.value === old.value)) field.add(new Option(old.value, old.value));
      field.value = old.value;
    }
  }
  place.replaceWith(document.adoptNode(found));
});
