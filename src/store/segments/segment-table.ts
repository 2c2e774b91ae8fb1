import { assert } from '../../util/assert.js';
import type { Blobs } from '../types/blobs.js';
import { Body } from './body.js';
import { BodyTable } from './body-table.js';
import type { Extent, Segment } from './segment.js';

/** The segments of a store, and the bodies that they point into: those that are there, and of these the dead, which no log refers to any more. */
export class SegmentTable {
  /** Reads from segments and bodies. */
  readonly blobs: Blobs;
  readonly bodies = new BodyTable();
  readonly all = new Set<Segment>();
  readonly dead = new Set<Segment>();
  /** Called when one has died. */
  onDead: (() => void) | undefined;

  /** Called when a read has found that the file of one is missing. */
  onMissing: ((file: Segment | Body) => void) | undefined;

  constructor(blobs: Blobs) {
    this.blobs = blobs;
  }

  /** What recovery found: all that there is. What a recovery before it came by, and gave up, does not count. */
  adopt(found: ReadonlySet<Segment>, bodies: ReadonlySet<Body>): void {
    this.bodies.adopt(bodies);
    assert(this.all.size === 0, 'segments are adopted when the store is opened');
    for (const segment of found) this.all.add(segment);
    for (const segment of this.dead) if (!found.has(segment)) this.dead.delete(segment);
  }

  /** A log refers to this extent from now on. */
  refer(extent: Extent): void {
    const { segment, body, count, recordBytes, totalBytes } = extent;
    segment.liveBytes += totalBytes;
    if (body === undefined) return;
    body.refer(count, recordBytes);
    this.bodies.dead.delete(body);
  }

  /** A log has let go of it. */
  release(extent: Extent): void {
    const { segment, body, count, recordBytes, totalBytes } = extent;
    segment.liveBytes -= totalBytes;
    assert(segment.liveBytes >= 0, 'an extent is released once');
    body?.release(count, recordBytes);
    if (segment.liveBytes === 0) this.died(segment);
    if (body?.extentCount !== 0) return;
    this.bodies.dead.add(body);
    this.onDead?.();
  }

  /** Whether it is there still. */
  has(file: Segment | Body): boolean {
    return file instanceof Body ? this.bodies.all.has(file) : this.all.has(file);
  }

  get hasDead(): boolean {
    return this.dead.size > 0 || this.bodies.dead.size > 0;
  }

  died(segment: Segment): void {
    this.dead.add(segment);
    this.onDead?.();
  }

  /** The journal is about to remove a dead body, or to write over its file. */
  forgetBody(body: Body): void {
    this.bodies.forget(body);
    this.blobs.forget(body);
  }

  /** Removes a dead one. */
  async remove(segment: Segment): Promise<void> {
    this.dead.delete(segment);
    this.all.delete(segment);
    segment.isRemoved = true;
    await this.blobs.remove(segment);
  }
}
