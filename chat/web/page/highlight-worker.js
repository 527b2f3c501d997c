/* Colours source code, off the page's thread: { id, source, language } in, { id, lines } out, where
 * a line is a list of [class, text]; lines is null if the language is unknown. */
import hljs from './highlight.js';
import grammars from './languages.js';

if (hljs && grammars) {
  for (const [name, grammar] of Object.entries(grammars)) hljs.registerLanguage(name, grammar);
}

const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#x27;': "'" };
const plain = (text) => text.replace(/&(?:amp|lt|gt|quot|#x27);/g, (e) => ENTITIES[e]);

/* highlight.js gives a string of nested spans; nothing else is in it. */
function runs(marked) {
  const found = [], open = [];
  for (const [piece] of marked.matchAll(/<span class="[^"]*">|<\/span>|[^<]+/g)) {
    if (piece === '</span>') open.pop();
    else if (piece.startsWith('<span')) open.push(piece.slice(13, -2));
    else found.push([open.join(' '), plain(piece)]);
  }
  return found;
}

function lines(source, language) {
  if (!hljs?.getLanguage(language)) return null;
  const marked = hljs.highlight(source, { language, ignoreIllegals: true }).value;
  const all = [[]];
  for (const [kind, text] of runs(marked)) {
    text.split('\n').forEach((part, i) => {
      if (i) all.push([]);
      if (part) all.at(-1).push([kind, part]);
    });
  }
  return all;
}

onmessage = ({ data: { id, source, language } }) => {
  postMessage({ id, lines: lines(source, language) });
};
