#!/usr/bin/env node
import { runCli } from './cli.js';
import type { StartBroker } from './running.js';

/** The other commands do without a broker's code. */
const startBroker: StartBroker = async (config, options) => {
  const server = await import('../server.js');
  return await server.startBroker(config, options);
};

// Not by `exitCode`: what still waits somewhere must not keep a stopped broker alive. The log is written already.
process.exit(await runCli(process.argv.slice(2), { startBroker }));
