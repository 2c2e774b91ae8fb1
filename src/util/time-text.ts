const NS_PER_S = 1_000_000_000n;
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;
/** From 1678 to 2261: what 64 bits of nanoseconds hold. */
const MAX_NS = 2n ** 63n - 1n;

/** The time in RFC 3339, to the nanosecond as in Go. */
export function timeText(nanos: bigint): string {
  const fraction = ((nanos % NS_PER_S) + NS_PER_S) % NS_PER_S;
  const seconds = new Date(Number((nanos - fraction) / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(fraction).padStart(9, '0')}Z`;
}

/** The nanoseconds since 1970 of a time in RFC 3339; undefined if it is none, or beyond 64 bits. */
export function parseTimeNs(text: string): bigint | undefined {
  const [, date, time, fraction = '', zone] = RFC_3339.exec(text) ?? [];
  const ms = Date.parse(`${date}T${time}${zone?.toUpperCase()}`);
  if (Number.isNaN(ms)) return undefined;
  const nanos = BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
  return nanos > MAX_NS || nanos < -MAX_NS ? undefined : nanos;
}
