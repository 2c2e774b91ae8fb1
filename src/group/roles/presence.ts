import type { Timer } from '../../clock/clock.js';
import type { NatsRefusal } from '../../nats/refusal.js';
import type { GroupMessage, Heartbeat, MemberRole } from '../talk/group-messages.js';
import type { MemberParts } from './member-parts.js';

const HEARTBEATS_PER_LEASE = 3;
/** The connection for talk is replaced after this number of refused heartbeats; the number grows up to the maximum. */
const FIRST_RENEWAL_BEATS = 15;
const MAX_RENEWAL_BEATS = 300;

export interface PresenceOptions {
  parts: MemberParts;
  /** The fields of heartbeats besides the role. */
  about: () => Partial<Heartbeat> & Pick<Heartbeat, 'epoch' | 'storeId'>;
  onBeat: () => void;
  /** NATS carries no messages, though the connection looks well: the transport looks for another server. */
  onUnheard: (why: string) => void;
  onChanged: () => void;
}

/** The role of a member, and the heartbeats by which the others learn of it. */
export class Presence {
  /** Whether the member is stopping, so that it begins nothing new. */
  isStopping = false;
  readonly #options: PresenceOptions;
  #role: MemberRole = 'starting';
  #sinceMs: number;
  #timer: Timer | undefined;
  /** How many own heartbeats were sent since the last one came back. */
  #unheard = 0;
  #talkRefusal: string | undefined;
  /** After this number of refused heartbeats the connection for talk is replaced. */
  #renewalBeats = FIRST_RENEWAL_BEATS;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#sinceMs = options.parts.clock.monotonicMs();
  }

  get role(): MemberRole {
    return this.#role;
  }

  /** How long it has had its role. */
  get roleForMs(): number {
    return this.#options.parts.clock.monotonicMs() - this.#sinceMs;
  }

  become(role: MemberRole): void {
    if (role === this.#role) return;
    const { clock, log, options, dir } = this.#options.parts;
    const wasStarting = this.#role === 'starting';
    this.#role = role;
    this.#sinceMs = clock.monotonicMs();
    if (role === 'standby') log.info({ group: options.name, store: dir }, 'Standby: watching');
    // The others learn of the change at once.
    if (!wasStarting && role !== 'stopping') {
      this.silence();
      this.beat();
    }
    this.#options.onChanged();
  }

  /** Begins to send heartbeats. */
  beat(): void {
    const { parts, onBeat } = this.#options;
    const { options, clock } = parts;
    this.#timer = clock.setTimer(options.leaseMs / HEARTBEATS_PER_LEASE, () => this.beat());
    this.hello();
    onBeat();
    this.#checkEcho();
  }

  /** Sends one heartbeat. */
  hello(): void {
    const { parts, about } = this.#options;
    const { options, holder, dir, transport } = parts;
    this.say({
      kind: 'heartbeat',
      member: holder,
      node: options.nodeName,
      role: this.#role,
      forMs: Math.round(this.roleForMs),
      storeDir: dir,
      server: transport.server,
      ...about(),
    });
  }

  /** Stops sending heartbeats. */
  silence(): void {
    this.#timer?.cancel();
  }

  say(message: GroupMessage): void {
    const { transport, talk } = this.#options.parts;
    transport.say(talk.encode(message));
  }

  /** Notes a new link: heartbeats have time again to come back. A refusal on the connection for talk stays. */
  linkUp(): void {
    this.#unheard = 0;
  }

  /** Notes that an own heartbeat came back. */
  heardItself(): void {
    this.#unheard = 0;
    this.#talkRefusal = undefined;
    this.#renewalBeats = FIRST_RENEWAL_BEATS;
  }

  /** Notes that NATS does not let this member send to the others, or receive from them. */
  talkRefused({ operation, subject, text }: NatsRefusal): void {
    const { server } = this.#options.parts.transport;
    const isNew = this.#talkRefusal === undefined;
    const what = operation === 'subscription limit' ? text : `to ${operation} to "${subject ?? text}"`;
    this.#talkRefusal =
      `the NATS server at ${server} refuses ${what}: members of the group do not hear each other, so that only the lease in the store shows who ` +
      'serves, and a takeover is later and may lose what is published meanwhile unacknowledged. Permit publish and subscribe on "_STANCHION.group.>"';
    if (isNew) this.#options.parts.log.error({}, this.#talkRefusal);
  }

  /** Why members do not hear each other, for people. */
  get talkRefusal(): string | undefined {
    return this.#talkRefusal;
  }

  /** Handles a connection that looks well and carries no messages. */
  #checkEcho(): void {
    const { transport } = this.#options.parts;
    if (transport.link === undefined) return;
    if (this.#talkRefusal !== undefined) {
      // Another server of the cluster would refuse it as well. A new permission counts only for new subscriptions.
      if (++this.#unheard < this.#renewalBeats) return;
      this.#unheard = 0;
      this.#renewalBeats = Math.min(MAX_RENEWAL_BEATS, this.#renewalBeats * 2);
      transport.renewControl('it could not take part in the talk of its group');
      return;
    }
    if (++this.#unheard <= HEARTBEATS_PER_LEASE * 2) return;
    this.#unheard = 0;
    this.#options.onUnheard(`NATS at ${transport.server} does not carry messages`);
    transport.leaveServer('it does not carry messages');
  }
}
