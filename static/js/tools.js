// What the other modules share: delegated events, enhancing new content, memory, speech, asking the server.

const enhancers = [];

/** Runs `make(element)` once for every element that matches, now and in content that is put in later. */
export function enhance(selector, make) {
  enhancers.push([selector, make]);
}

const done = new WeakMap();

export function refresh(root) {
  for (const [selector, make] of enhancers) {
    for (const element of root.querySelectorAll(selector)) {
      const made = done.get(element) || new Set();
      if (made.has(make)) continue;
      made.add(make);
      done.set(element, made);
      make(element);
    }
  }
}

/** A delegated handler: `act(event, element)` for the nearest element that matches. */
export function on(type, selector, act, options) {
  document.addEventListener(type, (event) => {
    const element = event.target instanceof Element ? event.target.closest(selector) : null;
    if (element) act(event, element);
  }, options);
}

/** localStorage or sessionStorage that may be refused or full: then nothing is remembered. */
export function memory(kind) {
  const room = () => window[kind];
  return {
    get(key) { try { return room().getItem(key); } catch { return null; } },
    set(key, value) { try { room().setItem(key, value); return true; } catch { return false; } },
    drop(key) { try { room().removeItem(key); } catch { /* refused */ } },
    keys() { try { return Object.keys(room()); } catch { return []; } },
  };
}
export const kept = memory('localStorage');
export const inThisTab = memory('sessionStorage');

/** Says a sentence to screen readers. */
export function say(text) {
  const place = document.getElementById('say');
  if (!place) return;
  place.textContent = '';
  setTimeout(() => { place.textContent = text; }, 50);
}

export const count = (n) => Number(n).toLocaleString('en');

export function later(act, milliseconds) {
  let timer;
  const run = (...args) => { clearTimeout(timer); timer = setTimeout(() => act(...args), milliseconds); };
  run.cancel = () => clearTimeout(timer);
  return run;
}

/** make('li', {class: 'x', role: 'option'}, 'text', node…) */
export function make(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...content);
  return element;
}

const SHAPES = { close: 'M6 6l12 12M18 6L6 18', plus: 'M12 5v14M5 12h14', right: 'M9.5 6l6 6-6 6', 'error': 'M12 7v6M12 16.3v.1' };

export function drawing(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  const attributes = { class: 'icon', viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.7', 'stroke-linecap': 'round', 'aria-hidden': 'true' };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', SHAPES[name] || SHAPES.right);
  svg.append(path);
  return svg;
}

/** Asks for JSON. Throws an Error whose message is for a person. */
export async function ask(address, signal) {
  let answer;
  try {
    answer = await fetch(address, { signal, headers: { Accept: 'application/json' }, credentials: 'same-origin' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The server does not answer. Try again in a moment.');
  }
  if (answer.status === 401 || answer.redirected) throw new Error('You are signed out. Sign in in another tab; what you typed stays here.');
  if (answer.status === 429) throw new Error('That was too fast. Wait a moment.');
  if (!answer.ok) throw new Error('The server could not answer. Try again in a moment.');
  try {
    return await answer.json();
  } catch {
    throw new Error('The server answered with something else. Reload the page.');
  }
}

/** The same address with further parameters. */
export function withQuery(address, parameters) {
  const url = new URL(address, location.href);
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  return url;
}
