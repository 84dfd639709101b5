import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../src/cli/command.ts';
import { fencedBlocks, markdownFiles } from './extractExamples.ts';

/** What of npm's own commands stands in the documentation. */
const npmCommands = ['ci', 'init', 'install', 'test', 'pack'];

interface ShellCommand {
  readonly name: string;
  readonly words: readonly string[];
}

const shellCommands = markdownFiles().flatMap((path) =>
  fencedBlocks(readFileSync(path, 'utf8'))
    .filter(({ language }) => ['sh', 'bash', 'shell'].includes(language))
    .flatMap(({ line, code }) =>
      commandsIn(code).map((words) => ({ name: `${path}:${line}: ${words.join(' ')}`, words })),
    ),
);

describe('the commands in the documentation', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

  it('are there', () => {
    expect(named('npm').length).toBeGreaterThan(0);
    expect(named('fintrack-pipelines').length).toBeGreaterThan(0);
  });

  for (const { name, words } of named('npm')) {
    it(`${name} is a script or a command of npm`, () => {
      const [command = '', script = ''] = words.slice(1);
      if (command === 'run') expect(scripts).toHaveProperty([script]);
      else expect(npmCommands).toContain(command);
    });
  }

  for (const { name, words } of named('fintrack-pipelines')) {
    it(`${name} is a command with these options`, async () => {
      const options = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2).split('=')[0]);
      const [first = ''] = words.slice(1);
      const known = first.startsWith('--') ? ['version'] : (await loadCommand(first)).options;
      expect([...known, 'help']).toEqual(expect.arrayContaining(options));
    });
  }
});

function named(program: string): ShellCommand[] {
  return shellCommands.filter(({ words }) => words[0] === program);
}

/** The commands of a shell block, as words; `npx x` is `x`, and what is set before a command is left out. */
function commandsIn(code: string): string[][] {
  return code
    .replaceAll(/\\\n/g, ' ')
    .split(/\n|&&|\|\|?|;/)
    .map((text) => text.replace(/\s#.*$|^#.*$/, '').trim())
    .map((text) => text.replace(/^(\$ )?(\w+=\S* +)*(npx (--yes )?)?/, ''))
    .filter((text) => text !== '')
    .map((text) => text.split(/\s+/));
}

async function loadCommand(name: string): Promise<Command> {
  const path = `src/cli/commands/${name}.ts`;
  expect(existsSync(path), `${path} is there`).toBe(true);
  const commands = (await import(`../../src/cli/commands/${name}.ts`)) as Record<string, Command>;
  const command = commands[name];
  if (command === undefined) throw new Error(`${path} exports no ${name}`);
  return command;
}
