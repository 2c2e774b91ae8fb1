// What a link is given, what it reports besides messages, and how its requests fail.

import type { Clock } from '../clock/clock.js';
import type { LinkDownReason } from './link-handler.js';
import type { ServerInfo } from './server-info.js';

/** The events of a link besides messages. */
export interface LinkEvents {
  /** The connection is lost, and unsent bytes are dropped. Called once, and not after `close`. */
  onDown(reason: LinkDownReason): void;
  /** The backlog had reached `congestedBytes`, and has fallen below half of it. */
  onDrain?(): void;
  /** The server has sent a new INFO: it is in lame-duck mode (`info.lameDuck`), or its cluster has changed. */
  onInfo?(info: ServerInfo): void;
  /** A message has led to an unexpected exception. The link is down: `onDown` has been called, if it was up. */
  onBroken?(thrown: unknown): void;
  /** The server has refused something, such as a subscription without permission, and keeps the connection. */
  onServerError?(text: string): void;
}

export interface LinkOptions {
  clock?: Clock;
  /**
   * The server counts as dead after two of these without any bytes, or after six in which it sends, but neither answers a ping nor
   * reads. PINGs are sent twenty times as often: the owner of a link, which can ask the server in another way, knows more (`lateMs`).
   */
  pingIntervalMs?: number;
  /** Backlog from which `isCongested` is true. */
  congestedBytes?: number;
  /** Backlog at which the link goes down, since the server no longer reads. */
  maxBacklogBytes?: number;
  /** Gives up connecting. For a connected link there is `close`. */
  signal?: AbortSignal;
}

/** A request to the link failed, since the connection is lost or closed. */
export class LinkDownError extends Error {
  override name = 'LinkDownError';
}

/** The server has accepted the connection and refused the login. The message has the server's words. */
export class LinkRefusedError extends Error {
  override name = 'LinkRefusedError';
}
