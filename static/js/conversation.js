// A conversation in place: what a link with data-part="address" leads to is put where its box stands. Without scripts the
// link itself leads to a page that shows it. data-above: it goes above what one reads, which keeps its place on the screen.
import { make, on, refresh, say } from './tools.js';

async function ask(address) {
  const answer = await fetch(address, { credentials: 'same-origin' });
  if (!answer.ok || answer.redirected) throw new Error('not a part');
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  return [...document.adoptNode(page.body).childNodes];
}

/** What had the focus is gone: the place that it led to has it now. */
function focus(nodes, link) {
  const elements = nodes.filter((node) => node instanceof Element);
  const box = elements.find((one) => one.matches('article')) || elements[0];
  const again = link.dataset.step && box?.querySelector(`[data-step="${link.dataset.step}"]`);
  const target = again || box;
  if (!target) return;
  if (!again) target.tabIndex = -1;
  target.focus({ preventScroll: true });
}

function putAbove(box, nodes) {
  const mark = box.nextElementSibling;
  const before = mark?.getBoundingClientRect().top ?? 0;
  box.replaceWith(...nodes);
  const messages = nodes.filter((node) => node instanceof Element && node.matches('article'));
  if (mark) window.scrollBy({ top: mark.getBoundingClientRect().top - before, behavior: 'instant' });
  const last = messages.at(-1);
  if (last) {
    last.tabIndex = -1;
    last.focus({ preventScroll: true });
  }
  say(`${messages.length} earlier messages.`);
}

async function load(link) {
  const box = link.closest('[data-part-box]');
  if (box.hasAttribute('aria-busy')) return;
  box.setAttribute('aria-busy', 'true');
  let nodes;
  try {
    nodes = await ask(link.dataset.part);
  } catch {
    box.removeAttribute('aria-busy');
    say('This could not be loaded.');
    if (!box.querySelector('.part-failed')) box.append(make('span', { class: 'part-failed muted' }, ' This could not be loaded. Try again.'));
    return;
  }
  if ('above' in box.dataset) {
    putAbove(box, nodes);
  } else {
    if (box.dataset.insteadOf) box.parentElement.querySelector(box.dataset.insteadOf)?.remove();
    box.replaceWith(...nodes);
    focus(nodes, link);
    if (link.dataset.step) say(document.activeElement?.closest('article')?.querySelector('.message-text')?.textContent.slice(0, 500) || '');
  }
  refresh(document);
}

on('click', 'a[data-part]', (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // another tab, another window
  event.preventDefault();
  load(link);
});
