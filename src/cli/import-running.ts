import { randomBytes } from 'node:crypto';
import { ConfigError } from '../config/config-error.js';
import { FollowSource } from '../import/stan/follow-source.js';
import { Monitor } from '../import/stan/monitor.js';
import { StanSource, type StanSourceOptions } from '../import/stan/stan-source.js';
import { isClientIdValid } from '../protocol/stan-subjects.js';
import { shownUrls } from '../util/server-url.js';
import { connectTimeoutMs, type NatsFlag, natsOptions } from './client-flags.js';
import type { Flags } from './flags.js';
import type { ImportFlag } from './import-flags.js';
import type { FoundSource, SourceHost } from './import-source.js';

/** The source that a running server is. */
export async function runningSource(
  from: string,
  flags: Flags<ImportFlag>,
  givenClusterId: string | undefined,
  host: SourceHost,
): Promise<Pick<FoundSource, 'make' | 'clusterId'>> {
  const monitorUrl = flags.text('monitor');
  if (monitorUrl !== undefined && !(/^https?:\/\//.test(monitorUrl) && URL.canParse(monitorUrl)))
    throw new ConfigError(`--monitor must be a URL as http://OLD:8222, and is "${shownUrls(monitorUrl)}"`);
  const clientId = flags.text('client-id') ?? `stanchion-import-${randomBytes(6).toString('hex')}`;
  if (!isClientIdValid(clientId))
    throw new ConfigError(`--client-id must have letters, digits, "-" and "_" only, and is "${clientId}"`);
  const channels = (flags.text('channels') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const maxInFlight = flags.number('max-in-flight', 1_024, 1, 1_000_000);
  const nats = natsOptions(flags.with('nats-server', from) as Flags<NatsFlag>);
  const clusterId =
    givenClusterId ??
    (monitorUrl === undefined ? undefined : await new Monitor(monitorUrl, host.signal).clusterId());
  if (clusterId === undefined)
    throw new ConfigError(
      'give --cluster-id, as clients of the old server have it, or --monitor, which says it',
    );
  const options: StanSourceOptions = {
    name: shownUrls(from),
    connect: {
      ...{ ...nats, name: 'stanchion import', clusterId, clientId },
      discoverPrefix: flags.option('discover-prefix'),
      connectTimeout: connectTimeoutMs(flags),
    },
    ...{ monitorUrl, channels, maxInFlight, signal: host.signal },
    onNote: (text) => host.onNote(text),
  };
  const follow = flags.flag('follow');
  return {
    clusterId,
    make: async () =>
      follow
        ? new FollowSource({ ...options, dir: host.dir, until: host.until, onProgress: host.onProgress })
        : new StanSource(options),
  };
}
