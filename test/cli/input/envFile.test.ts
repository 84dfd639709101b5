import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readEnvFile } from '../../../src/cli/input/envFile.ts';
import { temporaryFolder } from '../support/cli.ts';

async function read(content: string | Buffer): Promise<Readonly<Record<string, string>>> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, '.env');
  await writeFile(path, content);
  return readEnvFile(path);
}

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');

// Issue 10, 15.
describe('a file .env', () => {
  it.each<[string, string, Record<string, string>]>([
    ['a byte order mark', '\uFEFFDATABASE_SCHEMA_NAME=staging\nB=2', { DATABASE_SCHEMA_NAME: 'staging', B: '2' }],
    ['a byte order mark in its middle', 'A=1\n\uFEFFB=2\n', { A: '1', B: '2' }],
    ['lines that end as on Windows', 'A=1\r\nB="2"\r\n\r\nC=3\r\n', { A: '1', B: '2', C: '3' }],
    ['lines that end as on old Macs', 'A=1\rB=2', { A: '1', B: '2' }],
    ['export', 'export A=1\nexport\tB="2"\n  export   C=3', { A: '1', B: '2', C: '3' }],
    ['white space', ' A = 1 \n\tB\t=\t2\t\nC=" 3 "', { A: '1', B: '2', C: ' 3 ' }],
    [
      'quotes',
      `A='x "y" # z'\nB="it's"\nC=\`q\`\nD=it's\nE=p"w`,
      { A: 'x "y" # z', B: "it's", C: 'q', D: "it's", E: 'p"w' },
    ],
    ['quotes over lines', 'A="1\n2"\nB="1\\n2"\nC=\'1\\n2\'', { A: '1\n2', B: '1\n2', C: '1\\n2' }],
    ['a # in a value', 'A=pa#ss\nB=postgres://u:p#w@h/d\nC="#"', { A: 'pa#ss', B: 'postgres://u:p#w@h/d', C: '#' }],
    ['comments', '# A=0\n  # B=0\nA=1 # one\nB="2" # two\nC="3"# three\nD= # four', { A: '1', B: '2', C: '3', D: '' }],
    ['empty values', 'A=\nB=""\nC=3', { A: '', B: '', C: '3' }],
    ['a name twice', 'A=1\nA=2', { A: '2' }],
    ['a name alone', 'A\nB=2\nexport C', { B: '2' }],
    ['dollars and equal signs', 'A=$B\nB=a=b==', { A: '$B', B: 'a=b==' }],
    ['nothing', '', {}],
  ])('may have %s', async (_, content, expected) => {
    expect(await read(content)).toEqual(expected);
  });

  it.each([
    ['UTF-16', utf16('\uFEFFA=secret')],
    ['UTF-16, big end first', utf16('\uFEFFA=secret').swap16()],
    ['UTF-16 without a mark', utf16('A=secret')],
    [
      'UTF-32',
      Buffer.concat(Array.from('\uFEFFA=secret', (letter) => Buffer.concat([utf16(letter), Buffer.alloc(2)]))),
    ],
    ['a text with zero bytes', Buffer.from('A=secret\0\n')],
    ['Latin-1', Buffer.from('A=secretü', 'latin1')],
  ])('in %s is refused with what to do', async (_, content) => {
    await expect(read(content)).rejects.toThrow(/^\.env is .*: save it as UTF-8$/);
  });

  it.each([
    ['A=1\nDATABASE_PASSWORD: secret\nB=2', '.env: line 2 is not NAME=value: correct or remove it'],
    ['A="secret\nB=2', '.env: line 1: the value of A begins with a quote and does not end with it'],
    ['\n\nA="secret\nB="2"\n', '.env: line 3: the value of A begins with a quote and does not end with it'],
    ['A="secret"more', '.env: line 1: the value of A begins with a quote and does not end with it'],
    ['=secret', '.env: line 1 is not NAME=value: correct or remove it'],
    ['MY SECRET=secret', '.env: line 1 is not NAME=value: correct or remove it'],
  ])('with a line that cannot be read is refused without it: %j', async (content, expected) => {
    await expect(read(content)).rejects.toMatchObject({ name: 'OptionsError', message: expected });
  });
});
