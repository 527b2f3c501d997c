// SPDX-License-Identifier: Apache-2.0
// The official OpenAI client against `aether chat`: openai_client.py starts both.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(process.env.CHAT_NODE_FOLDER + '/x.js');
const { default: OpenAI } = require('openai');
const client = new OpenAI({ baseURL: process.env.CHAT_URL + 'v1', apiKey: process.env.CHAT_KEY,
  maxRetries: 0, timeout: 20000 });
const stranger = new OpenAI({ baseURL: process.env.CHAT_URL + 'v1', apiKey: 'another-key-of-some',
  maxRetries: 0 });
const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hello?' }];
const cases = {};

cases.models_are_listed_and_found = async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ['fake']);
  assert.equal((await client.models.retrieve('fake')).object, 'model');
  await assert.rejects(client.models.retrieve('none'), OpenAI.NotFoundError);
};

cases.a_chat_is_answered_whole = async () => {
  const answer = await client.chat.completions.create({ model: 'fake', messages });
  const [choice] = answer.choices;
  assert.equal(answer.object, 'chat.completion');
  assert.equal(choice.message.role, 'assistant');
  assert.equal(choice.finish_reason, 'stop');
  assert.ok(choice.message.content.length > 50);
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
};

cases.a_stream_is_the_same_answer_in_pieces = async () => {
  const whole = await client.chat.completions.create({ model: 'fake', messages, seed: 7 });
  const stream = await client.chat.completions.create({ model: 'fake', messages, seed: 7,
    stream: true, stream_options: { include_usage: true } });
  let text = '', usage = null, reason = null, pieces = 0;
  const roles = [];
  for await (const chunk of stream) {
    pieces++;
    usage = chunk.usage ?? usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    text += choice.delta.content ?? '';
    if (choice.delta.role) roles.push(choice.delta.role);
    reason = choice.finish_reason ?? reason;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(usage, whole.usage);
  assert.deepEqual(roles, ['assistant']);
  assert.equal(reason, 'stop');
  assert.ok(pieces > 10);
};

cases.max_tokens_and_stop_are_heeded = async () => {
  const cut = await client.chat.completions.create({ model: 'fake', messages, max_tokens: 5 });
  assert.equal(cut.choices[0].finish_reason, 'length');
  assert.equal(cut.usage.completion_tokens, 5);
  const whole = await client.chat.completions.create({ model: 'fake', messages, max_tokens: 50 });
  const text = whole.choices[0].message.content;
  const stop = text.slice(20, 24);
  const stopped = await client.chat.completions.create({ model: 'fake', messages, stop: [stop] });
  assert.equal(stopped.choices[0].finish_reason, 'stop');
  assert.equal(stopped.choices[0].message.content, text.slice(0, text.indexOf(stop)));
};

cases.an_abort_ends_the_stream = async () => {
  // A client that the machine holds up for the whole answer aborts what has come already.
  let pieces = 10;
  for (let tries = 0; tries < 5 && pieces >= 10; tries++) {
    const stream = await client.chat.completions.create({ model: 'fake', messages, stream: true });
    pieces = 0;
    for await (const chunk of stream) {
      if (chunk && ++pieces === 3) stream.controller.abort();
    }
  }
  assert.ok(pieces < 10, `${pieces} pieces`);
  const soon = new AbortController();
  const whole = client.chat.completions.create({ model: 'fake', messages },
    { signal: soon.signal });
  setTimeout(() => soon.abort(), 50);
  await assert.rejects(whole, OpenAI.APIUserAbortError);
};

cases.errors_are_the_clients_own_kinds = async () => {
  const { create } = client.chat.completions;
  const ask = (more) => create.call(client.chat.completions, { model: 'fake', messages, ...more });
  await assert.rejects(ask({ model: 'none' }), OpenAI.NotFoundError);
  await assert.rejects(ask({ messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(ask({ temperature: 9 }), OpenAI.BadRequestError);
  await assert.rejects(ask({ n: 2 }), OpenAI.BadRequestError);
  await assert.rejects(ask({ tools: [{ type: 'function', function: { name: 'f' } }] }),
    OpenAI.BadRequestError);
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
};

let passed = 0, failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    passed++;
  } catch (error) {
    failed++;
    console.log(`${name}: FAILED\n${error.stack}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
