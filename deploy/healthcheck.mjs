// For containers: exit code 0 if the broker in this container does its part, as /healthz says.
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

const port = process.env.STANCHION_HTTP_PORT ?? '8222';
// Listening on all addresses is listening on the loopback too; on a single one, it is that one.
const address = process.env.STANCHION_HTTP_ADDR ?? '';
const host = ['', '0.0.0.0', '::'].includes(address) ? '127.0.0.1' : address;
const get = process.env.STANCHION_HTTP_TLS_CERT ? getHttps : getHttp;
// It asks itself: whose certificate could come but its own?
const request = get({ host, port, path: '/healthz', rejectUnauthorized: false, timeout: 2_500 }, (response) => {
  process.exitCode = response.statusCode === 200 ? 0 : 1;
  if (response.statusCode === 200) response.resume();
  else response.pipe(process.stderr);
});
request.on('timeout', () => request.destroy(new Error('silent for 2500 ms')));
request.on('error', (error) => {
  console.error(`no answer on ${host}:${port}: ${error.message}`);
  process.exitCode = 1;
});
