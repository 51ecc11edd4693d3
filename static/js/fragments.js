// Parts of a page that are asked for after it is there: <div data-load="address">. Without scripts a link stands in its place.
import { enhance, make, refresh, say } from './tools.js';

async function load(place) {
  const link = [...place.childNodes];
  place.replaceChildren(make('p', { class: 'loading', role: 'status' }, 'Counting…'));
  place.setAttribute('aria-busy', 'true');
  try {
    const answer = await fetch(place.dataset.load, { credentials: 'same-origin' });
    if (!answer.ok || answer.redirected) throw new Error('not a fragment');
    place.replaceChildren(...new DOMParser().parseFromString(await answer.text(), 'text/html').body.childNodes);
    refresh(place);
  } catch {
    place.replaceChildren(make('p', {}, 'This part could not be loaded. '), ...link);
    say('A part of the page could not be loaded.');
  } finally {
    place.removeAttribute('aria-busy');
  }
}

enhance('[data-load]', load);
refresh(document);
