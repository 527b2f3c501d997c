/* Markdown to elements: marked splits the text into tokens, this turns tokens into nodes. HTML in
 * an answer is shown as the text it is, pictures become links, and only web and mail addresses can
 * be followed, so that nothing a model writes can run, load or leave. */
import { h, scrolls } from './dom.js';
import { CodeBlock } from './code.js';

const SAFE_LINK = /^(?:https?:\/\/|mailto:)/i;
const NAMED = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©', reg: '®',
  trade: '™', hellip: '…', mdash: '—', ndash: '–', lsquo: '‘', rsquo: '’', ldquo: '“', rdquo: '”',
  laquo: '«', raquo: '»', bull: '•', middot: '·', times: '×', divide: '÷', plusmn: '±', deg: '°',
  micro: 'µ', para: '¶', sect: '§', larr: '←', rarr: '→', uarr: '↑', darr: '↓', le: '≤', ge: '≥',
  ne: '≠', infin: '∞', euro: '€', pound: '£', cent: '¢', yen: '¥',
};

function entity(whole, name) {
  if (name[0] !== '#') return NAMED[name] ?? whole;
  const hex = /^#x/i.test(name);
  const code = parseInt(name.slice(hex ? 2 : 1), hex ? 16 : 10);
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
}

const decode = (text) => text.replace(/&(#x[\da-f]{1,6}|#\d{1,7}|[a-z]+);/gi, entity);

/* ---- inside a line ---- */

function link(href, children, title) {
  let target = null;
  try { target = new URL(decode(href)); } catch { /* relative: there is nothing to be relative to */ }
  if (!target || !SAFE_LINK.test(target.href)) return h('span', {}, ...children);
  return h('a', { href: target.href, title: title ? decode(title) : null, target: '_blank',
    rel: 'noopener noreferrer' }, ...children);
}

function inline(token) {
  const inner = () => inlines(token.tokens ?? []);
  switch (token.type) {
    case 'strong': return h('strong', {}, ...inner());
    case 'em': return h('em', {}, ...inner());
    case 'del': return h('del', {}, ...inner());
    case 'codespan': return h('code', {}, token.text);
    case 'br': return h('br');
    case 'link': return link(token.href, inner(), token.title);
    case 'image': return link(token.href, [`[${decode(token.text) || 'picture'}]`], token.title);
    case 'escape': case 'html': return document.createTextNode(token.text);
    case 'checkbox': return h('input', { type: 'checkbox', disabled: true,
      checked: token.checked, 'aria-label': token.checked ? 'done' : 'not done' });
    default: return token.tokens ? h('span', {}, ...inner())
      : document.createTextNode(decode(token.text ?? token.raw));
  }
}

const inlines = (tokens) => tokens.map(inline);

/* ---- blocks ---- */

/* Headings of an answer hang below its author's, and never skip a level, whatever the model did. */
class Outline {
  constructor() { this.open = []; }

  level(depth) {
    while (this.open.length && this.open.at(-1) >= depth) this.open.pop();
    this.open.push(depth);
    return Math.min(6, 2 + this.open.length);
  }
}

function table(token) {
  const cell = (kind, c) => { // an empty corner is no heading of anything
    const tag = c.tokens.length ? kind : 'td';
    return h(tag, { scope: tag === 'th' ? 'col' : null,
      class: c.align ? `to-${c.align}` : null }, ...inlines(c.tokens));
  };
  const made = h('table', {},
    h('thead', {}, h('tr', {}, ...token.header.map((c) => cell('th', c)))),
    h('tbody', {}, ...token.rows.map((row) => h('tr', {}, ...row.map((c) => cell('td', c))))));
  return scrolls(h('div.table', { role: 'group', 'aria-label': 'Table' }, made), made);
}

function list(token, outline) {
  const start = token.ordered && token.start !== 1 ? token.start : null;
  return h(token.ordered ? 'ol' : 'ul', { start }, ...token.items.map((item) =>
    h(item.task ? 'li.task' : 'li', {}, ...blocks(item.tokens, outline))));
}

const languageOf = (token) => (token.lang ?? '').trim().split(/\s/)[0].toLowerCase();

function code(token) {
  const block = new CodeBlock(token.text, languageOf(token));
  block.finish();
  return block.element;
}

function block(token, outline) {
  switch (token.type) {
    case 'space': case 'def': return null;
    case 'heading': return h(`h${outline.level(token.depth)}`, {}, ...inlines(token.tokens));
    case 'paragraph': return h('p', {}, ...inlines(token.tokens));
    case 'code': return code(token);
    case 'table': return table(token);
    case 'list': return list(token, outline);
    case 'blockquote': return h('blockquote', {}, ...blocks(token.tokens, outline));
    case 'hr': return h('hr');
    case 'html': return h('p', {}, token.text.replace(/\n+$/, ''));
    default: return inline(token);
  }
}

const blocks = (tokens, outline) =>
  tokens.map((t) => block(t, outline)).filter((node) => node !== null);

/* ---- a text that grows ---- */

/* What the last block would be if it ended here: open emphasis and code are closed, and a table
 * whose rule has not come yet is given one, so that nothing flickers between two looks. */
export function closed(source) {
  const tail = source.replace(/(^|\n) {0,3}`{1,2}$/, '$1'); // a fence to be, or the end of one
  if (/^ {0,3}(?:```|~~~)/m.test(tail)) return tail;
  if (tail.trim() === '|') return '';
  if (/^\|[^\n]*\|?$/.test(tail.trim())) {
    const cells = tail.trim().replace(/^\||\|$/g, '').split('|').length;
    return `${tail.trimEnd().replace(/\|?$/, '|')}\n|${'---|'.repeat(cells)}`;
  }
  if (/^\|[^\n]*\|\n\|[-:| ]*$/.test(tail)) {
    const cells = tail.split('\n')[0].replace(/^\||\|$/g, '').split('|').length;
    return `${tail.split('\n')[0]}\n|${'---|'.repeat(cells)}`;
  }
  const line = tail.slice(tail.lastIndexOf('\n\n') + 1);
  const noCode = line.replace(/`[^`]*`/g, '');
  if (noCode.includes('`')) return noCode.endsWith('`') ? tail.slice(0, -1) : `${tail}\``;
  if ((noCode.match(/\*\*/g) ?? []).length % 2) {
    return /\*\*$/.test(tail) ? tail.slice(0, -2) : `${tail.replace(/\*$/, '').trimEnd()}**`;
  }
  return tail;
}

/**
 * The text of a message as elements, for a text that may still grow. Blocks that are complete are
 * made once and left alone; only the last one is made anew, so the cost of a token does not grow
 * with the answer.
 */
export class RichText {
  constructor(element, marked) {
    this.element = element;
    this.marked = marked;
    this.text = '';
    this.start = 0;           // of the block that may still change
    this.tail = [];           // its nodes
    this.open = null;         // its CodeBlock, if it is one
    this.outline = new Outline();
  }

  set(given, whole) {
    const text = given.replace(/\r\n?/g, '\n');
    this.text = text;
    if (!this.marked) {
      this.element.classList.add('as-is');
      this.element.textContent = text;
      return;
    }
    if (whole && /^ {0,3}\[[^\]]+\]:/m.test(text)) this.#restart(); // links defined further down
    this.#settle(whole);
    this.#tail(whole);
  }

  #restart() {
    this.element.replaceChildren();
    this.#drop();
    this.start = 0;
    this.outline = new Outline();
  }

  /* Make for good all blocks but the last: no text that comes can change them any more. */
  #settle(whole) {
    const tokens = this.marked.lexer(this.text.slice(this.start));
    const last = whole ? tokens.length : tokens.findLastIndex((t) => t.type !== 'space');
    if (last <= 0) return;
    this.#drop();
    for (const token of tokens.slice(0, last)) {
      const node = block(token, this.outline);
      if (node) this.element.append(node);
      this.start += token.raw.length;
    }
  }

  #tail(whole) {
    if (whole) return;
    const source = this.text.slice(this.start);
    const tokens = this.marked.lexer(closed(source)).filter((t) => t.type !== 'space');
    if (tokens.length === 1 && tokens[0].type === 'code') {
      this.#openCode(tokens[0]);
      return;
    }
    this.#drop();
    const outline = new Outline();
    outline.open = [...this.outline.open];
    this.tail = blocks(tokens, outline);
    this.element.append(...this.tail);
  }

  #openCode(token) {
    if (this.open?.language !== languageOf(token)) {
      this.#drop();
      this.open = new CodeBlock(token.text, languageOf(token));
      this.tail = [this.open.element];
      this.element.append(...this.tail);
    }
    this.open.set(token.text);
  }

  #drop() {
    for (const node of this.tail) node.remove();
    this.tail = [];
    this.open = null;
  }
}
