import { z } from 'zod';

/**
 * A check for the name of a schema, table or column: quotes, spaces and reserved words are fine.
 *
 * `sql.ident` quotes ASCII names of at most 60 characters and refuses others (@databases/escape-identifier 1.0.3, index.js);
 * here the refusal names the option, and comes before the first query.
 */
export const identifierName = z
  .string()
  .min(1)
  .max(60)
  .regex(/^[\u0001-\u007f]*$/, 'expected only ASCII characters');
