import { addSecret, withoutUrlSecrets } from '../../util/secrets.js';
import { SourceError } from '../types/source-error.js';
import type { Database } from './database.js';

const SCHEME = /^(postgres|postgresql|mysql|mariadb|cockroachdb):\/\//i;

/** Whether a source is given as the URL of a database. */
export function isDatabaseUrl(text: string): boolean {
  return SCHEME.test(text);
}

/** The URL for messages: without user and password, and without parameters, which may hold them. */
export function shownDatabaseUrl(url: string): string {
  return withoutUrlSecrets(url.replace(/[?#].*$/s, ''));
}

/** @throws SourceError if it cannot be reached, refuses, or is no database that is known */
export async function openDatabase(url: string): Promise<Database> {
  const [, scheme = ''] = SCHEME.exec(url) ?? [];
  if (!URL.canParse(url) || new URL(url).pathname.length < 2)
    throw new SourceError(
      'not-found',
      `${shownDatabaseUrl(url)} is no URL of a database: it is SCHEME://USER:PASSWORD@HOST:PORT/DATABASE, with "%" and two digits for what is special in a URL`,
    );
  hideSecrets(new URL(url));
  switch (scheme.toLowerCase()) {
    case 'mysql':
    case 'mariadb': {
      const { MySql } = await import('./mysql.js');
      return await MySql.connect(url.replace(SCHEME, 'mysql://'), shownDatabaseUrl(url));
    }
    default: {
      const { Postgres } = await import('./postgres.js');
      return await Postgres.connect(url.replace(SCHEME, 'postgres://'), shownDatabaseUrl(url));
    }
  }
}

/** No log and no error shows them, also where the database's driver wrote the text. */
function hideSecrets({ password, searchParams }: URL): void {
  for (const secret of [password, searchParams.get('password') ?? undefined]) {
    addSecret(secret);
    try {
      addSecret(secret === undefined ? undefined : decodeURIComponent(secret));
    } catch {
      // It has a "%" that encodes nothing.
    }
  }
}
