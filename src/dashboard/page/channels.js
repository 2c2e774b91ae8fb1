// The table of channels, page by page, and one channel in a dialog.
import { bytes, count, moment, short } from './format.js';

const PAGE = 50;
const TYPING_MS = 150;
/** How long the broker may take to answer. */
const PATIENCE_MS = 5_000;
/** Precedes the name of a channel in the address of the page. */
const ADDRESSED = '#channel=';

export class ChannelTable {
  #query = { q: '', sort: 'name', order: 'asc', offset: 0 };
  #total = 0;
  #open = '';
  /** The row from which the dialog was opened. */
  #from;
  #asked = 0;
  #table = document.querySelector('#channel-table');
  #body = document.querySelector('#channel-table tbody');
  #found = document.querySelector('#found');
  #search = document.querySelector('#search');
  #dialog = document.querySelector('#channel');

  constructor() {
    let typing;
    this.#search.addEventListener('input', () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#ask({ q: this.#search.value, offset: 0 }), TYPING_MS);
    });
    document.querySelector('#previous').addEventListener('click', () => this.#turn(-PAGE));
    document.querySelector('#next').addEventListener('click', () => this.#turn(PAGE));
    for (const head of this.#table.querySelectorAll('th[data-sort]')) {
      head.querySelector('button').addEventListener('click', () => this.#sortBy(head.dataset.sort));
    }
    this.#body.addEventListener('click', ({ target }) => this.#openRow(target.closest('tr')));
    this.#body.addEventListener('keydown', (event) => this.#onKey(event));
    this.#dialog.addEventListener('close', () => {
      // This event comes after the closing, and another channel may be open by then.
      if (this.#dialog.open) return;
      this.#open = '';
      // The browser returns the focus to the row, unless the row has been drawn again: then it leaves the focus in here.
      const { activeElement } = document;
      if (activeElement === document.body || this.#dialog.contains(activeElement))
        this.#rowOf(this.#from)?.focus();
      history.replaceState(null, '', location.pathname);
    });
    document.addEventListener('keydown', (event) => {
      const isTyping = event.target instanceof HTMLInputElement;
      if (event.key === '/' && !isTyping && !this.#dialog.open) {
        event.preventDefault();
        this.#search.focus();
        this.#search.select();
      } else if (event.key === 'Escape' && event.target === this.#search) {
        this.#search.value = '';
        this.#ask({ q: '', offset: 0 });
      }
    });
    addEventListener('hashchange', () => this.#showAddressed());
    this.#showAddressed();
  }

  /** The channel that the address of the page names, if it names one. */
  #showAddressed() {
    if (!location.hash.startsWith(ADDRESSED)) return;
    try {
      this.#show(decodeURIComponent(location.hash.slice(ADDRESSED.length)));
    } catch {
      // The address was typed by hand, and has no valid name.
    }
  }

  /** Loads the rows and the open channel again. */
  refresh() {
    if (document.hidden) return;
    this.#ask({});
    if (this.#open !== '') this.#look();
  }

  #turn(by) {
    const offset = Math.max(0, Math.min(this.#query.offset + by, Math.max(0, this.#total - 1)));
    this.#ask({ offset: offset - (offset % PAGE) });
  }

  #sortBy(sort) {
    const isSame = sort === this.#query.sort;
    // Names from A on, numbers from the largest on.
    const first = sort === 'name' ? 'asc' : 'desc';
    const other = first === 'asc' ? 'desc' : 'asc';
    this.#ask({ sort, order: isSame && this.#query.order === first ? other : first, offset: 0 });
  }

  async #ask(change) {
    Object.assign(this.#query, change);
    const asked = ++this.#asked;
    const query = new URLSearchParams({ ...this.#query, limit: PAGE });
    const answer = await answerOf(`/dashboard/channels?${query}`);
    // A newer request is under way.
    if (asked !== this.#asked) return;
    // After an error the old rows stay.
    this.#table.classList.toggle('stale', answer.error !== undefined);
    if (answer.error !== undefined) {
      this.#found.textContent = answer.error;
      return;
    }
    this.#draw(answer);
  }

  #draw({ total, offset, rows }) {
    this.#total = total;
    const focused = document.activeElement?.closest?.('#channel-table tbody tr')?.dataset.name;
    this.#found.textContent =
      total === 0 ? 'none' : `${count(offset + 1)} to ${count(offset + rows.length)} of ${count(total)}`;
    document.querySelector('#previous').disabled = offset === 0;
    document.querySelector('#next').disabled = offset + rows.length >= total;
    for (const head of this.#table.querySelectorAll('th[data-sort]')) {
      if (head.dataset.sort === this.#query.sort)
        head.setAttribute('aria-sort', this.#query.order === 'asc' ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    }
    const made = rows.map((row) => {
      const line = document.createElement('tr');
      line.tabIndex = 0;
      line.dataset.name = row.name;
      line.append(
        nameCell(row),
        cell(count(row.messages), 'number'),
        cell(bytes(row.bytes), 'number'),
        cell(count(row.first), 'number'),
        cell(count(row.last), 'number'),
        cell(row.rate === null ? '–' : short(row.rate), 'number'),
        cell(count(row.lag), 'number'),
        cell(count(row.subscriptions), 'number'),
      );
      return line;
    });
    if (made.length === 0)
      made.push(emptyRow(8, this.#query.q === '' ? 'No channels yet.' : 'No channel has this in its name.'));
    this.#body.replaceChildren(...made);
    if (focused !== undefined) this.#rowOf(focused)?.focus();
  }

  #onKey(event) {
    const row = event.target.closest('tr');
    if (event.key === 'Enter') this.#openRow(row);
    else if (event.key === 'ArrowDown') row.nextElementSibling?.focus();
    else if (event.key === 'ArrowUp') row.previousElementSibling?.focus();
    else return;
    event.preventDefault();
  }

  #openRow(row) {
    if (row?.dataset.name !== undefined) this.#show(row.dataset.name, row.dataset.name);
  }

  /** @param {string | undefined} name @returns {HTMLTableRowElement | undefined} */
  #rowOf(name) {
    return [...this.#body.rows].find((row) => row.dataset.name !== undefined && row.dataset.name === name);
  }

  #show(name, from) {
    this.#from = from;
    if (name !== this.#open) {
      // The facts of another channel must not be shown under this name.
      document.querySelector('#channel-facts').replaceChildren();
      document.querySelector('#subscriptions tbody').replaceChildren();
    }
    this.#open = name;
    history.replaceState(null, '', `${ADDRESSED}${encodeURIComponent(name)}`);
    document.querySelector('#channel-name').textContent = name;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#look();
  }

  async #look() {
    const name = this.#open;
    const answer = await answerOf(`/dashboard/channel?name=${encodeURIComponent(name)}`);
    if (name !== this.#open) return;
    this.#dialog.classList.toggle('stale', answer.error !== undefined);
    const note = document.querySelector('#channel-note');
    note.textContent = answer.error ?? (answer.leftOut > 0 ? `and ${count(answer.leftOut)} more` : '');
    if (answer.error !== undefined) return;
    const facts = [
      ['Messages', count(answer.messages)],
      ['Bytes', bytes(answer.bytes)],
      ['First', count(answer.first)],
      ['Last', count(answer.last)],
      ['Last message', answer.lastActivityMs > 0 ? moment(answer.lastActivityMs) : '–'],
    ];
    for (const { first, last, why } of answer.damaged ?? []) {
      const which = first === last ? count(first) : `${count(first)} to ${count(last)}`;
      facts.push(['Cannot be read', `${which}: ${why}`]);
    }
    document
      .querySelector('#channel-facts')
      .replaceChildren(...facts.flatMap(([name, value]) => [fact(name, value)]));
    const rows = answer.subscriptions.map((sub) => {
      const line = document.createElement('tr');
      line.append(
        cell(sub.client || '–', 'name', sub.client),
        cell(sub.kind),
        cell(sub.name || '–', 'name', sub.name),
        stateCell(sub),
        cell(count(sub.lag), 'number'),
        cell(`${count(sub.inFlight)} of ${count(sub.maxInFlight)}`, 'number'),
        cell(count(sub.lastSent), 'number'),
      );
      return line;
    });
    if (rows.length === 0) rows.push(emptyRow(7, 'No subscriptions.'));
    fill('#subscriptions', rows);
  }
}

/** @returns the broker's answer; if there is none, `error` says why */
function answerOf(path) {
  return fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS) })
    .then((response) => response.json())
    .catch(() => ({ error: 'no answer from this broker' }));
}

/** The name of a channel, and a mark if some of its messages cannot be read. */
function nameCell({ name, isDamaged }) {
  const td = cell(name, 'name', name);
  if (isDamaged) {
    const mark = document.createElement('span');
    mark.className = 'state bad';
    mark.textContent = 'damaged';
    td.append(' ', mark);
  }
  return td;
}

function stateCell({ isOffline, isStalled }) {
  const td = document.createElement('td');
  const state = document.createElement('span');
  if (isOffline) [state.className, state.textContent] = ['state warn', 'offline'];
  else if (isStalled) [state.className, state.textContent] = ['state bad', 'stalled'];
  else [state.className, state.textContent] = ['state good', 'receiving'];
  td.append(state);
  return td;
}

/**
 * Fills a table. A phone shows each row as a few lines, without room for the head of the table, so each cell gets its heading.
 *
 * @param {string} table
 * @param {HTMLTableRowElement[]} rows
 */
export function fill(table, rows) {
  const heads = [...document.querySelectorAll(`${table} th`)].map((head) => head.textContent);
  for (const { cells } of rows) {
    if (cells.length !== heads.length) continue;
    heads.forEach((head, i) => {
      cells[i].dataset.head = head;
    });
  }
  document.querySelector(`${table} tbody`).replaceChildren(...rows);
}

/** A name and its value, in a definition list. */
export function fact(name, value) {
  const pair = document.createElement('div');
  const term = document.createElement('dt');
  const text = document.createElement('dd');
  term.textContent = name;
  text.textContent = value;
  pair.append(term, text);
  return pair;
}

/** A cell of a table. `title` is the full text of a cell that may be cut. */
export function cell(text, className = '', title = '') {
  const td = document.createElement('td');
  td.textContent = text;
  if (className !== '') td.className = className;
  if (title !== '') td.title = title;
  return td;
}

/** The only row of an empty table. */
export function emptyRow(columns, text) {
  const row = document.createElement('tr');
  const td = cell(text, 'empty');
  td.colSpan = columns;
  row.append(td);
  return row;
}
