import type { DiskFigures } from './disk-usage.js';
import { TextMetric } from './exposition.js';

/** The series of the disk, as text; '' if the figures are unknown. */
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
    'Free bytes of the file system of the store',
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
