// The dashboard: fetches the state once, then follows the events.
import { ChannelTable, cell, emptyRow, fact, fill } from './channels.js';
import { Charts } from './charts.js';
import { bytes, count, lasting, moment, short, time, timeOfDay } from './format.js';
import { Freshness } from './freshness.js';
import { SilentSince, verdict } from './verdict.js';

/** Time until the next try, where the browser does not retry by itself. */
const AGAIN_MS = 2_000;
const ROLES = {
  active: 'good',
  alone: 'good',
  standby: 'watch',
  recovering: 'warn',
  starting: 'warn',
  stopping: 'warn',
};
/** How long the broker may take to answer. */
const PATIENCE_MS = 5_000;
const THEME = 'stanchion.theme';

const live = document.querySelector('#live');
const charts = new Charts(document.querySelector('#charts'));
const table = new ChannelTable();
const silentSince = new SilentSince();
const freshness = new Freshness(showStale);
/** Whether the stream of events is lost at the moment. */
let isLost = false;

/** @param {string} text @param {string} kind */
function showLive(text, kind) {
  put(live, text);
  live.className = `state ${kind}`;
}

function drawGroup(group, summary, point) {
  freshness.sample();
  document.body.classList.remove('stale');
  document.title = `${group.clusterId} – stanchion`;
  document.querySelector('#where').textContent =
    group.group === null
      ? `cluster ${group.clusterId}, broker ${group.node}`
      : `cluster ${group.clusterId}, group ${group.group}; this is ${group.node}, ${group.role}`;
  fill(
    '#members',
    group.members.length === 0 ? [emptyRow(8, 'No member has answered.')] : group.members.map(memberRow),
  );
  drawVerdict(group, summary);
  fill(
    '#takeovers',
    group.takeovers.length === 0
      ? [emptyRow(7, group.group === null ? 'A lone broker has none.' : 'The members remember none.')]
      : group.takeovers.map(takeoverRow),
  );
  charts.mark(group.takeovers.map(({ atMs }) => atMs / 1000));
  drawTotals(summary, point);
}

function drawVerdict(group, summary) {
  const nowMs = Date.now();
  const [text, kind] = verdict(group, summary, (member) => silentSince.of(member, nowMs));
  showVerdict(text, kind);
}

/** @param {string} counting text that changes every second, which a screen reader skips. @param {string} more text behind it */
function showVerdict(text, kind, counting = '', more = '') {
  const element = document.querySelector('#verdict');
  element.className = `state ${kind}`;
  [...element.querySelectorAll('span')].forEach((part, i) => {
    put(part, [text, counting, more][i]);
  });
}

/** Sets a text only if it has changed, so that a screen reader does not read it again. */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows that the page may be out of date. */
function showStale({ isSilent, forMs, asOfMs }) {
  document.body.classList.add('stale');
  const what = isLost
    ? 'No connection to this broker'
    : isSilent
      ? 'No answer from this broker'
      : 'No new data';
  const asOf = asOfMs === undefined ? '' : `. The page shows the state at ${timeOfDay(asOfMs)}`;
  const silence = ` for ${lasting(forMs)}`;
  showVerdict(what, 'bad', silence, asOf);
  // The dialog of a channel may cover the verdict.
  put(document.querySelector('#channel-note'), what + silence);
  if (!isLost) showLive(isSilent ? 'no answer' : 'no new data', 'bad');
}

function memberRow(member) {
  const row = document.createElement('tr');
  const role = document.createElement('td');
  const state = document.createElement('span');
  const isGone = member.silentMs !== null;
  if (isGone) row.className = 'gone';
  const kind = member.problem === null ? ROLES[member.role] : undefined;
  state.className = `state ${isGone ? 'gone' : (kind ?? 'bad')}`;
  state.textContent = isGone ? `not heard for ${lasting(member.silentMs)}` : member.role;
  role.append(state);
  row.append(
    cell(member.node, 'name', `${member.host} pid ${member.pid}`),
    role,
    cell(member.epoch === 0 ? '–' : count(member.epoch), 'number'),
    leaseCell(member),
    cell(isGone ? '–' : lasting(member.roleForMs), 'number'),
    cell(member.natsServer),
    cell(member.store, 'name', `${member.host}: ${member.store}`),
    problemCell(member),
  );
  return row;
}

function problemCell({ silentMs, role, problem }) {
  const text = silentMs === null ? problem : `last role: ${role}`;
  return cell(text ?? '–', text === null ? 'why none' : 'why');
}

function leaseCell({ leaseAgeMs, leaseMs }) {
  if (leaseAgeMs === null) return cell('–');
  const td = cell('');
  const meter = document.createElement('meter');
  Object.assign(meter, {
    min: 0,
    max: leaseMs,
    low: leaseMs * 0.5,
    high: leaseMs * 0.8,
    optimum: 0,
    value: leaseAgeMs,
  });
  meter.title = 'Time since the last renewal of the lease';
  td.append(meter, ` ${leaseAgeMs} of ${leaseMs} ms`);
  return td;
}

function takeoverRow({ epoch, node, from, atMs, reason, outageMs, recoveryMs }) {
  const row = document.createElement('tr');
  row.append(
    cell(moment(atMs)),
    cell(count(epoch), 'number'),
    cell(node),
    cell(from ?? '–'),
    cell(reason ?? '–', 'why'),
    cell(outageMs === null ? '–' : time(outageMs / 1000), 'number'),
    cell(recoveryMs === null ? '–' : time(recoveryMs / 1000), 'number'),
  );
  return row;
}

function drawTotals(summary, point) {
  const facts = [
    ['Published /s', short(point?.published)],
    ['Delivered /s', short(point?.delivered)],
    ['Stored', count(summary?.messages)],
    ['Bytes', bytes(summary?.bytes)],
    ['Channels', count(summary?.channels)],
    ['Clients', count(summary?.clients)],
    ['Subscriptions', count(summary?.online)],
    ['Offline', count(summary?.offline)],
    ['Stalled', count(summary?.stalled)],
    ['In flight', count(summary?.inFlight)],
    ['Largest lag', count(summary?.maxLag)],
  ];
  document.querySelector('#totals').replaceChildren(...facts.map(([name, value]) => fact(name, value)));
}

async function begin() {
  const response = await fetch('/dashboard/state', { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`the broker answers ${response.status}`);
  const { group, summary, history } = await response.json();
  charts.begin(history);
  const last = Object.fromEntries(Object.entries(history).map(([name, column]) => [name, column.at(-1)]));
  drawGroup(group, summary, last);
  charts.redraw();
  table.refresh();
}

function follow() {
  const listen = () => {
    const events = new EventSource('/dashboard/events');
    events.addEventListener('open', () => {
      showLive('live', 'good');
      // The state has what happened meanwhile.
      if (isLost) begin().catch(() => {});
      isLost = false;
    });
    events.addEventListener('error', () => {
      isLost = true;
      showLive('connection lost, trying again', 'bad');
      // The browser reconnects after a lost connection, but gives up after an answer that is no stream: from a proxy whose broker is
      // down, or from a broker with too many pages.
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    });
    events.addEventListener('beat', () => freshness.beat());
    events.addEventListener('sample', ({ data }) => {
      const { points, summary, group } = JSON.parse(data);
      drawGroup(group, summary, points.at(-1));
      charts.add(points);
      table.refresh();
      showLive('live', 'good');
    });
  };
  listen();
}

function chooseTheme() {
  const root = document.documentElement;
  const stored = localStorage.getItem(THEME);
  if (stored !== null) root.dataset.theme = stored;
  document.querySelector('#theme').addEventListener('click', () => {
    const isDark = root.dataset.theme
      ? root.dataset.theme === 'dark'
      : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = isDark ? 'light' : 'dark';
    localStorage.setItem(THEME, root.dataset.theme);
    charts.redraw();
  });
}

function start() {
  begin().catch((error) => {
    showLive(error.message, 'bad');
    setTimeout(start, AGAIN_MS);
  });
}

chooseTheme();
start();
follow();
