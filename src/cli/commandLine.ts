import { readFileSync } from 'node:fs';
import { OptionsError } from '../index.ts';
import { exitComplete, exitFailed, type Command } from './command.ts';
import { demo } from './commands/demo.ts';
import { migrate } from './commands/migrate.ts';
import { partitions } from './commands/partitions.ts';
import { plan } from './commands/plan.ts';
import { redrive } from './commands/redrive.ts';
import { requests } from './commands/requests.ts';
import { run } from './commands/run.ts';
import { work } from './commands/work.ts';
import type { Context } from './context.ts';
import { readEnvironment } from './input/environment.ts';
import { parseArguments, shown, type Arguments } from './input/parseArguments.ts';
import { redactor } from './output/redact.ts';
import { sentence } from './output/sentence.ts';
import { createWriter } from './output/writer.ts';
import { withStopSignals } from './stopSignals.ts';

const commands: readonly Command[] = [demo, run, plan, work, requests, redrive, partitions, migrate];

const help = `Streaming market-data ETL: prices from a provider into PostgreSQL, within the provider's rate limit.

Usage: fintrack-pipelines <command> [options]

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

Options:
  --help     Shows this, or the help of a command.
  --version  Shows the version.

Examples:
  fintrack-pipelines demo
  fintrack-pipelines run market-data --symbols AAPL:STOCK,EUR/USD:FOREX --provider recorded --database memory
  fintrack-pipelines plan historical-market-data --from-table watchlist --start 2020-01-31
  fintrack-pipelines migrate --database postgres://user:password@localhost:5432/fintrack`;

/**
 * Runs the command line and resolves with its exit code: 0 complete, 2 partial, 1 failed. Never rejects: what goes wrong
 * is one sentence on stderr.
 */
export async function commandLine(context: Context): Promise<number> {
  const plain = createWriter(context.stdout, context.stderr, (text) => text);
  try {
    const [first, ...rest] = context.argv;
    if (first === '--version' || first === '-v') {
      plain.result(packageVersion());
      return exitComplete;
    }
    if (first === '--help' || first === '-h') {
      plain.result(help);
      return exitComplete;
    }
    const command = findCommand(first);
    const parsed = parseArguments(command, rest);
    if (!parsed.help) return await runCommand(command, parsed, context);
    plain.result(command.help);
    return exitComplete;
  } catch (error) {
    plain.log(`fintrack-pipelines: ${sentence(error)}`);
    return exitFailed;
  }
}

function findCommand(name: string | undefined): Command {
  const names = commands.map((command) => command.name).join(', ');
  if (name === undefined) {
    throw new OptionsError(`a command is missing: give one of ${names}; see fintrack-pipelines --help`);
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  throw new OptionsError(`unknown command ${shown(name)}; the commands are ${names}; see fintrack-pipelines --help`);
}

async function runCommand(command: Command, { positionals, options }: Arguments, context: Context): Promise<number> {
  const environment = readEnvironment(context.env, context.cwd);
  const writer = createWriter(context.stdout, context.stderr, redactor(environment, options['database']));
  const exit = (code: number): void => {
    context.exit(code);
  };
  const announceStop = (): void => {
    writer.log('stopping: what is under way is finished or given up; once more ends the process at once');
  };
  try {
    return await withStopSignals(context, announceStop, (signal) =>
      command.run({ positionals, options, environment, cwd: context.cwd, writer, signal, exit }),
    );
  } catch (error) {
    writer.live('');
    writer.log(`fintrack-pipelines: ${sentence(error)}`);
    return exitFailed;
  }
}

function packageVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
