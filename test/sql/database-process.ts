import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../harness/free-ports.js';
import { waitFor } from '../harness/wait.js';

const run = promisify(execFile);
const MAX_LOG_CHARS = 64 * 1024;
const PASSWORD = 'p@ss:w0rd/%';

/** The kinds of servers that a test can start. */
export type DatabaseKind = 'postgres' | 'mariadb';

/** How one kind is found and started. Both have an owner `stan` with a password, and a database `stan`. */
interface Recipe {
  /** The folders that its programs are looked for in. */
  folders(): string[];
  program: string;
  /** What to install where it is not there. */
  package: string;
  scheme: string;
  /** Whose user runs it when the test is root: these servers refuse that. */
  user: string;
  make(bin: (name: string) => string, dir: string, as: Account): Promise<void>;
  args(dir: string, port: number): string[];
  /** Makes user and database, as soon as it answers. */
  prepare(bin: (name: string) => string, dir: string, port: number): Promise<void>;
}

/** Spawn options of the user that a server runs as; none where the test is not root. */
type Account = { uid?: number; gid?: number };

const SQL_PASSWORD = PASSWORD.replaceAll("'", "''");

const RECIPES: Readonly<Record<DatabaseKind, Recipe>> = {
  postgres: {
    folders: () => [...debianFolders(), ...pathFolders()],
    program: 'postgres',
    package: 'postgresql',
    scheme: 'postgres',
    user: 'postgres',
    async make(bin, dir, as) {
      await run(bin('initdb'), ['-D', join(dir, 'data'), '-U', 'admin', '-A', 'trust', '--no-sync'], as);
    },
    args: (dir, port) => [
      ...['-D', join(dir, 'data'), '-p', String(port), '-h', '127.0.0.1', '-k', dir],
      // What it keeps need not live longer than the test.
      ...['-c', 'fsync=off'],
    ],
    async prepare(bin, dir, port) {
      const psql = (...commands: string[]): Promise<unknown> =>
        run(bin('psql'), [
          ...['-h', dir, '-p', String(port), '-U', 'admin', '-v', 'ON_ERROR_STOP=1', 'postgres'],
          ...commands.flatMap((command) => ['-c', command]),
        ]);
      await psql(`CREATE USER stan PASSWORD '${SQL_PASSWORD}'`, 'CREATE DATABASE stan OWNER stan');
    },
  },
  mariadb: {
    folders: () => ['/usr/sbin', '/usr/bin', ...pathFolders()],
    program: 'mariadbd',
    package: 'mariadb-server',
    scheme: 'mysql',
    user: 'mysql',
    async make(bin, dir, as) {
      const args = [`--datadir=${join(dir, 'data')}`, '--auth-root-authentication-method=normal'];
      await run(bin('mariadb-install-db'), ['--no-defaults', ...args, '--skip-test-db'], as);
    },
    args: (dir, port) => [
      ...['--no-defaults', `--datadir=${join(dir, 'data')}`, `--socket=${join(dir, 's')}`],
      ...[`--port=${port}`, '--bind-address=127.0.0.1', `--pid-file=${join(dir, 'pid')}`],
      ...['--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=32M'],
    ],
    async prepare(bin, dir) {
      const commands = `CREATE DATABASE stan; CREATE USER stan@'127.0.0.1' IDENTIFIED BY '${SQL_PASSWORD}'; GRANT ALL ON stan.* TO stan@'127.0.0.1'`;
      await run(bin('mariadb'), [
        '--no-defaults',
        `--socket=${join(dir, 's')}`,
        '-u',
        'root',
        '-e',
        commands,
      ]);
    },
  },
};

/** A real database server, for a test to fill, to talk to and to kill. */
export class DatabaseProcess {
  private constructor(
    readonly kind: DatabaseKind,
    /** Of the database `stan`, with user and password, each with what is special in a URL. */
    readonly url: string,
    /** The same for the Go server's driver. */
    readonly goSource: string,
    private readonly child: ChildProcess,
    private readonly dir: string,
  ) {}

  /** Why there is none, for people; undefined if one can be started. */
  static missing(kind: DatabaseKind): string | undefined {
    const recipe = RECIPES[kind];
    if (findProgram(recipe, recipe.program) !== undefined) return undefined;
    return `there is no ${recipe.program} here (Debian's package ${recipe.package})`;
  }

  static async start(kind: DatabaseKind): Promise<DatabaseProcess> {
    const recipe = RECIPES[kind];
    const bin = (name: string): string => {
      const path = findProgram(recipe, name);
      if (path === undefined) throw new Error(`there is no ${name}: install ${recipe.package}`);
      return path;
    };
    const dir = await mkdtemp(join(tmpdir(), 'stanchion-sql-'));
    const port = await freePort();
    let child: ChildProcess | undefined;
    try {
      const as = await accountOf(recipe.user);
      await mkdir(join(dir, 'data'));
      if (as.uid !== undefined && as.gid !== undefined)
        for (const path of [dir, join(dir, 'data')]) await chown(path, as.uid, as.gid);
      await recipe.make(bin, dir, as);
      child = spawn(bin(recipe.program), recipe.args(dir, port), {
        ...as,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      await prepared(child, () => recipe.prepare(bin, dir, port));
    } catch (error) {
      child?.kill('SIGKILL');
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
    const url = `${recipe.scheme}://stan:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/stan`;
    const goSource =
      kind === 'postgres' ? `${url}?sslmode=disable` : `stan:${PASSWORD}@tcp(127.0.0.1:${port})/stan`;
    return new DatabaseProcess(kind, url, goSource, child, dir);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      // At once, without waiting for its clients: nothing of it is kept.
      this.child.kill(this.kind === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
      await exited;
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Waits until it takes commands: as soon as it does, user and database are made. */
async function prepared(child: ChildProcess, prepare: () => Promise<void>): Promise<void> {
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log = (log + chunk).slice(-MAX_LOG_CHARS);
  });
  let failure = '';
  await waitFor(
    async () => {
      if (child.exitCode !== null) throw new Error(`the database has ended; it said:\n${log}`);
      try {
        await prepare();
        return true;
      } catch (error) {
        failure = String(error);
        return false;
      }
    },
    () => `the database takes commands: ${failure}; it said:\n${log}`,
  );
}

async function accountOf(user: string): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, user])));
  return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
}

function findProgram(recipe: Recipe, name: string): string | undefined {
  return recipe
    .folders()
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

function pathFolders(): string[] {
  return (process.env.PATH ?? '').split(':');
}

/** Debian keeps each version's programs apart, and only a few on the PATH. */
function debianFolders(): string[] {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return [];
  return readdirSync(root).map((version) => join(root, version, 'bin'));
}
