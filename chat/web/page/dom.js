/* Making elements. Text only ever becomes text nodes: no string is parsed as HTML anywhere. */

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (id) => document.getElementById(id);

/** h('a.plain', { href: '/', onclick: f }, 'text', node, null) */
export function h(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split('.');
  const e = document.createElement(tag);
  if (classes.length) e.className = classes.join(' ');
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

/** An icon of index.html's symbols. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** For those who listen: one short sentence, never the stream of tokens. */
export function announce(text) {
  say($('said'), text);
}

/* What scrolls sideways must be reachable by keyboard, and only that is a tab stop. */
const scrollers = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const box = target.matches('.scrolls') ? target : target.closest('.scrolls');
    if (!box) continue;
    if (box.scrollWidth > box.clientWidth + 1) box.setAttribute('tabindex', '0');
    else box.removeAttribute('tabindex');
  }
});

export function scrolls(box, inside) {
  box.classList.add('scrolls');
  scrollers.observe(box);
  if (inside) scrollers.observe(inside);
  return box;
}

export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Plain http from another machine has no clipboard API.
  const area = h('textarea.unseen', { 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error('the browser did not allow it');
}

/** A button that copies what `source` gives and says so for two seconds. */
export function copyButton(kind, label, source) {
  const word = h('span', {}, 'Copy');
  const button = h(kind, { type: 'button', 'aria-label': label }, icon('copy'), word);
  button.addEventListener('click', async () => {
    let said = 'Copied';
    try { await copyText(source()); } catch { said = 'Not copied'; }
    say(word, said);
    announce(said);
    button.classList.toggle('done', said === 'Copied');
    setTimeout(() => { say(word, 'Copy'); button.classList.remove('done'); }, 2000);
  });
  return button;
}
