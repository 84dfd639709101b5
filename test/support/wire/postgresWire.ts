import { frameCutter, type Framed, type Protocol } from './protocol.ts';

/** What a client of PostgreSQL sends, as far as tests look at it. */
export type PostgresRequest =
  | { readonly type: 'startup' }
  /** A statement without parameters, sent as text. */
  | { readonly type: 'query'; readonly text: string }
  | { readonly type: 'parse'; readonly statement: string; readonly text: string }
  /** Parameters for a statement that was parsed before on the connection; null for those in binary form, too. */
  | { readonly type: 'bind'; readonly text: string; readonly parameters: readonly (string | null)[] }
  | { readonly type: 'execute' }
  | { readonly type: 'sync' }
  | { readonly type: 'terminate' };

/** What the server answers. */
export type PostgresAnswer =
  /** A statement is done: `INSERT 0 5`, `COMMIT`. */
  | { readonly type: 'complete'; readonly tag: string }
  | { readonly type: 'error'; readonly code: string }
  /** All is answered; `isIdle` outside of a transaction. */
  | { readonly type: 'ready'; readonly isIdle: boolean };

const sslRequest = 80_877_103;

/** PostgreSQL's protocol, version 3. */
export const postgresWire: Protocol<PostgresRequest, PostgresAnswer> = () => {
  let isStarted = false;
  /** The server answers a request for TLS with one bare letter. */
  let bareLetters = 0;
  const statements = new Map<string, string>();

  const requests = frameCutter((bytes) => {
    if (!isStarted) {
      if (bytes.length < 8) return undefined;
      if (bytes.readInt32BE(4) === sslRequest) bareLetters += 1;
      else isStarted = true;
      return bytes.readInt32BE(0);
    }
    return bytes.length < 5 ? undefined : bytes.readInt32BE(1) + 1;
  });
  const answers = frameCutter((bytes) => {
    if (bareLetters > 0) {
      bareLetters -= 1;
      return 1;
    }
    return bytes.length < 5 ? undefined : bytes.readInt32BE(1) + 1;
  });

  let isFirst = true;
  function readRequest(bytes: Buffer): PostgresRequest | undefined {
    if (isFirst) {
      isFirst = bytes.length === 8; // the request for TLS, or to cancel, which ends the connection
      return isFirst ? undefined : { type: 'startup' };
    }
    const body = reader(bytes);
    switch (String.fromCharCode(bytes[0] ?? 0)) {
      case 'Q':
        return { type: 'query', text: body.text() };
      case 'P': {
        const [statement, text] = [body.text(), body.text()];
        statements.set(statement, text);
        return { type: 'parse', statement, text };
      }
      case 'B':
        return readBind(body, statements);
      case 'E':
        return { type: 'execute' };
      case 'S':
        return { type: 'sync' };
      case 'X':
        return { type: 'terminate' };
      default:
        return undefined;
    }
  }

  return {
    fromClient: (chunk) =>
      requests(chunk).map((bytes): Framed<PostgresRequest> => ({ bytes, message: readRequest(bytes) })),
    fromServer: (chunk) =>
      answers(chunk).map((bytes): Framed<PostgresAnswer> => ({ bytes, message: readAnswer(bytes) })),
  };
};

function readBind(body: Reader, statements: ReadonlyMap<string, string>): PostgresRequest {
  body.text(); // the portal
  const text = statements.get(body.text()) ?? '';
  const formats = Array.from({ length: body.int16() }, () => body.int16());
  const parameters = Array.from({ length: body.int16() }, (_, index) => {
    const bytes = body.field();
    const isBinary = (formats[index] ?? formats[0] ?? 0) === 1;
    return bytes === null || isBinary ? null : bytes.toString('utf8');
  });
  return { type: 'bind', text, parameters };
}

function readAnswer(bytes: Buffer): PostgresAnswer | undefined {
  if (bytes.length < 5) return undefined;
  const body = reader(bytes);
  switch (String.fromCharCode(bytes[0] ?? 0)) {
    case 'C':
      return { type: 'complete', tag: body.text() };
    case 'Z':
      return { type: 'ready', isIdle: bytes[5] === 'I'.charCodeAt(0) };
    case 'E':
      return { type: 'error', code: /\0C([^\0]*)\0/.exec(bytes.toString('latin1'))?.[1] ?? '' };
    default:
      return undefined;
  }
}

type Reader = ReturnType<typeof reader>;

/** Reads the fields behind type and length. */
function reader(bytes: Buffer) {
  let at = 5;
  const int16 = (): number => {
    at += 2;
    return bytes.readInt16BE(at - 2);
  };
  return {
    int16,
    text(): string {
      const end = bytes.indexOf(0, at);
      const text = bytes.toString('utf8', at, end);
      at = end + 1;
      return text;
    },
    field(): Buffer | null {
      const length = bytes.readInt32BE(at);
      at += 4;
      if (length < 0) return null;
      at += length;
      return bytes.subarray(at - length, at);
    },
  };
}
