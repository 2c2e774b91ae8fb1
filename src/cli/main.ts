#!/usr/bin/env node
import { startBroker } from '../server.js';
import { runCli } from './cli.js';

process.exitCode = await runCli(process.argv.slice(2), { startBroker });
