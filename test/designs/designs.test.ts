import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

// issue 11, item 2: whether each is caught shows `npm run designs`.

const folder = 'test/designs';
const patches = readdirSync(folder).filter((name) => name.endsWith('.patch'));

describe('the known-wrong designs', () => {
  it('are at least 20', () => {
    expect(patches.length).toBeGreaterThanOrEqual(20);
  });

  it.each(patches)('%s says what it is, and applies', (name) => {
    const [what = '', test = ''] = readFileSync(`${folder}/${name}`, 'utf8').split('\n');
    expect(what).toMatch(/^what: [A-Z].*\.$/);
    if (test !== '') expect(test).toMatch(/^test: test\/.*\.test\.ts$/);
    expect(() => execFileSync('git', ['apply', '--check', `${folder}/${name}`], { stdio: 'pipe' })).not.toThrow();
  });
});
