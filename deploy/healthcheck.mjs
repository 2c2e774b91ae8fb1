// For containers: exit code 0 if the broker in this container does its part, as /healthz says.
const port = process.env.STANCHION_HTTP_PORT ?? '8222';
const scheme = process.env.STANCHION_HTTP_TLS_CERT ? 'https' : 'http';
// It asks itself, on the loopback: whose certificate could come but its own?
if (scheme === 'https') process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
try {
  const response = await fetch(`${scheme}://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(2_500) });
  if (!response.ok) console.error(await response.text());
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(`no answer on port ${port}: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
}
