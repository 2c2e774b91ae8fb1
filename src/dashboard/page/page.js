// The dashboard: fetches the state once, then follows the events.
import { ChannelTable, cell, emptyRow, fact, fill } from './channels.js';
import { Charts } from './charts.js';
import { bytes, count, lasting, moment, short, time } from './format.js';

const SILENCE_MS = 8_000;
/** Until it is tried again, where the browser would not. */
const AGAIN_MS = 2_000;
const ROLES = {
  active: 'good',
  alone: 'good',
  standby: 'watch',
  recovering: 'warn',
  starting: 'warn',
  stopping: 'warn',
};
const THEME = 'stanchion.theme';

const live = document.querySelector('#live');
const charts = new Charts(document.querySelector('#charts'));
const table = new ChannelTable();
let heardMs = Date.now();

/** @param {string} text @param {string} kind */
function say(text, kind) {
  live.textContent = text;
  live.className = `state ${kind}`;
}

function drawGroup(group, summary, point) {
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
      ? [emptyRow(7, group.group === null ? 'A broker alone has none.' : 'None that a member remembers.')]
      : group.takeovers.map(takeoverRow),
  );
  charts.mark(group.takeovers.map(({ atMs }) => atMs / 1000));
  drawTotals(summary, point);
}

function drawVerdict({ group, members, health }, summary) {
  const verdict = document.querySelector('#verdict');
  const actives = members.filter(({ role }) => role === 'active');
  const standbys = members.filter(({ role }) => role === 'standby').length;
  let [text, kind] = ['', 'good'];
  if (group === null) {
    text = health.isReady ? 'Serving' : health.reasons.join('; ');
    if (!health.isReady) kind = 'bad';
  } else if (actives.length === 0) [text, kind] = ['Nobody is active: clients wait', 'bad'];
  else if (actives.length > 1) [text, kind] = [`${actives.length} members say that they are active`, 'bad'];
  else {
    text = `${actives[0].node} is active, ${standbys} standing by`;
    if (standbys === 0) [text, kind] = [`${actives[0].node} is active, and nobody would take over`, 'warn'];
  }
  if (summary?.full)
    [text, kind] = [`${text}. The store is full, publishers get errors: ${summary.full}`, 'bad'];
  verdict.textContent = text;
  verdict.className = `state ${kind}`;
}

function memberRow(member) {
  const row = document.createElement('tr');
  const role = document.createElement('td');
  const state = document.createElement('span');
  state.className = `state ${ROLES[member.role] ?? 'bad'}`;
  state.textContent = member.role;
  role.append(state);
  row.append(
    cell(member.node, 'name', `${member.host} pid ${member.pid}`),
    role,
    cell(member.epoch === 0 ? '–' : count(member.epoch), 'number'),
    leaseCell(member),
    cell(lasting(member.roleForMs), 'number'),
    cell(member.natsServer),
    cell(member.store, 'name', `${member.host}: ${member.store}`),
    cell(member.trouble ?? '–', member.trouble ? 'why' : 'why none'),
  );
  return row;
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
  meter.title = 'Since the last renewal, of the lease';
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
  const response = await fetch('/dashboard/state');
  if (!response.ok) throw new Error(`the broker answers ${response.status}`);
  const { group, summary, history } = await response.json();
  charts.begin(history);
  const last = Object.fromEntries(Object.entries(history).map(([name, column]) => [name, column.at(-1)]));
  drawGroup(group, summary, last);
  charts.redraw();
  table.refresh();
}

function follow() {
  let wasLost = false;
  const listen = () => {
    const events = new EventSource('/dashboard/events');
    events.addEventListener('open', () => {
      say('live', 'good');
      // What happened meanwhile is in the state.
      if (wasLost) begin().catch(() => {});
      wasLost = false;
    });
    events.addEventListener('error', () => {
      wasLost = true;
      say('connection lost, trying again', 'bad');
      // A connection that ends is made again by the browser. An answer that is no stream is final for it: that of a proxy whose
      // broker is away, or of a broker with too many pages.
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    });
    events.addEventListener('sample', ({ data }) => {
      heardMs = Date.now();
      const { point, summary, group } = JSON.parse(data);
      drawGroup(group, summary, point);
      charts.add(point);
      table.refresh();
      say('live', 'good');
    });
  };
  listen();
  setInterval(() => {
    if (Date.now() - heardMs > SILENCE_MS && !wasLost) say('nothing new is coming', 'warn');
  }, 1_000);
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
    say(error.message, 'bad');
    setTimeout(start, AGAIN_MS);
  });
}

chooseTheme();
start();
follow();
