import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { Child } from '../harness/child.js';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

interface Probe {
  httpGet: { path: string };
  periodSeconds: number;
  timeoutSeconds?: number;
  failureThreshold: number;
}

interface Container {
  args: string[];
  env: { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }[];
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
}

/** What deploy/kubernetes says of the brokers. */
export interface PodTemplate {
  readonly name: string;
  readonly replicas: number;
  readonly graceMs: number;
  readonly container: Container;
  readonly config: string;
}

export function podTemplate(): PodTemplate {
  const text = readFileSync(join(ROOT, 'deploy', 'kubernetes', 'stanchion.yaml'), 'utf8');
  const objects = parseAllDocuments(text).map((document) => document.toJS() as { kind?: string } | null);
  const set = objects.find((object) => object?.kind === 'StatefulSet') as unknown as {
    metadata: { name: string };
    spec: {
      replicas: number;
      template: { spec: { terminationGracePeriodSeconds: number; containers: Container[] } };
    };
  };
  const map = objects.find((object) => object?.kind === 'ConfigMap') as unknown as {
    data: Record<string, string>;
  };
  const { terminationGracePeriodSeconds, containers } = set.spec.template.spec;
  return {
    name: set.metadata.name,
    replicas: set.spec.replicas,
    graceMs: terminationGracePeriodSeconds * 1_000,
    container: containers[0]!,
    config: map.data['stanchion.yaml']!,
  };
}

/**
 * One pod of the StatefulSet as a process of this machine: its command line, environment and probes are those of the manifest. What a
 * pod has of its own is replaced: address and port of HTTP, and where the volume, the configuration and NATS are.
 */
export class Pod {
  readonly name: string;
  isReady = false;
  /** Why the kubelet would have restarted it; empty if it would not. */
  complaint = '';
  readonly #template: PodTemplate;
  readonly #folder: string;
  readonly #natsUrl: string;
  #port = 0;
  #child: Child | undefined;
  #stopProbes = (): void => {};

  constructor(template: PodTemplate, ordinal: number, folder: string, natsUrl: string) {
    this.name = `${template.name}-${ordinal}`;
    this.#template = template;
    this.#folder = folder;
    this.#natsUrl = natsUrl;
  }

  get output(): string {
    return this.#child?.output ?? '';
  }

  async start(): Promise<void> {
    this.#port = await freePort();
    const config = join(this.#folder, 'config');
    mkdirSync(config, { recursive: true });
    writeFileSync(join(config, 'stanchion.yaml'), this.#template.config);
    const env: Record<string, string> = {};
    for (const { name, value, valueFrom } of this.#template.container.env) {
      if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') env[name] = this.name;
      else if (value !== undefined) env[name] = value.replace('/etc/stanchion/config', config);
    }
    const args = this.#template.container.args.map((arg) =>
      arg
        .replace(/\$\((\w+)\)/g, (_, name: string) => env[name] ?? '')
        .replace(/^--http-port=.*/, `--http-port=${this.#port}`)
        .replace('0.0.0.0', '127.0.0.1')
        .replace('/data/', `${this.#folder}/`),
    );
    this.#child = new Child(process.execPath, [MAIN, ...args], {
      ...env,
      STANCHION_NATS_SERVER: this.#natsUrl,
    });
    this.#probe(this.#child);
  }

  /** SIGTERM, as when it is rolled. @returns its exit code, null if the grace was over before it ended */
  async terminate(): Promise<number | null> {
    const child = this.#child!;
    this.#stopProbes();
    child.signal('SIGTERM');
    const kill = setTimeout(() => child.signal('SIGKILL'), this.#template.graceMs);
    const { code } = await child.exit;
    clearTimeout(kill);
    return code;
  }

  async kill(): Promise<void> {
    this.#stopProbes();
    await this.#child?.destroy();
  }

  async waitReady(): Promise<void> {
    await waitFor(
      () => this.isReady,
      () => `${this.name} is ready; it said:\n${this.output}`,
      60_000,
    );
  }

  async isActive(): Promise<boolean> {
    return (await this.#get('/streaming/isFTActive', 2_000)) === 200;
  }

  /** As a kubelet does: first the one of the start, then the two others, each at its period. */
  #probe(child: Child): void {
    const { startupProbe, livenessProbe, readinessProbe } = this.#template.container;
    const timers: NodeJS.Timeout[] = [];
    this.isReady = false;
    this.#stopProbes = () => {
      this.isReady = false;
      for (const timer of timers) clearInterval(timer);
    };
    const repeat = (probe: Probe, onResult: (isGood: boolean, failures: number) => void): void => {
      let failures = 0;
      const timer = setInterval(async () => {
        const isGood = (await this.#get(probe.httpGet.path, (probe.timeoutSeconds ?? 1) * 1_000)) === 200;
        failures = isGood ? 0 : failures + 1;
        if (child === this.#child && !child.hasExited) onResult(isGood, failures);
      }, probe.periodSeconds * 1_000);
      timers.push(timer);
    };
    const restartAfter = (probe: Probe, failures: number): void => {
      if (failures >= probe.failureThreshold) this.complaint = `${failures} times no ${probe.httpGet.path}`;
    };
    let hasStarted = false;
    repeat(startupProbe, (isGood, failures) => {
      if (hasStarted) return;
      if (!isGood) return restartAfter(startupProbe, failures);
      hasStarted = true;
      clearInterval(timers[0]);
      repeat(livenessProbe, (_, failed) => restartAfter(livenessProbe, failed));
      repeat(readinessProbe, (isReady, failed) => {
        if (isReady) this.isReady = true;
        else if (failed >= readinessProbe.failureThreshold) this.isReady = false;
      });
    });
  }

  /** @returns the status; 0 if there was no answer in time */
  async #get(path: string, timeoutMs: number): Promise<number> {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, { signal });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }
}
