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
