// A process like `stanchion serve`, with a broker that breaks at its third publish.
import { serve } from '../../src/cli/serve.js';
import { startBroker } from '../../src/run/start.js';
import { FileLog } from '../../src/store/log/file-log.js';
import { BREAKS, BrokenPart } from '../harness/broken-part.js';

new BrokenPart(FileLog.prototype, 'append', 3, BREAKS.exception);
process.exit(await serve(process.argv.slice(2), startBroker));
