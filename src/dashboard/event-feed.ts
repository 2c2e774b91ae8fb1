import type { ServerResponse } from 'node:http';

/** As many dashboards are open at one broker at most. */
export const MAX_PAGES = 32;
/** What a page that does not read may have waiting before it is let go. It comes back by itself. */
const MAX_WAITING_BYTES = 256 * 1024;

/** Server-sent events, to all pages that are open. */
export class EventFeed {
  readonly #pages = new Set<ServerResponse>();

  get isEmpty(): boolean {
    return this.#pages.size === 0;
  }

  /** @returns false if there are too many already */
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

  tell(event: string, data: unknown): void {
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
