import { Events, type NatsConnection, type Status } from 'nats';

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
  const feed: AsyncIterable<Status> & { stop?(): void } = nats.status();
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
  feed: AsyncIterable<Status>,
  current: () => NatsWatcher | undefined,
): Promise<void> {
  for await (const { type, data } of feed) {
    const watcher = current();
    if (watcher === undefined) return;
    if (type === Events.Disconnect) watcher.onDisconnect(String(data));
    else if (type === Events.Reconnect) watcher.onReconnect(String(data));
  }
}
