// The last part of `npm run build`.
import { fileURLToPath } from 'node:url';
import { copyPages } from './build.mjs';
import { writeCommonJsTypes } from './commonjs-types.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
copyPages(root);
writeCommonJsTypes(root);
