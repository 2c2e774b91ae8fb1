// The client library of the Go server, where there is Go.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../harness/wait.js';

const SOURCES = fileURLToPath(new URL('stan-go-client', import.meta.url));

/** A message as stan.go gave it to its subscriber. */
export interface GoReceived {
  sub: string;
  sequence: number;
  redelivered: boolean;
  data: string;
}

type Line = Partial<GoReceived> & { done?: string; lost?: string; failed?: string };

/** Builds the client. @returns why it cannot be built */
export function buildStanGo(): { binary: string; remove(): void } | { skipped: string } {
  const dir = mkdtempSync(join(tmpdir(), 'stan-go-'));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  cpSync(SOURCES, dir, { recursive: true });
  try {
    execFileSync('go', ['build', '-o', 'client', '.'], { cwd: dir, stdio: 'pipe', timeout: 100_000 });
  } catch (error) {
    remove();
    return { skipped: `stan.go cannot be built here: ${(error as Error).message}` };
  }
  return { binary: join(dir, 'client'), remove };
}

/** A process with one connection of stan.go, which does what it is told. */
export class StanGoClient {
  readonly messages: GoReceived[] = [];
  lost: string | undefined;
  #failed: string | undefined;
  #done = 0;
  #told = 0;
  readonly #child: ChildProcess;

  constructor(binary: string, url: string, clusterId: string, clientId: string, channel: string) {
    this.#child = spawn(binary, [url, clusterId, clientId, channel], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('its output is a pipe');
    createInterface(this.#child.stdout).on('line', (text) => this.#onLine(JSON.parse(text) as Line));
  }

  /** Does this, and resolves when it is done. */
  async tell(command: string): Promise<void> {
    const wanted = ++this.#told;
    this.#child.stdin?.write(`${command}\n`);
    await waitFor(() => {
      if (this.#failed !== undefined) throw new Error(`${command}: ${this.#failed}`);
      return this.#done >= wanted;
    }, command);
  }

  /** The sequences that a subscription has got, as they came. */
  of(sub: string, wasRedelivered = false): number[] {
    return this.messages
      .filter((message) => message.sub === sub && message.redelivered === wasRedelivered)
      .map(({ sequence }) => sequence);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #onLine({ done, lost, failed, ...message }: Line): void {
    if (done !== undefined) this.#done++;
    else if (lost !== undefined) this.lost = lost;
    else if (failed !== undefined) this.#failed = failed;
    else this.messages.push(message as GoReceived);
  }
}
