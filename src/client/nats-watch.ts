import type { NatsConnection, NatsStatus } from './nats-connection.js';

/** What happens to a NATS connection. */
export interface NatsWatcher {
  onDisconnect(server: string): void;
  onReconnect(server: string): void;
  onClosed(cause: Error | undefined): void;
}

/**
 * Tells what happens to a NATS connection, until that is stopped: a borrowed one may live much longer than who watches it, and must
 * not keep him.
 *
 * @returns stops it
 */
export function watchNats(nats: NatsConnection, watcher: NatsWatcher): () => void {
  // The package's iterators have a stop, which its types do not tell.
  const feed: AsyncIterable<NatsStatus> & { stop?(): void } = nats.status();
  let watching: NatsWatcher | undefined = watcher;
  const current = (): NatsWatcher | undefined => watching;
  void nats.closed().then((error) => current()?.onClosed(error ?? undefined));
  void tellStatus(feed, current);
  return () => {
    watching = undefined;
    feed.stop?.();
  };
}

async function tellStatus(
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
