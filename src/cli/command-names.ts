/** The commands: how their command lines begin, and what the help says of them. In the order of the help. */
export const COMMAND_NAMES = {
  up: ['up', 'Run a local group: brokers on one store, each beside a nats-server'],
  drill: [
    'drill',
    'Make the active of a group fail, again and again under load, and check that nothing is lost',
  ],
  status: ['status', 'Show the members of a group. Exit code 1 unless exactly one is active and can serve'],
  pub: [
    'pub <subject> [message]',
    'Publish a message, a file, or standard input line by line. Ends when all messages are acknowledged',
  ],
  sub: ['sub <subject>', 'Print the messages of a channel. Ends with Ctrl-C, after --count or --timeout'],
  bench: ['bench [subject]', 'Publish and receive as fast as possible, and print rates and latencies'],
  import: ['import', "Make a store of a Go server's files or tables, of a running server, or of JSON Lines"],
  export: ['export', 'Write a file store as JSON Lines: a backup, or the way to another system'],
  store: ['store', 'Look at a file store, check it, repair it'],
  config: ['config', 'Translate a configuration file of the Go server'],
  serve: ['serve', 'Run one broker'],
} as const satisfies Readonly<Record<string, readonly [usage: string, about: string]>>;

export type CommandName = keyof typeof COMMAND_NAMES;

export function isCommandName(text: string): text is CommandName {
  return Object.hasOwn(COMMAND_NAMES, text);
}
