/* Code blocks: a label, a Copy button, numbered lines, and colours that a worker computes, so that
 * a long listing never holds up typing or scrolling. */
import { copyButton, h, scrolls } from './dom.js';

const COLOURED_MOST = 200 * 1024;

/* ---- the worker ---- */

let worker = null;
let lastRequest = 0;
const waiting = new Map();

/* Under the page's policy only this name may be turned into a script. */
const scripts = globalThis.trustedTypes?.createPolicy('aether', {
  createScriptURL: (url) => {
    if (url !== '/assets/highlight-worker.js') throw new TypeError('not a script of this page');
    return url;
  },
});

function start() {
  const url = '/assets/highlight-worker.js';
  worker = new Worker(scripts ? scripts.createScriptURL(url) : url, { type: 'module' });
  worker.onmessage = ({ data }) => {
    waiting.get(data.id)?.(data.lines);
    waiting.delete(data.id);
  };
  worker.onerror = () => waiting.clear();
}

function colour(source, language, done) {
  if (!worker) start();
  waiting.set(++lastRequest, done);
  worker.postMessage({ id: lastRequest, source, language });
}

/* ---- the block ---- */

function line(number, runs) {
  return h('span.line', { 'data-n': number },
    ...runs.map(([kind, text]) => (kind ? h('span', { class: kind }, text) : text)));
}

function fill(code, lines) {
  const nodes = [];
  lines.forEach((runs, i) => nodes.push(...(i ? ['\n'] : []), line(i + 1, runs)));
  code.replaceChildren(...nodes);
}

const uncoloured = (source) => source.split('\n').map((text) => (text ? [['', text]] : []));

export class CodeBlock {
  constructor(source, language) {
    this.language = language;
    this.code = h('code');
    this.pre = h('pre', { role: 'group', 'aria-label': `${language || 'plain'} code` }, this.code);
    const copy = copyButton('button.copy', `Copy this ${language || 'plain'} code`,
      () => this.source);
    this.element = h('figure.code', { 'data-language': language },
      h('figcaption', {}, h('span.language', {}, language || 'text'), copy), this.pre);
    scrolls(this.pre, this.code);
    this.set(source);
  }

  /** While an answer is written: the lines there are, without colours. */
  set(source) {
    if (source === this.source) return;
    this.source = source;
    const lines = uncoloured(source);
    this.pre.dataset.digits = String(lines.length).length;
    fill(this.code, lines);
  }

  /** The source is whole. */
  finish() {
    if (!this.language || this.source.length > COLOURED_MOST) return;
    const { source } = this;
    colour(source, this.language, (lines) => {
      if (!lines || source !== this.source) return;
      fill(this.code, lines);
      this.element.dataset.highlighted = 'true';
    });
  }
}
