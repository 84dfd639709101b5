import { SinkError } from '../../model/errors.ts';

/** The error of a row that the database neither refused nor keeps. */
export function notStored(described: string, seen: string): SinkError {
  return new SinkError(
    'row_rejected',
    `${described} was not stored: the database reported no error, and the table ${seen}: look for a trigger of the table`,
  );
}
