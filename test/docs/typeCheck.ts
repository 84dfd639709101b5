import { resolve } from 'node:path';
import ts from 'typescript';

/** The type errors of the files, by file, as `line: message`; checked as one program with the project's own settings. */
export function typeCheck(files: readonly string[]): ReadonlyMap<string, string[]> {
  const config = ts.getParsedCommandLineOfConfigFile('tsconfig.json', undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
    },
  });
  if (config === undefined) throw new Error('tsconfig.json cannot be read');
  const program = ts.createProgram(files, config.options);
  return new Map(
    files.map((path) => {
      const file = program.getSourceFile(resolve(path)) ?? program.getSourceFile(path);
      const errors = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
      return [path, errors.map(describeError)];
    }),
  );
}

function describeError({ file, start, messageText }: ts.Diagnostic): string {
  const line = (file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0) + 1;
  return `${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
}
