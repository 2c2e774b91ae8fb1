/** What the floor does. Given to it as JSON. */
export interface FloorSpec {
  natsPort: number;
  clusterId: string;
  /** The file that batches are written to before their acks are sent. Without it: no disk. */
  journalPath?: string | undefined;
  /** Decodes each message into an object, and encodes each answer from it, as a program does that does not think of cost. */
  isPlain: boolean;
}

/** Printed once it answers. */
export const FLOOR_READY = 'floor is ready';
