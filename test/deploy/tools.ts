import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Where a program is that this machine may have or not: in `HELM`, `PROMTOOL`, ..., else on the path.
 *
 * @returns undefined if it is nowhere
 */
export function findTool(name: string): string | undefined {
  const named = process.env[name.toUpperCase().replaceAll('-', '_')];
  if (named !== undefined) return named;
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** Options of a test that needs a program: skipped, with the reason, where it is missing. */
export function needs(name: string, from: string): { skip: string | false } {
  return { skip: findTool(name) === undefined ? `there is no ${name} here (${from})` : false };
}

/** @returns what it printed. @throws Error with all that it said, if it failed */
export function runTool(name: string, args: readonly string[], cwd?: string): string {
  try {
    return execFileSync(findTool(name)!, args, {
      encoding: 'utf8',
      stdio: 'pipe',
      ...(cwd !== undefined && { cwd }),
    });
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${name} ${args.join(' ')}: ${message}\n${stdout ?? ''}\n${stderr ?? ''}`);
  }
}
