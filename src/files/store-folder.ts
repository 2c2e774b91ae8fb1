// The names in a store's folder.

export const JOURNAL_DIRECTORY = 'journal';
export const SEGMENT_DIRECTORY = 'segments';
export const CHECKPOINT_DIRECTORY = 'checkpoints';
export const LEASE_DIRECTORY = 'lease';
export const LOCKS_DIRECTORY = 'lease.locks';
/** Files that reserve room on the disk: see store/room/reserve.ts. */
export const RESERVE_DIRECTORY = 'reserve';
/** What the clock was: see store/file/boot-clock.ts. */
export const BOOT_CLOCK_FILE = 'boot-clock.json';
export const IDENTITY_FILE = 'stanchion.json';
/** The identity of a store that an import has begun: it gets its name when all else is durable. */
export const IMPORTING_FILE = 'stanchion.json.importing';
