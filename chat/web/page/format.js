/* Numbers and times as the visitor's locale writes them. The words of the page are English. */

const locale = navigator.languages?.length ? [...navigator.languages] : undefined;
const numbers = new Intl.NumberFormat(locale);
const plural = new Intl.PluralRules('en');
const clocks = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' });
const dates = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' });

/* Some versions of the locale data put a narrow no-break space before AM. */
const plain = (text) => text.replace(/[\u202f\u00a0]/g, ' ');

export const number = (n) => numbers.format(n);

/** "1 message", "24 messages" */
export function counted(n, word) {
  return `${number(n)} ${word}${plural.select(n) === 'one' ? '' : 's'}`;
}

export const clock = (ms) => plain(clocks.format(ms));
export const fullDate = (ms) => plain(dates.format(ms));

export function duration(ms) {
  if (ms < 1000) return `${number(Math.round(ms))} ms`;
  if (ms < 60000) return `${number(Math.round(ms / 100) / 10)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function bytes(n) {
  const [value, unit] = n >= 1e9 ? [n / 1e9, 'GB'] : n >= 1e6 ? [n / 1e6, 'MB'] : [n / 1e3, 'kB'];
  return `${number(value < 10 ? Math.round(value * 10) / 10 : Math.round(value))} ${unit}`;
}

/** Under which heading of the list a conversation stands. */
export function age(ms, now = Date.now()) {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const day = 24 * 3600 * 1000;
  if (ms >= midnight) return 'Today';
  if (ms >= midnight - day) return 'Yesterday';
  return ms >= midnight - 7 * day ? 'Previous 7 days' : 'Older';
}

/** "it broke off" -> "It broke off." */
export function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** A title from the first words of a question. */
export function titleOf(question) {
  const line = question.trim().split('\n')[0].replace(/\s+/g, ' ');
  if (line.length <= 60) return line || 'New conversation';
  const cut = line.slice(0, 60);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), 30)).trim()}…`;
}
