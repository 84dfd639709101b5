import { OptionsError } from '../../index.ts';
import type { Invocation } from '../command.ts';
import { chooseDatabase, databaseAdvice, type ServerChoice } from '../input/databaseChoice.ts';
import { readBatchSizes } from '../input/batchSizes.ts';
import { readKafka, type KafkaVariables } from '../input/kafkaVariables.ts';
import { readMaxMonths } from '../input/maxMonths.ts';
import { readWholeNumber, shown } from '../input/parseArguments.ts';
import { readPipelines, type ReadPipeline } from './pipelines.ts';
import { chooseServed } from './providerChoice.ts';

/** The options of `work`. */
export const workOptions = [
  'port',
  'host',
  'drain-ms',
  'quarantine-after',
  'quarantine-starts',
  'no-create-topics',
  'database',
  'provider',
  'batch-size',
  'max-months',
];
export const workFlags = ['no-create-topics'];

export interface WorkOptions {
  readonly kafka: KafkaVariables;
  /** Undefined: everything is kept in memory. */
  readonly server: ServerChoice | undefined;
  /** Those that this worker serves, the highest lane first. */
  readonly pipelines: readonly ReadPipeline[];
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** How long what is in flight may take once the worker is told to stop. */
  readonly drainMs: number;
  /** After how many starts that no process survived a request is started alone. */
  readonly quarantineAfter: number;
  /** After how many such starts alone it is answered as failed. */
  readonly quarantineStarts: number;
  readonly createTopics: boolean;
}

/** The options and variables of a worker, all checked before anything is opened. */
export function readWorkOptions({ options, environment }: Pick<Invocation, 'options' | 'environment'>): WorkOptions {
  const choice = chooseDatabase(options['database'], environment);
  if (choice === undefined) {
    throw new OptionsError(
      `work: no database is named: ${databaseAdvice}, or --database memory, which keeps nothing and shares nothing`,
    );
  }
  const batchSizes = readBatchSizes('work', options['batch-size'], environment);
  const maxMonths = readMaxMonths('work', options['max-months'], environment);
  return {
    kafka: readKafka(environment),
    server: choice.kind === 'memory' ? undefined : choice,
    pipelines: chooseServed(options['provider'], environment).map(({ pipeline, providers }) =>
      readPipelines[pipeline](providers, environment, { batchSize: batchSizes[pipeline], maxMonths }),
    ),
    host: readHost(options['host']),
    port: readNumber('--port', options['port'], { byDefault: 9464, max: 65_535 }),
    drainMs: readNumber('--drain-ms', options['drain-ms'], { byDefault: 10_000, max: 3_600_000 }),
    quarantineAfter: readNumber('--quarantine-after', options['quarantine-after'], {
      byDefault: 2,
      min: 1,
      max: 1_000,
    }),
    quarantineStarts: readNumber('--quarantine-starts', options['quarantine-starts'], {
      byDefault: 3,
      min: 1,
      max: 1_000,
    }),
    createTopics: options['no-create-topics'] === undefined,
  };
}

function readHost(host = '127.0.0.1'): string {
  if (/^[\w.:-]{1,253}$/.test(host)) return host;
  throw new OptionsError(`work: --host: expected an address or a name of this machine, got ${shown(host)}`);
}

function readNumber(
  option: string,
  text: string | undefined,
  { byDefault, min = 0, max }: { readonly byDefault: number; readonly min?: number; readonly max: number },
): number {
  return text === undefined ? byDefault : readWholeNumber('work', option, text, { min, max });
}
