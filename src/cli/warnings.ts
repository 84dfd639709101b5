/** Where warnings come from: `process`, or a test's emitter. */
export interface WarningSource {
  listeners(event: 'warning'): readonly unknown[];
  removeAllListeners(event: 'warning'): unknown;
  on(event: 'warning', listener: (warning: Error) => void): unknown;
}

/**
 * Leaves out one warning: kafkajs asks for timers of less than 0 ms (network/requestQueue), which Node.js 24 says once and makes 1 ms
 * of. All others are printed as before.
 */
export function leaveOutTimerWarnings(source: WarningSource): void {
  // What prints warnings is a listener of Node.js itself.
  const printers = source.listeners('warning') as ((warning: Error) => void)[];
  source.removeAllListeners('warning');
  source.on('warning', (warning) => {
    if (isOfKafkajs(warning)) return;
    for (const print of printers) print.call(source, warning);
  });
}

function isOfKafkajs({ name, stack = '' }: Error): boolean {
  return name === 'TimeoutNegativeWarning' && stack.includes('kafkajs');
}
