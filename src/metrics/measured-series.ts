import type { Histogram } from '../measures/histogram.js';
import type { Measures } from '../measures/measures.js';
import { TextMetric } from './exposition.js';

const HISTOGRAMS: readonly [name: string, of: HistogramName, help: string][] = [
  [
    'stanchion_publish_ack_seconds',
    'publishAck',
    'From taking a message to its ack. Per batch: all of its messages count with the wait of the oldest, right to within a batch',
  ],
  [
    'stanchion_delivery_seconds',
    'delivery',
    'From the time in a message to its first delivery, while somebody is connected. One in 8 deliveries is measured, for all messages that went out by it',
  ],
  ['stanchion_journal_write_seconds', 'journalWrite', 'One batch written to the journal, and synced'],
  ['stanchion_journal_batch_bytes', 'journalBatchBytes', 'Size of a batch in the journal'],
  ['stanchion_journal_batch_messages', 'journalBatchMessages', 'Messages in a batch of the journal'],
  [
    'stanchion_fence_seconds',
    'fence',
    'From the end of a sync to its confirmation by the lease: acks wait for it',
  ],
  [
    'stanchion_checkpoint_seconds',
    'checkpoint',
    'One checkpoint, from its snapshot to the last file removed',
  ],
];

type HistogramName = {
  [Name in keyof Measures]: Measures[Name] extends Histogram ? Name : never;
}[keyof Measures];

/** What is measured on the way, as text. What only a file store does is left out without one. */
export function measuredSeries(measures: Measures, storeKind: 'memory' | 'file', isMember: boolean): string {
  let text = '';
  for (const [name, of, help] of HISTOGRAMS) {
    if (storeKind === 'memory' && of !== 'publishAck' && of !== 'delivery') continue;
    text += histogramText(name, help, measures[of]);
  }
  if (isMember) {
    text += histogramText(
      'stanchion_lease_renewal_seconds',
      'One renewal of the lease in the store',
      measures.leaseRenewal,
    );
  }
  const dropped = new TextMetric(
    'stanchion_dropped_messages_total',
    'Messages that a limit of their channel has dropped, by the limit',
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
    'What opening the store took last, by its parts',
    'gauge',
  );
  const { listMs, checkpointMs, journalMs, openMs, journalBytes, journalMessages } = recovery;
  const parts = { list: listMs, checkpoint: checkpointMs, journal: journalMs, open: openMs };
  for (const [part, ms] of Object.entries(parts)) seconds.add(`part="${part}"`, ms / 1e3);
  const messages = new TextMetric(
    'stanchion_recovered_messages',
    'Messages that were read from journals then',
    'gauge',
  );
  messages.add('', journalMessages);
  const bytes = new TextMetric(
    'stanchion_recovered_journal_bytes',
    'Bytes of journals that were read then',
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
    below += counts[i]!;
    text += `${name}_bucket{le="${bounds[i]}"} ${below}\n`;
  }
  return `${text}${name}_bucket{le="+Inf"} ${count}\n${name}_sum ${sum}\n${name}_count ${count}\n`;
}
