import type { ServerResponse } from 'node:http';
import { guarded } from '../clock/guarded-clock.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { type Summary, View, type ViewAnswer, type ViewRequest } from '../monitor/view.js';
import { EventFeed } from './event-feed.js';
import { type GroupView, groupView } from './group-rows.js';
import { History, SAMPLE_MS } from './history.js';

/** A page that receives nothing for three beats says that the broker does not answer. */
const BEAT_MS = 1_000;

/** What a page needs at its start. */
export interface DashboardState {
  readonly group: GroupView;
  readonly summary: Summary | null;
  /** The samples of the last hour, by series. */
  readonly history: Iterable<readonly [name: string, values: readonly (number | null)[]]>;
}

/**
 * The dashboard of one node. It samples the active, which is this process or another one through NATS, and sends each sample to the
 * open pages. It samples without pages too, so that a page shows the last hour, in which a takeover is a gap.
 */
export class Dashboard {
  readonly #node: MonitoredNode;
  readonly #view: View;
  readonly #history = new History();
  readonly #feed = new EventFeed();
  readonly #onThrown: (thrown: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #beats: NodeJS.Timeout | undefined;
  #isSampling = false;
  #summary: Summary | undefined;

  /** @param onThrown gets what the feed of the pages has thrown: it must not end the process */
  constructor(node: MonitoredNode, onThrown: (thrown: unknown) => void) {
    this.#node = node;
    this.#onThrown = onThrown;
    this.#view = new View(node.serverId, node.name, node.measures);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sample(), SAMPLE_MS);
    this.#timer.unref();
    const beat = guarded(() => this.#feed.send('beat', 0), this.#onThrown);
    this.#beats = setInterval(beat, BEAT_MS);
    this.#beats.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#beats);
    this.#feed.close();
  }

  /** Whether the broker or member has completed its start. */
  get isStarted(): boolean {
    return this.#node.isStarted;
  }

  /** Answers for the broker in this process. @returns undefined if it does not serve */
  answer(request: ViewRequest): Promise<ViewAnswer> | undefined {
    const { broker, health } = this.#node;
    return broker === undefined || !health.isReady ? undefined : this.#view.answer(broker, request);
  }

  /** Asks the active. @returns undefined if there was no answer */
  async ask(request: ViewRequest): Promise<ViewAnswer | undefined> {
    const own = this.answer(request);
    return own === undefined ? await this.#node.group?.askActive?.(request) : await own;
  }

  /** The state that a page needs at its start. */
  async state(): Promise<DashboardState> {
    const group = await this.#lookAtGroup();
    return { group, summary: this.#summary ?? null, history: this.#history.columns() };
  }

  /** Sends events to a page until it is closed. @returns false if too many pages are open */
  follow(response: ServerResponse): boolean {
    return this.#feed.add(response);
  }

  async #sample(): Promise<void> {
    // The sample before may still wait for an answer.
    if (this.#isSampling) return;
    this.#isSampling = true;
    try {
      // Both run at once, since each may wait for a member that is paused.
      const [answer, group] = await Promise.all([
        this.ask({ kind: 'summary' }),
        this.#feed.isEmpty ? undefined : this.#lookAtGroup(),
      ]);
      this.#summary = answer !== undefined && 'messagesIn' in answer ? answer : undefined;
      const points = this.#history.add(this.#summary, Date.now());
      if (group === undefined) return;
      this.#feed.send('sample', { points, summary: this.#summary ?? null, group });
    } catch {
      // The next sample tries again. Until then no old summary is shown.
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
