import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Rules for every file, whatever its language. */
const everywhere = {
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'no-else-return': 'error',
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
};

const typed = {
  '@typescript-eslint/consistent-type-exports': 'error',
  '@typescript-eslint/consistent-type-imports': 'error',
  '@typescript-eslint/explicit-module-boundary-types': 'error',
  // `subscribe((value) => console.log(value))` is clear enough.
  '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-unused-vars': [
    'error',
    { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true, ignoreUsingDeclarations: true },
  ],
  // A number reads well in a message; everything else has to say how it is printed.
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
  // Index signatures are read with brackets: noPropertyAccessFromIndexSignature.
  '@typescript-eslint/dot-notation': 'off',
};

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'temp/', 'api/', '**/fixtures/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  { files: ['**/*.{js,mjs,ts}'], rules: everywhere },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: typed,
  },
  {
    files: ['src/**/*.ts', 'examples/**/*.ts'],
    rules: { 'max-lines': ['error', { max: 400 }] },
  },
  {
    files: ['src/**/*.ts'],
    // The command line alone prints. A rule turned off in a comment would hide from its reader.
    rules: { 'no-console': 'error' },
    linterOptions: { noInlineConfig: true },
  },
  { files: ['src/cli/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test may be sure of what its own lines before have made.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Doubles answer an asynchronous port at once.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      // What `fetch` was given is a text or a URL, as the code under test gives it.
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `expect(port.method)` takes methods without calling them.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
    },
  },
);
