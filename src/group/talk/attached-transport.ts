import type { ClientPinger } from '../../broker/handlers/client-pinger.js';
import { type Clock, systemClock } from '../../clock/clock.js';
import type { NatsConfig } from '../../config/serve-config.js';
import type { Logger } from '../../log/logger.js';
import { RateLimitedLog } from '../../log/rate-limited.js';
import { NatsAttachment } from '../../nats/attachment.js';
import type { ControlConnection, ControlMessage } from '../../nats/control-connection.js';
import type { MovingLink } from '../../nats/moving-link.js';
import type { NatsRefusal } from '../../nats/refusal.js';
import { PacedWork } from '../../util/paced-work.js';
import type { GroupSubjects } from './group-subjects.js';
import type { NatsTransport, TransportHandler } from './nats-transport.js';

/** A request on one of the group's subjects: anyone may have sent it. */
export interface GroupRequest {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Limit of the answer, in bytes. */
  readonly maxBytes: number;
}

/** Undefined if another member has to answer, or none. */
type Answer = Uint8Array | undefined | Promise<Uint8Array | undefined>;

export interface AttachedTransportOptions {
  config: NatsConfig;
  /** Name of the connections in the monitoring of nats-server. */
  name: string;
  version: string;
  logger: Logger;
  subjects: GroupSubjects;
  handler: TransportHandler;
  /** Answers requests for the member's status. */
  status: (request: GroupRequest) => Uint8Array;
  /** Answers requests to hand over; undefined if another member has to answer. */
  handOver: (request: GroupRequest) => Uint8Array | undefined;
  /** Takes a dashboard's request, and returns what makes the answer; undefined if another member has to answer. */
  view: (request: GroupRequest) => (() => Promise<Uint8Array | undefined>) | undefined;
  /** Called besides the handler. */
  onLinkUp(server: string): void;
  onLinkDown(reason: string): void;
  /** A server has refused something on one of the connections. */
  onRefused?(refusal: NatsRefusal): void;
  /** As `NatsAttachmentOptions.onBroken`. */
  onBroken?(thrown: unknown): void;
  /** By default the clock of the machine. */
  clock?: Clock;
}

/** Limit of requests of one kind that wait for an answer. */
const MAX_WAITING_REQUESTS = 64;
/** Limit of the payload of a request for the status, which its answers are proved to answer. */
const MAX_CHALLENGE_BYTES = 1_024;

/** The NATS transport of a member on real NATS servers: the group talks on the control connection, clients on the data link. */
export class AttachedTransport implements NatsTransport {
  readonly pinger: ClientPinger;
  readonly #options: AttachedTransportOptions;
  readonly #attachment: NatsAttachment;
  #talkingOn: ControlConnection | undefined;

  constructor(options: AttachedTransportOptions) {
    this.#options = options;
    const { handler } = options;
    this.#attachment = new NatsAttachment({
      config: options.config,
      name: options.name,
      version: options.version,
      logger: options.logger,
      waitOnFirstConnect: true,
      onControlUp: (control) => this.#talk(control),
      onMoved: (server) => options.onLinkUp(server),
      onRefused: (refusal) => options.onRefused?.(refusal),
      ...(options.onBroken && { onBroken: options.onBroken }),
      ...(options.clock && { clock: options.clock }),
      onLinkUp: (link) => {
        options.onLinkUp(this.server);
        handler.onLinkUp(link);
      },
      onLinkDown: (reason) => {
        options.onLinkDown(reason);
        handler.onLinkDown(reason);
      },
      onDrain: () => handler.onDrain(),
    });
    this.pinger = {
      ping: async (heartbeatInbox, timeoutMs) => {
        try {
          await this.#attachment.control.request(heartbeatInbox, undefined, { timeout: timeoutMs });
          return true;
        } catch {
          // Without an answer, a responder or a connection, the client has not shown that it lives.
          return false;
        }
      },
    };
  }

  get link(): MovingLink | undefined {
    return this.#attachment.link;
  }

  get server(): string {
    return this.#attachment.server;
  }

  /** Resolves when there is a link, or the signal has closed it. */
  start(signal: AbortSignal): Promise<void> {
    return this.#attachment.start(signal);
  }

  /** Closes the connections, after sending what was published. */
  async close(): Promise<void> {
    if (this.#attachment.isConnected) await this.#attachment.control.flush().catch(() => {});
    await this.#attachment.close();
  }

  say(payload: Uint8Array): void {
    // The package would keep the message while it is down, and send it when it is no longer true.
    if (!this.#attachment.isConnected || this.#talkingOn?.isClosed() !== false) return;
    this.#talkingOn.publish(this.#options.subjects.talk, payload);
  }

  leaveServer(why: string): void {
    this.#attachment.abandonServer(why);
  }

  /** Makes a new data link at the same server: the handler subscribes to everything again. */
  renewLink(why: string): void {
    this.#attachment.renewLink(why);
  }

  /** Makes a new control connection at the same server: the group's subjects are subscribed to again. */
  renewControl(why: string): void {
    void this.#attachment.renewControl(why);
  }

  /** The control connection; undefined while there is none. */
  get control(): ControlConnection | undefined {
    return this.#attachment.isConnected ? this.#attachment.control : undefined;
  }

  /** Subscribes on a new control connection: the subscriptions end with it. */
  #talk(control: ControlConnection): void {
    this.#talkingOn = control;
    const { subjects, handler, status, handOver, view, logger, clock = systemClock } = this.#options;
    // Anyone who may publish in NATS can send requests. None of them may end the process.
    const failed = new RateLimitedLog(logger, clock);
    type Take = (message: ControlMessage) => void | Promise<void>;
    const taken = async (subject: string, message: ControlMessage, take: Take): Promise<void> => {
      try {
        await take(message);
      } catch (failure) {
        failed.note('a request of the group could not be answered', () => ({ subject, err: failure }));
      }
    };
    const listen = (subject: string, take: Take): void => {
      control.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) void taken(subject, message, take);
        },
      });
    };
    const requestOf = (subject: string, { data }: ControlMessage): GroupRequest => ({
      subject,
      payload: data,
      maxBytes: control.maxPayload,
    });
    /** Thousands may come in one read: those beyond what waits get no answer. */
    const answerLater = (
      work: PacedWork,
      subject: string,
      message: ControlMessage,
      make: () => Answer,
    ): void =>
      void work.add(() =>
        taken(subject, message, async () => {
          const said = await make();
          if (said !== undefined) message.respond(said);
        }),
      );
    listen(subjects.talk, ({ data }) => handler.onGroupMessage(data));
    const statusWork = new PacedWork(MAX_WAITING_REQUESTS);
    for (const subject of [subjects.status, subjects.statusOfAll]) {
      listen(subject, (message) => {
        // Whatever needs a longer payload is no request of this program.
        if (message.data.length > MAX_CHALLENGE_BYTES) return;
        answerLater(statusWork, subject, message, () => status(requestOf(subject, message)));
      });
    }
    // What has a proof is looked at when it comes: later, what its sender has said since would make it old.
    listen(subjects.handover, async (message) => {
      const said = await handOver(requestOf(subjects.handover, message));
      if (said !== undefined) message.respond(said);
    });
    const viewWork = new PacedWork(MAX_WAITING_REQUESTS);
    listen(subjects.view, (message) => {
      const make = view(requestOf(subjects.view, message));
      if (make !== undefined) answerLater(viewWork, subjects.view, message, make);
    });
  }
}
