/** Loaded before a broker, for a test: SIGUSR2 keeps its event loop busy for BLOCK_MS. */
const forMs = Number(process.env.BLOCK_MS);

process.on('SIGUSR2', () => {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
  process.stdout.write(`was busy for ${forMs} ms\n`);
});
