/** Where the members of a group talk, and answer. */
export interface GroupSubjects {
  /** What members tell each other. */
  readonly talk: string;
  /** Requests for the status: each member answers. */
  readonly status: string;
  /** Requests to hand over: the active answers. */
  readonly handover: string;
}

const PREFIX = '_STANCHION.group';

/** @param group `*` for all groups of the cluster id */
export function groupSubjects(clusterId: string, group: string): GroupSubjects {
  const base = `${PREFIX}.${token(clusterId)}.${group === '*' ? group : token(group)}`;
  return { talk: `${base}.talk`, status: `${base}.status`, handover: `${base}.handover` };
}

/** Any text as one token of a subject. Different texts give different tokens. */
function token(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/gu, (character) => `%${character.codePointAt(0)!.toString(16)}%`);
}
