// The command line of `serve`. In the bundle, this and all that it loads are in files of their own: see scripts/setup/bundle.mjs.

import { parseFlags } from '../config/argv.js';
import type { StartBroker } from '../run/running-broker.js';
import { exitCodeOf } from './exit-code.js';
import { hideSecretsInTitle } from './process-title.js';

/**
 * Runs `serve`, or prints what it is asked about itself.
 *
 * @param args the arguments after `serve`
 * @returns the exit code
 */
export async function runServe(args: readonly string[], startBroker: StartBroker): Promise<number> {
  hideSecretsInTitle();
  return await exitCodeOf(async () => {
    const { wantsHelp, wantsVersion, wantsCheck } = parseFlags(args);
    if (wantsCheck && !wantsHelp && !wantsVersion) {
      const { checkServe } = await import('./serve-check.js');
      return await checkServe(args);
    }
    if (!wantsHelp && !wantsVersion) {
      const { serve } = await import('./serve.js');
      return await serve(args, startBroker);
    }
    // yargs does not know all the spellings of the flags of `serve`: it only prints the help.
    const { runTool } = await import('./tools.js');
    return await runTool(wantsVersion ? ['--version'] : ['serve', '--help']);
  });
}
