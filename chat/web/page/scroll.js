/* Follow the answer while the reader is at the end, and only then. */
import { $ } from './dom.js';

const NEAR = 80;
let following = true;

const root = document.scrollingElement;
const atEnd = () => root.scrollHeight - root.scrollTop - root.clientHeight < NEAR;

export function toEnd() {
  following = true;
  root.scrollTop = root.scrollHeight;
  $('latest').hidden = true;
}

/** After something changed: stay at the end if the reader was there. */
function settle() {
  if (following) root.scrollTop = root.scrollHeight;
  $('latest').hidden = following || atEnd();
}

export function watchScrolling() {
  addEventListener('scroll', () => {
    following = atEnd();
    $('latest').hidden = following;
  }, { passive: true });
  new ResizeObserver(settle).observe($('messages'));
  $('latest').addEventListener('click', () => { toEnd(); $('question').focus(); });
}
