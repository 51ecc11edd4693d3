// Keeps the state of a job up to date: <div data-job="address" data-state="running" data-live>. When it has ended, its
// outcome takes its place, and what else the page says (data-after, with an id) is asked for once more.
import { enhance, refresh, say } from './tools.js';

const EVERY = 700;
const SLOWEST = 8000;

async function ask(address) {
  const answer = await fetch(address, { credentials: 'same-origin', headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) throw new Error('not a part');
  return new DOMParser().parseFromString(await answer.text(), 'text/html');
}

/** Only what has changed is touched, so that a button keeps the focus. */
function keepUp(box, now) {
  for (const part of now.querySelectorAll('[data-part]')) {
    const place = box.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!place) continue;
    if (part.dataset.part === 'bar') place.value = part.value;
    else if (place.textContent !== part.textContent) place.textContent = part.textContent;
  }
  const cancel = box.querySelector('form');
  if (cancel && !now.querySelector('form')) cancel.remove();
}

/** The page as it is now, so that its outcome and what else it says change in the same moment. */
async function rest() {
  try {
    return await ask(location.href);
  } catch {
    return null; // a reload shows it
  }
}

async function finish(box, now) {
  const page = await rest();
  const fresh = document.adoptNode(now);
  const focused = box.contains(document.activeElement);
  box.replaceWith(fresh);
  for (const part of document.querySelectorAll('[data-after][id]')) {
    const again = page?.getElementById(part.id);
    if (again) part.replaceWith(document.adoptNode(again));
  }
  refresh(document);
  if (focused) {
    fresh.tabIndex = -1;
    fresh.focus({ preventScroll: true });
  }
  say(fresh.querySelector('.notice-text')?.textContent.trim() || 'It has ended.');
}

function watch(box) {
  let pause = EVERY;
  async function look() {
    try {
      const now = (await ask(box.dataset.job)).querySelector('[data-job]');
      if (!('live' in now.dataset)) {
        await finish(box, now);
        return;
      }
      keepUp(box, now);
      if (box.dataset.state !== now.dataset.state) {
        box.dataset.state = now.dataset.state;
        say(box.querySelector('[data-part="phase"]')?.textContent || '');
      }
      pause = EVERY;
    } catch {
      pause = Math.min(pause * 2, SLOWEST);
    }
    setTimeout(look, document.hidden ? Math.max(pause, 3000) : pause);
  }
  setTimeout(look, pause);
}

enhance('[data-job][data-live]', watch);
refresh(document);
