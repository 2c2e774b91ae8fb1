#!/usr/bin/env node
import { startBroker } from '../run/start.js';
import { isForServe, runCli } from './cli.js';
import { keepCompiledCode } from './compile-cache.js';
import { keepYoungGenerationSmall } from './young-generation.js';

const args = process.argv.slice(2);
// This must come first: loading code makes the young generation grow.
if (isForServe(args)) keepYoungGenerationSmall();
if (import.meta.url.endsWith('.js')) keepCompiledCode();
// `exitCode` alone would not do: a pending timer or socket would keep a stopped broker alive. The log is written already.
process.exit(await runCli(args, { startBroker }));
