import type { ServerResponse } from 'node:http';

/** Limit of open pages per broker. */
export const MAX_PAGES = 32;
/** Limit of unread bytes of a page. Beyond it the page is disconnected, and connects again by itself. */
const MAX_WAITING_BYTES = 256 * 1024;

/** Sends server-sent events to all open pages. */
export class EventFeed {
  readonly #pages = new Set<ServerResponse>();

  get isEmpty(): boolean {
    return this.#pages.size === 0;
  }

  /** @returns false if too many pages are open */
  add(response: ServerResponse): boolean {
    if (this.#pages.size >= MAX_PAGES) return false;
    this.#pages.add(response);
    response.on('close', () => this.#pages.delete(response));
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    response.write('retry: 2000\n\n');
    return true;
  }

  send(event: string, data: unknown): void {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const page of this.#pages) {
      if (page.writableLength > MAX_WAITING_BYTES) page.destroy();
      else page.write(text);
    }
  }

  close(): void {
    for (const page of this.#pages) page.end();
    this.#pages.clear();
  }
}
