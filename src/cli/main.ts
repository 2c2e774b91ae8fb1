#!/usr/bin/env node
import type { StartBroker } from '../run/running-broker.js';
import { keepYoungGenerationSmall } from './young-generation.js';

/** Loads the broker's code when it is needed: the other commands do without it. */
const startBroker: StartBroker = async (config, options) => {
  const assembly = await import('../run/start.js');
  return await assembly.startBroker(config, options);
};

// This must come first: loading code makes the young generation grow. (Flags alone are for `serve`.)
if (/^(serve$|-)/.test(process.argv[2] ?? '')) keepYoungGenerationSmall();
const { runCli } = await import('./cli.js');
const { hideSecretsInTitle } = await import('./process-title.js');
hideSecretsInTitle();
// `exitCode` alone would not do: a pending timer or socket would keep a stopped broker alive. The log is written already.
process.exit(await runCli(process.argv.slice(2), { startBroker }));
