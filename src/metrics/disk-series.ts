import type { DiskFigures } from './disk-usage.js';
import { TextMetric } from './exposition.js';

/** As text; '' if nothing is known. */
export function diskSeries(figures: DiskFigures | undefined): string {
  if (figures === undefined) return '';
  const { journal, segments, checkpoints, freeBytes, sizeBytes } = figures;
  const used = new TextMetric(
    'stanchion_store_disk_bytes',
    'Size of the files of the store, by kind',
    'gauge',
  );
  used.add('kind="journal"', journal);
  used.add('kind="segments"', segments);
  used.add('kind="checkpoints"', checkpoints);
  const free = new TextMetric(
    'stanchion_store_filesystem_free_bytes',
    'What the store may still take of its file system',
    'gauge',
  );
  free.add('', freeBytes);
  const size = new TextMetric(
    'stanchion_store_filesystem_size_bytes',
    'Size of the file system of the store',
    'gauge',
  );
  size.add('', sizeBytes);
  return used.text() + free.text() + size.text();
}
