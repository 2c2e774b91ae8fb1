import type { StanSubjects } from '../protocol/stan-subjects.js';

/** Where publishers send. */
export function publishSubject(subjects: StanSubjects): string {
  return `${subjects.publish}.>`;
}

/** Where subscribers acknowledge: the store's, so that a successor hears them too. */
export function ackSubject(storeId: string): string {
  return `${ackInboxPrefix(storeId)}*`;
}

/** What the ack inboxes of all subscriptions begin with. */
export function ackInboxPrefix(storeId: string): string {
  return `_INBOX.${storeId}.`;
}
