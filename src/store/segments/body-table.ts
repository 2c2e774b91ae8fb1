import { journalName } from '../../files/file-names.js';
import { assert } from '../../util/assert.js';
import type { JournalBody } from '../types/journal.js';
import { Body } from './body.js';

/** The journal files that messages stay in, and of these the dead, which no log refers to any more. */
export class BodyTable {
  readonly all = new Set<Body>();
  readonly dead = new Set<Body>();
  readonly #byName = new Map<string, Body>();
  /** What `of` was asked last: batches one behind the other are in one file. */
  #last: { source: JournalBody; body: Body } | undefined;

  /** What recovery found: all that its checkpoint names. What a recovery before it came by, and gave up, does not count. */
  adopt(found: ReadonlySet<Body>): void {
    assert(this.all.size === 0, 'bodies are adopted when the store is opened');
    for (const body of found) this.#add(body);
    for (const body of this.dead) if (!found.has(body)) this.dead.delete(body);
  }

  /** The one that a batch lies in: an extent is about to point into it. */
  of(source: JournalBody): Body {
    if (this.#last?.source === source) return this.#last.body;
    let body = this.#byName.get(journalName(source.id));
    if (body === undefined) {
      body = new Body(source);
      this.#add(body);
    } else body.follow(source);
    this.#last = { source, body };
    return body;
  }

  /** Those that the journal writes to no more. */
  sealed(): Body[] {
    return [...this.all].filter(({ isSealed }) => isSealed);
  }

  /** The journal need not keep it any more. */
  forget(body: Body): void {
    this.dead.delete(body);
    this.all.delete(body);
    this.#byName.delete(journalName(body.id));
    this.#last = undefined;
    body.isRemoved = true;
  }

  #add(body: Body): void {
    this.all.add(body);
    this.#byName.set(journalName(body.id), body);
  }
}
