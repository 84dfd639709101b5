// Compares the public interface of each entry point with its report in api/; `--update` accepts what has changed.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const update = process.argv.includes('--update');
const root = resolve(import.meta.dirname, '..');
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

const entries = Object.entries(manifest.exports).flatMap(([entry, target]) =>
  target.types === undefined ? [] : [{ name: entry === '.' ? 'index' : entry.slice(2), types: target.types }],
);

mkdirSync(join(root, 'api'), { recursive: true });
const changed = entries.filter((entry) => !report(entry)).map(({ name }) => `api/${name}.api.md`);
if (changed.length > 0) {
  console.error(`The public interface differs from ${changed.join(', ')}.`);
  console.error('Look at it as at code: `npm run api:update` accepts it, `git diff api` shows it.');
  process.exitCode = 1;
}

const undocumented = entries.flatMap(undocumentedValues);
if (undocumented.length > 0) {
  console.error(`Exported without a doc comment: ${undocumented.join(', ')}.`);
  process.exitCode = 1;
}

/** Functions, classes and constants nobody has described; one described overload is enough, and types may speak for themselves. */
function undocumentedValues({ name }) {
  const text = readFileSync(join(root, 'temp', 'api', `${name}.api.md`), 'utf8');
  const described = new Map();
  for (const [, tags, value] of text.matchAll(
    /^\/\/ (@public.*)\nexport (?:abstract )?(?:class|const|function) (\w+)/gm,
  )) {
    described.set(value, described.get(value) === true || !tags.includes('(undocumented)'));
  }
  return [...described].filter(([, isDescribed]) => !isDescribed).map(([value]) => value);
}

/** Writes the report of an entry point, or compares it; whether all is well. */
function report({ name, types }) {
  const declarations = join(root, types);
  if (!existsSync(declarations)) throw new Error(`${types} is not there: run \`npm run build\` first.`);
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: compilerSettings() },
      apiReport: {
        enabled: true,
        reportFolder: join(root, 'api'),
        reportTempFolder: join(root, 'temp', 'api'),
        reportFileName: name,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: {
          default: { logLevel: 'error' },
          // No release tags: all that an entry point exports is public, and the rest is not.
          'ae-missing-release-tag': { logLevel: 'none' },
          // Types that only appear in other types are part of the report all the same.
          'ae-forgotten-export': { logLevel: 'none' },
          'ae-undocumented': { logLevel: 'none' },
        },
        // The comments are written for people and editors, in the syntax of TypeScript's own doc comments.
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  });
  const result = Extractor.invoke(config, {
    localBuild: update,
    messageCallback: (message) => {
      // It warns of being older than the project's TypeScript: it reads the declarations, which it knows.
      if (message.messageId === 'console-compiler-version-notice') message.handled = true;
      if (message.logLevel === 'info' || message.logLevel === 'verbose') message.handled = true;
    },
  });
  return result.errorCount === 0 && (update || !result.apiReportChanged);
}

/** The compiler's settings for declarations that are built already. */
function compilerSettings() {
  return {
    compilerOptions: {
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      moduleResolution: 'nodenext',
      types: ['node'],
      strict: true,
      skipLibCheck: true,
    },
    include: ['dist'],
  };
}
