'use strict';
/* The live page. Server figures come as one JSON object every 250 ms (/-/events); rates are made
 * here from its totals. The pings are this page's own requests, timed here. */

const $ = (id) => document.getElementById(id);
const say = (id, text) => { const e = $(id); if (e.textContent !== text) e.textContent = text; };

/* ---- numbers ---- */

function count(n) {
  if (!Number.isFinite(n)) return '–';
  if (n >= 1e9) return (n / 1e9).toFixed(2) + ' G';
  if (n >= 1e7) return (n / 1e6).toFixed(1) + ' M';
  if (n < 10 && n % 1) return n.toFixed(1);
  return Math.round(n).toLocaleString('en');
}

/* [figure, unit] */
function duration(us) {
  if (!Number.isFinite(us)) return ['–', 'µs'];
  if (us < 10) return [us.toFixed(1), 'µs'];
  if (us < 1000) return [us.toFixed(0), 'µs'];
  if (us < 1e6) return [(us / 1000).toFixed(us < 1e5 ? 1 : 0), 'ms'];
  return [(us / 1e6).toFixed(2), 's'];
}

const spanOf = (ms) => duration(ms * 1000).join(' ');

function quantile(values, q) {
  if (!values.length) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

/* ---- sparklines: the last 30 seconds, a point every 250 ms ---- */

const SPARK_POINTS = 120;

class Spark {
  constructor(id) {
    this.values = [];
    this.svg = $(id);
    this.svg.setAttribute('viewBox', `0 0 ${SPARK_POINTS - 1} 100`);
    this.svg.setAttribute('preserveAspectRatio', 'none');
    this.line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    this.svg.append(this.line);
  }

  push(value, least = 0) {
    this.values.push(Number.isFinite(value) ? value : 0);
    if (this.values.length > SPARK_POINTS) this.values.shift();
    const top = Math.max(...this.values, least) || 1;
    const start = SPARK_POINTS - this.values.length;
    this.line.setAttribute('points',
      this.values.map((v, i) => `${start + i},${(98 - 94 * v / top).toFixed(1)}`).join(' '));
  }
}

const sparks = {};
for (const name of ['requests', 'p50', 'p99', 'syscalls', 'tasks', 'steals', 'busy', 'hashing']) {
  sparks[name] = new Spark(name + '-spark');
}

/* ---- workers and pool threads ---- */

const CELLS_MAX = 64;

function cells(id, total, busy) {
  const box = $(id);
  const shown = Math.min(total, CELLS_MAX);
  while (box.childElementCount > shown) box.lastChild.remove();
  while (box.childElementCount < shown) box.append(document.createElement('i'));
  [...box.children].forEach((cell, i) => cell.classList.toggle('busy', i < busy));
}

/* ---- the server's figures ---- */

const RATE_SPAN = 4; /* samples: rates are over the last second */
const samples = [];
let workers = 2;

function show(now) {
  samples.push(now);
  if (samples.length > RATE_SPAN + 1) samples.shift();
  const then = samples[0];
  const seconds = (now.t - then.t) / 1000;
  const rate = (key) => seconds > 0 ? (now[key] - then[key]) / seconds : NaN;
  const requests = rate('requests');
  const perRequest = requests > 0 ? rate('syscalls') / requests : NaN;

  workers = now.workers;
  showTiles(now, requests, perRequest, rate('steals'));
  showInside(now, rate);
}

function showTiles(now, requests, perRequest, steals) {
  say('requests', count(requests));
  for (const name of ['p50', 'p99']) {
    const [figure, unit] = duration(now[name] > 0 ? now[name] : NaN);
    say(name, figure);
    say(name + '-unit', unit);
    sparks[name].push(now[name]);
  }
  say('syscalls', Number.isFinite(perRequest) ? perRequest.toFixed(1) : '–');
  say('tasks', count(now.live));
  say('steals', count(steals));
  sparks.requests.push(requests);
  sparks.syscalls.push(perRequest);
  sparks.tasks.push(now.live);
  sparks.steals.push(steals);
}

function showInside(now, rate) {
  const working = now.workers - now.parked;
  const hashing = now.threads - now.idle;
  cells('workers-cells', now.workers, working);
  sparks.busy.push(working, now.workers);
  sparks.hashing.push(hashing, 1);
  say('workers-text', `${working} of ${now.workers} busy`);
  cells('pool-cells', now.threads, hashing);
  say('pool-text', now.threads
    ? `${hashing} of ${now.threads} busy` + (now.queued ? `, ${count(now.queued)} queued` : '')
    : 'no thread yet');
  say('driver', now.driver);
  for (const key of ['polls', 'events', 'slices']) say(key, count(rate(key)));
  for (const key of ['spawned', 'stolen', 'jobs']) say(key, count(now[key]));
  say('total', count(now.requests));
  say('stacks', `${count(now.stacks)}, ${count(now.cached)}`);
  say('state', `${now.workers} ${now.workers === 1 ? 'worker' : 'workers'} · ${now.driver}`);
  say('more', ` · up ${uptime(now.up)} · v${now.version}`);
}

function uptime(s) {
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  return (s >= 3600 ? Math.floor(s / 3600) + ':' : '') + two(s / 60 % 60) + ':' + two(s % 60);
}

function listen() {
  const source = new EventSource('/-/events');
  source.onmessage = (event) => {
    $('dot').className = 'dot on';
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    $('dot').className = 'dot off';
    say('state', 'no answer, trying again');
    say('more', '');
    samples.length = 0;
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  };
}

/* ---- pings ---- */

const PING_EVERY = 50, PINGS_AHEAD = 40, SHOWN_MS = 30000;
const pings = []; /* { at, ms (NaN while under way), kind } in order of `at` */
const bursts = []; /* { kind, from, to } */
let running = null;

async function ping() {
  const waiting = pings.filter((p) => Number.isNaN(p.ms)).length;
  if (document.hidden || waiting >= PINGS_AHEAD) return;
  const p = { at: performance.now(), ms: NaN, kind: running ? running.kind : 'calm' };
  pings.push(p);
  try {
    await (await fetch('/ping', { cache: 'no-store' })).text();
    p.ms = performance.now() - p.at;
  } catch {
    pings.splice(pings.indexOf(p), 1);
  }
}

/* ---- the trial: hashes for a while, inline or on the pool, and what the pings made of it ---- */

const TRIAL_MS = 3000;

async function trial(kind) {
  const burst = { kind, from: performance.now(), to: NaN };
  let hashes = 0;
  running = burst;
  bursts.push(burst);
  $('run-inline').disabled = $('run-pool').disabled = true;
  try {
    while (performance.now() - burst.from < TRIAL_MS) {
      const url = `/hash?n=${6 * workers}` + (kind === 'inline' ? '&inline=1' : '');
      hashes += (await (await fetch(url, { cache: 'no-store' })).json()).hashes;
      report(burst, hashes);
    }
  } catch {
    say('said', 'The server did not answer.');
  }
  burst.to = performance.now();
  running = null;
  report(burst, hashes);
  say('said', `${kind}: ${hashes} hashes, worst ping ${$(kind + '-worst').textContent}`);
  setTimeout(() => { report(burst, hashes); }, 500); /* with the pings that were under way */
  $('run-inline').disabled = $('run-pool').disabled = false;
}

function report(burst, hashes) {
  const until = Number.isNaN(burst.to) ? performance.now() : burst.to;
  const felt = pings.filter((p) => p.at >= burst.from && p.at <= until && p.ms >= 0)
    .map((p) => p.ms);
  say(burst.kind + '-hashes', count(hashes));
  say(burst.kind + '-rate', count(Math.round(hashes / (until - burst.from) * 1000)));
  say(burst.kind + '-median', spanOf(quantile(felt, 0.5)));
  say(burst.kind + '-worst', spanOf(quantile(felt, 1)));
}

$('run-inline').onclick = () => trial('inline');
$('run-pool').onclick = () => trial('pool');

/* ---- the chart: time to the right, latency upwards on a logarithmic scale ---- */

const canvas = $('pings'), ctx = canvas.getContext('2d');
const LEFT = 54, RIGHT = 10, TOP = 16, BOTTOM = 6, FLOOR_MS = 0.3;
let color = {};

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['line', 'ink', 'dim', 'calm', 'pool', 'inline', 'pool-wash', 'inline-wash']) {
    color[name] = style.getPropertyValue('--' + name).trim();
  }
}

function fit() {
  const scale = window.devicePixelRatio || 1;
  const box = canvas.getBoundingClientRect();
  const width = Math.round(box.width * scale), height = Math.round(box.height * scale);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, box.width, box.height);
  return box;
}

function draw() {
  if (document.hidden) return;
  const now = performance.now();
  const box = fit();
  const worst = Math.max(...pings.map((p) => p.ms >= 0 ? p.ms : now - p.at), 0);
  const ceiling = worst > 900 ? 10000 : 1000;
  const x = (at) => box.width - RIGHT - (now - at) / SHOWN_MS * (box.width - LEFT - RIGHT);
  const y = (ms) => {
    const part = Math.log(Math.max(ms, FLOOR_MS) / FLOOR_MS) / Math.log(ceiling / FLOOR_MS);
    return box.height - BOTTOM - part * (box.height - TOP - BOTTOM);
  };
  ctx.font = '12px ' + getComputedStyle(document.body).fontFamily;
  drawBursts(box, x, now);
  drawGrid(box, y, ceiling);
  drawPings(x, y, now);
}

function drawGrid(box, y, ceiling) {
  ctx.textAlign = 'right';
  ctx.textBaseline = 'middle';
  for (let ms = 1; ms <= ceiling; ms *= 10) {
    const at = Math.round(y(ms)) + 0.5;
    ctx.fillStyle = color.line;
    ctx.fillRect(LEFT, at, box.width - LEFT - RIGHT, 1);
    ctx.fillStyle = color.dim;
    ctx.fillText(ms < 1000 ? ms + ' ms' : ms / 1000 + ' s', LEFT - 8, at);
  }
}

function drawBursts(box, x, now) {
  ctx.textAlign = 'left';
  ctx.textBaseline = 'top';
  for (const b of bursts) {
    const from = Math.max(LEFT, x(b.from)), to = x(Number.isNaN(b.to) ? now : b.to);
    if (to <= LEFT) continue;
    ctx.fillStyle = color[b.kind + '-wash'];
    ctx.fillRect(from, 0, to - from, box.height - BOTTOM);
    ctx.fillStyle = color[b.kind];
    if (to - from > 40) ctx.fillText(b.kind === 'pool' ? 'on the pool' : 'inline', from + 6, 3);
  }
}

function drawPings(x, y, now) {
  for (const p of pings) {
    const at = x(p.at);
    if (at < LEFT) continue;
    const under = Number.isNaN(p.ms); /* still waiting: a ring that rises */
    const ms = under ? now - p.at : p.ms;
    if (under && ms < 20) continue;
    ctx.beginPath();
    ctx.arc(at, y(ms), 2, 0, 7);
    ctx.fillStyle = ctx.strokeStyle = color[p.kind];
    if (under) ctx.stroke(); else ctx.fill();
  }
}

function forget() {
  const old = performance.now() - SHOWN_MS - 1000;
  while (pings.length && pings[0].at < old && pings[0].ms >= 0) pings.shift();
  while (bursts.length && bursts[0].to < old) bursts.shift();
}

readColors();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', readColors);
say('load', `wrk -t1 -c64 -d10s ${location.origin}/plaintext`);
listen();
setInterval(ping, PING_EVERY);
setInterval(() => { forget(); draw(); }, 66);
