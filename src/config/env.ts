import { didYouMean } from '../util/suggest.js';
import type { RawValue } from './argv.js';
import { environmentName, OPTION_NAMES } from './options.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'STANCHION_';

/** The options in the environment. An empty variable counts as not set. */
export function readEnvironment(env: Environment): { values: RawValue[]; warnings: string[] } {
  const names = new Map(OPTION_NAMES.map((name) => [environmentName(name), name]));
  const values: RawValue[] = [];
  const warnings: string[] = [];
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(PREFIX) || !env[variable]) continue;
    const name = names.get(variable);
    if (name !== undefined) {
      const text = environmentValue(env, variable);
      if (text !== undefined) values.push({ name, text, where: `environment variable ${variable}` });
      continue;
    }
    const suggestion = didYouMean(variable, names.keys());
    if (suggestion) warnings.push(`environment variable ${variable} is not an option${suggestion}`);
  }
  return { values, warnings };
}

/** @returns undefined if the variable is not set, or empty: a container's manifest sets unused variables to '' */
export function environmentValue(env: Environment, variable: string): string | undefined {
  const text = env[variable];
  return text === undefined || text === '' || isFromKubernetes(variable, text) ? undefined : text;
}

/** The environment without the options of stanchion, for a child process that shall not see them. */
export function withoutOptions(env: Environment): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([variable]) => !variable.startsWith(PREFIX)));
}

/** Kubernetes sets STANCHION_PORT=tcp://10.0.0.1:4222 in every pod beside a service named `stanchion`. */
function isFromKubernetes(variable: string, text: string): boolean {
  return variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text);
}
