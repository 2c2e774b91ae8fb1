import type { ServerResponse } from 'node:http';
import { FairQueue } from '../util/fair-queue.js';
import { Turns } from '../util/turns.js';
import { type Handler, type HttpRequest, send, sendPieces, sendText } from './answer.js';

/** A page before it is sent. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly pieces: Iterable<string> | AsyncIterable<string>;
  /** It is worth much work: it is kept for others whatever its size. */
  readonly isKept?: boolean;
}

/** Limit of pages that wait to be made. Each connection may have one beyond it. */
const MAX_WAITING = 256;
/** A larger page is made piece by piece, as its client reads it, and not kept. In characters. */
const MAX_KEPT_LENGTH = 256 * 1024;
/** Limit of pages that are kept. */
const MAX_KEPT = 64;
/** While requests wait, a page that was made no longer ago answers others for it too. */
const KEPT_MS = 1_000;
const RETRY_SECONDS = 1;

/** A page as far as it is made. */
interface Made {
  readonly page: Page;
  /** When its making began. */
  readonly atMs: number;
  readonly pieces: readonly Uint8Array[];
  /** Makes the rest; undefined if there is none. */
  readonly rest: AsyncIterator<string> | Iterator<string> | undefined;
}

/**
 * Makes the pages that take work, one at a time; connections take turns. A page that many ask for at the same time is made once. When too
 * many requests wait, the next one is answered with 503.
 */
export class PageMaker {
  readonly #queue = new FairQueue(MAX_WAITING);
  /** By the request's target. */
  readonly #kept = new Map<string, Made>();

  /** A handler that sends the page which `make` returns. */
  handler(make: (request: HttpRequest) => Page | Promise<Page>): Handler {
    return async (request, response) => {
      const { connection, target } = request;
      if (!this.#queue.hasRoom(connection)) {
        sendText(response, 503, TOO_MANY, { 'Retry-After': RETRY_SECONDS });
        return;
      }
      const askedMs = performance.now();
      const made = await this.#queue.run(connection, async () => {
        if (response.destroyed) return undefined;
        return this.#keptFor(target, askedMs) ?? (await this.#make(target, () => make(request)));
      });
      if (made !== undefined) await this.#send(response, connection, made);
    };
  }

  /** A page that is as new as the request, or new enough for a time of many requests. */
  #keptFor(target: string, askedMs: number): Made | undefined {
    const kept = this.#kept.get(target);
    if (kept === undefined) return undefined;
    const isNew = kept.atMs >= askedMs;
    const isNewEnough = this.#queue.waiting > 0 && performance.now() - kept.atMs < KEPT_MS;
    return isNew || isNewEnough ? kept : undefined;
  }

  async #make(target: string, make: () => Page | Promise<Page>): Promise<Made> {
    const atMs = performance.now();
    const page = await make();
    const source =
      Symbol.asyncIterator in page.pieces
        ? page.pieces[Symbol.asyncIterator]()
        : page.pieces[Symbol.iterator]();
    const pieces: Uint8Array[] = [];
    let length = 0;
    const turns = await Turns.begin();
    while (page.isKept === true || length <= MAX_KEPT_LENGTH) {
      const piece = await source.next();
      if (piece.done === true) {
        const made = { page, atMs, pieces, rest: undefined };
        this.#keep(target, made);
        return made;
      }
      pieces.push(Buffer.from(piece.value));
      length += piece.value.length;
      if (turns.isOver) await turns.giveWay();
    }
    return { page, atMs, pieces, rest: source };
  }

  #keep(target: string, made: Made): void {
    this.#kept.set(target, made);
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size > MAX_KEPT) this.#kept.delete(oldest);
    const forget = (): void => {
      if (this.#kept.get(target) === made) this.#kept.delete(target);
    };
    setTimeout(forget, KEPT_MS).unref();
  }

  async #send(response: ServerResponse, connection: object, { page, pieces, rest }: Made): Promise<void> {
    const { status, type } = page;
    const [first] = pieces;
    if (rest === undefined && first !== undefined && pieces.length === 1) send(response, status, type, first);
    else await sendPieces(response, type, this.#all(pieces, rest, connection), status);
  }

  /** Makes the rest as fast as the client reads, and at no other time: a slow reader delays no other request. */
  async *#all(
    pieces: readonly Uint8Array[],
    rest: Made['rest'],
    connection: object,
  ): AsyncGenerator<string | Uint8Array> {
    yield* pieces;
    while (rest !== undefined) {
      const piece = await this.#queue.run(connection, async () => await rest.next());
      if (piece.done === true) return;
      yield piece.value;
    }
  }
}

const TOO_MANY = 'too many requests wait for pages that take work: try again';
