import type { ServerResponse } from 'node:http';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { type Summary, View, type ViewAnswer, type ViewRequest } from '../monitor/view.js';
import { EventFeed } from './event-feed.js';
import { type GroupView, groupView } from './group-rows.js';
import { History, SAMPLE_MS } from './history.js';

/** A page that hears nothing for three of them says that nobody answers. */
const BEAT_MS = 1_000;

/**
 * The dashboard of one node: samples whoever serves, this process or another one through NATS, and tells the pages that are
 * open. It samples always, so that there is an hour to see, and that a takeover is a gap in it and not its end.
 */
export class Dashboard {
  readonly #node: MonitoredNode;
  readonly #view: View;
  readonly #history = new History();
  readonly #feed = new EventFeed();
  #timer: NodeJS.Timeout | undefined;
  #beats: NodeJS.Timeout | undefined;
  #isSampling = false;
  #summary: Summary | undefined;

  constructor(node: MonitoredNode) {
    this.#node = node;
    this.#view = new View(node.serverId, node.name, node.measures);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sample(), SAMPLE_MS);
    this.#timer.unref();
    this.#beats = setInterval(() => this.#feed.tell('beat', 0), BEAT_MS);
    this.#beats.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#beats);
    this.#feed.close();
  }

  /** The broker or member has completed its start. */
  get isStarted(): boolean {
    return this.#node.isStarted;
  }

  /** Answers for the broker in this process. @returns undefined if there is none that serves */
  answer(request: ViewRequest): Promise<ViewAnswer> | undefined {
    const { broker, health } = this.#node;
    return broker === undefined || !health.isReady ? undefined : this.#view.answer(broker, request);
  }

  /** Asks whoever serves. @returns undefined if nobody has answered */
  async ask(request: ViewRequest): Promise<ViewAnswer | undefined> {
    const own = this.answer(request);
    return own === undefined ? await this.#node.group?.askActive?.(request) : await own;
  }

  /** All that a page needs at its start. */
  async state(): Promise<unknown> {
    const group = await this.#lookAtGroup();
    return { group, summary: this.#summary ?? null, history: this.#history.columns() };
  }

  /** From now on, until the page is closed. @returns false if there are too many */
  follow(response: ServerResponse): boolean {
    return this.#feed.add(response);
  }

  async #sample(): Promise<void> {
    // The one before is still waiting for an answer.
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      // Each may be waiting for a member that stands still.
      const [answer, group] = await Promise.all([
        this.ask({ kind: 'summary' }),
        this.#feed.isEmpty ? undefined : this.#lookAtGroup(),
      ]);
      this.#summary = answer !== undefined && 'messagesIn' in answer ? answer : undefined;
      const points = this.#history.add(this.#summary, Date.now());
      if (group === undefined) return;
      this.#feed.tell('sample', { points, summary: this.#summary ?? null, group });
    } catch {
      // The next one tells. What was found before is not shown for now.
      this.#summary = undefined;
    } finally {
      this.#isSampling = false;
    }
  }

  async #lookAtGroup(): Promise<GroupView> {
    const { group } = this.#node;
    return groupView(this.#node, group && ((await group.askMembers?.()) ?? []));
  }
}
