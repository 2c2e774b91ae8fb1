import type { NatsConnection } from 'nats';
import { decodeGroupMessage } from '../../src/group/talk/group-messages.js';
import { groupSubjects } from '../../src/group/talk/group-subjects.js';
import type { Story } from './chaos-log.js';
import { CLUSTER_ID, GROUP } from './host.js';

/** Who has said to be active in which epoch. */
export class Terms {
  readonly #story: Story;
  readonly #holders = new Map<number, string>();
  readonly #takers = new Map<number, number>();
  #newest = 0;

  constructor(story: Story) {
    this.#story = story;
  }

  get takeovers(): number {
    return this.#takers.size;
  }

  listen(nats: NatsConnection): void {
    nats.subscribe(groupSubjects(CLUSTER_ID, GROUP).talk, {
      callback: (error, { data }) => {
        const message = error === null ? decodeGroupMessage(data) : undefined;
        if (message?.kind === 'heartbeat' && message.role === 'active')
          this.#hear(message.epoch, message.member);
      },
    });
  }

  /** A member has begun to serve, as its log says. */
  serve(host: number, epoch: number): void {
    const other = this.#takers.get(epoch);
    if (other !== undefined) this.#story.violate(`members ${other} and ${host} serve in epoch ${epoch}`);
    this.#takers.set(epoch, host);
    if (epoch < this.#newest)
      this.#story.violate(`member ${host} serves in epoch ${epoch} after ${this.#newest}`);
    this.#newest = Math.max(this.#newest, epoch);
  }

  #hear(epoch: number, member: string): void {
    const other = this.#holders.get(epoch);
    if (other === undefined) this.#holders.set(epoch, member);
    else if (other !== member)
      this.#story.violate(`${other} and ${member} have said that they are active in epoch ${epoch}`);
  }
}
