import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A certificate authority, a certificate for a server on 127.0.0.1 and localhost, and one for a client: files in `dir`. */
export class Certificates {
  private constructor(readonly dir: string) {}

  static async make(): Promise<Certificates> {
    const dir = await mkdtemp(join(tmpdir(), 'stanchion-tls-'));
    const openssl = (...args: string[]) => run('openssl', args, { cwd: dir });
    await writeFile(join(dir, 'san.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      'ca-key.pem',
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      '/CN=ca',
    );
    for (const name of ['server', 'client']) {
      await openssl(
        'req',
        ...newKey,
        '-keyout',
        `${name}-key.pem`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
      );
      const sign = [
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca-key.pem',
        '-CAcreateserial',
      ];
      await openssl(...sign, '-out', `${name}.pem`, '-days', '2', '-extfile', 'san.ext');
    }
    return new Certificates(dir);
  }

  file(name: 'ca.pem' | 'server.pem' | 'server-key.pem' | 'client.pem' | 'client-key.pem'): string {
    return join(this.dir, name);
  }

  /** Flags that make a nats-server use them. */
  get serverFlags(): string[] {
    return ['--tls', '--tlscert', this.file('server.pem'), '--tlskey', this.file('server-key.pem')];
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true });
  }
}
