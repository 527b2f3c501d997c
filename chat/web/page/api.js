/* The server's API (docs/chat-api.md): JSON both ways, answers as server-sent events. */

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function errorOf(response) {
  let error = {};
  try { error = (await response.json()).error ?? {}; } catch { /* not JSON: the status must do */ }
  return new ApiError(response.status, error.code ?? 'http',
    error.message ?? `The server answered ${response.status} ${response.statusText}`.trim());
}

/* A server that other machines can reach wants a key. It is kept for this tab only. */
let askForKey = null;
export const setAskForKey = (ask) => { askForKey = ask; };

function storedKey() {
  try { return sessionStorage.getItem('key'); } catch { return null; }
}

async function newKey() {
  const key = await askForKey?.(storedKey() !== null);
  if (!key) return false;
  try { sessionStorage.setItem('key', key); } catch { return false; }
  return true;
}

async function send(method, path, body) {
  const options = { method, headers: {} };
  const key = storedKey();
  if (key) options.headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, 'unreachable', 'The server cannot be reached. Is it running?');
  }
  if (response.status === 401 && (storedKey() !== key || await newKey())) {
    return send(method, path, body);
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function json(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

export const status = () => json('GET', '/api/status');
export const list = async () => (await json('GET', '/api/conversations')).conversations;
export const create = (title) => json('POST', '/api/conversations', { title });
export const open = (id) => json('GET', `/api/conversations/${id}`);
export const rename = (id, title) => json('PATCH', `/api/conversations/${id}`, { title });
export const remove = (id) => json('DELETE', `/api/conversations/${id}`);
export const stop = (id) => json('POST', `/api/conversations/${id}/stop`, {});

/** The events of a text/event-stream body: yields { name, data }. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', name = 'message', data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (data.length) yield { name, data: JSON.parse(data.join('\n')) };
        name = 'message';
        data = [];
      } else if (line.startsWith('event:')) {
        name = line.slice(6).trim();
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
  }
}

async function* stream(path, body) {
  yield* events((await send('POST', path, body)).body);
}

export const ask = (id, question) => stream(`/api/conversations/${id}/messages`, question);
export const regenerate = (id, message) =>
  stream(`/api/conversations/${id}/regenerate`, { message });
