import type { StanSubjects } from '../protocol/stan-subjects.js';
import type { FormerSubjects } from '../store/types/store.js';
import type { Request } from './handlers/request.js';
import { ackSubject, publishSubject } from './served-subjects.js';
import type { BrokerLink } from './state/broker-link.js';

/** Who answers the requests of clients. */
export interface RequestHandlers {
  readonly connect: { handle(request: Request): void };
  readonly ping: { handle(request: Request): void };
  readonly subscribe: { handle(request: Request): void };
  readonly unsubscribe: { handle(request: Request, kind: 'close' | 'unsubscribe'): void };
  readonly close: { handle(request: Request): void };
}

/** No subscription of a link has this number. */
const NONE = -1;

/** The subscriptions of the broker on its link, by their numbers: which is for publishes, which for acks, and who answers which requests. */
export class LinkSubscriptions {
  publishSid = NONE;
  /** For publishes of clients that came along with an import; most often there is none. */
  formerPublishSid = NONE;
  ackSid = NONE;
  pingSid = NONE;
  readonly #requests = new Map<number, (request: Request) => void>();
  readonly #all: number[] = [];

  /** Those on the newest link, also after its end. */
  get all(): readonly number[] {
    return this.#all;
  }

  /**
   * Subscribes on a new link.
   *
   * @param adopted subscriptions that the link has already, by subject
   * @param former subjects that clients send to beside these
   */
  begin(
    link: BrokerLink,
    subjects: StanSubjects,
    storeId: string,
    handlers: RequestHandlers,
    adopted: ReadonlyMap<string, number> | undefined,
    former: FormerSubjects | undefined,
  ): void {
    this.#all.length = 0;
    this.#requests.clear();
    const listen = (subject: string): number => {
      const sid = adopted?.get(subject) ?? link.subscribe(subject);
      this.#all.push(sid);
      return sid;
    };
    const onRequest = (subject: string, handle: (request: Request) => void): number => {
      const sid = listen(subject);
      this.#requests.set(sid, handle);
      return sid;
    };
    const { connect, ping, subscribe, unsubscribe, close } = handlers;
    this.publishSid = listen(publishSubject(subjects));
    this.ackSid = listen(ackSubject(storeId));
    onRequest(subjects.discover, (request) => connect.handle(request));
    this.pingSid = onRequest(subjects.pings, (request) => ping.handle(request));
    onRequest(subjects.subscribe, (request) => subscribe.handle(request));
    onRequest(subjects.subscriptionClose, (request) => unsubscribe.handle(request, 'close'));
    onRequest(subjects.unsubscribe, (request) => unsubscribe.handle(request, 'unsubscribe'));
    onRequest(subjects.close, (request) => close.handle(request));
    this.formerPublishSid = NONE;
    if (former === undefined) return;
    // What is subscribed to twice comes twice.
    const known = new Set(Object.values(subjects));
    const onFormer = (subject: string, handle: (request: Request) => void): void => {
      if (subject !== '' && !known.has(subject)) onRequest(subject, handle);
    };
    if (!known.has(former.publish)) this.formerPublishSid = listen(`${former.publish}.>`);
    onFormer(former.subscribe, (request) => subscribe.handle(request));
    onFormer(former.subscriptionClose, (request) => unsubscribe.handle(request, 'close'));
    onFormer(former.unsubscribe, (request) => unsubscribe.handle(request, 'unsubscribe'));
    onFormer(former.close, (request) => close.handle(request));
  }

  /** The link is gone: its numbers mean nothing any more. */
  end(): void {
    this.publishSid = this.formerPublishSid = this.ackSid = this.pingSid = NONE;
    this.#requests.clear();
  }

  /** Hands a request to who answers it. */
  request(sid: number, request: () => Request): void {
    const handle = this.#requests.get(sid);
    if (handle !== undefined) handle(request());
  }
}
