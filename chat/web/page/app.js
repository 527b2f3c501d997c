/* The page of AetherAI: what is open, what is being answered, and who is told. The parts that draw
 * are in files of their own; this one holds the state. */
import * as api from './api.js';
import { Composer } from './composer.js';
import { $, announce, h, icon, say } from './dom.js';
import { counted, sentence, titleOf } from './format.js';
import { MessageView, showTotals } from './message.js';
import { clear, notice, statusNotice } from './notices.js';
import { toEnd, watchScrolling } from './scroll.js';
import { Sidebar } from './sidebar.js';

const STATUS_MS = 1000;    // while a model or an engine is missing
const OTHERS_MS = 1000;    // while an answer comes that another page asked for
const AT_ONCE = 30;         // messages drawn before the page is shown
const EXAMPLES = ['Explain what a work-stealing scheduler does, in five sentences.',
  'Write a C function that reverses a linked list.',
  'What is the difference between epoll and io_uring?'];

const totalsIds = { box: $('totals'), counts: $('counts'), questions: $('split-questions'),
  answers: $('split-answers'), system: $('split-system') };

let marked = null;
let conversations = [];
let open = null;               // the conversation on the page; null: a new one
let views = [];
let status = { models: [], default_model: null, fetch: null, fetch_command: './dev chat' };
const answering = new Map();   // conversation id -> { conversation, id of the answer or null }
let watchTimer = 0, statusTimer = 0;

const failed = (what) => (error) => {
  notice('error', 'error', h('p', {}, h('strong', {}, `${what} `), sentence(error.message)),
    h('button.plain', { type: 'button', onclick: () => clear('error') }, 'Dismiss'));
};

/* ---- drawing ---- */

function drawList() {
  sidebar.show(conversations, open?.id, answering);
}

function drawHead() {
  const title = open ? open.title : 'New conversation';
  say($('title'), title);
  document.title = open ? `${title} · AetherAI` : 'AetherAI';
  showTotals(totalsIds, open?.totals ?? null);
  composer.answering = Boolean(open && answering.has(open.id));
}

function greeting() {
  const ask = (text) => () => { composer.text = text; $('question').focus(); };
  return h('section.greeting', {}, h('span.avatar.ours', { 'aria-hidden': 'true' }, icon('mark')),
    h('h2', {}, 'What would you like to know?'),
    h('p', {}, 'The model that answers runs on this machine. Nothing you write leaves it.'),
    h('ul', {}, ...EXAMPLES.map((text) =>
      h('li', {}, h('button', { type: 'button', onclick: ask(text) }, text)))));
}

function drawMessages() {
  const first = (open?.messages.length ?? 0) - AT_ONCE;
  views = open ? open.messages.map((m, i) =>
    new MessageView(m, marked, { regenerate }, i < first)) : [];
  $('messages').replaceChildren(...(views.length ? views.map((v) => v.element) : [greeting()]));
  markLast();
  if (first > 0) whenIdle(() => fillOlder(views, first));
}

const whenIdle = globalThis.requestIdleCallback ?? ((f) => setTimeout(f, 16));

/* From the end to the beginning, some at a time, unless another conversation was opened. */
function fillOlder(drawn, end) {
  if (drawn !== views || end <= 0) return;
  const from = Math.max(0, end - 8);
  for (const v of drawn.slice(from, end).reverse()) v.fill();
  whenIdle(() => fillOlder(drawn, from));
}

function markLast() {
  const busy = open && answering.has(open.id);
  views.forEach((v, i) => { v.last = !busy && i === views.length - 1; });
}

function draw() {
  drawHead();
  drawMessages();
  drawList();
}

/* ---- opening ---- */

const pathOf = () => Number(/^#\/c\/(\d+)$/.exec(location.hash)?.[1] ?? 0);

async function refreshList() {
  conversations = await api.list();
  drawList();
}

async function show(id) {
  clearTimeout(watchTimer);
  composer.turnTo(id || 'new');
  if (!id) {
    open = null;
  } else if (answering.has(id)) {
    open = answering.get(id).conversation;
  } else {
    open = await api.open(id);
    if (id !== pathOf()) return; // the visitor went on meanwhile
    watchOthers();
  }
  draw();
  toEnd();
}

async function followPath() {
  clear('error');
  try {
    await show(pathOf());
  } catch (error) {
    if (error.status === 404) location.replace('#/new');
    else failed('The conversation could not be opened.')(error);
  }
}

/* An answer that another page asked for, or that was under way when this one was loaded. */
function watchOthers() {
  const id = open?.id;
  if (!open?.messages.some((m) => m.state === 'streaming')) return;
  watchTimer = setTimeout(async () => {
    if (open?.id !== id || answering.has(id)) return;
    try {
      const fresh = await api.open(id);
      if (open?.id !== id || answering.has(id)) return;
      const same = fresh.messages.length === views.length
        && views.every((v, i) => v.message.id === fresh.messages[i].id);
      open = fresh;
      if (same) views.forEach((v, i) => v.update(fresh.messages[i]));
      else drawMessages();
      drawHead();
      markLast();
    } catch { /* the next look will tell */ }
    watchOthers();
  }, OTHERS_MS);
}

/* ---- answers ---- */

/* A message takes its place after its parent; what stood there belongs to another branch now. */
function place(conversation, message) {
  const above = conversation.messages.findIndex((m) => m.id === message.parent);
  const at = above < 0 && message.parent ? conversation.messages.length : above + 1;
  const gone = conversation.messages.splice(at, Infinity, message);
  const t = conversation.totals;
  for (const [m, sign] of [...gone.map((m) => [m, -1]), [message, 1]]) {
    t.messages += sign;
    t.tokens += sign * (m.tokens ?? 0);
    t[m.role === 'assistant' ? 'answers' : 'questions'] += sign * (m.tokens ?? 0);
  }
  if (conversation !== open) return;
  views.splice(at).forEach((v) => v.element.remove());
  if (!views.length) $('messages').replaceChildren();
  views.push(new MessageView(message, marked, { regenerate }));
  $('messages').append(views.at(-1).element);
}

function finish(conversation, { message, totals, error, end }) {
  const at = conversation.messages.findIndex((m) => m.id === message.id);
  const why = message.error ?? (error ? errorText(error) : null);
  conversation.messages[at] = { ...message, error: why, end };
  conversation.totals = totals;
  if (conversation === open) views[at]?.update(conversation.messages[at]);
  announce(message.state === 'stopped' ? 'The answer was stopped'
    : message.state === 'failed' ? 'The answer failed'
      : `The answer is finished, ${counted(message.tokens ?? 0, 'token')}`);
}

const errorText = (error) => (typeof error === 'string' ? error : error?.message ?? 'It failed.');

/* Text comes in any number of pieces; it is drawn once a frame at most. */
function writer(conversation, message) {
  let due = false;
  return (text) => {
    message.text += text;
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      const at = conversation === open ? open.messages.indexOf(message) : -1;
      if (at >= 0) views[at].write(message.text, false);
    });
  };
}

async function read(conversation, run, events) {
  let write = null;
  for await (const { name, data } of events) {
    if (name === 'delta') {
      write?.(data.text);
    } else if (name === 'progress') {
      if (conversation === open) views.at(-1)?.reading(data.prompt_done, data.prompt_tokens);
    } else if (name === 'question' || name === 'answer') {
      place(conversation, data);
      if (name === 'answer') {
        run.answer = data;
        write = writer(conversation, data);
        announce('AetherAI is answering');
      }
    } else if (name === 'done' || name === 'failed') {
      finish(conversation, data);
      run.ended = true;
    }
    if (name !== 'delta' && name !== 'progress' && conversation === open) drawHead();
  }
  if (!run.ended) throw new api.ApiError(0, 'cut', 'The connection to the server was lost.');
}

/* The stream broke off: say so at the answer if there is one. */
function broke(conversation, run, error) {
  if (!run.answer || run.ended) return false;
  const message = { ...run.answer, state: 'failed', error: error.message };
  finish(conversation, { message, totals: conversation.totals });
  return true;
}

async function follow(conversation, events, orElse) {
  const run = { conversation, answer: null, ended: false };
  answering.set(conversation.id, run);
  drawHead();
  drawList();
  markLast();
  try {
    await read(conversation, run, events);
  } catch (error) {
    if (!broke(conversation, run, error)) orElse(error);
  }
  answering.delete(conversation.id);
  if (conversation === open) {
    drawHead();
    markLast();
  }
  refreshList().catch(() => {});
}

async function send(text) {
  clear('error');
  try {
    if (!open) {
      const made = await api.create(titleOf(text));
      open = { messages: [], totals: { messages: 0, tokens: 0, questions: 0, answers: 0,
        system_template: 0 }, ...made };
      if (!Array.isArray(open.messages)) open.messages = [];
      history.replaceState(null, '', `#/c/${open.id}`);
      composer.key = open.id;
      drawMessages();
    }
  } catch (error) {
    composer.text = text;
    failed('The conversation could not be made.')(error);
    return;
  }
  const here = open;
  const parent = here.messages.at(-1)?.id;
  toEnd();
  await follow(here, api.ask(here.id, { text, parent, model: composer.picked ?? undefined }),
    (error) => {
      if (here === open && !composer.text) composer.text = text;
      failed('The question was not taken.')(error);
      refreshStatus();
    });
}

function regenerate(message) {
  if (!open || answering.has(open.id)) return;
  clear('error');
  follow(open, api.regenerate(open.id, message.id),
    failed('The answer could not be made again.'));
}

function stop() {
  if (open && answering.has(open.id)) {
    api.stop(open.id).catch(failed('The answer could not be stopped.'));
  }
}

/* ---- the server ---- */

async function refreshStatus() {
  clearTimeout(statusTimer);
  try {
    status = await api.status();
  } catch (error) {
    notice('server', 'error', h('p', {}, error.message));
    statusTimer = setTimeout(refreshStatus, 2 * STATUS_MS);
    return;
  }
  clear('server');
  composer.models(status);
  say($('about'), `AetherAI ${status.version}, engine ${status.engine}. `);
  $('about').append(h('a', { href: '/assets/licenses.txt' }, 'Licences of what is in this page'));
  $('live').hidden = !status.live;
  if (status.live) $('live').href = status.live;
  if (statusNotice(status)) statusTimer = setTimeout(refreshStatus, STATUS_MS);
}

/* One dialog, however many requests were refused. */
let asking = null;

function askForKey(wrong) {
  const dialog = $('ask-key');
  asking ??= new Promise((resolve) => {
    say($('ask-key-what'), wrong ? 'That key was not the right one.'
      : 'Whoever started this server has it.');
    $('key').value = '';
    dialog.addEventListener('close', () => {
      asking = null;
      resolve($('key').value.trim());
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/* ---- keys and the theme ---- */

const SHORTCUTS = {
  O: () => { location.hash = '#/new'; $('question').focus(); },
  E: () => { const c = conversations.find((x) => x.id === open?.id); if (c) sidebar.rename(c); },
};

function onKey(e) {
  const typing = e.target.closest?.('input, textarea, select, dialog');
  const control = e.ctrlKey || e.metaKey;
  if (control && e.shiftKey && SHORTCUTS[e.key.toUpperCase()]) SHORTCUTS[e.key.toUpperCase()]();
  else if (control && !e.shiftKey && e.key === 'b') sidebar.toggle();
  else if (e.key === 'Escape' && !document.querySelector('dialog[open]')) { stop(); return; }
  else if (!typing && !control && e.key === '/') $('question').focus();
  else if (!typing && !control && e.key === '?') $('help').showModal();
  else return;
  e.preventDefault();
}

const THEMES = ['system', 'light', 'dark'];

function theme() {
  const root = document.documentElement;
  const label = () => {
    const text = `Theme: ${root.dataset.theme ?? 'system'}`;
    $('theme').setAttribute('aria-label', text);
    $('theme').title = text;
  };
  $('theme').addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? 'system') + 1) % THEMES.length];
    if (next === 'system') delete root.dataset.theme;
    else root.dataset.theme = next;
    try { localStorage.setItem('theme', next); } catch { /* not kept, then */ }
    label();
    announce(`Theme: ${next}`);
  });
  label();
}

/* ---- the start ---- */

const sidebar = new Sidebar({
  rename: async (c, title) => {
    try {
      await api.rename(c.id, title);
      if (open?.id === c.id) open.title = title;
      drawHead();
    } catch (error) { failed('The title was not changed.')(error); }
    refreshList().catch(() => {});
  },
  remove: async (c) => {
    try {
      await api.remove(c.id);
      announce('The conversation was deleted');
      if (open?.id === c.id) location.hash = '#/new';
    } catch (error) { failed('The conversation was not deleted.')(error); }
    refreshList().catch(() => {});
  },
});
const composer = new Composer({ send, stop });

async function begin() {
  theme();
  watchScrolling();
  api.setAskForKey(askForKey);
  document.addEventListener('keydown', onKey);
  $('about-open').addEventListener('click', () => $('help').showModal());
  $('new').addEventListener('click', () => { location.hash = '#/new'; $('question').focus(); });
  const parser = await import('./marked.js').catch(() => null);
  marked = parser?.lexer ? parser : null;
  if (!marked) {
    notice('plain', 'warn', h('p', {}, h('strong', {}, 'Answers are shown as plain text. '),
      'This program was built without a network, so its Markdown reader is missing; build it again with one.'));
  }
  refreshStatus();
  try {
    await refreshList();
  } catch { /* refreshStatus says that the server is not there */ }
  if (!location.hash && conversations.length) {
    history.replaceState(null, '', `#/c/${conversations[0].id}`);
  }
  addEventListener('hashchange', followPath);
  await followPath();
  document.body.dataset.ready = 'true';
}

begin();
