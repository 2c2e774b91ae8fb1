/** Asks a client whether it is there. */
export interface ClientPinger {
  /** @returns whether an answer came within the time. Never rejects. */
  ping(heartbeatInbox: string, timeoutMs: number): Promise<boolean>;
}
