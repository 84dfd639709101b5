import { commandLineBounds } from './commandLineBounds.ts';
import { httpBounds } from './httpBounds.ts';
import type { InputBounds } from './inputBound.ts';
import { providerBounds } from './providerBounds.ts';
import { recordBounds } from './recordBounds.ts';
import { requestBounds } from './requestBounds.ts';
import { storageBounds } from './storageBounds.ts';
import { workerBounds } from './workerBounds.ts';

/** All of them, in the order of the table in docs/operations.md, by what its groups are called there. */
export const inputBounds: Readonly<Record<string, InputBounds>> = {
  'Records of Kafka': recordBounds,
  'Requests to a worker': workerBounds,
  'What a request holds': requestBounds,
  Providers: providerBounds,
  'The HTTP port': httpBounds,
  'Database, files and memory': storageBounds,
  'Command line and variables': commandLineBounds,
};
