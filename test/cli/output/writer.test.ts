import { describe, expect, it } from 'vitest';
import { createWriter } from '../../../src/cli/output/writer.ts';

function open(terminal?: number) {
  const written: [string, string][] = [];
  const writer = createWriter(
    { write: (text) => written.push(['stdout', text]) },
    { write: (text) => written.push(['stderr', text]), isTTY: terminal !== undefined, columns: terminal },
    (text) => text.replaceAll('secret', '[hidden]'),
  );
  return { writer, written };
}

const clear = '\r\u001B[2K';

describe('createWriter', () => {
  it('writes results to stdout and logs to stderr, without secrets', () => {
    const { writer, written } = open();

    writer.result('a secret result');
    writer.log('a secret log');

    expect(written).toEqual([
      ['stdout', 'a [hidden] result\n'],
      ['stderr', 'a [hidden] log\n'],
    ]);
  });

  it('shows no live line where stderr is no terminal', () => {
    const { writer, written } = open();

    writer.live('half way');

    expect(writer.isLive).toBe(false);
    expect(written).toEqual([]);
  });

  it('replaces the live line, keeps it below the logs, and takes it away', () => {
    const { writer, written } = open(80);

    writer.live('1 of 2');
    writer.live('2 of 2');
    writer.live('2 of 2');
    writer.log('a log');
    writer.live('');

    expect(written).toEqual([
      ['stderr', `${clear}1 of 2`],
      ['stderr', `${clear}2 of 2`],
      ['stderr', clear],
      ['stderr', 'a log\n'],
      ['stderr', `${clear}2 of 2`],
      ['stderr', clear],
    ]);
  });

  it('cuts the live line to the width of the terminal, so that it can be cleared', () => {
    const { writer, written } = open(10);

    writer.live('0123456789 and the secret');

    expect(written).toEqual([['stderr', `${clear}012345678`]]);
  });
});
