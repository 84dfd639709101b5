import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import ts from 'typescript';
import { expect, it } from 'vitest';

it('kills a child when its parent is killed', async () => {
  const { outputText } = ts.transpileModule(await readFile('test/support/killWithUs.ts', 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `${outputText}
       const child = spawn(process.execPath, ['-e', 'console.log(process.pid); setTimeout(() => {}, 60_000)'], { stdio: 'inherit' });
       killWithUs(child);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [said] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(said);
  process.kill(pid, 0); // it is there

  const ends = Promise.all([once(parent, 'exit'), once(parent.stdout, 'close')]);
  parent.kill('SIGKILL');
  // Both hold the other end of the pipe, which closes with the last of them: the child would have lived for a minute.
  const [exit] = await ends;

  expect(exit).toEqual([null, 'SIGKILL']);
});
