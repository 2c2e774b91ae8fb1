// What a file in the configuration syntax of the NATS servers holds, once it is parsed.

/** A place in a file, for error messages. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Characters from 1. */
  readonly column: number;
}

/** Whole numbers are bigint: the NATS servers count in 64 bits. */
export type NatsValue = string | bigint | number | boolean | Date | NatsItem[] | NatsMap;

/** A value, and where it stands. */
export interface NatsItem {
  readonly value: NatsValue;
  /** As it was written: `5m` for 5000000. For a map or an array it is empty. */
  readonly raw: string;
  readonly place: Place;
}

/** A name with its value. */
export interface NatsEntry extends NatsItem {
  readonly name: string;
  /** Place of the name. */
  readonly place: Place;
  /** The entry before it in this map that it replaces: the later one counts. */
  readonly replaces: NatsEntry | undefined;
  /** The names at the top of the file whose values refer to this one as a variable. */
  readonly users: Set<string>;
}

/** A map in the order of its entries. It is no object: `__proto__` is a name like others. */
export type NatsMap = Map<string, NatsEntry>;

/** What a file has at its top, in order: for cutting parts out of its text. */
export type NatsStatement = { readonly start: number; readonly end: number } & (
  | { readonly kind: 'entry'; readonly name: string }
  | { readonly kind: 'include'; readonly file: NatsFile }
);

/** An include anywhere in a file: where its path stands, with its quotes. */
export interface NatsInclude {
  readonly start: number;
  readonly end: number;
  readonly path: string;
}

/** A parsed file. */
export interface NatsFile {
  readonly path: string;
  readonly text: string;
  /** Everything at its top, also from its includes. */
  readonly entries: NatsMap;
  readonly statements: readonly NatsStatement[];
  readonly includes: readonly NatsInclude[];
}

export function isMap(value: NatsValue): value is NatsMap {
  return value instanceof Map;
}
