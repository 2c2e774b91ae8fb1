/** A value of a column. Whole numbers that do not fit a double come as text. */
export type SqlValue = string | number | bigint | boolean | Buffer | null | undefined;

/** A row, in the order of the columns asked for. */
export type SqlRow = readonly SqlValue[];

/** A database that is read: one connection, one transaction, which sees the tables as they were when it began. */
export interface Database {
  /** What people find it under, without its password. */
  readonly name: string;
  /** Names of columns as its SQL has them, where they are also words of the language. */
  readonly columns: { readonly row: string };
  /** @param statement with `?` for each parameter */
  query(statement: string, parameters?: readonly (string | number)[]): Promise<SqlRow[]>;
  /** Ends the transaction, and begins another one: what was written meanwhile is seen. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

/** @throws Error if it is something else */
export function textOf(value: SqlValue): string {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  throw new Error(`a text was expected in the column, and it has ${kindOf(value)}`);
}

/** @returns the bytes; none if there is nothing in the column */
export function bytesOf(value: SqlValue): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (value === null || value === undefined) return Buffer.alloc(0);
  throw new Error(`bytes were expected in the column, and it has ${kindOf(value)}`);
}

export function bigintOf(value: SqlValue): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt(value);
  throw new Error(`a whole number was expected in the column, and it has ${kindOf(value)}`);
}

/** @throws Error if it is no whole number that a double holds exactly */
export function numberOf(value: SqlValue): number {
  const number = Number(bigintOf(value));
  if (Number.isSafeInteger(number)) return number;
  throw new Error(`the number ${number} in the column is too large`);
}

function kindOf(value: SqlValue): string {
  return value === null || value === undefined ? 'nothing' : `a ${typeof value}`;
}
