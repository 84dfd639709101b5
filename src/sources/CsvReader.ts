import { RequestError } from '../model/errors.ts';

/** One row of a file, and the line it begins on. */
export interface CsvRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/** Beyond it a quote was left open, or the file is no list at all; reading on would fill the memory. */
const maxRowLength = 10_000;

/**
 * Splits text that comes in pieces into rows, as RFC 4180 has it: fields may stand in quotes, and then hold commas, line
 * ends and doubled quotes. Lines end in CRLF, LF or CR; empty lines are left out.
 */
export class CsvReader {
  readonly #name: string;
  #line = 1;
  #rowLine = 1;
  #rowLength = 0;
  #fields: string[] = [];
  #field = '';
  /** `start`: of a field; `plain`: outside of quotes; `quoted`: inside; `closed`: behind a closing quote, or one of two. */
  #state: 'start' | 'plain' | 'quoted' | 'closed' = 'start';
  #afterReturn = false;
  #begun = false;
  #rows: CsvRow[] = [];

  /** `name` is what errors call the file. */
  constructor(name: string) {
    this.#name = name;
  }

  /** The rows that the text completes. */
  read(text: string): CsvRow[] {
    // A byte order mark is no part of the first field.
    const body = this.#begun ? text : text.replace(/^\uFEFF/u, '');
    this.#begun ||= text.length > 0;
    for (const character of body) this.#take(character);
    return this.#takeRows();
  }

  /** The last row, when no line end closes it. */
  end(): CsvRow[] {
    if (this.#state === 'quoted') throw this.#error('a quote is opened and never closed');
    this.#endRow();
    return this.#takeRows();
  }

  #take(character: string): void {
    const isSecondOfCrLf = character === '\n' && this.#afterReturn;
    this.#afterReturn = character === '\r';
    if (++this.#rowLength > maxRowLength) throw this.#error(`a row is longer than ${maxRowLength} characters`);
    if (this.#state === 'quoted') this.#takeQuoted(character, isSecondOfCrLf);
    else if (character === '\n' || character === '\r') {
      if (!isSecondOfCrLf) this.#endLine();
    } else if (character === ',') this.#endField();
    else this.#takePlain(character);
  }

  #takeQuoted(character: string, isSecondOfCrLf: boolean): void {
    if (character === '"') {
      this.#state = 'closed';
      return;
    }
    if (character === '\r' || (character === '\n' && !isSecondOfCrLf)) this.#line += 1;
    this.#field += character;
  }

  #takePlain(character: string): void {
    if (character === '"' && this.#state === 'closed') this.#state = 'quoted';
    else if (character === '"' && this.#state === 'start') {
      this.#state = 'quoted';
      return;
    } else if (this.#state === 'closed') throw this.#error('text follows a closing quote');
    else this.#state = 'plain';
    this.#field += character;
  }

  #endField(): void {
    this.#fields.push(this.#field);
    this.#field = '';
    this.#state = 'start';
  }

  #endLine(): void {
    this.#endRow();
    this.#line += 1;
    this.#rowLine = this.#line;
    this.#rowLength = 0;
  }

  #endRow(): void {
    this.#endField();
    if (this.#fields.length > 1 || this.#fields[0]?.trim() !== '') {
      this.#rows.push({ line: this.#rowLine, fields: this.#fields });
    }
    this.#fields = [];
  }

  #takeRows(): CsvRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  #error(reason: string): RequestError {
    return new RequestError('request_malformed', `${this.#name}, line ${this.#rowLine}: ${reason}`);
  }
}
