/* What stands above the conversation: a model that is missing or on its way, a server that is gone,
 * a build without Markdown. One notice per key. */
import { $, announce, h } from './dom.js';
import { bytes, number } from './format.js';

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

/* Fetching counts bytes, building counts steps, of which there are never that many. */
const MOST_STEPS = 10000;

function progress(fetch) {
  const { file, received, total } = fetch;
  const far = total <= 0 ? bytes(received)
    : total <= MOST_STEPS ? `step ${number(received)} of ${number(total)}`
      : `${bytes(received)} of ${bytes(total)}`;
  const bar = h('progress', { max: total > 0 ? total : null, value: total > 0 ? received : null,
    'aria-label': file });
  return [h('p', {}, h('strong', {}, 'Real answers are on their way. '), `${file}, ${far}`), bar];
}

function missing(status) {
  const command = h('code', {}, status.fetch_command);
  if (status.fetch?.state === 'failed') {
    return [h('strong', {}, 'What real answers need could not be fetched. '),
      `${status.fetch.error ?? ''} With a network, `, command, ' goes on where it stopped.'];
  }
  if (status.models.length) {
    return [h('strong', {}, 'There is no engine yet. '), 'Build it with ', command, '.'];
  }
  return [h('strong', {}, 'There is no model yet. '), 'Fetch the default one with ', command,
    ', or put a GGUF file into the models folder.'];
}

/** The notice that /api/status asks for; true while something is missing. */
export function statusNotice(status) {
  if (status.models.length && status.engine_ready !== false) {
    clear('model');
    return false;
  }
  if (status.fetch?.state === 'running') notice('model', 'info', ...progress(status.fetch));
  else notice('model', 'warn', h('p', {}, ...missing(status)));
  return true;
}
