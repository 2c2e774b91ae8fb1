/** The command line, the environment or the config file asks for something that cannot be. The message is for people. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = 2;
}
