// SPDX-License-Identifier: Apache-2.0
// The page of AetherAI in Chromium, against a server at CHAT_URL. What the sample conversation must
// look like is written here again, from its own source, and not taken from the page's code.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { browser, load, openPage, ready, runAll, test } from './check.mjs';

const URL_ = process.env.CHAT_URL;
const MOCK = process.env.CHAT_KIND === 'mock';
const SHOTS = process.env.CHAT_SHOTS;
const sample = JSON.parse(fs.readFileSync(process.env.CHAT_SAMPLE, 'utf8'));
const axe = fs.readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

const fences = (text) => [...text.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm)]
  .map(([, language, source]) => ({ language, source }));
const shown = sample.messages.slice(-6);
const codes = shown.flatMap((m) => (m.role === 'assistant' ? fences(m.text) : []));

async function call(method, path, body) {
  const response = await fetch(URL_ + path, { method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body && JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return response.status === 204 ? null : response.json();
}

const importSample = () => call('POST', 'api/import', sample);

async function openSample(chromium, options) {
  const { id } = await importSample();
  const page = await openPage(chromium, URL_, options);
  await page.goto(`${URL_}#/c/${id}`);
  await ready(page);
  page.id = id;
  return page;
}

const texts = (page, selector) => page.locator(selector).allTextContents();
const answered = (page) => page.waitForFunction(() => !document.getElementById('send').hidden
  && !document.querySelector('.streaming'));

async function askFor(page, text) {
  await page.fill('#question', text);
  await page.press('#question', 'Enter');
}

// ---- the sample, as the "Done when" of the page has it ----

test('the header shows mark, title, messages and tokens', async ({ page }) => {
  assert.equal(await page.textContent('#mark'), 'A');
  assert.equal(await page.textContent('h1'), 'Rust async/await deep dive');
  assert.equal(await page.textContent('#counts'), '24 messages · 8,412 tokens');
  assert.equal(await page.title(), 'Rust async/await deep dive · AetherAI');
});

test('hovering over the totals splits them', async ({ page }) => {
  const sum = (role) => sample.messages.filter((m) => m.role === role)
    .reduce((n, m) => n + m.tokens, 0);
  assert.equal(sum('user') + sum('assistant'), 8412);
  assert.equal(await page.isVisible('#split'), false);
  await page.hover('#counts');
  await page.waitForSelector('#split', { state: 'visible' });
  const rows = await texts(page, '#split dl > div');
  assert.equal(rows[0], `Questions${sum('user').toLocaleString('en-US')} tokens`);
  assert.equal(rows[1], `Answers${sum('assistant').toLocaleString('en-US')} tokens`);
  assert.match(rows[2], /^System and template[\d,]+ tokens?$/);
  await page.mouse.move(640, 500);
});

test('there are 24 messages; the last six have their names, times, model and tokens', async ({ page }) => {
  assert.equal(await page.locator('article').count(), 24);
  const heads = await page.locator('article').evaluateAll((all) => all.slice(-6).map((a) => [
    a.querySelector('.avatar').textContent.trim(), a.querySelector('h2').textContent,
    a.querySelector('.chip')?.textContent ?? null, a.querySelector('time').textContent,
    a.querySelector('.tokens')?.textContent ?? null]));
  assert.deepEqual(heads, [
    ['A', 'You', null, '10:42 AM', null],
    ['', 'AetherAI', 'llama3.2', '10:42 AM', '312 tokens'],
    ['A', 'You', null, '10:45 AM', null],
    ['', 'AetherAI', 'llama3.2', '10:47 AM', '287 tokens'],
    ['A', 'You', null, '10:51 AM', null],
    ['', 'AetherAI', 'llama3.2', '10:53 AM', '334 tokens'],
  ]);
});

test('hovering over a time tells the date, and how long an answer took', async ({ page }) => {
  const title = await page.locator('article time').last().getAttribute('title');
  assert.match(title, /^Thursday, June 12, 2025 at 10:53:\d\d AM, answered in [\d.]+ s$/);
});

test('the table has three columns and four rows', async ({ page }) => {
  const table = page.locator('article').nth(21).locator('table');
  assert.equal(await table.count(), 1);
  const rows = await table.locator('tr').evaluateAll((all) =>
    all.map((r) => [...r.children].map((c) => `${c.tagName} ${c.textContent}`)));
  assert.deepEqual(rows, [
    ['TH Feature', 'TH epoll (default Tokio)', 'TH io_uring (tokio-uring)'],
    ['TD Syscalls per op', 'TD 2-3 (submit + wait)', 'TD Near 0 (batched)'],
    ['TD Copy operations', 'TD Required for reads', 'TD Zero-copy possible'],
    ['TD Kernel support', 'TD Linux 2.5.45+', 'TD Linux 5.1+'],
    ['TD Maturity', 'TD Production-ready', 'TD Stable but newer'],
  ]);
});

const lastCodes = (page) => page.locator('article:nth-last-child(-n+6) .code');

test('seven rust blocks and one of toml are labelled and coloured', async ({ page }) => {
  const labels = await lastCodes(page).locator('.language').allTextContents();
  assert.deepEqual(labels, ['rust', 'rust', 'toml', 'rust', 'rust', 'rust', 'rust', 'rust']);
  assert.deepEqual(codes.map((c) => c.language), labels);
  await page.waitForFunction(() => [...document.querySelectorAll('article:nth-last-child(-n+6) .code')]
    .every((c) => c.dataset.highlighted === 'true'));
  const colours = await lastCodes(page).evaluateAll((all) => all.map((c) => new Set(
    [...c.querySelectorAll('[class^="hljs-"]')].map((e) => getComputedStyle(e).color)).size));
  for (const n of colours) assert.ok(n >= 2, `colours in a block: ${colours}`);
});

test('every line is numbered from one, blank ones too', async ({ page }) => {
  const numbers = await lastCodes(page).evaluateAll((all) => all.map((c) =>
    [...c.querySelectorAll('.line')].map((l) => ({ text: l.textContent, n: l.dataset.n,
      drawn: getComputedStyle(l, '::before').content, high: l.getBoundingClientRect().height > 8 }))));
  codes.forEach((code, i) => {
    const lines = code.source.split('\n');
    assert.deepEqual(numbers[i].map((l) => l.text), lines);
    assert.deepEqual(numbers[i].map((l) => Number(l.n)), lines.map((_, k) => k + 1));
    numbers[i].forEach((l, k) => {
      assert.ok(l.drawn.includes(`"${k + 1}"`), `drawn: ${l.drawn}`);
      assert.ok(l.high, `line ${k + 1} of block ${i + 1} has no height`);
    });
  });
  assert.ok(codes.some((c) => c.source.split('\n').some((l) => l.trim() === '')), 'a blank line is among them');
});

test('Copy gives the exact source without numbers', async ({ page }) => {
  for (const [i, code] of codes.entries()) {
    const button = lastCodes(page).nth(i).locator('.copy');
    await button.click();
    await page.waitForFunction((b) => b.textContent === 'Copied', await button.elementHandle());
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), code.source);
  }
});

test('selected code has no numbers in it either', async ({ page }) => {
  const selected = await lastCodes(page).nth(1).locator('code').evaluate((e) => {
    getSelection().selectAllChildren(e);
    const text = String(getSelection());
    getSelection().removeAllRanges();
    return text;
  });
  assert.equal(selected, codes[1].source);
});

test('a cross, dashes and the micro sign are intact', async ({ page }) => {
  const [first, second, third] = await page.locator('article.answer .text').evaluateAll((all) =>
    all.slice(-3).map((e) => e.textContent));
  assert.ok(third.includes('// ❌ NEVER do this in async code'));
  assert.ok(third.includes('spawn_blocking — For CPU-heavy work'));
  assert.ok(third.includes('argon2_hash(&data) // CPU-intensive — safe here'));
  assert.ok(third.includes('Any operation taking >100µs should use spawn_blocking.'));
  assert.ok(second.startsWith('Excellent question — io_uring is a game-changer'));
  assert.ok(first.includes('creates a new task — essentially free compared to OS threads.'));
});

test('the numbered list has bold lead words', async ({ page }) => {
  const items = await page.locator('article').nth(19).locator('ol > li').evaluateAll((all) =>
    all.map((li) => [li.querySelector('strong').textContent, li.textContent,
      getComputedStyle(li.querySelector('strong')).fontWeight >= 600, getComputedStyle(li).listStyleType]));
  assert.deepEqual(items, [
    ['Runtime', 'Runtime — The top-level struct that owns the thread pool and I/O driver'],
    ['Executor', 'Executor — Polls futures to completion using cooperative scheduling'],
    ['Reactor', 'Reactor — Handles I/O events via epoll/kqueue/IOCP depending on OS'],
    ['Task', 'Task — A lightweight unit of work (like a green thread)'],
  ].map((row) => [...row, true, 'decimal']));
});

test('headings, bold and inline code are elements, not marks', async ({ page }) => {
  const answer = page.locator('article').nth(19);
  assert.deepEqual(await answer.locator('.text :is(h3,h4,h5,h6)').allTextContents(),
    ["How Tokio's Executor Works", 'Thread Pool Architecture', 'Key Components', 'Work Stealing']);
  assert.ok((await answer.locator('p > strong').allTextContents())
    .includes('multi-threaded work-stealing scheduler'));
  assert.deepEqual(await answer.locator('p > code').allTextContents(), ['tokio::spawn']);
  const all = await page.locator('article:nth-last-child(-n+6) .text').evaluateAll((e) =>
    e.map((t) => [...t.children].filter((c) => !c.matches('.code')).map((c) => c.textContent).join('\n')));
  for (const text of all) assert.doesNotMatch(text, /\*\*|^#|```|\|---/m);
});

test('the footer says it word for word', async ({ page }) => {
  assert.equal(await page.textContent('footer.small'),
    'AetherAI uses local and open-source models. Responses may be inaccurate.');
});

// ---- conversations ----

test('a question and its answer change the totals by exactly the stored counts', async ({ page }) => {
  const before = (await call('GET', `api/conversations/${page.id}`)).totals;
  await askFor(page, 'How many stacks do a million tasks need?');
  await page.waitForFunction(() => document.querySelectorAll('article').length === 26);
  await answered(page);
  const after = await call('GET', `api/conversations/${page.id}`);
  const [question, answer] = after.messages.slice(-2);
  assert.equal(question.text, 'How many stacks do a million tasks need?');
  assert.ok(question.tokens > 0 && answer.tokens > 0);
  assert.equal(after.totals.tokens, before.tokens + question.tokens + answer.tokens);
  const tokens = after.totals.tokens.toLocaleString('en-US');
  await page.waitForFunction((want) => document.getElementById('counts').textContent === want,
    `26 messages · ${tokens} tokens`);
  assert.equal(await page.locator('article .tokens').last().textContent(),
    `${answer.tokens.toLocaleString('en-US')} token${answer.tokens === 1 ? '' : 's'}`);
  assert.equal(await page.locator('article .chip').last().textContent(), answer.model);
});

test('Regenerate puts another answer in the place of the last', async ({ page }) => {
  const ids = () => page.locator('article').evaluateAll((all) => all.map((a) => a.dataset.id));
  const before = await ids();
  await page.click('article.last .act[aria-label^="Regenerate"]');
  await page.waitForFunction((old) => document.querySelector('article:last-child').dataset.id !== old,
    before.at(-1));
  await answered(page);
  const now = await ids();
  assert.equal(now.length, before.length);
  assert.deepEqual(now.slice(0, -1), before.slice(0, -1));
  const kept = await call('GET', `api/conversations/${page.id}`);
  assert.deepEqual(kept.messages.map((m) => String(m.id)), now);
});

test('the text arrives while it is written, and Stop keeps what there is', async ({ page }) => {
  await page.evaluate(() => {
    globalThis.lengths = new Set();
    new MutationObserver(() => {
      const text = document.querySelector('.streaming .text')?.textContent;
      if (text) globalThis.lengths.add(text.length);
    }).observe(document.getElementById('messages'), { childList: true, subtree: true, characterData: true });
  });
  await askFor(page, 'Tell a long story, please.');
  await page.waitForFunction(() => globalThis.lengths.size >= 3);
  await page.click('#stop');
  await answered(page);
  const kept = (await call('GET', `api/conversations/${page.id}`)).messages.at(-1);
  assert.equal(kept.state, 'stopped');
  assert.ok(kept.text.length > 0);
  assert.equal(await page.locator('article.last .end').textContent(), 'Stopped');
  assert.equal(await page.textContent('#said'), 'The answer was stopped');
});

test('Esc stops as well', async ({ page }) => {
  await askFor(page, 'Another long story.');
  await page.waitForSelector('.streaming:not(.empty)');
  await page.keyboard.press('Escape');
  await answered(page);
  assert.equal(await page.locator('article.last .end').textContent(), 'Stopped');
});

test('a conversation is made, named by its question, renamed, left, found again and deleted', async ({ page }) => {
  await page.click('#new');
  await page.waitForSelector('.greeting');
  assert.equal(await page.textContent('h1'), 'New conversation');
  assert.equal(await page.isVisible('#totals'), false);
  await askFor(page, 'Name the four sync primitives');
  await page.waitForSelector('article.answer');
  await answered(page);
  assert.equal(await page.textContent('h1'), 'Name the four sync primitives');
  const link = page.locator('.conversations a[aria-current="page"]');
  assert.equal(await link.textContent(), 'Name the four sync primitives');

  await link.hover();
  await page.click('li:has([aria-current]) [aria-label^="Rename"]');
  await page.fill('.conversations input', 'Primitives');
  await page.press('.conversations input', 'Enter');
  await page.waitForFunction(() => document.querySelector('h1').textContent === 'Primitives');
  const { hash } = new URL(page.url());
  await page.reload();
  await ready(page);
  assert.equal(new URL(page.url()).hash, hash);
  assert.equal(await page.textContent('h1'), 'Primitives');
  assert.equal(await page.locator('article').count(), 2);

  await link.hover();
  await page.click('li:has([aria-current]) [aria-label^="Delete"]');
  await page.click('#ask-delete button[value="cancel"]');
  assert.equal(await link.textContent(), 'Primitives');
  await link.hover();
  await page.click('li:has([aria-current]) [aria-label^="Delete"]');
  await page.click('#ask-delete button[value="delete"]');
  await page.waitForSelector('.greeting');
  await page.waitForFunction(() => ![...document.querySelectorAll('.conversations .name')]
    .some((e) => e.textContent === 'Primitives'));
  await page.goto(`${URL_}#/c/${page.id}`);
  await page.waitForSelector('article');
});

test('an answer goes on while another conversation is looked at', async ({ page }) => {
  await page.click('#new');
  await askFor(page, 'Go on without me');
  await page.waitForSelector('.streaming:not(.empty)');
  const path = new URL(page.url()).hash;
  await page.evaluate((id) => { location.hash = `#/c/${id}`; }, page.id);
  await page.waitForFunction(() => document.querySelectorAll('article').length > 20);
  await page.evaluate((hash) => { location.hash = hash; }, path);
  await page.waitForFunction(() => document.querySelectorAll('article').length === 2);
  await answered(page);
  const kept = await call('GET', `api/conversations/${path.slice(4)}`);
  assert.equal(kept.messages[1].state, 'done');
  await page.evaluate((id) => { location.hash = `#/c/${id}`; }, page.id);
});

test('another page of the same conversation shows the answer, too', async ({ page, chromium }) => {
  await page.click('#new');
  await askFor(page, 'Answer both of us');
  await page.waitForSelector('.streaming:not(.empty)');
  const other = await openPage(chromium, URL_);
  await other.goto(page.url());
  await ready(other);
  assert.equal(await other.locator('article').count(), 2);
  await answered(page);
  const text = await page.textContent('article.answer .text');
  await other.waitForFunction((want) => document.querySelector('article.answer .text').textContent === want
    && !document.querySelector('.streaming'), text);
  assert.equal(await other.textContent('article.answer .tokens'),
    await page.textContent('article.answer .tokens'));
  assert.deepEqual(other.complaints, []);
  await other.leave();
  await page.evaluate((id) => { location.hash = `#/c/${id}`; }, page.id);
  await page.waitForFunction(() => document.querySelectorAll('article').length > 20);
});

if (!MOCK) {
  test('an answer whose page is closed stops there and is kept', async ({ chromium }) => {
    const page = await openPage(chromium, URL_);
    await page.goto(`${URL_}#/new`);
    await ready(page);
    await askFor(page, 'I leave soon');
    await page.waitForSelector('.streaming:not(.empty)');
    const path = `api/conversations/${new URL(page.url()).hash.slice(4)}`;
    await page.leave();
    let answer;
    do {
      answer = (await call('GET', path)).messages[1];
    } while (answer.state === 'streaming');
    assert.equal(answer.state, 'stopped');
    assert.ok(answer.text.length > 0);
  });
}

test('a long conversation shows its end first, and then all of it', async ({ chromium }) => {
  const messages = Array.from({ length: 5 }, () => sample.messages).flat();
  const { id } = await call('POST', 'api/import', { title: 'Long', messages });
  const page = await openPage(chromium, URL_);
  await page.goto(`${URL_}#/c/${id}`);
  await ready(page);
  assert.equal(await page.locator('article').count(), 120);
  await page.waitForFunction(() => [...document.querySelectorAll('article .text')].every((t) => t.textContent));
  assert.deepEqual(await page.locator('article.question .text').allTextContents(),
    messages.filter((m) => m.role === 'user').map((m) => m.text));
  await page.waitForFunction(() => {
    const { scrollHeight, scrollTop, clientHeight } = document.scrollingElement;
    return scrollHeight - scrollTop - clientHeight < 2;
  });
  await page.leave();
});

test('one message of one token is singular', async ({ chromium }) => {
  const { id } = await call('POST', 'api/import', { title: 'One',
    messages: [{ role: 'user', text: 'Hi', sent_ms: 1749723731989, tokens: 1 }] });
  const page = await openPage(chromium, URL_);
  await page.goto(`${URL_}#/c/${id}`);
  await ready(page);
  assert.equal(await page.textContent('#counts'), '1 message · 1 token');
  await page.leave();
});

test('numbers and times are written as the visitor writes them', async ({ chromium }) => {
  const page = await openSample(chromium, { locale: 'de-DE', timezoneId: 'Europe/Berlin' });
  assert.equal(await page.textContent('#counts'), '24 messages · 8.412 tokens');
  assert.equal(await page.locator('article time').last().textContent(), '12:53');
  await page.leave();
});

// ---- text that grows ----

/* In the page: feed `text` in pieces of `size` to the renderer; tell what was seen on the way. */
const grow = ([text, size]) => (async () => {
  const { RichText } = await import('/assets/markdown.js');
  const marked = await import('/assets/marked.js');
  const shape = (node) => (node.nodeType === 3 ? node.data : node.localName === 'code'
    ? `<code>${node.textContent}</code>`
    : `<${node.localName}>${[...node.childNodes].map(shape).join('')}</${node.localName}>`);
  const whole = document.createElement('div'), grown = document.createElement('div');
  new RichText(whole, marked).set(text, true);
  const rich = new RichText(grown, marked);
  const raw = [];
  let first = null, made = 0;
  for (let end = size; end < text.length; end += size) {
    rich.set(text.slice(0, end), false);
    const last = grown.lastElementChild;
    if (last && !last.matches('.code') && /\*\*|^\||^#|`/.test(last.textContent)) raw.push(last.textContent);
    if (first && first !== grown.firstElementChild) made++;
    if (grown.childElementCount > 2) first ??= grown.firstElementChild;
  }
  rich.set(text, true);
  return { same: shape(whole) === shape(grown), raw, made };
})();

test('a text that came in pieces looks as if it had come whole', async ({ page }) => {
  for (const { text } of sample.messages.filter((m) => m.role === 'assistant')) {
    for (const size of [1, 7, 64]) {
      const { same } = await page.evaluate(grow, [text, size]);
      assert.ok(same, `pieces of ${size}: ${text.slice(0, 60)}`);
    }
  }
});

test('a block that is complete is not made again', async ({ page }) => {
  const { made } = await page.evaluate(grow, [shown[5].text, 3]);
  assert.equal(made, 0);
});

test('no open mark of bold, code or a table is seen on the way', async ({ page }) => {
  for (const { text } of shown.filter((m) => m.role === 'assistant')) {
    const { raw } = await page.evaluate(grow, [text, 1]);
    assert.deepEqual(raw, []);
  }
});

// ---- safety ----

const HOSTILE = ['<img src=x onerror="globalThis.owned = 1"><script>globalThis.owned = 1</script>',
  '[click](javascript:globalThis.owned=1) [data](data:text/html,x) [rel](/api/status)',
  '![spy](https://evil.example/pixel.png) [good](https://example.org/a?b=c&amp;d)',
  '<div onclick="globalThis.owned = 1">\nblock\n</div>',
  '```"><img/src=x/onerror=globalThis.owned=1>\n</code><b>x</b>\n```', 'a &lt;b&gt; &#60;c&#62; &copy;',
].join('\n\n');

test('what a model or a title says is never HTML, a script or a request', async ({ chromium }) => {
  const message = { text: HOSTILE, sent_ms: 1749723731989, finished_ms: 1749723732989, tokens: 5 };
  const { id } = await call('POST', 'api/import', { title: '<img src=x onerror="globalThis.owned=1">',
    messages: [{ ...message, role: 'user' },
      { ...message, role: 'assistant', model: 'x' }] });
  const page = await openPage(chromium, URL_);
  await page.goto(`${URL_}#/c/${id}`);
  await ready(page);
  assert.equal(await page.locator('article').count(), 2);
  assert.equal(await page.locator('#messages :is(img, script, iframe, [onclick], [onerror])').count(), 0);
  const links = await page.locator('article.answer .text a').evaluateAll((all) =>
    all.map((a) => [a.href, a.rel, a.target]));
  assert.deepEqual(links, [['https://evil.example/pixel.png', 'noopener noreferrer', '_blank'],
    ['https://example.org/a?b=c&d', 'noopener noreferrer', '_blank']]);
  const text = await page.locator('article.answer .text').textContent();
  assert.ok(text.includes('<script>globalThis.owned = 1</script>'));
  assert.ok(text.includes('a <b> <c> ©'));
  assert.equal(await page.evaluate(() => globalThis.owned), undefined);
  assert.deepEqual(page.complaints, []);
  await page.leave();
});

test('the policy forbids scripts from elsewhere, inline scripts and strings as HTML', async ({ page }) => {
  const policy = (await fetch(URL_)).headers.get('content-security-policy');
  for (const part of ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
    assert.ok(policy.split(/;\s*/).includes(part), `${part} in ${policy}`);
  }
  const outcome = await page.evaluate(() => {
    try {
      document.createElement('p').innerHTML = '<b>x</b>';
      return 'taken';
    } catch (error) { return error.name; }
  });
  assert.equal(outcome, 'TypeError');
  page.complaints.length = 0; // the refusal is told on the console, too
});

// ---- keys, readers, small screens ----

test('the page works by keyboard alone', async ({ page }) => {
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'question');
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  assert.equal(await page.inputValue('#question'), 'one\ntwo');
  await page.fill('#question', '');
  await page.keyboard.press('Control+b');
  assert.equal(await page.evaluate(() => document.getElementById('side').inert), true);
  await page.keyboard.press('Control+b');
  assert.equal(await page.evaluate(() => document.getElementById('side').contains(document.activeElement)), true);
  await page.keyboard.press('?');
  await page.waitForSelector('#help[open]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#help', { state: 'hidden' });
  await page.keyboard.press('Control+Shift+O');
  await page.waitForSelector('.greeting');
  await page.goBack();
  await page.waitForSelector('article');
});

async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => axe.run(document, {
    resultTypes: ['violations'] }));
  return found.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} (${n.failureSummary})`).slice(0, 3).join('; ')}`);
}

const SCREENS = [['desktop', { width: 1280, height: 860 }], ['phone', { width: 390, height: 844 }]];

for (const [name, viewport] of SCREENS) {
  for (const colorScheme of ['light', 'dark']) {
    test(`axe finds nothing: ${name}, ${colorScheme}`, async ({ chromium }) => {
      const page = await openSample(chromium, { viewport, colorScheme, reducedMotion: 'reduce',
        deviceScaleFactor: name === 'phone' ? 2 : 1 });
      await page.waitForFunction(() => document.querySelectorAll('.code:not([data-highlighted])').length === 0);
      assert.deepEqual(await violations(page), [], 'the sample');
      if (SHOTS) {
        await page.screenshot({ path: `${SHOTS}/chat-${name}-${colorScheme}-end.png` });
        await page.locator('article').nth(18).evaluate((e) => {
          scrollTo(0, scrollY + e.getBoundingClientRect().top - 76);
        });
        await page.screenshot({ path: `${SHOTS}/chat-${name}-${colorScheme}.png` });
      }
      if (name === 'phone') {
        await page.click('#side-open');
        assert.deepEqual(await violations(page), [], 'the drawer');
        await page.keyboard.press('Escape');
      }
      await page.evaluate(() => document.getElementById('help').showModal());
      assert.deepEqual(await violations(page), [], 'the help');
      await page.evaluate(() => document.getElementById('help').close());
      await page.evaluate(() => { location.hash = '#/new'; });
      await page.waitForSelector('.greeting');
      assert.deepEqual(await violations(page), [], 'a new conversation');
      await askFor(page, 'Be looked at while you answer');
      await page.waitForSelector('.streaming:not(.empty)');
      assert.deepEqual(await violations(page), [], 'an answer under way');
      await page.keyboard.press('Escape');
      await answered(page);
      assert.deepEqual(await violations(page), [], 'a stopped answer');
      await page.leave();
    });
  }
}

test('on a phone nothing sticks out, and the list is a drawer', async ({ chromium }) => {
  const page = await openSample(chromium, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.equal(await page.evaluate(() => document.getElementById('side').inert), true);
  await page.tap('#side-open');
  await page.waitForFunction(() => document.getElementById('side').contains(document.activeElement));
  await page.tap('#new');
  await page.waitForSelector('.greeting');
  assert.equal(await page.evaluate(() => document.getElementById('side').inert), true);
  const small = await page.locator('button:visible').evaluateAll((all) => all.filter((b) => {
    const box = b.getBoundingClientRect();
    return box.width && (box.height < 36 || box.width < 36) && b.id !== 'counts';
  }).map((b) => b.outerHTML.slice(0, 80)));
  assert.deepEqual(small, []);
  await page.leave();
});

test('the theme is chosen and kept', async ({ chromium }) => {
  const page = await openPage(chromium, URL_, { colorScheme: 'light' });
  const background = () => page.evaluate(() => getComputedStyle(document.body.parentElement).backgroundColor);
  await page.goto(URL_);
  await ready(page);
  const light = await background();
  await page.click('#theme');
  assert.equal(await background(), light);
  await page.click('#theme');
  const dark = await background();
  assert.notEqual(dark, light);
  await page.reload();
  await ready(page);
  assert.equal(await background(), dark);
  await page.leave();
});

if (MOCK) {
  test('an answer that breaks off says why and can be made again', async ({ chromium }) => {
    const page = await openPage(chromium, URL_);
    await page.goto(`${URL_}#/new`);
    await ready(page);
    await askFor(page, 'Please fail');
    await page.waitForSelector('.failure');
    assert.equal(await page.textContent('.failure'), 'The model ran out of its context.');
    assert.ok(await page.isVisible('article.last .act[aria-label^="Regenerate"]'));
    await page.leave();
  });

  test('without Markdown the page says so and shows plain text', async ({ chromium }) => {
    const page = await openPage(chromium, process.env.CHAT_PLAIN_URL);
    await page.goto(process.env.CHAT_PLAIN_URL);
    await ready(page);
    assert.match(await page.textContent('.notice'), /shown as plain text/);
    await askFor(page, 'x');
    await page.waitForSelector('article.answer');
    await answered(page);
    assert.ok((await page.textContent('article.answer .text')).includes('1. **First** — one\n2. **Second** — two'));
    assert.deepEqual(page.complaints, []);
    await page.leave();
  });

  test('without a model the page names the command that fetches one', async ({ chromium }) => {
    const page = await openPage(chromium, process.env.CHAT_EMPTY_URL);
    await page.goto(process.env.CHAT_EMPTY_URL);
    await ready(page);
    await page.waitForSelector('.notice code');
    assert.equal(await page.textContent('.notice code'), './dev chat');
    await askFor(page, 'Anybody there?');
    await page.waitForSelector('.notice.error');
    assert.equal(await page.inputValue('#question'), 'Anybody there?');
    await page.leave();
  });

  test('a server with a key asks for it, again if it was wrong, and then no more', async ({ chromium }) => {
    const page = await openPage(chromium, process.env.CHAT_KEY_URL);
    await page.goto(process.env.CHAT_KEY_URL);
    await page.waitForSelector('#ask-key[open]');
    await page.fill('#key', 'wrong');
    await page.press('#key', 'Enter');
    await page.waitForFunction(() => document.getElementById('ask-key').open
      && /not the right one/.test(document.getElementById('ask-key-what').textContent));
    assert.deepEqual(await violations(page), [], 'the dialog');
    await page.fill('#key', 'open-sesame-open');
    await page.press('#key', 'Enter');
    await ready(page);
    await askFor(page, 'Open?');
    await page.waitForSelector('article.answer');
    await answered(page);
    await page.reload();
    await ready(page);
    assert.equal(await page.isVisible('#ask-key'), false);
    assert.equal(await page.locator('article').count(), 2);
    await page.leave();
  });

  test('while a model is fetched the page shows how far it is', async ({ chromium }) => {
    const page = await openPage(chromium, process.env.CHAT_FETCHING_URL);
    await page.goto(process.env.CHAT_FETCHING_URL);
    await page.waitForSelector('.notice progress');
    const first = await page.locator('.notice progress').getAttribute('value');
    await page.waitForFunction((old) => document.querySelector('.notice progress').value > old, Number(first));
    assert.match(await page.textContent('.notice'), /SmolLM2-135M-Instruct\.Q4_1\.gguf, \d+ MB of 98 MB/);
    await page.leave();
  });
}

test('the console stayed empty, and nothing was asked of another host', async ({ page }) => {
  assert.deepEqual(page.complaints, []);
});

const chromium = await browser();
const page = await openSample(chromium);
const fine = await runAll({ chromium, page });
await chromium.close();
process.exitCode = fine ? 0 : 1;
