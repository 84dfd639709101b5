import type { Listener } from './brokerSettings.ts';

/** A way to get a broker. */
export interface BrokerSource {
  /** Why it cannot be had this way; undefined when it can. */
  missing(): string | undefined;
  start(plan: BrokerPlan): Promise<RunningBroker>;
}

export interface BrokerPlan {
  readonly version: string;
  readonly listeners: readonly Listener[];
  readonly controllerPort: number;
}

export interface RunningBroker {
  /** Ends it and removes all it left. */
  stop(): Promise<void>;
  /** Ends it as its operators do, and keeps what it has stored. */
  pause(): Promise<void>;
  /** Starts it again, on the same ports; resolves once it answers. */
  unpause(): Promise<void>;
}
