#!/usr/bin/env node
import { startBroker } from '../server.js';
import { runCli } from './cli.js';

// Not by `exitCode`: what still waits somewhere must not keep a stopped broker alive. The log is written already.
process.exit(await runCli(process.argv.slice(2), { startBroker }));
