// SPDX-License-Identifier: Apache-2.0
// Cases whose names are claims, run one after another; and a browser to run them in.
import { createRequire } from 'node:module';
import path from 'node:path';

const cases = [];

export function test(claim, run) { cases.push([claim, run]); }

export async function runAll(context) {
  let passed = 0, failed = 0;
  const wanted = process.argv.slice(2);
  for (const [claim, run] of cases) {
    if (wanted.length && !wanted.some((part) => claim.includes(part))) continue;
    try {
      await run(context);
      passed++;
    } catch (error) {
      failed++;
      console.log(`${claim}: FAILED\n${error.stack ?? error}\n`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0;
}

/** A package of node_modules beside the build, where npm_packages.py put it. */
export const load = createRequire(path.join(process.env.CHAT_NODE_FOLDER, 'node_modules', 'x.js'));

export async function browser() {
  const { chromium } = load('playwright-core');
  return chromium.launch({ executablePath: process.env.CHAT_CHROMIUM,
    args: ['--no-sandbox', '--hide-scrollbars', '--disable-gpu'] });
}

/** A page that notes what a clean one never does: errors, warnings, requests to elsewhere. */
export async function openPage(chromium, url, options = {}) {
  const context = await chromium.newContext({ viewport: { width: 1280, height: 860 },
    timezoneId: 'UTC', locale: 'en-US', ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
  const page = await context.newPage();
  const complaints = [];
  page.setDefaultTimeout(20000 * Number(process.env.AE_TEST_TIMEOUT_SCALE ?? 1));
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type())) complaints.push(m.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (r) => {
    if (!r.url().startsWith(url) && !r.url().startsWith('data:')) {
      complaints.push(`a request to ${r.url()}`);
    }
  });
  page.complaints = complaints;
  page.leave = () => context.close();
  return page;
}

export async function ready(page) {
  await page.waitForSelector('body[data-ready]');
}
