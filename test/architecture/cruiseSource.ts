import { readFile } from 'node:fs/promises';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { rules } from './rules.ts';

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly optionalDependencies: Record<string, string>;
}

/** The import graph of the `src` folder below `root`, checked against the project's arrows. */
export async function cruiseSource(root: string): Promise<ICruiseResult> {
  const manifest = JSON.parse(await readFile('package.json', 'utf8')) as Manifest;
  const packages = Object.keys({
    ...manifest.dependencies,
    ...manifest.peerDependencies,
    ...manifest.optionalDependencies,
  });
  const { output } = await cruise(['src'], {
    baseDir: root,
    validate: true,
    ruleSet: { forbidden: rules(packages) },
    // Imports of types are imports too: they end up in the published declarations.
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    // As Node resolves an import: packages with nothing but `exports` are not found otherwise.
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'default'] },
  });
  if (typeof output === 'string') throw new TypeError('dependency-cruiser answered with a report, not with a graph');
  return output;
}
