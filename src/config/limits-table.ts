import type { ChannelLimits } from './channel-limits.js';
import { ConfigError } from './config-error.js';
import type { OptionName } from './options.js';

/** The options that single channels can have too. */
export const CHANNEL_LIMIT_OPTIONS: readonly [OptionName, keyof ChannelLimits][] = [
  ['max-msgs', 'maxMessages'],
  ['max-bytes', 'maxBytes'],
  ['max-age', 'maxAgeMs'],
  ['max-subs', 'maxSubscriptions'],
  ['max-inactivity', 'maxInactivityMs'],
];

/** The limits in the configuration for one channel or pattern. A missing limit comes from the next wider pattern. */
export interface ChannelRule {
  /** A channel's name, or a pattern with `*` for one part and `>` for all that follow. */
  readonly pattern: string;
  readonly limits: Partial<ChannelLimits>;
}

interface Entry {
  readonly rule: ChannelRule;
  /** The limits with those that the rule inherits; undefined until they are resolved. */
  effective: Readonly<ChannelLimits> | undefined;
}

/** A node of the tree of patterns, which has one level per part. */
interface Node {
  readonly literals: Map<string, Node>;
  star: Node | undefined;
  /** The rule whose pattern ends here. */
  entry: Entry | undefined;
  /** The rule whose pattern ends here with `>`. */
  rest: Entry | undefined;
}

/**
 * The limits of every channel, by its name. The narrowest pattern counts: part by part from the left, a name is narrower
 * than `*`, and `*` than `>`. A pattern inherits limits that it lacks from the narrowest pattern that covers it.
 */
export class ChannelLimitsTable {
  readonly global: Readonly<ChannelLimits>;
  readonly #root: Node | undefined;
  readonly #entries: readonly Entry[] = [];

  /** @throws ConfigError on an invalid pattern */
  constructor(global: ChannelLimits, rules: readonly ChannelRule[]) {
    this.global = Object.freeze({ ...global });
    if (rules.length === 0) return;
    const root = newNode();
    this.#root = root;
    const entries = rules.map((rule) => insert(root, rule));
    for (const entry of entries) this.#resolve(root, entry);
    this.#entries = entries;
  }

  /** The limits of a channel: one object for all channels of a rule. The time does not depend on the number of channels. */
  for(channelName: string): Readonly<ChannelLimits> {
    if (this.#root === undefined) return this.global;
    return find(this.#root, channelName, 0)?.effective ?? this.global;
  }

  /** Each pattern with its limits, also the inherited ones. */
  byPattern(): [pattern: string, limits: Readonly<ChannelLimits>][] {
    return this.#entries.map(({ rule, effective = this.global }) => [rule.pattern, effective]);
  }

  #resolve(root: Node, entry: Entry): Readonly<ChannelLimits> {
    if (entry.effective === undefined) {
      const covering: Entry[] = [];
      collectCovering(root, entry.rule.pattern.split('.'), 0, covering);
      const wider = covering[covering.indexOf(entry) - 1];
      const inherited = wider === undefined ? this.global : this.#resolve(root, wider);
      entry.effective = Object.freeze({ ...inherited, ...entry.rule.limits });
    }
    return entry.effective;
  }
}

/** Whether the text is a channel name or a pattern of them. */
export function isPatternValid(pattern: string): boolean {
  const parts = pattern.split('.');
  return parts.every((part, index) => {
    if (part === '*') return true;
    if (part === '>') return index === parts.length - 1;
    return part !== '' && !/[*>/]/.test(part);
  });
}

export function isLiteral(pattern: string): boolean {
  return !/[*>]/.test(pattern);
}

function insert(root: Node, rule: ChannelRule): Entry {
  if (!isPatternValid(rule.pattern)) {
    throw new ConfigError(
      `"${rule.pattern}" is no channel name or pattern: parts between dots, a part may be *, the last may be >, no /`,
    );
  }
  const entry: Entry = { rule, effective: undefined };
  let node = root;
  for (const part of rule.pattern.split('.')) {
    if (part === '>') {
      node.rest = entry;
      return entry;
    }
    node = part === '*' ? starChild(node) : literalChild(node, part);
  }
  node.entry = entry;
  return entry;
}

function starChild(node: Node): Node {
  node.star ??= newNode();
  return node.star;
}

function literalChild(node: Node, part: string): Node {
  let child = node.literals.get(part);
  if (child === undefined) {
    child = newNode();
    node.literals.set(part, child);
  }
  return child;
}

function newNode(): Node {
  return { literals: new Map(), star: undefined, entry: undefined, rest: undefined };
}

/** Finds the narrowest rule. Each node has one depth, so it is visited at most once. */
function find(node: Node, name: string, start: number): Entry | undefined {
  const dot = name.indexOf('.', start);
  const literal = node.literals.get(dot < 0 ? name.slice(start) : name.slice(start, dot));
  const narrowest =
    dot < 0
      ? (literal?.entry ?? node.star?.entry)
      : ((literal && find(literal, name, dot + 1)) ?? (node.star && find(node.star, name, dot + 1)));
  return narrowest ?? node.rest;
}

/** Collects the patterns that match everything that this one matches, widest first: the Go server inherits in this order. */
function collectCovering(node: Node, parts: readonly string[], depth: number, found: Entry[]): void {
  if (depth === parts.length) {
    if (node.entry) found.push(node.entry);
    return;
  }
  const part = parts[depth];
  if (node.rest) found.push(node.rest);
  if (part === '>') return;
  if (node.star) collectCovering(node.star, parts, depth + 1, found);
  const literal = part === '*' ? undefined : node.literals.get(part);
  if (literal) collectCovering(literal, parts, depth + 1, found);
}
