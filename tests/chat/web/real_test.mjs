// SPDX-License-Identifier: Apache-2.0
// A model of this machine answers on the page: `aether chat` with llama.cpp at CHAT_URL. What it
// says is its own affair; that it says it piece by piece, under its true name and with its count, is
// what is looked at.
import assert from 'node:assert/strict';
import { browser, openPage, ready, runAll, test } from './check.mjs';

const URL_ = process.env.CHAT_URL;
const SHOTS = process.env.CHAT_SHOTS;
const PATIENCE = { timeout: 240000 };

const answered = (page) => page.waitForFunction(() => !document.getElementById('send').hidden
  && !document.querySelector('.streaming') && document.querySelector('article.answer'), null, PATIENCE);

const api = async (path) => (await fetch(URL_ + path)).json();

test('a real answer is streamed to the page, under the true name of its model', async ({ page }) => {
  const { models } = await api('api/status');
  await page.fill('#question', 'What is a linked list? Show one in C.');
  await page.press('#question', 'Enter');
  await page.waitForSelector('.streaming:not(.empty)', PATIENCE);
  const lengths = new Set();
  for (let i = 0; i < 3; i++) {
    lengths.add(await page.textContent('.streaming .text'));
    await page.waitForFunction((old) => {
      const now = document.querySelector('.streaming .text')?.textContent;
      return now === undefined || now.length > old;
    }, [...lengths].at(-1).length, PATIENCE);
  }
  assert.equal(lengths.size, 3, 'it came in pieces');
  await answered(page);
  const { messages, totals } = await api(`api/conversations/${new URL(page.url()).hash.slice(4)}`);
  const answer = messages.at(-1);
  assert.equal(answer.state, 'done', answer.error);
  assert.ok(models.some((m) => m.name === answer.model), answer.model);
  assert.equal(await page.textContent('article.answer .chip'), answer.model);
  assert.equal(await page.textContent('article.answer .tokens'),
    `${answer.tokens.toLocaleString('en-US')} token${answer.tokens === 1 ? '' : 's'}`);
  assert.equal(await page.textContent('#counts'),
    `2 messages · ${totals.tokens.toLocaleString('en-US')} tokens`);
  if (SHOTS) {
    await page.screenshot({ path: `${SHOTS}/chat-real-desktop.png` });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: `${SHOTS}/chat-real-phone.png` });
    await page.setViewportSize({ width: 1280, height: 860 });
  }
});

test('Stop ends it', async ({ page }) => {
  await page.click('#new');
  await page.fill('#question', 'Write a long story about a lighthouse.');
  await page.press('#question', 'Enter');
  await page.waitForSelector('.streaming:not(.empty)', PATIENCE);
  await page.click('#stop');
  await answered(page);
  const { messages } = await api(`api/conversations/${new URL(page.url()).hash.slice(4)}`);
  assert.equal(messages.at(-1).state, 'stopped');
  assert.ok(messages.at(-1).text.length > 0);
});

test('the console stayed empty, and nothing was asked of another host', async ({ page }) => {
  assert.deepEqual(page.complaints, []);
});

const chromium = await browser();
const page = await openPage(chromium, URL_, { reducedMotion: 'reduce' });
await page.goto(`${URL_}#/new`);
await ready(page);
const fine = await runAll({ page });
await chromium.close();
process.exitCode = fine ? 0 : 1;
