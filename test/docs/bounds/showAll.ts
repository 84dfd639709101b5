// A process of its own, whose heap is bounded: shows each bound, and tells what came of it in a line of JSON.
import { inputBounds } from './inputBounds.ts';

for (const [name, { bound, show }] of Object.values(inputBounds).flatMap(
  Object.entries<(typeof inputBounds)[string][string]>,
)) {
  let problem: string | undefined;
  try {
    await show(bound[0]);
  } catch (error) {
    problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  process.stdout.write(`${JSON.stringify({ name, problem })}\n`);
}
process.exit();
