import { assert } from '../../util/assert.js';
import type { Blobs } from '../types/blobs.js';
import type { Segment } from './segment.js';

/** The segments of a store: those that are there, and of these the dead, which no log refers to any more. */
export class SegmentTable {
  readonly blobs: Blobs;
  readonly all = new Set<Segment>();
  readonly dead = new Set<Segment>();
  /** Called when one has died. */
  onDead: (() => void) | undefined;

  /** Called when a read has found that the file of one is missing. */
  onMissing: ((segment: Segment) => void) | undefined;

  constructor(blobs: Blobs) {
    this.blobs = blobs;
  }

  /** What recovery found: all that there is. What a recovery before it came by, and gave up, does not count. */
  adopt(found: ReadonlySet<Segment>): void {
    assert(this.all.size === 0, 'segments are adopted when the store is opened');
    for (const segment of found) this.all.add(segment);
    for (const segment of this.dead) if (!found.has(segment)) this.dead.delete(segment);
  }

  died(segment: Segment): void {
    this.dead.add(segment);
    this.onDead?.();
  }

  /** Removes a dead one. */
  async remove(segment: Segment): Promise<void> {
    this.dead.delete(segment);
    this.all.delete(segment);
    segment.isRemoved = true;
    await this.blobs.remove(segment);
  }
}
