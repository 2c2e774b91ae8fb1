// The last part of `npm run build`.
import { fileURLToPath } from 'node:url';
import { finishBuild } from './build.mjs';

await finishBuild(fileURLToPath(new URL('../..', import.meta.url)));
