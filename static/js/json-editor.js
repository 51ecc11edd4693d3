// The JSON field: line numbers, a check while one types, a way to the wrong place, and "Tidy up".
import { enhance, later, make } from './tools.js';
import { read } from './json-text.js';

function offset(text, line, column) {
  const lines = text.split('\n');
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return before + [...(lines[line - 1] || '')].slice(0, column - 1).join('').length;
}

function go(area, at, line) {
  area.focus();
  area.setSelectionRange(at, Math.min(at + 1, area.value.length));
  const height = parseFloat(getComputedStyle(area).lineHeight) || 20;
  area.scrollTop = Math.max(0, (line - 4) * height);
}

enhance('[data-json]', (root) => {
  const area = root.querySelector('textarea');
  const gutter = root.querySelector('.json-lines');
  const state = root.querySelector('.json-state');
  const tidy = root.querySelector('[data-json-format]');
  let lines = 0;
  let wrong = 0;
  let result = null;

  const number = () => {
    const now = area.value.split('\n').length;
    if (now !== lines) {
      lines = now;
      gutter.replaceChildren(...Array.from({ length: Math.min(lines, 20000) }, (_, at) => make('span', {}, String(at + 1))));
      mark(wrong);
    }
    gutter.scrollTop = area.scrollTop;
  };
  const mark = (line) => {
    gutter.querySelector('.wrong')?.classList.remove('wrong');
    wrong = line;
    if (line) gutter.children[line - 1]?.classList.add('wrong');
  };
  const tell = (kind, text, spot) => {
    if (state.dataset.told === text) return;
    state.dataset.told = text;
    state.dataset.state = kind;
    state.replaceChildren(text);
    if (!spot) return;
    const button = make('button', { type: 'button', class: 'btn btn-quiet btn-small' }, 'Go there');
    button.addEventListener('click', () => go(area, spot.at, spot.line));
    state.append(button);
  };
  const check = () => {
    const text = area.value;
    if (!text.trim()) {
      result = null;
      mark(0);
      area.setAttribute('aria-invalid', 'false');
      tell('', '');
      return;
    }
    result = read(text);
    area.setAttribute('aria-invalid', String(!result.ok));
    mark(result.ok ? result.twice[0]?.line || 0 : result.line);
    if (!result.ok) tell('error', `Line ${result.line}, column ${result.column}: ${result.message}.`, result);
    else if (result.twice.length) tell('warn', `Line ${result.twice[0].line}: “${result.twice[0].key}” comes twice; only the last one would stay.`, result.twice[0]);
    else tell('ok', 'This is valid JSON.');
  };
  const soon = later(check, 250);

  area.addEventListener('input', () => { number(); soon(); });
  area.addEventListener('scroll', () => { gutter.scrollTop = area.scrollTop; });
  new ResizeObserver(() => { gutter.style.height = `${area.offsetHeight}px`; }).observe(area);
  tidy.addEventListener('click', () => {
    check();
    if (!result) return;
    if (!result.ok) { go(area, result.at, result.line); return; }
    area.focus();
    area.setSelectionRange(0, area.value.length);
    // insertText keeps the browser's undo; where it is not there, the value is set
    if (!document.execCommand?.('insertText', false, result.tidy)) area.value = result.tidy;
    area.setSelectionRange(0, 0);
    area.dispatchEvent(new Event('input', { bubbles: true }));
    check();
  });

  number();
  check();
  const { line, column } = root.dataset;
  if (line && result?.ok !== false) { // the server found what we do not see
    mark(Number(line));
    tell('error', `Line ${line}${column ? `, column ${column}` : ''}: see below.`, { line: Number(line), at: offset(area.value, Number(line), Number(column || 1)) });
  }
});
