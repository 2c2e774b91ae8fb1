// The last part of `npm run build`.
import { fileURLToPath } from 'node:url';
import { copyPages } from './build.mjs';

copyPages(fileURLToPath(new URL('../..', import.meta.url)));
