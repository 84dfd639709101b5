import { describe, expect, it } from 'vitest';
import { docBlocks, fencedBlocks, promisedOutput } from './extractExamples.ts';

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
    expect(promisedOutput(code)).toEqual(['1', '  indented', 'a', 'b']);
  });

  it('takes a comment beside the call', () => {
    expect(promisedOutput('console.log(url); // http://localhost\nstop(); // stops')).toEqual(['http://localhost']);
  });

  it('is empty where nothing is printed', () => {
    expect(promisedOutput('call();\n// a remark')).toEqual([]);
  });
});
