import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvReader } from '../../src/sources/CsvReader.ts';

const read = (...pieces: string[]) => {
  const reader = new CsvReader('file');
  return [...pieces.flatMap((piece) => reader.read(piece)), ...reader.end()];
};
const fieldsOf = (...pieces: string[]) => read(...pieces).map(({ fields }) => fields);

describe('CsvReader', () => {
  it.each([
    ['LF', 'a,b\nc,d\n'],
    ['CRLF', 'a,b\r\nc,d\r\n'],
    ['CR', 'a,b\rc,d\r'],
    ['no end of the last line', 'a,b\nc,d'],
    ['empty lines', '\n\r\na,b\n   \n\nc,d\n\n'],
  ])('splits lines and fields: %s', (_, text) => {
    expect(fieldsOf(text)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it.each([
    ['"a","b"', ['a', 'b']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""hi""",c', ['say "hi"', 'c']],
    ['"two\nlines",c', ['two\nlines', 'c']],
    ['"",c', ['', 'c']],
    ['a"b,c', ['a"b', 'c']],
    [',', ['', '']],
    ['a,', ['a', '']],
  ])('reads quotes and empty fields: %s', (text, fields) => {
    expect(fieldsOf(text)).toEqual([fields]);
  });

  it('knows the line on which a row begins', () => {
    const lines = read('a\r\n\r\n"two\r\nlines"\r\nb\nc').map(({ line }) => line);
    expect(lines).toEqual([1, 3, 5, 6]);
  });

  it('reads nothing from nothing', () => {
    expect(fieldsOf()).toEqual([]);
    expect(fieldsOf('')).toEqual([]);
  });

  it.each([
    ['"a,b\nc', 'file, line 1: a quote is opened and never closed'],
    ['a\n"b"c', 'file, line 2: text follows a closing quote'],
    [`a\n${'b'.repeat(20_000)}`, 'file, line 2: a row is longer than 10000 characters'],
    [`"${'b\n'.repeat(20_000)}`, 'file, line 1: a row is longer than 10000 characters'],
  ])('refuses what is no CSV, by line: %#', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it('reads the same whatever the pieces', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ',', '"', '\r', '\n', ' '), maxLength: 30 });
    const outcome = (...pieces: string[]) => {
      try {
        return read(...pieces);
      } catch (error) {
        return String(error);
      }
    };
    fc.assert(
      fc.property(text, fc.nat({ max: 30 }), (whole, cut) => {
        expect(outcome(whole.slice(0, cut), whole.slice(cut))).toEqual(outcome(whole));
      }),
    );
  });

  it('reads back whatever was written with quotes', () => {
    const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '\r', '\n', ' ', 'é'), maxLength: 8 });
    const rows = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 5 });
    fc.assert(
      fc.property(rows, (written) => {
        const text = written
          .map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(','))
          .join('\r\n');
        expect(fieldsOf(text)).toEqual(written);
      }),
    );
  });
});
