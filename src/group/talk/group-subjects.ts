/** The subjects on which the members of a group talk and answer. */
export interface GroupSubjects {
  /** Messages of members to each other. */
  readonly talk: string;
  /** Requests for the status: each member answers. */
  readonly status: string;
  /** Requests for the status, to all groups of the cluster id. */
  readonly statusOfAll: string;
  /** Requests to hand over: the active answers. */
  readonly handover: string;
  /** Requests of dashboards: the active answers. */
  readonly view: string;
}

const PREFIX = '_STANCHION.group';

export function groupSubjects(clusterId: string, group: string): GroupSubjects {
  const cluster = `${PREFIX}.${token(clusterId)}`;
  const base = `${cluster}.${token(group)}`;
  return {
    talk: `${base}.talk`,
    status: `${base}.status`,
    statusOfAll: `${cluster}.status`,
    handover: `${base}.handover`,
    view: `${base}.view`,
  };
}

/** Encodes any text as one token of a subject. Different texts give different tokens. */
function token(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/gu, (character) => `%${character.codePointAt(0)?.toString(16)}%`);
}
