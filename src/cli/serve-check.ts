import { resolveServeConfig } from '../config/resolve.js';
import type { ServeConfig } from '../config/serve-config.js';
import { checkServerConfig } from '../nats/server-config-check.js';
import { printableLines } from '../util/printable.js';
import { configFileReader } from './config-file-reader.js';

/**
 * `serve -t`: checks the configuration of a broker, and that of the nats-server that it would start.
 *
 * @param argv the arguments after `serve`
 * @returns the exit code
 * @throws ConfigError with all that is wrong
 */
export async function checkServe(argv: readonly string[]): Promise<number> {
  const config = resolveServeConfig(argv, process.env, await configFileReader(argv));
  const notes = [...config.warnings];
  if (config.natsServer !== undefined) notes.push(...checkServerConfig(config.natsServer));
  for (const note of notes) console.error(printableLines(note));
  console.log(printableLines(`the configuration is right: ${summary(config)}`));
  return 0;
}

function summary({ clusterId, store, group, nats, natsServer }: ServeConfig): string {
  const stored = store.kind === 'memory' ? 'messages in memory' : `messages in ${store.dir}`;
  const member = group === undefined ? '' : `, member of group "${group.name}"`;
  const at =
    natsServer === undefined
      ? `attached to ${nats.servers.join(', ')}`
      : `with a nats-server on port ${natsServer.port === 0 ? 'of its choice' : natsServer.port}`;
  return `cluster "${clusterId}", ${stored}${member}, ${at}`;
}
