/** An error in the command line, the environment or the config file. The message is for people. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = 2;
}
