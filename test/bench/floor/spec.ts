/** What the floor does. Given to it as JSON. */
export interface FloorSpec {
  natsPort: number;
  clusterId: string;
  /** The file that batches are written to before their acks are sent. Without it: no disk. */
  journalPath?: string | undefined;
  /** Looks at nothing but the bytes that it copies, instead of decoding each message and encoding each answer. */
  isBare: boolean;
  /** Writes over the same file for ever, instead of keeping what it has. */
  isOverwriting: boolean;
}

/** Printed once it answers. */
export const FLOOR_READY = 'floor is ready';
