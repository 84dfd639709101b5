import { OptionsError, RequestError } from '../../index.ts';
import { requestDetails, requestStates, type Database } from '../../postgres/index.ts';
import { exitComplete, type Command, type Invocation } from '../command.ts';
import { chooseDatabase, databaseAdvice } from '../input/databaseChoice.ts';
import { openDatabase } from '../jobs/openDatabase.ts';
import { requestsText, requestText } from '../output/requestsText.ts';

const help = `Shows the requests that the ledger knows, and what became of them.

Usage: fintrack-pipelines requests list [options]
       fintrack-pipelines requests show ID [options]

list shows the latest requests, a line each. show tells of one request what became of each of its batches, and which
inputs failed or were skipped, and why. ID is the request's key in the ledger, as list shows it: topic, partition,
offset and timestamp of a Kafka request, run:<pipeline>:<request id> of a run. A client's own requestId is no key.
Requests are forgotten 7 days after their last activity. Reads only.

Options:
  --state STATE   Only requests that are open, or only those that are done; for list.
  --limit N       Most requests listed, from 1 to 10000. Default: 20.
  --json          Prints a line of JSON for each request.
  --database URL  postgres://user:password@host:port/database.
                  Default: DATABASE_URL, else DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD.
  --help          Shows this.`;

/** How many inputs that fell short are shown, as text and as JSON. */
const shortfallsShown = { text: 100, json: 100_000 };

/** `fintrack-pipelines requests`. */
export const requests: Command = {
  name: 'requests',
  summary: 'Shows the requests that the ledger knows, and what became of them.',
  help,
  options: ['state', 'limit', 'json', 'database'],
  flags: ['json'],
  positionals: 2,
  async run(invocation) {
    const work = chooseWork(invocation);
    const choice = chooseDatabase(invocation.options['database'], invocation.environment);
    if (choice === undefined) throw new OptionsError(`requests: no database is named: ${databaseAdvice}`);
    if (choice.kind === 'memory')
      throw new OptionsError('requests: --database memory keeps no requests: name a server');
    await using database = openDatabase(choice);
    await work(database);
    return exitComplete;
  },
};

type Work = (database: Database) => Promise<void>;

/** What is to be done, its options checked before anything is asked of a server. */
function chooseWork({ positionals: [action, id], options, writer }: Invocation): Work {
  const isJson = options['json'] !== undefined;
  if (action === 'list') {
    if (id !== undefined) throw new OptionsError('requests: list takes no argument: give show and the ID of a request');
    return list(readState(options['state']), readLimit(options['limit']), isJson, writer);
  }
  if (action !== 'show') throw new OptionsError('requests: expected list, or show and the ID of a request');
  if (id === undefined) throw new OptionsError('requests: show needs the ID of a request, as requests list shows it');
  const surplus = ['state', 'limit'].find((name) => options[name] !== undefined);
  if (surplus !== undefined) throw new OptionsError(`requests: --${surplus} is for list`);
  return show(id, isJson, writer);
}

function list(state: 'open' | 'done' | undefined, limit: number, isJson: boolean, writer: Invocation['writer']): Work {
  return async (database) => {
    // One more than is shown tells whether there are more.
    const found = await requestStates({ database, state, limit: limit + 1 });
    const shown = found.slice(0, limit);
    if (isJson) {
      for (const request of shown) writer.result(JSON.stringify(request));
      return;
    }
    if (shown.length === 0) {
      writer.log(`the ledger has no ${state === undefined ? '' : `${state} `}requests`);
      return;
    }
    for (const line of requestsText(shown, new Date())) writer.result(line);
    if (found.length > limit) writer.log(`these are the latest ${limit}; --limit shows more`);
  };
}

function show(key: string, isJson: boolean, writer: Invocation['writer']): Work {
  return async (database) => {
    const maxShortfalls = isJson ? shortfallsShown.json : shortfallsShown.text;
    const details = await requestDetails({ database, key, maxShortfalls });
    if (details === undefined) throw unknownRequest(key);
    if (isJson) writer.result(JSON.stringify(details));
    else for (const line of requestText(details, new Date())) writer.result(line);
  };
}

function unknownRequest(key: string): RequestError {
  // What may be a URL with a password is not quoted.
  const seen = /^[\w.:=^-]{1,300}$/.test(key) ? `"${key}"` : 'of this ID';
  return new RequestError(
    'request_refused',
    `requests: the ledger knows no request ${seen}: give its key as requests list shows it, not a client's requestId; ` +
      'requests are forgotten 7 days after their last activity',
  );
}

function readState(text: string | undefined): 'open' | 'done' | undefined {
  if (text === undefined || text === 'open' || text === 'done') return text;
  throw new OptionsError(`requests: --state: expected open or done, got ${JSON.stringify(text.slice(0, 40))}`);
}

function readLimit(text = '20'): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= 10_000) return limit;
  throw new OptionsError(
    `requests: --limit: expected a number from 1 to 10000, got ${JSON.stringify(text.slice(0, 40))}`,
  );
}
