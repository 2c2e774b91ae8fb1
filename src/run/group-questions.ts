// What a member asks the others over NATS: `GroupQuestions`.

import type { Claim } from '../group/proof/ignored-talk.js';
import { isSealed } from '../group/proof/seal.js';
import { statusAnswers } from '../group/report/ask-status.js';
import type { MemberStatus } from '../group/report/member-status.js';
import type { AttachedTransport } from '../group/talk/attached-transport.js';
import { parseJson } from '../group/talk/group-messages.js';
import type { GroupTalk } from '../group/talk/group-talk.js';
import type { ViewAnswer, ViewRequest } from '../monitor/view.js';
import { askAll } from '../nats/ask-all.js';
import { stanSubjects } from '../protocol/stan-subjects.js';
import { isObject } from '../util/fields.js';
import type { MemberConfig } from './member-node.js';
import { isAnswered } from './other-broker.js';

/** How long the active may take to answer a dashboard. */
const VIEW_MS = 1_000;

interface GroupQuestionsOptions {
  readonly transport: Pick<AttachedTransport, 'control'>;
  readonly talk: GroupTalk;
  readonly config: Pick<MemberConfig, 'clusterId' | 'discoverPrefix'>;
}

/** What a member asks the others. While there is no connection, there are no answers. Those that prove nothing are counted. */
export class GroupQuestions {
  readonly #options: GroupQuestionsOptions;

  constructor(options: GroupQuestionsOptions) {
    this.#options = options;
  }

  /** @param group undefined for all groups of the cluster id. @returns the status of each member whose answer counts: see `StatusAnswers` */
  async members(group: string | undefined): Promise<MemberStatus[]> {
    const { transport, talk, config } = this.#options;
    const { control } = transport;
    if (control === undefined) return [];
    const question = { clusterId: config.clusterId, group, key: talk.key };
    const answers = await statusAnswers(control, question).catch(() => undefined);
    if (answers === undefined) return [];
    const { members, unproved, malformed } = answers;
    for (const answer of unproved) talk.ignored.note('unproved', () => claimOf(answer));
    for (let i = 0; i < malformed; i++) talk.ignored.note('malformed');
    return members;
  }

  /** The actives of all groups of the cluster id. */
  async actives(): Promise<MemberStatus[]> {
    const members = await this.members(undefined);
    return members.filter(({ role }) => role === 'active' || role === 'recovering');
  }

  /** Whether a broker answers the ping of an unknown client. */
  async isServed(): Promise<boolean> {
    const { transport, config } = this.#options;
    const { control } = transport;
    return (
      control !== undefined &&
      (await isAnswered(control, stanSubjects(config.clusterId, config.discoverPrefix)))
    );
  }

  /** @returns the first answer of the active that is proved, if there is one */
  async activeView(subject: string, request: ViewRequest): Promise<ViewAnswer | undefined> {
    const { transport, talk } = this.#options;
    const { key } = talk;
    const { control } = transport;
    if (control === undefined) return undefined;
    const asked = Buffer.from(talk.ask(subject, request));
    let view: ViewAnswer | undefined;
    const take = (data: Uint8Array): boolean => {
      const isProved = key === undefined || isSealed(key, [subject, asked], data);
      const answer = isProved ? parseJson(data) : undefined;
      if (isObject(answer)) view = answer as unknown as ViewAnswer;
      else talk.ignored.note(isProved ? 'malformed' : 'unproved');
      return view !== undefined;
    };
    await askAll(control, { subject, payload: asked, answerMs: VIEW_MS, take }).catch(() => {});
    return view;
  }
}

function claimOf({ node, role, store, natsServer }: MemberStatus): Claim {
  return { node, role, storeDir: store.dir, storeId: store.storeId, server: natsServer };
}
