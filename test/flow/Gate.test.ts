import { NEVER, Subject, from, merge, of } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Emitter } from '../../src/flow/Emitter.ts';
import { Gate } from '../../src/flow/Gate.ts';
import { apart } from '../../src/flow/apart.ts';
import { fromPull } from '../../src/flow/fromPull.ts';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';
import { emitting } from '../../src/flow/stack.ts';
import { counted } from './support/sources.ts';

/** A source of the numbers from 0 that enter `gate`. */
function sourceInto(...gates: Gate[]) {
  const pulled = { value: 0 };
  const subscription = fromPull(() => counted(pulled, 100)).subscribe((number) =>
    gates[number % gates.length]!.enter(),
  );
  return { pulled, subscription };
}

describe('Gate', () => {
  it('is full while as many items as its limit are inside, and takes more nevertheless', () => {
    const gate = new Gate(2);
    gate.enter();
    expect(gate.full).toBe(false);
    gate.enter();
    gate.enter();
    expect(gate.full).toBe(true);
    gate.leave();
    expect(gate.full).toBe(true);
    gate.leave();
    expect(gate.full).toBe(false);
  });

  it('holds back a source whose items enter, and lets it send one for each place', () => {
    const gate = new Gate(3);
    const { pulled } = sourceInto(gate);
    expect(pulled.value).toBe(3);
    gate.leave();
    gate.leave();
    expect(pulled.value).toBe(5);
    gate.close();
  });

  it('holds back a source until all the gates that it is linked with have room', () => {
    const [first, second] = [new Gate(1), new Gate(2)] as const;
    const { pulled } = sourceInto(first, second);
    expect(pulled.value).toBe(1);
    first.leave(); // 1 into the second, 2 into the first
    expect(pulled.value).toBe(3);
    second.leave(); // has room, but the first has none
    expect(pulled.value).toBe(3);
    first.leave();
    expect(pulled.value).toBe(5);
    first.close();
    second.close();
  });

  it('links nobody while nothing is emitting', () => {
    const gate = new Gate(1);
    gate.enter();
    expect(sourceInto(new Gate(200)).pulled.value).toBe(100);
  });

  it('wakes sources in turn', () => {
    const gate = new Gate(1);
    const order: string[] = [];
    const sources = ['a', 'b', 'c'].map((name) =>
      fromPull(Array.from({ length: 3 }, (_, index) => `${name}${String(index)}`)),
    );
    merge(...sources).subscribe((item) => {
      order.push(item);
      gate.enter();
    });
    while (order.length < 9) gate.leave();
    expect(order).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
    gate.close();
  });

  it('lets go everybody who waits when it closes, and counts nothing from then on', () => {
    const gate = new Gate(1);
    const { pulled } = sourceInto(gate);
    gate.close();
    expect(pulled.value).toBe(100);
    gate.enter();
    gate.leave();
    gate.close();
    expect(gate.full).toBe(false);
  });

  it('wakes thousands of sources that leave at once without filling the call stack', () => {
    const gate = new Gate(1);
    let results = 0;
    let open = false;
    merge(...Array.from({ length: 5_000 }, () => fromPull([1, 2]))).subscribe(() => {
      results++;
      gate.enter();
      if (open) gate.leave();
    });
    open = true;
    for (let item = 0; item < 5_000; item++) gate.leave();
    expect(results).toBe(10_000);
  });

  it('is left by a source and by an operator that are unsubscribed', () => {
    const gate = new Gate(1);
    const left = vi.spyOn(gate, 'unlink');
    sourceInto(gate).subscription.unsubscribe();
    expect(left).toHaveBeenCalledTimes(1);
    const operator = from([1]).pipe(mergeMapBounded((number) => merge(of(number), NEVER), { concurrency: 1 }));
    operator.subscribe(() => gate.enter()).unsubscribe();
    expect(left).toHaveBeenCalledTimes(2);
  });

  // issue 10, 24: a gate that outlives its sources would keep each of them, and call it
  it('forgets a source that ends: one that it would tell when it is full, and one that waits', () => {
    const gate = new Gate(2);
    const [unaware, waiting] = [new Emitter(), new Emitter()];
    const called: string[] = [];
    for (const name of ['filled', 'resume', 'unlinked'] as const) {
      vi.spyOn(unaware, name).mockImplementation(() => called.push(`unaware: ${name}`) > 0);
    }
    unaware.emit({ next: () => gate.enter() }, 0);
    unaware.close();
    waiting.emit({ next: () => gate.enter() }, 0);
    expect(waiting.mustWait(() => {})).toBe(true);
    for (const name of ['resume', 'unlinked'] as const) {
      vi.spyOn(waiting, name).mockImplementation(() => called.push(`waiting: ${name}`) > 0);
    }
    waiting.close();
    gate.leave();
    gate.close();
    expect(called).toEqual([]);
  });

  it('is forgotten by its emitters when it closes', () => {
    const gate = new Gate(1);
    const unlink = vi.spyOn(gate, 'unlink');
    const { subscription } = sourceInto(gate, new Gate(1));
    gate.close();
    subscription.unsubscribe();
    expect(unlink).not.toHaveBeenCalled();
  });

  it('tells who starts to wait', () => {
    const waiting: Emitter[] = [];
    const gate = new Gate(1, (emitter) => waiting.push(emitter));
    const emitter = new Emitter();
    emitter.emit({ next: () => gate.enter() }, 0);
    expect(emitter.mustWait(() => {})).toBe(true);
    expect(waiting).toEqual([emitter]);
  });

  it('may be closed by whoever is told', () => {
    const gate: Gate = new Gate(1, () => gate.close());
    expect(sourceInto(gate).pulled.value).toBe(100);
  });

  it('says what is wrong with its arguments, and with a leave without an enter', () => {
    expect(() => new Gate(0)).toThrow(new RangeError('Gate: limit: expected an integer of at least 1, got 0'));
    expect(() => new Gate('2' as never)).toThrow(TypeError);
    expect(() => new Gate(1, 'call me' as never)).toThrow(
      new TypeError('Gate: onWait: expected a function, got "call me"'),
    );
    expect(() => new Gate(1).leave()).toThrow(new RangeError('Gate: leave was called more often than enter'));
  });
});

describe('Emitter', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  it('is the current one during emit and at no other time, also when next throws', () => {
    const emitter = new Emitter();
    const seen: unknown[] = [];
    emitter.emit({ next: () => seen.push([...emitting]) }, 0);
    const failing = { next: () => expect.fail('broken') };
    expect(() => emitter.emit(failing, 0)).toThrow('broken');
    expect([seen, emitting]).toEqual([[[emitter]], []]);
  });

  it('calls back once, however often it was asked', () => {
    const gate = new Gate(1);
    const emitter = new Emitter();
    const goOn = vi.fn();
    emitter.emit({ next: () => gate.enter() }, 0);
    expect([emitter.mustWait(goOn), emitter.mustWait(goOn)]).toEqual([true, true]);
    gate.leave();
    gate.enter();
    gate.leave();
    expect(goOn).toHaveBeenCalledOnce();
    expect(emitter.mustWait(goOn)).toBe(false);
  });

  it('calls nobody back when it is closed, and is linked no more', () => {
    const gate = new Gate(1);
    const emitter = new Emitter();
    const goOn = vi.fn();
    emitter.emit({ next: () => gate.enter() }, 0);
    emitter.mustWait(goOn);
    emitter.close();
    emitter.close();
    emitter.emit({ next: () => gate.enter() }, 1);
    gate.leave();
    gate.leave();
    gate.enter();
    expect([emitter.mustWait(goOn), goOn.mock.calls.length]).toEqual([false, 0]);
  });

  it('never waits for its own gate', () => {
    const gate = new Gate(1);
    const emitter = new Emitter(gate);
    emitter.emit({ next: () => gate.enter() }, 0);
    expect([gate.full, emitter.mustWait(() => {})]).toEqual([true, false]);
  });

  it('that is busy when woken keeps the turn until it waits again', () => {
    const [gate, other] = [new Gate(1), new Gate(1)] as const;
    const [first, second] = [new Emitter(), new Emitter()] as const;
    const goOn = vi.fn();
    for (const emitter of [first, second]) emitter.emit({ next: () => gate.enter() }, 0);
    first.mustWait(() => (first.busy = true));
    second.mustWait(goOn);
    gate.leave();
    gate.leave();
    expect(goOn).not.toHaveBeenCalled();
    first.emit({ next: () => other.enter() }, 1); // its item goes elsewhere, where it has to wait
    expect(first.mustWait(() => {})).toBe(true);
    expect(goOn).toHaveBeenCalledOnce();
    gate.close();
    other.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is idle while it waits with nothing under way, and when it is closed', () => {
    const gate = new Gate(1);
    const emitter = new Emitter();
    expect(emitter.idle).toBe(false);
    emitter.emit({ next: () => gate.enter() }, 0);
    emitter.mustWait(() => {});
    expect(emitter.idle).toBe(true);
    emitter.busy = true;
    expect(emitter.idle).toBe(false);
    emitter.close();
    expect(emitter.idle).toBe(true);
  });
});

describe('apart', () => {
  it('hides whoever is emitting, returns what is returned, and throws what is thrown', () => {
    const gate = new Gate(1);
    const emitter = new Emitter();
    const items = new Subject<number>();
    items.subscribe(() => apart(() => gate.enter()));
    emitter.emit(items, 0);
    expect(emitter.mustWait(() => {})).toBe(false);
    expect(apart(() => 'result')).toBe('result');
    expect(() => apart(() => expect.fail('broken'))).toThrow('broken');
    expect(emitting).toEqual([]);
  });
});
