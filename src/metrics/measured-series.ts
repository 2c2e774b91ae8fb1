import type { Histogram } from '../measures/histogram.js';
import type { Measures } from '../measures/measures.js';
import { TextMetric } from './exposition.js';

const HISTOGRAMS: readonly [name: string, of: HistogramName, help: string][] = [
  [
    'stanchion_publish_ack_seconds',
    'publishAck',
    'Time from receiving a message to its ack. Measured per batch: each message counts with the time of the oldest in its batch',
  ],
  [
    'stanchion_delivery_seconds',
    'delivery',
    'Time from the timestamp of a message to its first delivery to a connected subscriber. One in 8 deliveries is measured, for all its messages',
  ],
  ['stanchion_journal_write_seconds', 'journalWrite', 'Time to write a batch to the journal, and sync it'],
  ['stanchion_journal_batch_bytes', 'journalBatchBytes', 'Size of a batch in the journal'],
  ['stanchion_journal_batch_messages', 'journalBatchMessages', 'Messages in a batch of the journal'],
  [
    'stanchion_fence_seconds',
    'fence',
    'Time from the end of a sync to its confirmation by the lease; acks wait for it',
  ],
  [
    'stanchion_checkpoint_seconds',
    'checkpoint',
    'Time of a checkpoint, from its snapshot to the removal of the last file',
  ],
];

type HistogramName = {
  [Name in keyof Measures]: Measures[Name] extends Histogram ? Name : never;
}[keyof Measures];

/** The series of what a broker measures, as text. Those of a file store are left out without one. */
export function measuredSeries(measures: Measures, storeKind: 'memory' | 'file', isMember: boolean): string {
  let text = '';
  for (const [name, of, help] of HISTOGRAMS) {
    if (storeKind === 'memory' && of !== 'publishAck' && of !== 'delivery') continue;
    text += histogramText(name, help, measures[of]);
  }
  if (isMember) {
    text += histogramText(
      'stanchion_lease_renewal_seconds',
      'Time of a renewal of the lease',
      measures.leaseRenewal,
    );
  }
  const dropped = new TextMetric(
    'stanchion_dropped_messages_total',
    'Messages removed by a limit of their channel, by the limit',
    'counter',
  );
  for (const limit of ['messages', 'bytes', 'age'] as const) {
    dropped.add(`limit="${limit}"`, measures.drops[limit]);
  }
  text += dropped.text();
  return text + recoveryText(measures);
}

function recoveryText({ recovery }: Measures): string {
  if (recovery === undefined) return '';
  const seconds = new TextMetric(
    'stanchion_recovery_seconds',
    'Time of the last opening of the store, by its parts',
    'gauge',
  );
  const { listMs, checkpointMs, journalMs, openMs, journalBytes, journalMessages } = recovery;
  const parts = { list: listMs, checkpoint: checkpointMs, journal: journalMs, open: openMs };
  for (const [part, ms] of Object.entries(parts)) seconds.add(`part="${part}"`, ms / 1e3);
  const messages = new TextMetric(
    'stanchion_recovered_messages',
    'Messages read from journals at the last opening of the store',
    'gauge',
  );
  messages.add('', journalMessages);
  const bytes = new TextMetric(
    'stanchion_recovered_journal_bytes',
    'Bytes read from journals at the last opening of the store',
    'gauge',
  );
  bytes.add('', journalBytes);
  return seconds.text() + messages.text() + bytes.text();
}

function histogramText(name: string, help: string, histogram: Histogram): string {
  const { bounds, counts, count, sum } = histogram;
  let text = `# HELP ${name} ${help}\n# TYPE ${name} histogram\n`;
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    below += counts[i];
    text += `${name}_bucket{le="${bounds[i]}"} ${below}\n`;
  }
  return `${text}${name}_bucket{le="+Inf"} ${count}\n${name}_sum ${sum}\n${name}_count ${count}\n`;
}
