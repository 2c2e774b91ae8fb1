import type { Options } from 'yargs';
import { flag } from './client-flags.js';

export const UP_FLAGS = {
  nodes: flag('Brokers, and nats-servers [default: 3]'),
  dir: flag('Folder of the store they share [default: ./data]'),
  port: flag('Port of the first nats-server; the others have the next ones [default: 4222]'),
  'http-port': flag(
    'HTTP port of the first broker; the others have the next ones; off is none [default: 8222]',
  ),
  'cluster-id': flag('Name that clients connect to [default: test-cluster]'),
  'ft-group': flag('Name of the group [default: local]'),
  config: flag('File with any of these flags, and options and limits for the brokers, in YAML or JSON'),
} as const satisfies Record<string, Options>;

export type UpFlag = keyof typeof UP_FLAGS;
