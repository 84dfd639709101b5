import { describe, expect, it } from 'vitest';
import { docBlocks, expectedOutput, fencedBlocks, promisedOutput } from './extractExamples.ts';

describe('fencedBlocks', () => {
  it('finds blocks with their line, language and flags, and takes off their indent', () => {
    const text = ['# Title', '', '```ts no-run', 'call();', '```', '- item', '  ```sh', '  npm test', '  ```'].join(
      '\n',
    );
    expect(fencedBlocks(text)).toEqual([
      { line: 4, language: 'ts', flags: ['no-run'], code: 'call();\n' },
      { line: 8, language: 'sh', flags: [], code: 'npm test\n' },
    ]);
  });
});

describe('docBlocks', () => {
  it('finds the examples of doc comments and nothing else', () => {
    const text = [
      '/**',
      ' * ```ts',
      ' * sketch();',
      ' * ```',
      ' *',
      ' * @example',
      ' * ```ts',
      ' * first();',
      ' *',
      ' * second();',
      ' * ```',
      ' * @returns',
      ' * ```ts',
      ' * none();',
      ' * ```',
      ' */',
      'export const fence = "```ts";',
    ].join('\n');
    expect(docBlocks(text)).toEqual([{ line: 8, language: 'ts', flags: [], code: 'first();\n\nsecond();\n' }]);
  });
});

describe('promisedOutput', () => {
  it('takes the comment lines below a call, and those below the statement around it', () => {
    const code = [
      '// Not printed.',
      'console.log(1);',
      '// 1',
      '//   indented',
      '',
      '// Not printed either.',
      'source.subscribe({',
      '  next: (value) => console.log(value),',
      '});',
      '// a',
      '// b',
    ].join('\n');
    expect(promisedOutput(code)).toEqual([
      { lines: ['1', '  indented'], certain: true },
      { lines: ['a', 'b'], certain: true },
    ]);
  });

  it('takes a comment beside the call', () => {
    const code = 'console.log("http://a"); // http://a\nstop(); // stops';
    expect(promisedOutput(code)).toEqual([{ lines: ['http://a'], certain: true }]);
  });

  it('cannot be certain below a statement that does not print by itself', () => {
    const code = 'subject.subscribe((value) => console.log(value));\nsubject.next(1);\n// 1\nsubject.complete();';
    expect(promisedOutput(code)).toEqual([{ lines: ['1'], certain: false }]);
  });

  it('is empty where nothing is printed', () => {
    expect(promisedOutput('// a remark\ncall();\n\n// another')).toEqual([]);
  });
});

describe('expectedOutput', () => {
  const groups = [
    { lines: ['a', 'b'], certain: true },
    { lines: ['c'], certain: false },
    { lines: ['d'], certain: true },
  ];

  it('takes an uncertain group for output where it was printed, and for a remark elsewhere', () => {
    expect(expectedOutput(groups, ['a', 'b', 'c', 'd'])).toEqual(['a', 'b', 'c', 'd']);
    expect(expectedOutput(groups, ['a', 'b', 'd'])).toEqual(['a', 'b', 'd']);
  });

  it('holds on to what is certain', () => {
    expect(expectedOutput(groups, ['a'])).toEqual(['a', 'b', 'd']);
    expect(expectedOutput(groups, [])).toEqual(['a', 'b', 'd']);
  });
});
