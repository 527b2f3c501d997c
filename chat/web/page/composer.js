/* The question box: grows with its text, keeps a draft per conversation, sends on Enter. */
import { $, h, say } from './dom.js';

const drafts = new Map();

export class Composer {
  /** `actions`: send(text), stop(). */
  constructor(actions) {
    this.box = $('question');
    this.key = 'new';
    this.picked = null;
    $('composer').addEventListener('submit', (e) => {
      e.preventDefault();
      this.#send(actions);
    });
    $('stop').addEventListener('click', () => actions.stop());
    this.box.addEventListener('input', () => this.#grow());
    this.box.addEventListener('keydown', (e) => {
      if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      this.#send(actions);
    });
    this.#grow();
  }

  #send(actions) {
    const text = this.box.value.trim();
    if (!text || this.busy) return;
    this.text = '';
    actions.send(text);
  }

  get text() { return this.box.value; }

  set text(value) {
    this.box.value = value;
    this.#grow();
  }

  #grow() {
    this.box.style.height = 'auto';
    this.box.style.height = `${this.box.scrollHeight}px`;
    $('send').disabled = !this.box.value.trim();
  }

  /** To another conversation; what was typed waits in the one that is left. */
  turnTo(key) {
    if (key === this.key) return;
    drafts.set(this.key, this.text);
    this.key = key;
    this.text = drafts.get(key) ?? '';
  }

  /** While an answer comes Stop stands in the place of Send. */
  set answering(value) {
    if (this.busy === value) return;
    const focused = document.activeElement === $(this.busy ? 'stop' : 'send');
    this.busy = value;
    $('send').hidden = value;
    $('stop').hidden = !value;
    if (focused) this.box.focus();
  }

  /** The true name of the model that will answer, or a choice if there are several. */
  models(status) {
    const names = status.models.map((m) => m.name);
    const chosen = names.includes(this.picked) ? this.picked : status.default_model;
    if (names.length < 2) {
      say($('model'), names[0] ?? 'no model yet');
      return;
    }
    if ($('model').querySelector('select')?.dataset.names === names.join('\n')) return;
    $('model').replaceChildren(h('select', { 'aria-label': 'Model', 'data-names': names.join('\n'),
      onchange: (e) => { this.picked = e.target.value; } },
    ...names.map((n) => h('option', { value: n, selected: n === chosen }, n))));
    this.picked = chosen;
  }
}
