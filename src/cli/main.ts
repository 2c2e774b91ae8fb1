#!/usr/bin/env node
import type { StartBroker } from '../run/running-broker.js';
import { keepYoungGenerationSmall } from './young-generation.js';

/** The other commands do without a broker's code. */
const startBroker: StartBroker = async (config, options) => {
  const assembly = await import('../run/start.js');
  return await assembly.startBroker(config, options);
};

// Before anything is loaded, which makes it grow. (Flags alone are for `serve`.)
if (/^(serve$|-)/.test(process.argv[2] ?? '')) keepYoungGenerationSmall();
const { runCli } = await import('./cli.js');
// Not by `exitCode`: what still waits somewhere must not keep a stopped broker alive. The log is written already.
process.exit(await runCli(process.argv.slice(2), { startBroker }));
