import type { NatsConnection, Subscription } from 'nats';
import { systemClock } from '../../src/clock/clock.js';
import { nodeFs } from '../../src/files/fs.js';
import type { GroupMessage, Heartbeat } from '../../src/group/talk/group-messages.js';
import { type GroupSubjects, groupSubjects } from '../../src/group/talk/group-subjects.js';
import { GroupTalk } from '../../src/group/talk/group-talk.js';
import { silentLogger } from '../../src/log/logger.js';
import { readIdentity } from '../../src/store/file/identity.js';
import { must } from '../../src/util/assert.js';

/** What talks as a member of a group, with the key of its store or one of its own, and is none. */
export class FakeMember {
  readonly holder: string;
  readonly talk: GroupTalk;
  readonly #nc: NatsConnection;
  readonly #subjects: GroupSubjects;
  readonly #heard: Subscription;

  private constructor(nc: NatsConnection, subjects: GroupSubjects, holder: string) {
    this.#nc = nc;
    this.#subjects = subjects;
    this.holder = holder;
    const boot = holder.replace(/\W/g, '');
    this.talk = new GroupTalk({ subjects, holder, boot, clock: systemClock, log: silentLogger });
    this.#heard = nc.subscribe(subjects.talk, { callback: (_, { data }) => void this.talk.decode(data) });
  }

  /** @param dir of the store */
  static async of(
    nc: NatsConnection,
    clusterId: string,
    group: string,
    dir: string,
    holder: string,
  ): Promise<FakeMember> {
    const member = new FakeMember(nc, groupSubjects(clusterId, group), holder);
    member.talk.sees(must(await readIdentity(nodeFs, dir), 'the store is there'));
    return member;
  }

  say(message: GroupMessage): void {
    this.#nc.publish(this.#subjects.talk, this.talk.encode(message));
  }

  beat(about: Pick<Heartbeat, 'role' | 'epoch' | 'storeId'> & Partial<Heartbeat>): void {
    const [node = ''] = this.holder.split('@');
    this.say({
      ...{ kind: 'heartbeat', member: this.holder, node, forMs: 0, storeDir: '', server: '' },
      ...about,
    });
  }

  close(): void {
    this.#heard.unsubscribe();
  }
}
