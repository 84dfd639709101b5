import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { leaveOutTimerWarnings } from '../../src/cli/warnings.ts';

describe('warnings', () => {
  it('are printed as before, but for the one of kafkajs', () => {
    const printed: string[] = [];
    const source = new EventEmitter();
    source.on('warning', ({ message }: Error) => printed.push(message));
    leaveOutTimerWarnings(source);
    const warn = (name: string, message: string, stack: string) =>
      source.emit('warning', Object.assign(new Error(message), { name, stack }));

    warn('TimeoutNegativeWarning', 'of kafkajs', 'at node_modules/kafkajs/src/network/requestQueue/index.js');
    warn('TimeoutNegativeWarning', 'of somebody else', 'at node_modules/other/index.js');
    warn('DeprecationWarning', 'another of kafkajs', 'at node_modules/kafkajs/src/index.js');

    expect(printed).toEqual(['of somebody else', 'another of kafkajs']);
  });
});
