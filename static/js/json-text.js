// Reads JSON as text: where it is wrong (line and column), which keys come twice, and the same text laid out tidily.
// Numbers and strings stay as they are written, digit for digit; JSON.parse would round long numbers.

class Wrong extends Error {
  constructor(message, at) { super(message); this.at = at; }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const DEEPEST = 500;

export function place(text, at) {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  return { line, column: [...before.slice(before.lastIndexOf('\n') + 1)].length + 1, at };
}

/** {ok: true, tidy, twice: [{key, line, column}]} or {ok: false, message, line, column, at}. */
export function read(text) {
  let at = 0;
  const twice = [];

  const space = () => { while (at < text.length && ' \t\n\r'.includes(text[at])) at += 1; };
  const told = () => at >= text.length ? 'the end' : text[at] === '"' ? 'the next text' : `“${String.fromCodePoint(text.codePointAt(at))}”`;
  const match = (pattern) => { pattern.lastIndex = at; const hit = pattern.exec(text); if (hit) at += hit[0].length; return hit?.[0]; };

  function string() {
    const start = at;
    const hit = match(STRING);
    if (hit !== undefined) return hit;
    for (at = start + 1; at < text.length; at += 1) { // find what is wrong within
      if (text[at] === '"') break;
      if (text[at] < ' ') throw new Wrong('A text ends with " before the line does; write a line break as \\n', at);
      if (text[at] === '\\') {
        if (!/^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at, at + 6))) throw new Wrong('After \\ comes one of " \\ / b f n r t u', at);
        at += 1;
      }
    }
    throw new Wrong('This text has no closing "', start);
  }

  function value(depth) {
    if (depth > DEEPEST) throw new Wrong('This is nested too deeply', at);
    space();
    const sign = text[at];
    if (sign === '{') return many(depth, '}', true);
    if (sign === '[') return many(depth, ']', false);
    if (sign === '"') return string();
    for (const word of ['true', 'false', 'null']) {
      if (text.startsWith(word, at) && !/\w/.test(text[at + word.length] || '')) { at += word.length; return word; }
    }
    const number = match(NUMBER);
    if (number !== undefined) {
      if (/[\w.]/.test(text[at] || '')) throw new Wrong('This is not a number as JSON writes it', at);
      return number;
    }
    if (sign === "'") throw new Wrong('A text stands in double quotes: "…"', at);
    throw new Wrong(`A value is missing before ${told()}`, at);
  }

  function many(depth, end, named) {
    const keys = new Set();
    const parts = [];
    at += 1;
    space();
    if (text[at] === end) { at += 1; return named ? '{}' : '[]'; }
    for (;;) {
      space();
      if (text[at] === end) throw new Wrong('There is a comma too much before this', at);
      let part = '';
      if (named) {
        if (text[at] !== '"') throw new Wrong(`A name in double quotes is missing before ${told()}`, at);
        const start = at;
        const key = string();
        const plain = JSON.parse(key);
        if (keys.has(plain)) twice.push({ key: plain, ...place(text, start) });
        keys.add(plain);
        space();
        if (text[at] !== ':') throw new Wrong(`A colon is missing after ${key}`, at);
        at += 1;
        part = `${key}: `;
      }
      parts.push(part + value(depth + 1));
      space();
      if (text[at] === ',') { at += 1; continue; }
      if (text[at] === end) break;
      throw new Wrong(at >= text.length ? `The end is missing: ${end}` : `A comma or ${end} is missing before ${told()}`, at);
    }
    at += 1;
    const inside = '  '.repeat(depth + 1);
    return `${named ? '{' : '['}\n${parts.map((part) => inside + part).join(',\n')}\n${'  '.repeat(depth)}${end}`;
  }

  try {
    const tidy = value(0);
    space();
    if (at < text.length) throw new Wrong(`There is something after the end: ${told()}`, at);
    return { ok: true, tidy, twice };
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { ok: false, message: error.message, ...place(text, error.at) };
  }
}
