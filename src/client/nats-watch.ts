import type { NatsConnection, NatsStatus } from './nats-connection.js';

/** Callbacks for the changes of a NATS connection. */
export interface NatsWatcher {
  onDisconnect(server: string): void;
  onReconnect(server: string): void;
  onClosed(cause: Error | undefined): void;
}

/**
 * Calls the watcher at each change of a NATS connection, until it is stopped. A borrowed connection may live much longer than its
 * watcher, and must not keep it in memory.
 *
 * @returns stops the watcher
 */
export function watchNats(nats: NatsConnection, watcher: NatsWatcher): () => void {
  // The iterators of nats.js have a `stop`, which their types lack.
  const feed: AsyncIterable<NatsStatus> & { stop?(): void } = nats.status();
  let watching: NatsWatcher | undefined = watcher;
  const current = (): NatsWatcher | undefined => watching;
  void nats.closed().then((error) => current()?.onClosed(error ?? undefined));
  void watchStatus(feed, current);
  return () => {
    watching = undefined;
    feed.stop?.();
  };
}

async function watchStatus(
  feed: AsyncIterable<NatsStatus>,
  current: () => NatsWatcher | undefined,
): Promise<void> {
  for await (const { type, server, data } of feed) {
    const watcher = current();
    if (watcher === undefined) return;
    if (type === 'disconnect') watcher.onDisconnect(server ?? String(data));
    else if (type === 'reconnect') watcher.onReconnect(server ?? String(data));
  }
}
