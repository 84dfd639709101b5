import { stateOf } from './errors.ts';

/** What a row does, and not the table or the server: data and integrity errors, a check option, exceptions of triggers. */
const rowCodes = /^(?:09|22|23|27|38|44|P0)...$/;
/** The classes that PostgreSQL has codes in; a code of any other class is a trigger's own. */
const serverClasses = /^(?:0[0-9A-Z]|10|2[0-9A-Z]|3[489BDF]|4[024]|5[34578]|72|F0|HV|P0|XX)...$/;
const anyState = /^[0-9A-Z]{5}$/;

/** Statements over their time. */
export const tooSlow = '57014';

/** Whether the server refused a row; the error is the driver's, or a `SinkError` made of it. */
export function isRowError(error: unknown): boolean {
  const state = stateOf(error);
  return rowCodes.test(state) || (anyState.test(state) && !serverClasses.test(state));
}
