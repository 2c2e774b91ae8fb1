import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { systemClock } from '../clock/clock.js';
import type { ChannelsByName } from '../monitor/channels-by-name.js';
import type { MonitoredNode } from '../monitor/monitored-node.js';
import { Survey } from '../monitor/survey.js';
import { ChannelSeries } from './channel-series.js';
import { diskSeries } from './disk-series.js';
import { DiskUsage } from './disk-usage.js';
import { EventLoopDelay } from './event-loop-delay.js';
import { groupSeries } from './group-series.js';
import { measuredSeries } from './measured-series.js';
import { type Facts, SERVER_METRICS, type ServerMetric } from './server-series.js';

/** The answer to a scrape of Prometheus. */
export interface Scrape {
  readonly contentType: string;
  readonly pieces: readonly string[];
}

/**
 * The metrics of one node. Everything is read when there is a scrape: a message costs nothing beyond the counters that the broker has
 * anyway.
 */
export class Metrics {
  readonly #node: MonitoredNode;
  readonly #byName: ChannelsByName;
  readonly #maxChannels: number;
  readonly #registry = new Registry();
  readonly #process = processRegistry();
  readonly #delay = eventLoopDelay();
  readonly #disk: DiskUsage | undefined;
  #facts: Facts | undefined;
  #running: Promise<Scrape> | undefined;

  /** @param maxChannels how many channels have their own series; 0 is none */
  constructor(node: MonitoredNode, byName: ChannelsByName, maxChannels: number) {
    this.#node = node;
    this.#byName = byName;
    this.#maxChannels = maxChannels;
    this.#disk = node.storeDir === undefined ? undefined : new DiskUsage(node.storeDir, systemClock);
    for (const metric of SERVER_METRICS) this.#register(metric);
  }

  /** Makes the answer. Scrapes at the same time share one. */
  scrape(): Promise<Scrape> {
    this.#running ??= this.#scrape().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #scrape(): Promise<Scrape> {
    const { broker } = this.#node;
    const survey = await Survey.of(broker);
    const channels = broker === undefined ? [] : await this.#byName.of(broker.channels);
    const series = await ChannelSeries.of(this.#node.name, channels, this.#maxChannels);
    this.#facts = { node: this.#node, survey, leftOut: series.leftOut };
    const server = await this.#registry.metrics();
    const aboutProcess = await this.#process.metrics();
    const { measures, storeKind, group } = this.#node;
    const measured = measuredSeries(measures, storeKind, group !== undefined);
    const disk = diskSeries(await this.#disk?.figures());
    return {
      contentType: this.#registry.contentType,
      pieces: [
        `${server}\n`,
        groupSeries(this.#node),
        measured,
        disk,
        ...series.pieces(),
        this.#delay.text(),
        aboutProcess,
      ],
    };
  }

  #register(metric: ServerMetric): void {
    const facts = (): Facts | undefined => this.#facts;
    const config = {
      name: metric.name,
      help: metric.help,
      labelNames: [...(metric.labelNames ?? [])],
      registers: [this.#registry],
    };
    if (metric.type === 'counter') {
      new Counter({
        ...config,
        collect() {
          this.reset();
          fill(metric, facts(), (labels, value) => this.inc(labels, value));
        },
      });
    } else {
      new Gauge({
        ...config,
        collect() {
          this.reset();
          fill(metric, facts(), (labels, value) => this.set(labels, value));
        },
      });
    }
  }
}

function fill(
  metric: ServerMetric,
  facts: Facts | undefined,
  put: (labels: Record<string, string>, value: number) => void,
): void {
  if (facts === undefined) return;
  const value = metric.read(facts);
  if (typeof value === 'number') put({}, value);
  else for (const [labels, each] of value) put({ ...labels }, each);
}

let ofProcess: Registry | undefined;

/** Memory, CPU, event loop and garbage collection. All brokers of a process share one registry: its observers are never released. */
function processRegistry(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: NEVER_MS });
    // prom-client resets these at each scrape, and they have no value right after another scrape. `EventLoopDelay` has better ones.
    for (const { name } of ofProcess.getMetricsAsArray()) {
      if (name.startsWith('nodejs_eventloop_lag')) ofProcess.removeSingleMetric(name);
    }
  }
  return ofProcess;
}

let delayOfProcess: EventLoopDelay | undefined;

function eventLoopDelay(): EventLoopDelay {
  delayOfProcess ??= new EventLoopDelay();
  return delayOfProcess;
}

const NEVER_MS = 2 ** 31 - 1;
