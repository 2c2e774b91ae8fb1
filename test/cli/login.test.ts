import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nkeys } from 'nats';
import type { DrillReport } from '../../src/drill/report.js';
import { Broker, mainScript } from '../harness/broker.js';
import { Certificates } from '../nats/certificates.js';
import { accountJwt, operatorJwt, userJwt } from '../nats/nats-jwt.js';
import { NatsProcess } from '../nats/nats-process.js';

const CLUSTER = ['--cluster-id', 'guarded'];
const STATUS = ['status'];
/** Short, and each of them speaks to NATS, and most to the broker. */
const COMMANDS: readonly (readonly string[])[] = [
  STATUS,
  ['pub', 'orders', 'mine'],
  ['sub', 'orders', '--start', 'all', '--count', '1'],
  ['bench', '-n', '10'],
];
const DRILL = ['drill', '--takeovers', '1', '--messages', '10', '--rate', '50', '--settle', '0s', '--json'];

interface Ended {
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

/** A NATS server that lets nobody in who does not show who he is. */
interface Guard {
  config: string;
  /** With which the members log in. */
  brokers: readonly string[];
  /** With which the commands do: all of them with the first, status and drill with each. */
  logins: readonly (readonly string[])[];
  /** Of brokers and commands. */
  environment?: Readonly<Record<string, string>>;
}

describe('a command that connects', { concurrency: 1 }, () => {
  let dir: string;
  let main: string[];
  let certificates: Certificates;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'stanchion-login-'));
    certificates = await Certificates.make();
    main = await mainScript();
  });
  after(async () => {
    await certificates.remove();
    rmSync(dir, { recursive: true });
  });

  function run(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<Ended> {
    const env = { ...process.env, ...environment };
    return new Promise((resolve) => {
      execFile(process.execPath, [...main, ...args], { env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
      );
    });
  }

  /** They do their work with a login, and not without. */
  async function allLogIn({ config, brokers, logins, environment = {} }: Guard): Promise<void> {
    const nats = await NatsProcess.start({ config });
    const members: Broker[] = [];
    try {
      const store = mkdtempSync(join(dir, 'store-'));
      const start = async (node: string): Promise<void> => {
        const flags = ['--ft-group', 'g', '--node-name', node, ...brokers];
        members.push(
          await Broker.start({
            natsUrl: nats.url,
            clusterId: 'guarded',
            store: 'file',
            dir: store,
            flags,
            environment,
          }),
        );
      };
      await Promise.all(['a', 'b'].map(start));
      const runEach = (commands: typeof COMMANDS, flags: readonly string[]): Promise<Ended[]> =>
        Promise.all(
          commands.map((command) =>
            run([...command, ...CLUSTER, '--nats-server', nats.url, ...flags], environment),
          ),
        );
      for (const [i, login] of logins.entries()) {
        const [status, ...others] = await runEach(i === 0 ? COMMANDS : [STATUS], login);
        assert.match(status!.stdout, /^[ab] +g +active /m, status!.stderr);
        for (const { code, stdout, stderr } of others) assert.equal(code, 0, `${stdout}${stderr}`);
        // Last, and alone: it takes the group down for a moment.
        const [drill] = await runEach([[...DRILL, '--dir', store]], login);
        const { verdict, takeovers } = JSON.parse(drill!.stdout || drill!.stderr) as DrillReport;
        assert.deepEqual([verdict, takeovers.map(({ fault }) => fault)], ['passed', ['handover']]);
      }
      for (const { code, stderr } of await runEach([STATUS, DRILL], [])) {
        assert.equal(code, 1, stderr);
        assert.match(
          stderr,
          /^stanchion: NATS cannot be reached at nats:\S+: .* user, password, token or TLS/m,
        );
      }
    } finally {
      await Promise.all(members.map((member) => member.destroy()));
      await nats.stop();
    }
  }

  it('shows a password, or an nkey with an inbox prefix of its own, and its certificate', async () => {
    const user = nkeys.createUser();
    const seed = join(dir, 'user.nk');
    writeFileSync(seed, user.getSeed());
    const [ca, cert, key, serverCert, serverKey] = [
      certificates.file('ca.pem'),
      certificates.file('client.pem'),
      certificates.file('client-key.pem'),
      certificates.file('server.pem'),
      certificates.file('server-key.pem'),
    ];
    const tls = ['--tls-ca', ca, '--tls-cert', cert, '--tls-key', key];
    const permissions = '{ publish: ">", subscribe: "_INBOX_me.>" }';
    await allLogIn({
      config: `
        tls { cert_file: "${serverCert}", key_file: "${serverKey}", ca_file: "${ca}", verify: true }
        authorization { users: [
          { user: u, password: p },
          { nkey: ${user.getPublicKey()}, permissions: ${permissions} }
        ] }`,
      environment: { STANCHION_DISCOVER_PREFIX: '_HOUSE.discover' },
      brokers: ['--user', 'u', '--pass', 'p', ...tls],
      logins: [
        ['--user', 'u', '--pass', 'p', ...tls],
        ['--nkey', seed, '--inbox-prefix', '_INBOX_me', ...tls],
      ],
    });
  });

  it('shows a token', async () => {
    const login = ['--auth', 's3cret'];
    await allLogIn({ config: 'authorization { token: s3cret }', brokers: login, logins: [login] });
  });

  it('shows what a credentials file holds', async () => {
    const operator = nkeys.createOperator();
    const account = nkeys.createAccount();
    const user = nkeys.createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const login = ['--creds', join(dir, 'user.creds')];
    writeFileSync(
      join(dir, 'user.creds'),
      `-----BEGIN NATS USER JWT-----\n${userJwt(account, user)}\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    );
    const config = `operator: "${operatorJwt(operator)}"
      resolver: MEMORY
      resolver_preload: { ${account.getPublicKey()}: "${accountJwt(operator, account)}" }`;
    await allLogIn({ config, brokers: login, logins: [login] });
  });
});
