import { entriesOf, knowledgeOf, textOf } from '../data/stored-stores.js';
import { type Disk, sectorsOf } from './disk.js';
import type { Ledger } from './ledger.js';
import { CLUSTER_ID, DIR } from './machine.js';

const { channels, clusterId } = knowledgeOf('0.1.0');
const TEXT_END = -1;

/** Channels of the former store that begin behind their first message, since a limit has dropped the others. */
export const CUT_CHANNELS: ReadonlySet<string> = new Set(
  Object.entries(channels).flatMap(([name, { first }]) => (first > 1 ? [name] : [])),
);

/** Puts the store there that release 0.1.0 has left. Its lease was given back. */
export function putFormerStore(disk: Disk): void {
  disk.makeDirectory(DIR);
  for (const { path, bytes, content } of entriesOf('0.1.0')) {
    const place = `${DIR}/${path}`;
    if (content === undefined) {
      disk.makeDirectory(place);
      continue;
    }
    const inode = disk.create(place);
    inode.bytes = bytes ?? content.length;
    // An identity of that release has no checksum.
    const own = path === 'stanchion.json' ? renamed(content) : content;
    inode.bytes += own.length - content.length;
    for (const [sector, piece] of sectorsOf(own, 0, () => undefined)) inode.sectors.set(sector, piece);
  }
  for (const directory of disk.directories.values()) disk.sync(directory);
}

/** The messages that are in it were acknowledged, as all others are. */
export function enterFormerMessages(ledger: Ledger): void {
  for (const [channel, { first, last }] of Object.entries(channels))
    for (let sequence = first; sequence <= last; sequence++) {
      // What a subscriber of the simulation takes for the guid of a text without one.
      const guid = textOf(channel, sequence).slice(0, TEXT_END);
      ledger.publishSent(channel, guid);
      ledger.publishAcked(channel, guid);
    }
}

function renamed(identity: Buffer): Buffer {
  return Buffer.from(identity.toString().replace(`"${clusterId}"`, `"${CLUSTER_ID}"`));
}
