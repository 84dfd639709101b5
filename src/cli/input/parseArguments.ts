import { parseArgs } from 'node:util';
import { OptionsError } from '../../index.ts';

export interface Arguments {
  readonly help: boolean;
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | undefined>>;
}

export interface Expected {
  readonly name: string;
  readonly options: readonly string[];
  readonly flags?: readonly string[] | undefined;
  readonly positionals: number;
}

/**
 * Reads the arguments of a command. Throws an `OptionsError` of one sentence for an unknown option, one given twice, one
 * without its value, and an argument too many.
 */
export function parseArguments(command: Expected, argv: readonly string[]): Arguments {
  // Not strict: its own messages end in advice on escaping, and quote what may be a secret.
  const { tokens } = parseArgs({
    args: [...argv],
    options: {
      ...Object.fromEntries(
        command.options.map((name) => [name, { type: isFlag(command, name) ? 'boolean' : 'string' }]),
      ),
      help: { type: 'boolean', short: 'h' },
    },
    strict: false,
    tokens: true,
  });
  const positionals: string[] = [];
  const options: Record<string, string> = {};
  let help = false;
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    else if (token.kind === 'option') {
      if (token.name === 'help') help = true;
      else if (!command.options.includes(token.name)) throw unknownOption(command, token.rawName);
      else if (token.name in options) throw new OptionsError(`${command.name}: ${token.rawName} was given twice`);
      else options[token.name] = valueOf(command, token);
    }
  }
  const [surplus] = positionals.slice(command.positionals);
  if (surplus !== undefined && !help) throw new OptionsError(`${command.name}: unexpected argument ${shown(surplus)}`);
  return { help, positionals, options };
}

function isFlag({ flags = [] }: Expected, option: string): boolean {
  return flags.includes(option);
}

function valueOf(
  command: Expected,
  token: {
    readonly name: string;
    readonly rawName: string;
    readonly value?: string | undefined;
    readonly inlineValue?: boolean | undefined;
  },
): string {
  const { name } = command;
  const { rawName, value = '', inlineValue = false } = token;
  if (isFlag(command, token.name)) {
    if (!inlineValue) return 'yes';
    throw new OptionsError(`${name}: ${rawName} takes no value; see fintrack-pipelines ${name} --help`);
  }
  if (value === '' || (!inlineValue && value.startsWith('-'))) {
    throw new OptionsError(`${name}: ${rawName} needs a value; see fintrack-pipelines ${name} --help`);
  }
  return value;
}

function unknownOption({ name, options }: Expected, rawName: string): OptionsError {
  const known = ['help', ...options].map((option) => `--${option}`).join(', ');
  return new OptionsError(`${name}: unknown option ${shown(rawName)}; the options are ${known}`);
}

/** An argument as a message may show it: what could be a URL with a password is not quoted. */
export function shown(argument: string): string {
  return /^[\w.,=^-]{1,60}$/.test(argument) ? `'${argument}'` : 'that is not shown, because it may hold a password';
}

export interface WholeRange {
  readonly min: number;
  readonly max: number;
}

/** The whole number of an option, such as `--limit`; throws an `OptionsError` for any other text. */
export function readWholeNumber(command: string, option: string, text: string, { min, max }: WholeRange): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new OptionsError(`${command}: ${option}: expected a whole number from ${min} to ${max}, got ${shown(text)}`);
}
