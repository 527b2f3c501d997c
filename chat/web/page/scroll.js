/* Follow the answer while the reader is at the end, and only then. */
import { $ } from './dom.js';

const NEAR = 80;
const root = document.scrollingElement;
let following = true;
let last = 0; // where the page was scrolled to

const atEnd = () => root.scrollHeight - root.scrollTop - root.clientHeight < NEAR;

export function toEnd() {
  following = true;
  root.scrollTop = root.scrollHeight;
  last = root.scrollTop;
  $('latest').hidden = true;
}

/** After something changed: stay at the end if the reader was there. */
function settle() {
  if (following) toEnd();
  else $('latest').hidden = atEnd();
}

/* Text that grows under the reader leaves the end behind, too: only going up means to stay. */
function onScroll() {
  if (atEnd()) following = true;
  else if (root.scrollTop < last - 1) following = false;
  last = root.scrollTop;
  $('latest').hidden = following || atEnd();
}

export function watchScrolling() {
  addEventListener('scroll', onScroll, { passive: true });
  new ResizeObserver(settle).observe($('messages'));
  $('latest').addEventListener('click', () => { toEnd(); $('question').focus(); });
}
