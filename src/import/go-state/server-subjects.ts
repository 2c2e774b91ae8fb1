import { stanSubjects } from '../../protocol/stan-subjects.js';
import type { GoServerInfo } from '../go-wire/go-records.js';
import type { SourceSubjects } from '../types/source.js';

/** The subjects of a server; undefined if they are those of its cluster id, or not there. */
export function subjectsOf(info: GoServerInfo): SourceSubjects | undefined {
  const usual = stanSubjects(info.clusterId);
  const { publish, subscribe, unsubscribe, close, subscriptionClose } = info;
  const isUsual =
    publish === '' ||
    (publish === usual.publish &&
      subscribe === usual.subscribe &&
      unsubscribe === usual.unsubscribe &&
      close === usual.close &&
      subscriptionClose === usual.subscriptionClose);
  return isUsual ? undefined : { publish, subscribe, unsubscribe, close, subscriptionClose };
}
