/* What stands above the conversation: a model that is missing or on its way, a server that is gone,
 * a build without Markdown. One notice per key. */
import { $, announce, h } from './dom.js';
import { bytes } from './format.js';

const shown = new Map();

/** Show it, change it, or, with null, take it away. */
export function notice(key, kind, ...content) {
  const old = shown.get(key);
  if (!content.length) {
    old?.remove();
    shown.delete(key);
    return;
  }
  const made = h(`div.notice.${kind}`, { 'data-key': key }, ...content);
  if (old) {
    old.replaceWith(made);
  } else {
    $('notices').append(made);
    announce(made.textContent);
  }
  shown.set(key, made);
}

export const clear = (key) => notice(key, null);

function progress(fetch) {
  const known = fetch.total > 0;
  const text = known ? `${bytes(fetch.received)} of ${bytes(fetch.total)}` : bytes(fetch.received);
  const bar = h('progress', { max: known ? fetch.total : null, value: known ? fetch.received : null,
    'aria-label': `Fetching ${fetch.file}` });
  return [h('p', {}, h('strong', {}, 'The model is on its way. '), `${fetch.file}, ${text}`), bar];
}

/** The notice about models that /api/status asks for; true while one is being fetched. */
export function modelNotice(status) {
  const fetch = status.fetch;
  if (fetch?.state === 'running') {
    notice('model', 'info', ...progress(fetch));
    return true;
  }
  if (status.models.length) {
    clear('model');
    return false;
  }
  const command = h('code', {}, status.fetch_command);
  if (fetch?.state === 'failed') {
    notice('model', 'warn', h('p', {}, h('strong', {}, 'The model could not be fetched. '),
      `${fetch.error ?? ''} With a network, `, command, ' goes on where it stopped.'));
  } else {
    notice('model', 'warn', h('p', {}, h('strong', {}, 'There is no model yet. '),
      'Fetch the default one with ', command, ', or put a GGUF file into the models folder.'));
  }
  return false;
}
