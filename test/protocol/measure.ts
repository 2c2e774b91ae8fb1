/**
 * What decoding a PubMsg, encoding its MsgProto and its PubAck costs, by hand and by the library, in nanoseconds:
 *
 *     node --import tsx test/protocol/measure.ts
 */
import {
  decodePubMsgMessage,
  encodeMsgProtoMessage,
  encodePubAck,
  encodePubMsg,
} from '../../src/protocol/messages.js';
import { encodeMsgProto, encodeTimestamp, MAX_TIMESTAMP_SIZE } from '../../src/protocol/msgproto.js';
import { encodePubAckOk } from '../../src/protocol/puback.js';
import { decodePubMsg, newPubMsgView } from '../../src/protocol/pubmsg.js';

const ROUNDS = 5;
const RING = 1 << 20;

const pubMsg = Buffer.from(
  encodePubMsg({
    clientId: 'publisher-1',
    guid: 'M0XG4R2AQPVNJYTZ3DH57U',
    subject: 'orders.created',
    data: Buffer.alloc(128, 0x61),
    connId: Buffer.from('M0XG4R2AQPVNJYTZ3DH580'),
  }),
);

// Many copies in a buffer, as they come from a socket.
const copies = Math.floor(RING / pubMsg.length);
const source = Buffer.alloc(copies * pubMsg.length);
for (let i = 0; i < copies; i++) pubMsg.copy(source, i * pubMsg.length);
const target = Buffer.alloc(RING + 1024);
const timestamp = Buffer.alloc(MAX_TIMESTAMP_SIZE);
const view = newPubMsgView();
let sink = 0;

const steps: Record<string, (count: number) => void> = {
  'decodePubMsg, by hand': (count) => {
    for (let i = 0; i < count; i++) {
      const at = (i % copies) * pubMsg.length;
      if (decodePubMsg(source, at, at + pubMsg.length, view)) sink += view.dataEnd;
    }
  },
  'decode, encodeMsgProto, encodePubAckOk, by hand': (count) => {
    let timestampLength = 0;
    for (let i = 0; i < count; i++) {
      if (i % 100 === 0) timestampLength = encodeTimestamp(timestamp, 0, 1_700_000_000_123_456_789n);
      const at = (i % copies) * pubMsg.length;
      if (!decodePubMsg(source, at, at + pubMsg.length, view)) return;
      const to = (i % 4096) * 250;
      const end = encodeMsgProto(target, to, i + 1, timestamp, timestampLength, view);
      sink += encodePubAckOk(target, end, source, view.guidStart, view.guidEnd);
    }
  },
  'decode, by the library': (count) => {
    for (let i = 0; i < count; i++) {
      const at = (i % copies) * pubMsg.length;
      sink += decodePubMsgMessage(source.subarray(at, at + pubMsg.length)).data.length;
    }
  },
  'decode, encode MsgProto and PubAck, by the library': (count) => {
    const now = 1_700_000_000_123_456_789n;
    for (let i = 0; i < count; i++) {
      const at = (i % copies) * pubMsg.length;
      const { subject, reply, data, guid } = decodePubMsgMessage(source.subarray(at, at + pubMsg.length));
      sink += encodeMsgProtoMessage({ sequence: i + 1, subject, reply, data, timestamp: now }).length;
      sink += encodePubAck({ guid }).length;
    }
  },
};

for (const [name, run] of Object.entries(steps)) {
  const count = name.includes('hand') ? 1_000_000 : 100_000;
  run(count);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run(count);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count);
  }
  console.log(`${name.padEnd(52)}${best.toFixed(0).padStart(8)} ns`);
}
if (sink === 0) console.log('nothing done');
