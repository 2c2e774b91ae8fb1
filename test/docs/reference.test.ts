import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it, mock } from 'node:test';
import { runCommand } from '../../src/cli/commands.js';
import { TABLES } from './reference-tables.js';

const PAGE = new URL('../../docs/reference.md', import.meta.url);
const BLOCK = /(<!-- flags: (.+) -->\n)[\s\S]*?(<!-- \/flags -->)/g;
const SECTION = /^## (.+)\n([\s\S]*?)(?=^## |$(?![\s\S]))/gm;
const LINK_TO_SECTION = /\]\(#([a-z-]+)\)/g;
const COMMAND = /^ {2}stanchion (\w+)/gm;
const SUBCOMMAND = /^ {2}stanchion \w+ ([a-z]+) /gm;
/** In a help; the names in front of it are letters. */
const FLAG = /^ +(?:-\w, )*--([a-z][a-z-]*)/gm;
const FLAG_OF_TABLE = /^\| `--([a-z-]+)`/gm;
/** What yargs adds to each command. */
const OF_ALL_COMMANDS = ['help', 'version'];

if (process.env.UPDATE_DOCS) writeFileSync(PAGE, updated(readFileSync(PAGE, 'utf8')));
const text = readFileSync(PAGE, 'utf8');

describe('docs/reference.md', () => {
  it('has each table of flags as the code has it (UPDATE_DOCS=1 writes them)', () => {
    const marked = found(text, BLOCK, 2);
    assert.deepEqual(marked.sort(), Object.keys(TABLES).sort());
    assert.equal(text, updated(text));
  });

  it('has every command, with every flag that --help shows', async () => {
    const commands = found(await helpOf(), COMMAND);
    assert.ok(commands.includes('serve'));
    for (const command of commands) {
      const inPage = new Set([...flagsOfSection(command), ...OF_ALL_COMMANDS]);
      const subcommands = found(await helpOf(command), SUBCOMMAND);
      for (const words of subcommands.length === 0
        ? [[command]]
        : subcommands.map((name) => [command, name])) {
        const inHelp = found(await helpOf(...words), FLAG);
        assert.ok(inHelp.length > OF_ALL_COMMANDS.length, `the help of ${words.join(' ')} has flags`);
        const missing = inHelp.filter((flag) => !inPage.has(flag));
        assert.deepEqual(missing, [], `flags of ${words.join(' ')} that its section does not have`);
      }
    }
  });
});

/** The page with the tables as the code has them. */
function updated(page: string): string {
  return page.replace(BLOCK, (block, begin: string, name: string, end: string) =>
    TABLES[name] === undefined ? block : `${begin}\n${TABLES[name]}\n${end}`,
  );
}

/** The flags in the tables of a command's section, and in those of the sections that it links to. */
function flagsOfSection(heading: string): string[] {
  const sections = new Map(
    [...text.matchAll(SECTION)].map(([, title = '', body = '']) => [anchorOf(title), body]),
  );
  const own = sections.get(heading);
  assert.ok(own !== undefined, `the page has a section "${heading}"`);
  const linked = found(own, LINK_TO_SECTION).map((anchor) => sections.get(anchor) ?? '');
  return [own, ...linked].flatMap((section) => found(section, FLAG_OF_TABLE));
}

function anchorOf(title: string): string {
  return title.toLowerCase().replaceAll(' ', '-');
}

async function helpOf(...command: string[]): Promise<string> {
  const lines: string[] = [];
  const log = mock.method(console, 'log', (line: string) => void lines.push(line));
  try {
    await runCommand([...command, '--help']);
  } finally {
    log.mock.restore();
  }
  return lines.join('\n');
}

function found(where: string, pattern: RegExp, group = 1): string[] {
  return [...where.matchAll(pattern)].map((match) => match[group] ?? '');
}
