import type { RecordHeader } from '../../model/recordPorts.ts';

// The forms of W3C Trace Context. Version ff, and ids of zeros only, are invalid.
const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const memberForm =
  /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x21-\x2B\x2D-\x3C\x3E-\x7E]([\x20-\x2B\x2D-\x3C\x3E-\x7E]{0,254}[\x21-\x2B\x2D-\x3C\x3E-\x7E])?$/;

const maxStateCharacters = 512;
const maxStateMembers = 32;

/** The trace that a record belongs to, to be passed on. What does not have the form of the standard is left out. */
export function traceHeaders(headers: readonly RecordHeader[]): RecordHeader[] {
  const [traceparent, ...others] = valuesOf(headers, 'traceparent');
  if (traceparent === undefined || others.length > 0 || !traceparentForm.test(traceparent)) return [];
  const tracestate = valuesOf(headers, 'tracestate').join(',');
  const passed = [{ name: 'traceparent', value: Buffer.from(traceparent) }];
  return isTracestate(tracestate) ? [...passed, { name: 'tracestate', value: Buffer.from(tracestate) }] : passed;
}

function valuesOf(headers: readonly RecordHeader[], wanted: string): string[] {
  return headers
    .filter(({ name, value }) => name === wanted && value.byteLength <= maxStateCharacters)
    .map(({ value }) => Buffer.from(value).toString('latin1'));
}

function isTracestate(text: string): boolean {
  if (text === '' || text.length > maxStateCharacters) return false;
  const members = text.split(',').map((member) => member.trim());
  return members.length <= maxStateMembers && members.every((member) => memberForm.test(member));
}
