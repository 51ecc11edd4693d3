// Filters apply themselves: while one types (after a pause) and when one chooses. The address always tells the filters.
// Only the part marked data-results is exchanged, so that the search box keeps its focus; without such a part the page reloads.
import { later, on, refresh, say } from './tools.js';

let running = null;

function address(form) {
  const url = new URL(form.action, location.href);
  url.search = '';
  for (const [name, value] of new FormData(form)) if (value !== '') url.searchParams.append(name, value);
  return url;
}

async function apply(form, push) {
  const url = address(form);
  const place = document.querySelector('[data-results]');
  if (!place) {
    form.requestSubmit();
    return;
  }
  if (url.href === location.href) return;
  running?.abort();
  running = new AbortController();
  place.setAttribute('aria-busy', 'true');
  let page;
  try {
    const answer = await fetch(url, { signal: running.signal, credentials: 'same-origin' });
    if (!answer.ok || answer.redirected) throw new Error('not a list');
    page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  } catch (error) {
    if (error.name !== 'AbortError') location.assign(url);
    return;
  }
  const fresh = page.querySelector('[data-results]');
  if (!fresh) {
    location.assign(url);
    return;
  }
  history[push ? 'pushState' : 'replaceState']({ filters: true }, '', url);
  place.replaceChildren(...document.adoptNode(fresh).childNodes);
  place.removeAttribute('aria-busy');
  const bar = form.closest('.filter-bar');
  const chips = page.querySelector('.filter-bar .active-filters');
  bar?.querySelector('.active-filters')?.remove();
  if (chips) bar?.append(document.adoptNode(chips));
  refresh(document);
  say(place.querySelector('.pager-where, .empty-text')?.textContent.trim().replace(/\s+/g, ' ') || 'The list is up to date.');
}

const typed = later((form) => apply(form, false), 300);
on('input', '[data-filters] [data-search]', (event, input) => { if (!event.isComposing) typed(input.form); });
on('compositionend', '[data-filters] [data-search]', (event, input) => typed(input.form));

// Arrow keys in a closed list change it at each step: then the change waits for Enter, leaving the field, or the button.
let byKey = false;
on('keydown', '[data-filters] select', (event, select) => {
  byKey = event.key !== 'Enter';
  if (event.key === 'Enter' && select.dataset.waiting) {
    event.preventDefault();
    delete select.dataset.waiting;
    apply(select.form, true);
  }
});
on('pointerdown', '[data-filters] select', () => { byKey = false; });
on('change', '[data-filters]', (event, form) => {
  if (event.target.matches('[data-search]')) return;
  if (event.target.matches('select')) event.target.toggleAttribute('data-active', event.target.value !== '');
  if (byKey && event.target.matches('select')) {
    event.target.dataset.waiting = '1';
    form.querySelector('[data-apply]')?.setAttribute('data-shown', '');
    return;
  }
  typed.cancel();
  apply(form, true);
});
on('focusout', '[data-filters] select', (event, select) => {
  byKey = false;
  if (!select.dataset.waiting) return;
  delete select.dataset.waiting;
  apply(select.form, true);
});
on('submit', '[data-filters]', (event, form) => {
  typed.cancel();
  if (!document.querySelector('[data-results]')) return;
  event.preventDefault();
  apply(form, true);
});
on('keydown', '[data-search]', (event, input) => {
  if (event.key === 'Escape' && !input.value) input.blur();
});
window.addEventListener('popstate', () => location.reload());
