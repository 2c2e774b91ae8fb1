// The parser of the NATS client protocol, on the hot path of every message.

import type { LinkHandler } from './link-handler.js';

/** Receives the parts of the stream that are no messages. */
export interface ControlHandler {
  onPing(): void;
  onPong(): void;
  /** @param json the text behind the word INFO */
  onInfo(json: string): void;
  /** @param text the text behind the word -ERR, without its quotes */
  onServerError(text: string): void;
  /** A message larger than this server allows was dropped. It came through another server of the cluster, which allows more. */
  onOversize(bytes: number): void;
}

/** The server's bytes are not the NATS client protocol, or exceed a limit. The connection cannot go on. */
export class LinkProtocolError extends Error {
  override name = 'LinkProtocolError';
}

/**
 * Limit of a control line. The server's own limit is 4 KiB unless its operator sets `max_control_line`, and the INFO of a large
 * cluster names every server.
 */
export const MAX_CONTROL_LINE_BYTES = 64 * 1024;

/** The server adds headers of its own (tracing, service imports) on top of what `max_payload` allows a publisher. */
export const MESSAGE_SLACK_BYTES = 64 * 1024;

const MAX_DECIMAL_DIGITS = 15;
const INCOMPLETE = -1;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;
// The letters below are compared after setting the bit that makes ASCII letters lower case.
const LOWER = 0x20;
const G = 0x67;
const H = 0x68;
const I = 0x69;
const M = 0x6d;
const P = 0x70;
const S = 0x73;

/**
 * Parses the server's side of the NATS client protocol, from memory that holds each message in one piece. It keeps no bytes: the caller
 * keeps an incomplete operation, and calls again with the same bytes and more behind them.
 */
export class Parser {
  /** After `parse`, the size of the incomplete operation at the returned offset; 0 if it is not known yet. */
  wantedBytes = 0;
  /** Largest message, including headers, from the server's INFO. */
  maxPayload = 1024 * 1024;
  /** How many messages the last `parse` has found. */
  messageCount = 0;

  /** How many bytes of a dropped message are still to come. */
  #skippedBytes = 0;
  #stopped = false;

  /** Receives the messages. */
  handler: LinkHandler;
  readonly #control: ControlHandler;

  constructor(handler: LinkHandler, control: ControlHandler) {
    this.handler = handler;
    this.#control = control;
  }

  /** Stops handing over messages, also within a running `parse`. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Parses `buffer[start, end)`.
   *
   * @returns the offset of the first byte that is not used up; `end` if there is no incomplete operation
   * @throws LinkProtocolError
   */
  parse(buffer: Buffer, start: number, end: number): number {
    this.wantedBytes = 0;
    this.messageCount = 0;
    let at = start + this.#skip(end - start);
    while (at < end && !this.#stopped) {
      const first = buffer[at] | LOWER;
      const next =
        first === M
          ? this.#message(buffer, at, end, false)
          : first === H
            ? this.#message(buffer, at, end, true)
            : this.#controlLine(buffer, at, end);
      if (next === INCOMPLETE) return at;
      at = next;
    }
    return at;
  }

  /** Parses `MSG subject sid [reply] size` or `HMSG subject sid [reply] headerSize size`, and the payload. */
  #message(buffer: Buffer, at: number, end: number, withHeaders: boolean): number {
    let p = at + (withHeaders ? 5 : 4);
    if (p > end) return INCOMPLETE;
    if (!isMessageWord(buffer, p - 4) || !isBlank(buffer[p - 1])) throw malformed(buffer, at, end);

    while (p < end && isBlank(buffer[p])) p++;
    const subjectStart = p;
    while (p < end && (buffer[p] > SPACE || isControlOfName(buffer[p]))) p++;
    const subjectEnd = p;

    while (p < end && isBlank(buffer[p])) p++;
    const sidStart = p;
    while (p < end && buffer[p] > SPACE) p++;
    const sidEnd = p;

    while (p < end && isBlank(buffer[p])) p++;
    let replyStart = p;
    while (p < end && (buffer[p] > SPACE || isControlOfName(buffer[p]))) p++;
    let replyEnd = p;

    // With one word less than the maximum there is no reply, and the last word is a size.
    while (p < end && isBlank(buffer[p])) p++;
    let headerSizeStart = p;
    while (p < end && buffer[p] > SPACE) p++;
    let headerSizeEnd = p;
    let sizeStart = headerSizeStart;
    let sizeEnd = headerSizeEnd;

    if (withHeaders) {
      while (p < end && isBlank(buffer[p])) p++;
      sizeStart = p;
      while (p < end && buffer[p] > SPACE) p++;
      sizeEnd = p;
      if (sizeStart === sizeEnd) {
        sizeStart = headerSizeStart;
        sizeEnd = headerSizeEnd;
        headerSizeStart = replyStart;
        headerSizeEnd = replyEnd;
        replyEnd = replyStart;
      }
    } else if (sizeStart === sizeEnd) {
      sizeStart = replyStart;
      sizeEnd = replyEnd;
      replyEnd = replyStart;
    }
    if (replyStart === replyEnd) replyStart = replyEnd = subjectEnd;

    while (p < end && isBlank(buffer[p])) p++;
    if (p - at > MAX_CONTROL_LINE_BYTES) throw lineTooLong(buffer, at, end);
    if (p + 2 > end) {
      if (p < end && buffer[p] !== CR) throw malformed(buffer, at, end);
      return INCOMPLETE;
    }
    if (buffer[p] !== CR || buffer[p + 1] !== LF) throw malformed(buffer, at, end);

    const sid = decimal(buffer, sidStart, sidEnd);
    const size = decimal(buffer, sizeStart, sizeEnd);
    const headerSize = withHeaders ? decimal(buffer, headerSizeStart, headerSizeEnd) : 0;
    if (subjectStart === subjectEnd || sid < 0 || size < 0 || headerSize < 0 || headerSize > size) {
      throw malformed(buffer, at, end);
    }
    if (size > this.maxPayload + MESSAGE_SLACK_BYTES) {
      // A client of another server, which allows larger messages, must not be able to end this connection.
      this.#control.onOversize(size);
      this.#skippedBytes = 2 + size + 2;
      return p + this.#skip(end - p);
    }

    const payloadStart = p + 2;
    const payloadEnd = payloadStart + size;
    const next = payloadEnd + 2;
    if (next > end) {
      this.wantedBytes = next - at;
      return INCOMPLETE;
    }
    if (buffer[payloadEnd] !== CR || buffer[payloadEnd + 1] !== LF) {
      throw new LinkProtocolError(
        `no line end behind the payload of ${size} bytes: ${excerpt(buffer, at, p)}`,
      );
    }
    this.messageCount++;
    this.handler.onMessage(
      sid,
      buffer,
      subjectStart,
      subjectEnd,
      replyStart,
      replyEnd,
      payloadStart + headerSize,
      payloadEnd,
    );
    return next;
  }

  /** Skips the rest of a dropped message. @returns how many of the available bytes belong to it */
  #skip(available: number): number {
    const bytes = Math.min(this.#skippedBytes, available);
    this.#skippedBytes -= bytes;
    return bytes;
  }

  #controlLine(buffer: Buffer, at: number, end: number): number {
    let lineEnd = at;
    while (lineEnd < end && buffer[lineEnd] !== LF) lineEnd++;
    if (lineEnd - at > MAX_CONTROL_LINE_BYTES) throw lineTooLong(buffer, at, end);
    if (lineEnd === end) {
      if (!isControlStart(buffer[at])) throw malformed(buffer, at, end);
      return INCOMPLETE;
    }
    const line = buffer.toString('latin1', at, lineEnd).trimEnd();
    const blank = line.search(/[ \t]/);
    const word = (blank < 0 ? line : line.slice(0, blank)).toUpperCase();
    const wordEnd = at + (blank < 0 ? line.length : blank);
    switch (word) {
      case 'PING':
        this.#control.onPing();
        break;
      case 'PONG':
        this.#control.onPong();
        break;
      case '+OK':
        break;
      case '-ERR':
        this.#control.onServerError(unquoted(buffer.toString('utf8', wordEnd, lineEnd)));
        break;
      case 'INFO':
        this.#control.onInfo(buffer.toString('utf8', wordEnd, lineEnd).trim());
        break;
      default:
        throw malformed(buffer, at, lineEnd);
    }
    return lineEnd + 1;
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Whether a control character belongs to a subject: nats-server ends a word only at a blank or the end of the line. */
function isControlOfName(byte: number): boolean {
  return byte < SPACE && byte !== TAB && byte !== CR && byte !== LF;
}

function isMessageWord(buffer: Buffer, at: number): boolean {
  return (buffer[at] | LOWER) === M && (buffer[at + 1] | LOWER) === S && (buffer[at + 2] | LOWER) === G;
}

function isControlStart(byte: number): boolean {
  const lower = byte | LOWER;
  return lower === P || lower === I || byte === PLUS || byte === MINUS;
}

/** @returns -1 if the word is not a number, or one with too many digits */
function decimal(buffer: Buffer, start: number, end: number): number {
  if (start === end || end - start > MAX_DECIMAL_DIGITS) return -1;
  let value = 0;
  for (let p = start; p < end; p++) {
    const digit = buffer[p] - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function unquoted(text: string): string {
  const trimmed = text.trim();
  return trimmed.startsWith("'") && trimmed.endsWith("'") && trimmed.length >= 2
    ? trimmed.slice(1, -1)
    : trimmed;
}

function malformed(buffer: Buffer, at: number, end: number): LinkProtocolError {
  return new LinkProtocolError(`not the NATS client protocol: ${excerpt(buffer, at, end)}`);
}

function lineTooLong(buffer: Buffer, at: number, end: number): LinkProtocolError {
  return new LinkProtocolError(
    `a control line of more than ${MAX_CONTROL_LINE_BYTES} bytes: ${excerpt(buffer, at, end)}`,
  );
}

const EXCERPT_BYTES = 64;

function excerpt(buffer: Buffer, at: number, end: number): string {
  const text = JSON.stringify(buffer.toString('latin1', at, Math.min(end, at + EXCERPT_BYTES)));
  return end - at > EXCERPT_BYTES ? `${text}...` : text;
}
