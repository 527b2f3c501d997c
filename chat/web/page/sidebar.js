/* The list of conversations: open, rename, delete. On a narrow screen it is a drawer. */
import { $, h, icon, say } from './dom.js';
import { age, counted } from './format.js';

const narrow = matchMedia('(max-width: 56rem)');

export class Sidebar {
  /** `actions`: rename(conversation, title), remove(conversation); opening goes by the URL. */
  constructor(actions) {
    this.actions = actions;
    this.side = $('side');
    this.renaming = false;
    $('side-open').addEventListener('click', () => this.toggle(true));
    $('side-close').addEventListener('click', () => this.toggle(false));
    $('veil').addEventListener('click', () => this.toggle(false));
    this.side.addEventListener('keydown', (e) => {
      if (e.key !== 'Escape' || !narrow.matches) return;
      e.stopPropagation();
      this.toggle(false);
    });
    this.side.addEventListener('click', (e) => {
      if (narrow.matches && e.target.closest('a, #new')) this.toggle(false);
    });
    narrow.addEventListener('change', () => this.toggle(!narrow.matches, true));
    this.toggle(!narrow.matches, true);
  }

  get shown() { return document.body.classList.contains('with-side'); }

  toggle(shown = !this.shown, quietly = false) {
    document.body.classList.toggle('with-side', shown);
    this.side.inert = !shown;
    $('veil').hidden = !(shown && narrow.matches);
    $('side-open').setAttribute('aria-expanded', String(shown));
    if (quietly) return;
    if (!shown) $('side-open').focus();
    else (this.side.querySelector('[aria-current]') ?? $('new')).focus();
  }

  show(conversations, current, answering) {
    if (this.renaming) return;
    const groups = new Map();
    for (const c of conversations) {
      const name = age(c.updated_ms);
      groups.set(name, [...(groups.get(name) ?? []), this.#item(c, current, answering.has(c.id))]);
    }
    $('conversations').replaceChildren(...[...groups].map(([name, items]) =>
      h('section', {}, h('h2', {}, name), h('ul', {}, ...items))));
  }

  #item(c, current, answering) {
    const act = (name, label, f) => h('button.icon', { type: 'button', title: label,
      'aria-label': `${label} “${c.title}”`, onclick: f }, icon(name));
    const note = `${counted(c.messages, 'message')}${answering ? ', being answered' : ''}`;
    const link = h('a', { href: `#/c/${c.id}`, title: `${c.title}\n${note}`,
      'aria-current': c.id === current ? 'page' : null }, h('span.name', {}, c.title));
    if (answering) link.append(h('span.dot', {}), h('span.unseen', {}, 'being answered'));
    const item = h('li', { 'data-id': c.id }, link,
      h('span.item-acts', {},
        act('rename', 'Rename', () => this.rename(c)),
        act('delete', 'Delete', () => this.#askDelete(c))));
    return item;
  }

  rename(c) {
    const item = $('conversations').querySelector(`li[data-id="${c.id}"]`);
    if (!item || this.renaming) return;
    if (!this.shown) this.toggle(true);
    const input = h('input', { type: 'text', 'aria-label': 'New title', maxlength: '130' });
    const before = [...item.childNodes];
    const end = (keep) => {
      if (!this.renaming) return;
      this.renaming = false;
      const title = input.value.trim();
      item.replaceChildren(...before);
      item.querySelector('a').focus();
      if (keep && title && title !== c.title) {
        say(item.querySelector('.name'), title);
        this.actions.rename(c, title);
      }
    };
    input.value = c.title;
    this.renaming = true;
    input.addEventListener('keydown', (e) => {
      e.stopPropagation();
      if (e.key === 'Enter' && !e.isComposing) end(true);
      if (e.key === 'Escape') end(false);
    });
    input.addEventListener('blur', () => end(true));
    item.replaceChildren(input);
    input.select();
  }

  #askDelete(c) {
    const dialog = $('ask-delete');
    say($('ask-delete-what'), `“${c.title}” and its ${counted(c.messages, 'message')} will be gone.`);
    dialog.returnValue = '';
    dialog.addEventListener('close', () => {
      if (dialog.returnValue === 'delete') this.actions.remove(c);
    }, { once: true });
    dialog.showModal();
  }
}
