import { LENGTH_DELIMITED, MALFORMED, readTag, readVarint, skipValue, wire } from './wire.js';

/**
 * Where the fields of an encoded PubMsg lie in a buffer: offsets, no copies, no strings. One object is reused for every
 * message, so a view is valid until the next call of `decodePubMsg` with it. An absent field has `start === end`.
 */
export interface PubMsgView {
  buffer: Buffer;
  clientIdStart: number;
  clientIdEnd: number;
  guidStart: number;
  guidEnd: number;
  subjectStart: number;
  subjectEnd: number;
  replyStart: number;
  replyEnd: number;
  dataStart: number;
  dataEnd: number;
  connIdStart: number;
  connIdEnd: number;
}

export function newPubMsgView(): PubMsgView {
  return {
    buffer: EMPTY,
    clientIdStart: 0,
    clientIdEnd: 0,
    guidStart: 0,
    guidEnd: 0,
    subjectStart: 0,
    subjectEnd: 0,
    replyStart: 0,
    replyEnd: 0,
    dataStart: 0,
    dataEnd: 0,
    connIdStart: 0,
    connIdEnd: 0,
  };
}

const EMPTY = Buffer.alloc(0);

const CLIENT_ID = 1;
const GUID = 2;
const SUBJECT = 3;
const REPLY = 4;
const DATA = 5;
const CONN_ID = 6;
const SHA256 = 10;

/**
 * Finds the fields of the PubMsg in `buffer[start, end)`. As in the Go server's decoder the last of several equal fields
 * counts, unknown fields are skipped, and strings are not checked to be UTF-8.
 *
 * @returns false if the bytes are not a PubMsg; the view then holds the fields found up to there (a refusal can name the guid)
 */
export function decodePubMsg(buffer: Buffer, start: number, end: number, view: PubMsgView): boolean {
  view.buffer = buffer;
  view.clientIdStart = view.clientIdEnd = start;
  view.guidStart = view.guidEnd = start;
  view.subjectStart = view.subjectEnd = start;
  view.replyStart = view.replyEnd = start;
  view.dataStart = view.dataEnd = start;
  view.connIdStart = view.connIdEnd = start;

  let pos = start;
  while (pos < end) {
    let fieldNumber: number;
    const tag = buffer[pos];
    // The fast path: every client sends a tag of one byte, length-delimited.
    if ((tag & 0x87) === LENGTH_DELIMITED && tag > 7) {
      fieldNumber = tag >>> 3;
      pos++;
    } else {
      pos = readTag(buffer, pos, end);
      if (pos === MALFORMED) return false;
      fieldNumber = wire.fieldNumber;
      if (fieldNumber > CONN_ID && fieldNumber !== SHA256) {
        pos = skipValue(buffer, pos, end);
        if (pos === MALFORMED) return false;
        continue;
      }
      if (wire.wireType !== LENGTH_DELIMITED) return false;
    }

    if (pos >= end) return false;
    let length = buffer[pos];
    if (length < 0x80) {
      pos++;
    } else {
      pos = readVarint(buffer, pos, end);
      if (pos === MALFORMED) return false;
      length = wire.value;
    }
    const valueEnd = pos + length;
    if (valueEnd > end) return false;

    switch (fieldNumber) {
      case CLIENT_ID:
        view.clientIdStart = pos;
        view.clientIdEnd = valueEnd;
        break;
      case GUID:
        view.guidStart = pos;
        view.guidEnd = valueEnd;
        break;
      case SUBJECT:
        view.subjectStart = pos;
        view.subjectEnd = valueEnd;
        break;
      case REPLY:
        view.replyStart = pos;
        view.replyEnd = valueEnd;
        break;
      case DATA:
        view.dataStart = pos;
        view.dataEnd = valueEnd;
        break;
      case CONN_ID:
        view.connIdStart = pos;
        view.connIdEnd = valueEnd;
        break;
      // SHA256 and unknown fields are ignored.
    }
    pos = valueEnd;
  }
  return true;
}
