import type { NatsValue } from '../../../src/config/nats-syntax/node.js';
import { type NatsSources, parseNats } from '../../../src/config/nats-syntax/parse.js';

/** The values of a text as plain data. Whole numbers are numbers, and maps are lists of pairs in the order of their entries. */
export function parsed(text: string, sources: Partial<NatsSources> = {}): unknown {
  const missing = (path: string): string => {
    throw new Error(`no such file: ${path}`);
  };
  const { entries } = parseNats('f.conf', text, { env: {}, readFile: missing, ...sources });
  return plain(entries);
}

export function plain(value: NatsValue): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, entry]) => [name, plain(entry.value)]));
  if (Array.isArray(value)) return value.map((item) => plain(item.value));
  return typeof value === 'bigint' ? Number(value) : value;
}
