/* One question or answer on the page. */
import { copyButton, h, icon, say } from './dom.js';
import { clock, counted, duration, fullDate, sentence } from './format.js';
import { RichText } from './markdown.js';

const ENDS = { stopped: 'Stopped', failed: 'Failed' };

function avatar(answer) {
  const e = h(answer ? 'span.avatar.ours' : 'span.avatar', { 'aria-hidden': 'true' });
  e.append(answer ? icon('mark') : 'A');
  return e;
}

function when(message) {
  const ms = message.role === 'assistant' ? message.finished_ms : message.sent_ms;
  if (!ms) return null;
  const spent = message.duration_ms ?? ms - message.sent_ms; // an imported one tells only when
  const took = message.role === 'assistant' && spent > 0 ? `, answered in ${duration(spent)}` : '';
  return h('time', { datetime: new Date(ms).toISOString(), title: fullDate(ms) + took }, clock(ms));
}

export class MessageView {
  /** `actions.regenerate(message)` is what the button of an answer does. With `later` the text is
   *  not there until fill(): a long conversation shows its end first. */
  constructor(message, marked, actions, later = false) {
    const answer = message.role === 'assistant';
    const who = `who-${message.id}`;
    this.actions = actions;
    this.later = later;
    this.head = h('header', {});
    this.text = h('div.text');
    this.foot = h('footer', {});
    this.name = h('h2', { id: who }, answer ? 'AetherAI' : message.role === 'user' ? 'You'
      : 'Instructions');
    this.element = h(`article.message.${answer ? 'answer' : 'question'}`,
      { 'aria-labelledby': who, 'data-id': message.id },
      avatar(answer), this.head, this.text, this.foot);
    this.rich = new RichText(this.text, answer ? marked : null);
    this.update(message);
  }

  update(message) {
    this.message = message;
    const streaming = message.state === 'streaming';
    this.element.classList.toggle('streaming', streaming);
    this.element.setAttribute('aria-busy', streaming);
    this.#head();
    if (!this.later) this.write(message.text, !streaming);
    this.#foot(streaming);
  }

  fill() {
    this.later = false;
    this.write(this.message.text, this.message.state !== 'streaming');
  }

  write(text, whole) {
    this.rich.set(text, whole);
    this.element.classList.toggle('empty', text === '');
  }

  /** Before the first word: how much of the conversation the model has read. */
  reading(done, total) {
    if (total > 0) this.text.dataset.reading = `Reading, ${Math.floor(100 * done / total)} %`;
  }

  /* Only the last answer offers another try. */
  set last(value) {
    this.element.classList.toggle('last', value);
    if (this.again) this.again.hidden = !value;
  }

  #head() {
    const { message } = this;
    const parts = [this.name];
    if (message.role === 'assistant' && message.model) {
      parts.push(h('span.chip', { title: 'The model that answered' }, message.model));
    }
    const time = when(message);
    if (time) parts.push(time);
    this.head.replaceChildren(...parts);
  }

  #foot(streaming) {
    const { message } = this;
    this.again = null;
    if (message.role !== 'assistant' || streaming) {
      this.foot.replaceChildren();
      return;
    }
    const parts = [];
    const failed = message.state === 'failed';
    if (Number.isInteger(message.tokens) && !(failed && message.tokens === 0)) {
      parts.push(h('span.tokens', {}, counted(message.tokens, 'token')));
    }
    if (message.end === 'length') parts.push(h('span.end', {}, 'Cut off: as long as it may be'));
    if (ENDS[message.state]) parts.push(h(`span.end.${message.state}`, {}, ENDS[message.state]));
    this.again = h('button.act', { type: 'button', 'aria-label': 'Regenerate this answer',
      hidden: true, onclick: () => this.actions.regenerate(this.message) },
    icon('again'), h('span', {}, 'Regenerate'));
    const copy = copyButton('button.act', 'Copy this answer', () => this.message.text);
    parts.push(h('span.acts', {}, ...(message.text ? [copy] : []), this.again));
    if (failed) parts.unshift(h('p.failure', {}, sentence(message.error || 'it broke off')));
    this.foot.replaceChildren(...parts);
  }
}

/** The line under the title, and what it is made of. */
export function showTotals(ids, totals) {
  ids.box.hidden = !totals;
  if (!totals) return;
  say(ids.counts, `${counted(totals.messages, 'message')} · ${counted(totals.tokens, 'token')}`);
  say(ids.questions, counted(totals.questions, 'token'));
  say(ids.answers, counted(totals.answers, 'token'));
  say(ids.system, counted(totals.system_template, 'token'));
}
